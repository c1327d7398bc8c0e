//! GPUs: what the machine has, and whether this build can use it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sam2_engine::{DeviceChoice, DeviceError};
use sam2_model::cuda::{CudaGpu, CudaProblem, CudaVersion, driver_version, list_gpus};
use sam2_model::{list_devices, missing_features};

use super::{Finding, cuda};

/// A driver that takes longer than this to answer counts as hanging.
const PATIENCE: Duration = Duration::from_secs(5);
/// Folders that may hold a Vulkan loader, in addition to those in `LD_LIBRARY_PATH`.
const LIBRARY_FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/lib64",
];
/// Folders in which Vulkan drivers register themselves.
const DRIVER_FOLDERS: [&str; 3] =
    ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

pub fn check() -> Vec<Finding> {
    let (version, asked) = (driver_version(), list_gpus());
    let mut driver = nvidia_smi();
    if let (Driver::Absent, Ok(gpus)) = (&driver, &asked)
        && !gpus.is_empty()
    {
        driver = Driver::Lists(gpus.iter().map(describe).collect());
    }
    let nvidia = matches!(&driver, Driver::Lists(gpus) if !gpus.is_empty());
    let mut findings = vec![of_driver(driver, version, asked.err())];
    findings.extend(cuda::check(version));
    findings.extend([of_vulkan(&vulkan_loader(), &vulkan_drivers()), of_build(nvidia)]);
    findings
}

/// Describes a GPU, with its fields in the order of `nvidia-smi`, which also reports the driver's
/// version.
fn describe(gpu: &CudaGpu) -> String {
    let (major, minor) = gpu.capability;
    format!("{}, {} MiB, compute capability {major}.{minor}", gpu.name, gpu.memory >> 20)
}

/// Answer of `nvidia-smi`.
enum Driver {
    /// The program does not exist.
    Absent,
    /// The program failed with this message.
    Fails(String),
    /// One line for each GPU.
    Lists(Vec<String>),
}

fn nvidia_smi() -> Driver {
    let query = |fields| answer("nvidia-smi", &[fields, "--format=csv,noheader"]);
    // Older versions do not know the last field.
    let result = match query("--query-gpu=name,driver_version,memory.total,compute_cap") {
        Ok((false, text)) if text.contains("not a valid field") => {
            query("--query-gpu=name,driver_version,memory.total")
        }
        other => other,
    };
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Driver::Absent,
        Err(error) => Driver::Fails(error.to_string()),
        Ok((true, text)) => {
            Driver::Lists(text.lines().map(|line| line.trim().to_owned()).collect())
        }
        Ok((false, text)) => Driver::Fails(text.lines().next().unwrap_or("it fails").to_owned()),
    }
}

/// Runs a program. Returns whether it succeeded, and its output.
fn answer(program: &str, arguments: &[&str]) -> std::io::Result<(bool, String)> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok((false, "it does not answer".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // The output is only a few lines, which fit into the pipe.
    let mut text = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_end(&mut text)?;
    }
    Ok((status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Judges the driver. `version` is the CUDA version that the driver supports, and `problem` is the
/// reason why CUDA does not start. Both are set only in a build with CUDA.
fn of_driver(
    driver: Driver,
    version: Option<CudaVersion>,
    problem: Option<CudaProblem>,
) -> Finding {
    const SUBJECT: &str = "NVIDIA";
    if let Some(problem @ CudaProblem::DriverFails { .. }) = problem {
        return Finding::problem(SUBJECT, problem.found(), problem.remedy());
    }
    let supported =
        version.map_or_else(String::new, |version| format!("driver for CUDA {version}; "));
    match driver {
        Driver::Absent if version.is_some() => Finding::warning(
            SUBJECT,
            format!("{supported}no GPU"),
            "in a job, ask for one (SLURM: --gres=gpu:1); see also CUDA_VISIBLE_DEVICES",
        ),
        Driver::Absent => Finding::ok(SUBJECT, "no driver (nvidia-smi is not there)"),
        Driver::Lists(gpus) if gpus.is_empty() => Finding::warning(
            SUBJECT,
            "a driver, but no GPU",
            "in a job, ask for one (SLURM: --gres=gpu:1)",
        ),
        Driver::Lists(gpus) => Finding::ok(SUBJECT, supported + &gpus.join("; ")),
        Driver::Fails(why) => Finding::warning(
            SUBJECT,
            format!("nvidia-smi fails: {why}"),
            "if this machine has an NVIDIA GPU, its driver must be mended or loaded",
        ),
    }
}

fn vulkan_loader() -> Option<PathBuf> {
    let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    std::env::split_paths(&own)
        .filter(|folder| !folder.as_os_str().is_empty())
        .chain(LIBRARY_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join("libvulkan.so.1"))
        .find(|file| file.exists())
}

fn vulkan_drivers() -> Vec<String> {
    let mut found: Vec<String> = DRIVER_FOLDERS
        .iter()
        .filter_map(|folder| std::fs::read_dir(Path::new(folder)).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn of_vulkan(loader: &Option<PathBuf>, drivers: &[String]) -> Finding {
    const SUBJECT: &str = "Vulkan";
    match loader {
        None => Finding::ok(SUBJECT, "no loader (libvulkan.so.1 is not there)"),
        Some(loader) if drivers.is_empty() => {
            Finding::ok(SUBJECT, format!("{}, but no driver", loader.display()))
        }
        Some(loader) => {
            Finding::ok(SUBJECT, format!("{}, drivers: {}", loader.display(), drivers.join(", ")))
        }
    }
}

/// Judges whether this build can use the GPUs of the machine. `nvidia` is true if there is an
/// NVIDIA GPU.
fn of_build(nvidia: bool) -> Finding {
    const SUBJECT: &str = "devices";
    let names: Vec<String> =
        list_devices().iter().map(|device| device.choice.to_string()).collect();
    let found = names.join(", ");
    let has_gpu = list_devices().iter().any(|device| device.choice != DeviceChoice::Cpu);
    let missing = missing_features();
    let cuda = missing.iter().find(|missing| missing.feature == "cuda");
    match (has_gpu, nvidia, cuda) {
        (false, true, Some(cuda)) => Finding::warning(
            SUBJECT,
            format!("{found}; this build cannot use the NVIDIA GPU"),
            format!("build with `{}`", cuda.command),
        ),
        (false, false, None) => Finding::warning(
            SUBJECT,
            format!("{found}; this build can use GPUs, but finds none"),
            "in a job, ask for one (SLURM: --gres=gpu:1); see also CUDA_VISIBLE_DEVICES",
        ),
        (false, true, None) => {
            let remedy = match DeviceChoice::Cuda(0).open() {
                Err(DeviceError::Cuda(problem)) => problem.remedy(),
                _ => "see CUDA_VISIBLE_DEVICES, and whether the driver is new enough".to_owned(),
            };
            Finding::problem(
                SUBJECT,
                format!("{found}; there is an NVIDIA GPU, but it cannot be opened"),
                format!("{remedy}; --device cpu works meanwhile"),
            )
        }
        _ => Finding::ok(SUBJECT, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_program_that_fails_or_hangs_is_told_apart_from_none() {
        assert!(answer("sam2-no-such-program", &[]).is_err());
        assert_eq!(answer("sh", &["-c", "echo x; exit 3"]).unwrap(), (false, "x\n".to_owned()));
        let health = |driver| of_driver(driver, None, Some(CudaProblem::NoDriver)).health;
        assert_eq!(health(Driver::Absent), Health::Ok);
        assert_eq!(health(Driver::Lists(vec![])), Health::Warning);
        let finding = of_driver(Driver::Fails("no devices".into()), None, None);
        assert_eq!(finding.health, Health::Warning);
        assert!(finding.found.contains("no devices"));
    }

    #[test]
    fn the_driver_is_asked_where_the_build_can() {
        let version = Some(CudaVersion::new(13, 0));
        let gpu = CudaGpu { name: "NVIDIA H200".into(), memory: 143_771 << 20, capability: (9, 0) };
        let finding = of_driver(Driver::Lists(vec![describe(&gpu)]), version, None);
        assert_eq!(
            finding.found,
            "driver for CUDA 13.0; NVIDIA H200, 143771 MiB, compute capability 9.0"
        );
        assert_eq!(of_driver(Driver::Absent, version, None).health, Health::Warning);
        let problem = CudaProblem::DriverFails {
            driver: CudaVersion::new(13, 0),
            reason: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH".into(),
        };
        let finding = of_driver(Driver::Fails("mismatch".into()), version, Some(problem));
        assert_eq!(finding.health, Health::Problem);
        assert!(finding.found.contains("DRIVER_MISMATCH"), "{}", finding.found);
    }
}
