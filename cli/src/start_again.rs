//! Starting again where NVRTC and CUDA's headers are found, if that is not where this process looks.
//!
//! NVRTC is opened by its name, NVRTC itself opens a second library by name, and cubecl asks `CUDA_PATH` for the headers. The loader reads `LD_LIBRARY_PATH` once, when a process starts. So what
//! lies in a Python environment can be used in two ways: by opening the libraries by their paths and changing the environment, which is unsafe in a process with threads; or by replacing the
//! process by itself with both variables set, before it has a thread. This is the second way. It happens once at most, and only where a CUDA GPU may be opened.

use sam2_engine::DeviceChoice;
use sam2_model::cuda::{CudaToolkit, SearchPlaces, driver_version, find_toolkit};

use crate::args::Command;

/// Marks a process that was started again: its number, which it keeps, a colon, and where NVRTC was found. The number keeps programs that this one starts from taking the mark as theirs.
const MARK: &str = "_SAM2_STARTED_AGAIN";

/// Starts the program again if `command` may open a CUDA GPU and what compiles its kernels is found where this process does not look. Returns otherwise; what is wrong shows when the GPU is
/// opened.
pub fn where_cuda_is_found(command: &Command) {
    if !cfg!(feature = "cuda-nvrtc") || !may_open_cuda(command) || found_before().is_some() {
        return;
    }
    let Some(driver) = driver_version() else { return };
    let Ok(toolkit) = find_toolkit(&SearchPlaces::here(), Some(driver)) else { return };
    if toolkit.is_visible {
        return;
    }
    let Err(error) = start_again(&toolkit);
    tracing::warn!(
        "NVRTC is in '{}', and this process cannot be started again to use it: {error:#}; set SAM2_CACHE to a folder that can be written",
        toolkit.nvrtc.path.display()
    );
}

/// Returns where the process that was replaced by this one found NVRTC; nothing if there was none.
pub fn found_before() -> Option<String> {
    of_mark(&std::env::var(MARK).ok()?, std::process::id())
}

fn of_mark(mark: &str, process: u32) -> Option<String> {
    let (marked, place) = mark.split_once(':')?;
    (marked.parse() == Ok(process)).then(|| place.to_owned())
}

fn may_open_cuda(command: &Command) -> bool {
    let is_meant = |device| matches!(device, DeviceChoice::Auto | DeviceChoice::Cuda(_));
    match command {
        // A job file names devices of its own.
        Command::Segment(args) => args.job.is_some() || is_meant(args.device),
        Command::LegacyPipeline(args) => args.device.as_deref() != Some("cpu"),
        Command::Bench(args) => is_meant(args.device),
        Command::Devices(_) | Command::Doctor(_) => true,
        _ => false,
    }
}

#[cfg(unix)]
fn start_again(toolkit: &CudaToolkit) -> anyhow::Result<std::convert::Infallible> {
    use std::os::unix::process::CommandExt;

    use anyhow::Context;

    const FOLDERS: &str = "LD_LIBRARY_PATH";
    let folder = crate::model::cache_folder(None)?.join("cuda");
    std::fs::create_dir_all(&folder)
        .and_then(|()| toolkit.link_into(&folder))
        .with_context(|| format!("'{}' cannot be written", folder.display()))
        .and_then(|links| {
            let mut folders = vec![links.library_folder];
            let before = std::env::var_os(FOLDERS).unwrap_or_default();
            folders.extend(std::env::split_paths(&before).filter(|f| !f.as_os_str().is_empty()));
            let mut arguments = std::env::args_os();
            let mut program = std::process::Command::new(std::env::current_exe()?);
            if let Some(name) = arguments.next() {
                program.arg0(name);
            }
            let mark = format!("{}:{}", std::process::id(), toolkit.nvrtc.place);
            program
                .args(arguments)
                .env(FOLDERS, std::env::join_paths(folders)?)
                .env("CUDA_PATH", links.cuda_path)
                .env(MARK, mark);
            // Returns only if it fails.
            Err(program.exec().into())
        })
}

#[cfg(not(unix))]
fn start_again(_: &CudaToolkit) -> anyhow::Result<std::convert::Infallible> {
    anyhow::bail!("this system has no such call")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn a_mark_counts_in_its_own_process_only() {
        assert_eq!(of_mark("12:a Python environment", 12), Some("a Python environment".into()));
        assert_eq!(of_mark("12:CUDA_HOME", 13), None);
        assert_eq!(of_mark("12", 12), None);
        assert_eq!(of_mark("", 12), None);
    }

    #[test]
    fn only_commands_that_may_open_a_cuda_gpu_start_again() {
        let may = |line: &str| may_open_cuda(&Cli::parse_from(line.split(' ')).command);
        for line in [
            "sam2 segment a.mp4 --point 0:1,1 -o a.btf",
            "sam2 segment a.mp4 --point 0:1,1 -o a.btf --device cuda:1",
            "sam2 bench",
            "sam2 devices",
            "sam2 doctor",
        ] {
            assert!(may(line), "{line}");
        }
        for line in [
            "sam2 segment a.mp4 --point 0:1,1 -o a.btf --device cpu",
            "sam2 bench --device vulkan",
            "sam2 inspect a.safetensors",
        ] {
            assert!(!may(line), "{line}");
        }
    }
}
