//! Memory of the machine, and how much of it this process may use.

use std::path::Path;

use super::Finding;
use crate::memory_limits::{Limit, of_cgroup, of_meminfo, of_slurm_job};

const SUBJECT: &str = "memory";
/// With less memory than this, even small models run out.
const TOO_LITTLE: u64 = 1 << 30;
/// The large model needs this much with its usual input size.
const ENOUGH: u64 = 6 << 30;

pub fn check() -> Vec<Finding> {
    let limits = [of_cgroup(Path::new("/")), of_slurm_job()];
    let tightest = limits.into_iter().flatten().min_by_key(|limit| limit.bytes);
    match std::fs::read_to_string("/proc/meminfo") {
        Ok(text) => {
            vec![judge(of_meminfo(&text, "MemTotal"), of_meminfo(&text, "MemAvailable"), tightest)]
        }
        // Not Linux.
        Err(_) => vec![],
    }
}

fn judge(total: Option<u64>, available: Option<u64>, limit: Option<Limit>) -> Finding {
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let mut parts = Vec::new();
    if let Some(total) = total {
        parts.push(format!("{} in all", gigabytes(total)));
    }
    if let Some(available) = available {
        parts.push(format!("{} available", gigabytes(available)));
    }
    let limit = limit.filter(|limit| total.is_none_or(|total| limit.bytes < total));
    if let Some(limit) = &limit {
        parts.push(format!("limited to {} by {}", gigabytes(limit.bytes), limit.by));
    }
    let found = parts.join(", ");
    let usable = [available, limit.as_ref().map(|limit| limit.bytes)].into_iter().flatten().min();
    let remedy = match &limit {
        Some(limit) if Some(limit.bytes) == usable && limit.by == "SLURM" => {
            "ask for more, such as --mem=8G"
        }
        Some(limit) if Some(limit.bytes) == usable => {
            "give the job or container more, such as 8 GB"
        }
        _ => "end other programs, or take a smaller model or --image-size",
    };
    match usable {
        Some(usable) if usable < TOO_LITTLE => Finding::problem(SUBJECT, found, remedy),
        Some(usable) if usable < ENOUGH => {
            Finding::warning(SUBJECT, found, format!("the large model may run out: {remedy}"))
        }
        _ => Finding::ok(SUBJECT, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;
    use crate::memory_limits::of_slurm;

    #[test]
    fn limits_are_named_and_judged() {
        let gigabyte = 1 << 30;
        let slurm = of_slurm(Some(512), None, None);
        let finding = judge(Some(64 * gigabyte), Some(60 * gigabyte), slurm);
        assert_eq!(finding.health, Health::Problem);
        assert!(finding.found.contains("limited to 0.5 GB by SLURM"), "{finding:?}");
        assert!(finding.remedy.unwrap().contains("--mem"));
        let wide = of_slurm(None, Some(4096), Some(8));
        assert_eq!(judge(Some(64 * gigabyte), Some(60 * gigabyte), wide).health, Health::Ok);
        assert_eq!(judge(Some(8 * gigabyte), Some(3 * gigabyte), None).health, Health::Warning);
    }
}
