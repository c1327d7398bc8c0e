//! Memory of this process, as the system counts it.

use serde::Serialize;

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostMemory {
    /// Current size.
    pub resident: u64,
    /// Peak since the process began, or since [`reset_peak`].
    pub peak: u64,
}

impl HostMemory {
    /// Returns the current values, or `None` if the system does not report them (only Linux does).
    pub fn now() -> Option<Self> {
        parse(&std::fs::read_to_string("/proc/self/status").ok()?)
    }
}

/// Resets the peak. Returns false if the system does not permit it.
pub fn reset_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn parse(status: &str) -> Option<HostMemory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kilobytes.checked_mul(1024)
    };
    Some(HostMemory { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let text = "Name:\tsam2\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t1\n";
        let expected = HostMemory { resident: 1 << 20, peak: 2 << 20 };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("Name:\tsam2\n"), None);
    }
}
