//! Restarts the program with the paths of NVRTC and the CUDA headers, if they are found where this
//! process does not look.
//!
//! NVRTC is opened by its name, NVRTC itself opens a second library by name, and cubecl reads
//! `CUDA_PATH` to find the headers. The loader reads `LD_LIBRARY_PATH` only when a process starts.
//! So libraries in a Python environment can be used in two ways. One is to open the libraries by
//! their paths and change the environment, which is unsafe in a process with threads. The other is
//! to replace the process by itself with both variables set, before it has any thread. This module
//! does the latter. It happens at most once, and only if a CUDA GPU may be opened.

use sam2_engine::DeviceChoice;
use sam2_model::cuda::{CudaToolkit, SearchPlaces, driver_version, find_toolkit};

use crate::args::Command;

/// Variable that marks a restarted process. It holds the process ID, which stays the same, a colon,
/// and where NVRTC was found. The ID keeps child processes from taking the mark as theirs.
const MARK: &str = "_SAM2_STARTED_AGAIN";

/// Restarts the program if `command` may open a CUDA GPU and the files needed to compile kernels
/// are found where this process does not look. Otherwise returns; any problem shows when the GPU is
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

/// Returns where the process before the restart found NVRTC, or `None` if there was no restart.
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
        // A job file may name other devices.
        Command::Segment(args) => args.job.is_some() || is_meant(args.network.device),
        Command::LegacyPipeline(args) => args.device.as_deref() != Some("cpu"),
        Command::Bench(args) => is_meant(args.network.device),
        Command::Devices(_) | Command::Doctor(_) => true,
        _ => false,
    }
}

#[cfg(unix)]
fn start_again(toolkit: &CudaToolkit) -> anyhow::Result<std::convert::Infallible> {
    use std::os::unix::process::CommandExt;

    use anyhow::Context;

    const FOLDERS: &str = "LD_LIBRARY_PATH";
    let folder = sam2_weights_convert::cache_folder()?.join("cuda");
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
            // `exec` returns only if it fails.
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
