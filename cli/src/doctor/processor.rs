//! The processor: instruction sets, and number of threads.

use sam2_model::kernels::CpuTier;

use super::Finding;
use crate::devices::processor_name;

pub fn check() -> Vec<Finding> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let threads =
        of_threads(rayon::current_num_threads(), allowed, variable("SLURM_CPUS_PER_TASK"));
    vec![of_instructions(), threads]
}

fn of_instructions() -> Finding {
    const SUBJECT: &str = "processor";
    let name = processor_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let tier = CpuTier::current();
    let found = format!("{name}, {tier} kernels");
    let best = CpuTier::ALL.into_iter().rev().find(|tier| tier.is_available());
    match best {
        Some(best) if best != tier => {
            Finding::warning(SUBJECT, found, format!("{best} is faster: unset SAM2_CPU_TIER"))
        }
        _ if tier == CpuTier::Generic => Finding::warning(
            SUBJECT,
            found,
            "this processor has none of the vector instructions that there are kernels for; expect a fraction of the speed",
        ),
        _ => Finding::ok(SUBJECT, found),
    }
}

/// Judges the number of threads. `threads` share the work, `allowed` can run at once, and SLURM
/// granted `task`.
fn of_threads(threads: usize, allowed: usize, task: Option<usize>) -> Finding {
    const SUBJECT: &str = "threads";
    let slurm = task.map_or_else(String::new, |task| format!(", {task} from SLURM"));
    let found = format!("{threads} of {allowed} cores{slurm}");
    let usable = task.map_or(allowed, |task| task.min(allowed));
    if threads > usable {
        let remedy = format!(
            "more threads than cores slow each other down: use --threads {usable}, or set SAM2_THREADS={usable}"
        );
        Finding::warning(SUBJECT, found, remedy)
    } else if threads < usable {
        let remedy = format!(
            "use --threads {usable}, or set SAM2_THREADS={usable}, or unset it, to use all"
        );
        Finding::warning(SUBJECT, found, remedy)
    } else {
        Finding::ok(SUBJECT, found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn threads_should_be_as_many_as_cores_may_be_used() {
        let cases = [
            (8, 8, None, Health::Ok),
            (4, 8, Some(4), Health::Ok),
            (8, 8, Some(4), Health::Warning),
            (9, 8, None, Health::Warning),
            (2, 8, None, Health::Warning),
            // SLURM counts hyper-threads that are not in the affinity mask.
            (8, 8, Some(16), Health::Ok),
        ];
        for (threads, allowed, task, expected) in cases {
            let finding = of_threads(threads, allowed, task);
            assert_eq!(finding.health, expected, "{finding:?}");
        }
        assert!(of_threads(8, 8, Some(4)).remedy.unwrap().contains("SAM2_THREADS=4"));
    }
}
