//! Memory: what the machine has, and what this process may use of it.

use std::path::{Path, PathBuf};

use super::Finding;

const SUBJECT: &str = "memory";
/// Below this even small models run out.
const TOO_LITTLE: u64 = 1 << 30;
/// The large model with its usual input wants this much.
const ENOUGH: u64 = 6 << 30;

/// A bound on memory, and who sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    bytes: u64,
    by: &'static str,
}

pub fn check() -> Vec<Finding> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let limits = [
        of_cgroup(Path::new("/")),
        of_slurm(
            variable("SLURM_MEM_PER_NODE"),
            variable("SLURM_MEM_PER_CPU"),
            variable("SLURM_CPUS_ON_NODE"),
        ),
    ];
    let tightest = limits.into_iter().flatten().min_by_key(|limit| limit.bytes);
    match std::fs::read_to_string("/proc/meminfo") {
        Ok(text) => {
            vec![judge(of_meminfo(&text, "MemTotal"), of_meminfo(&text, "MemAvailable"), tightest)]
        }
        // Another system than Linux.
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

/// A line of `/proc/meminfo`, in bytes.
fn of_meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// SLURM counts in megabytes; 0 means the whole node.
fn of_slurm(per_node: Option<u64>, per_core: Option<u64>, cores: Option<u64>) -> Option<Limit> {
    let megabytes = per_node.or_else(|| per_core?.checked_mul(cores?))?;
    let bytes = megabytes.checked_mul(1 << 20).filter(|bytes| *bytes > 0)?;
    Some(Limit { bytes, by: "SLURM" })
}

/// The tightest limit of the process's control group and those above it, version 2 or 1.
fn of_cgroup(root: &Path) -> Option<Limit> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let bytes = text
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (mount, file) = match controllers {
                "" => ("sys/fs/cgroup", "memory.max"),
                "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                _ => return None,
            };
            tightest(&root.join(mount), path, file)
        })
        .min()?;
    Some(Limit { bytes, by: "the control group" })
}

/// The smallest number in `file` in `mount/path` and each folder above it up to `mount`.
fn tightest(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let mut folder: PathBuf = mount.join(path.trim_start_matches('/'));
    let mut smallest = None;
    while folder.starts_with(mount) {
        let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        // "max" is no limit; so is the number near 2^63 of version 1, which is above any total.
        if let Ok(bytes) = text.trim().parse::<u64>() {
            smallest = Some(smallest.map_or(bytes, |other: u64| other.min(bytes)));
        }
        if !folder.pop() {
            break;
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn the_tightest_control_group_above_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(of_cgroup(folder.path()), None);
        write("proc/self/cgroup", "0::/job/step\n");
        write("sys/fs/cgroup/job/step/memory.max", "max\n");
        assert_eq!(of_cgroup(folder.path()), None);
        write("sys/fs/cgroup/job/memory.max", "4000000000\n");
        assert_eq!(of_cgroup(folder.path()).unwrap().bytes, 4_000_000_000);
        write("proc/self/cgroup", "5:cpu:/x\n4:memory:/slurm/7\n");
        write("sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", "2000000000\n");
        assert_eq!(of_cgroup(folder.path()).unwrap().bytes, 2_000_000_000);
        write("proc/self/cgroup", "no such line\n::\n4:memory:/../../../etc\n");
        assert_eq!(of_cgroup(folder.path()), None);
    }

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
        assert_eq!(of_slurm(Some(0), None, None), None);
        assert_eq!(of_slurm(Some(u64::MAX), None, None), None);
        assert_eq!(of_meminfo("MemTotal:  16 kB\n", "MemTotal"), Some(16 * 1024));
        assert_eq!(of_meminfo("MemTotalX: 16 kB\nMemTotal: x", "MemTotal"), None);
    }
}
