//! Location of the compiled kernels that are kept between runs, and CubeCL's settings for it.

use std::fmt;
use std::path::PathBuf;

/// The file in which compiled kernels are kept between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelCache {
    /// The file, which may not exist yet.
    pub path: PathBuf,
    /// Size in bytes of the file and of the files that the database keeps next to it.
    pub bytes: u64,
}

impl KernelCache {
    /// Returns the file in which this process keeps compiled kernels. Returns `None` if it keeps
    /// none: in a build without GPUs or without the feature `kernel-cache`, and with
    /// `SAM2_KERNEL_CACHE=0`.
    pub fn here() -> Option<Self> {
        #[cfg(all(feature = "gpu", feature = "kernel-cache"))]
        {
            use cubecl_runtime::config::{CubeClRuntimeConfig, RuntimeConfig};
            configure();
            let is_kept = CubeClRuntimeConfig::get().compilation.cache;
            is_kept.then(|| Self::at(cubecl::environment::path()))
        }
        #[cfg(not(all(feature = "gpu", feature = "kernel-cache")))]
        None
    }

    /// Measures the database at `path`: its own file, and all files whose names begin with its
    /// name.
    #[cfg(any(test, all(feature = "gpu", feature = "kernel-cache")))]
    fn at(path: PathBuf) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let bytes = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&name))
            .filter_map(|entry| Some(entry.metadata().ok()?.len()))
            .sum();
        Self { path, bytes }
    }
}

impl fmt::Display for KernelCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' ({:.1} MB)", self.path.display(), self.bytes as f64 / 1e6)
    }
}

/// The environment variable that turns the cache off if it is `0`.
#[cfg(all(feature = "gpu", feature = "kernel-cache"))]
const SWITCH: &str = "SAM2_KERNEL_CACHE";

/// Configures CubeCL before it reads its own settings. If the application has configured it
/// already, the application's settings stay.
///
/// With the feature `kernel-cache`, compiled kernels and what CubeCL has learned about them are
/// kept in the user's cache folder (`~/.cache/cubecl`), wherever the program runs. burn would put
/// them below the working folder if that is a Rust project. A `cubecl.toml` or `CUBECL_ENVIRONMENT`
/// may name another place, and `SAM2_KERNEL_CACHE=0` turns the cache off.
///
/// Each kernel that is compiled instead of loaded from the cache becomes a record of the `log`
/// crate, at the level `debug` with the target `cubecl::compilation`, so that a program can count
/// them.
#[cfg(feature = "gpu")]
pub(crate) fn configure() {
    use cubecl_environment::config::logger::LogCrateLevel;
    use cubecl_runtime::config::cache::CacheConfig;
    use cubecl_runtime::config::compilation::CompilationLogLevel;
    use cubecl_runtime::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    if matches!(config.environment.path, CacheConfig::Target) {
        config.environment.path = CacheConfig::Global;
    }
    // Keeps compiled kernels as well: NVRTC takes seconds to compile those of a model.
    #[cfg(feature = "kernel-cache")]
    {
        config.compilation.cache = std::env::var_os(SWITCH).is_none_or(|value| value != "0");
    }
    let logger = &mut config.compilation.logger;
    if matches!(logger.level, CompilationLogLevel::Disabled) {
        logger.level = CompilationLogLevel::Basic;
        logger.log = Some(LogCrateLevel::Debug);
    }
    CubeClRuntimeConfig::try_set(config);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_measured_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("default.db");
        assert_eq!(KernelCache::at(path.clone()).bytes, 0);
        std::fs::write(&path, vec![0; 1_000_000]).unwrap();
        std::fs::write(folder.path().join("default.db-wal"), vec![0; 500_000]).unwrap();
        std::fs::write(folder.path().join("other.db"), vec![0; 7]).unwrap();
        let cache = KernelCache::at(path.clone());
        assert_eq!(cache.to_string(), format!("'{}' (1.5 MB)", path.display()));
        assert_eq!(KernelCache::at("nowhere/at/all.db".into()).bytes, 0);
    }
}
