//! Memory of the machine, and how much of it this process may use.

use std::path::{Path, PathBuf};

/// An upper limit on memory, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Maximum in bytes.
    pub bytes: u64,
    /// Origin of the limit, for messages.
    pub by: &'static str,
}

/// Returns the value of a line of `/proc/meminfo`, in bytes.
pub fn of_meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the memory that SLURM grants this job, according to its environment variables.
pub fn of_slurm_job() -> Option<Limit> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    of_slurm(
        variable("SLURM_MEM_PER_NODE"),
        variable("SLURM_MEM_PER_CPU"),
        variable("SLURM_CPUS_ON_NODE"),
    )
}

/// Converts SLURM's values, which are in MiB. 0 means the whole node.
pub fn of_slurm(per_node: Option<u64>, per_core: Option<u64>, cores: Option<u64>) -> Option<Limit> {
    let megabytes = per_node.or_else(|| per_core?.checked_mul(cores?))?;
    let bytes = megabytes.checked_mul(1 << 20).filter(|bytes| *bytes > 0)?;
    Some(Limit { bytes, by: "SLURM" })
}

/// Returns the tightest limit of the process's control group and its parents, version 2 or 1.
pub fn of_cgroup(root: &Path) -> Option<Limit> {
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

/// Returns the smallest number in `file` in `mount/path` and in each parent folder up to `mount`.
fn tightest(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let mut folder: PathBuf = mount.join(path.trim_start_matches('/'));
    let mut smallest = None;
    while folder.starts_with(mount) {
        let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        // Without a limit, version 2 has the text "max", and version 1 a number near 2^63, more
        // than any machine has.
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
    fn what_makes_no_sense_is_no_limit() {
        assert_eq!(of_slurm(Some(0), None, None), None);
        assert_eq!(of_slurm(Some(u64::MAX), None, None), None);
        assert_eq!(of_meminfo("MemTotal:  16 kB\n", "MemTotal"), Some(16 * 1024));
        assert_eq!(of_meminfo("MemTotalX: 16 kB\nMemTotal: x", "MemTotal"), None);
    }
}
