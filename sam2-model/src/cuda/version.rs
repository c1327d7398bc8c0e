//! Versions of CUDA, of its driver and of its libraries.

use std::fmt;

/// A version of CUDA, such as 12.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CudaVersion {
    /// The number before the point.
    pub major: u32,
    /// The number after the point.
    pub minor: u32,
}

impl CudaVersion {
    /// Returns a version from its two numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Returns a version as CUDA's functions and headers write it: 12040 is 12.4.
    pub const fn from_number(number: u32) -> Self {
        Self { major: number / 1000, minor: number % 1000 / 10 }
    }

    /// Returns the version at the end of a library's name: 12.4 for `libnvrtc.so.12.4.127` and for
    /// `libnvrtc-builtins.so.12.4`, `None` for `libnvrtc.so.12`.
    pub(super) fn of_library(name: &str) -> Option<Self> {
        let (_, numbers) = name.split_once(".so.")?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        Some(Self { major: numbers.next()??, minor: numbers.next()?? })
    }

    /// Returns the version that a header defines as `name`, such as `CUDART_VERSION`.
    pub(super) fn of_header(text: &str, name: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let rest = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("define")?;
            let mut words = rest.split_whitespace();
            let number = words.next().filter(|word| *word == name).and_then(|_| words.next())?;
            number.parse().ok().map(Self::from_number)
        })
    }
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_numbers_names_and_headers() {
        assert_eq!(CudaVersion::from_number(11000), CudaVersion::new(11, 0));
        assert_eq!(CudaVersion::from_number(13050).to_string(), "13.5");
        let library = CudaVersion::of_library;
        assert_eq!(library("libnvrtc.so.12.4.127"), Some(CudaVersion::new(12, 4)));
        assert_eq!(library("libnvrtc-builtins.so.13.0"), Some(CudaVersion::new(13, 0)));
        for unknown in ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.x.1", "libnvrtc.alt.a"] {
            assert_eq!(library(unknown), None, "{unknown}");
        }
        let text =
            "#ifndef X\n#define CUDART_VERSIONS 1\n# define  CUDART_VERSION  12040 // or so\n";
        assert_eq!(CudaVersion::of_header(text, "CUDART_VERSION"), Some(CudaVersion::new(12, 4)));
        assert_eq!(CudaVersion::of_header(text, "CUDA_VERSION"), None);
        assert!(CudaVersion::new(12, 9) < CudaVersion::new(13, 0));
    }
}
