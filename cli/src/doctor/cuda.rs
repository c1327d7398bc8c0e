//! What CUDA kernels need in addition to a GPU: NVRTC and headers. Also reports the cache of
//! compiled kernels.

use sam2_model::KernelCache;
use sam2_model::cuda::{
    CudaHeaders, CudaProblem, CudaToolkit, CudaVersion, SearchPlaces, find_toolkit,
};

use super::Finding;
use crate::start_again;

/// How this build compiles CUDA kernels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    WithNvrtc,
    WithLlvm,
    WithoutCuda,
}

/// Checks what compiles CUDA kernels. `driver` is the CUDA version that the driver supports.
pub fn check(driver: Option<CudaVersion>) -> Vec<Finding> {
    let build = if cfg!(feature = "cuda-nvrtc") {
        Build::WithNvrtc
    } else if cfg!(feature = "cuda-llvm") {
        Build::WithLlvm
    } else {
        Build::WithoutCuda
    };
    let toolkit = find_toolkit(&SearchPlaces::here(), driver);
    let found_before = start_again::found_before();
    std::iter::once(of_toolkit(build, driver, toolkit, found_before)).chain(of_cache()).collect()
}

/// Judges the result of the search. `found_before` is where the process before a restart found
/// NVRTC.
fn of_toolkit(
    build: Build,
    driver: Option<CudaVersion>,
    toolkit: Result<CudaToolkit, CudaProblem>,
    found_before: Option<String>,
) -> Finding {
    const SUBJECT: &str = "CUDA";
    let described = |toolkit: &CudaToolkit| describe(toolkit, found_before.as_deref());
    match (build, toolkit) {
        (Build::WithLlvm, _) => Finding::ok(SUBJECT, "kernels are compiled by burn's LLVM"),
        (Build::WithoutCuda, Ok(toolkit)) => Finding::ok(
            SUBJECT,
            format!("not in this build (`make cuda` builds it); {} is there", described(&toolkit)),
        ),
        (Build::WithoutCuda, Err(_)) => {
            Finding::ok(SUBJECT, "not in this build (`make cuda` builds it)")
        }
        (Build::WithNvrtc, Ok(toolkit)) => Finding::ok(SUBJECT, described(&toolkit)),
        // Without a driver no kernel would run, whatever is installed.
        (Build::WithNvrtc, Err(problem)) if driver.is_none() => {
            Finding::ok(SUBJECT, format!("no driver; {}", problem.found()))
        }
        (Build::WithNvrtc, Err(problem)) => {
            Finding::problem(SUBJECT, problem.found(), problem.remedy())
        }
    }
}

fn describe(toolkit: &CudaToolkit, found_before: Option<&str>) -> String {
    let CudaToolkit { nvrtc, headers, .. } = toolkit;
    let place = found_before.map_or_else(|| nvrtc.place.to_string(), str::to_owned);
    format!(
        "NVRTC{} '{}' (found by {place}), headers{} '{}'",
        numbered(nvrtc.version),
        nvrtc.path.display(),
        numbered(headers.version),
        folders(headers)
    )
}

fn numbered(version: Option<CudaVersion>) -> String {
    version.map_or_else(String::new, |version| format!(" {version}"))
}

fn folders(headers: &CudaHeaders) -> String {
    let folders = headers.folders.iter().map(|folder| folder.display().to_string());
    folders.collect::<Vec<_>>().join("', '")
}

/// Reports the cache of compiled kernels, in a build that runs on GPUs.
fn of_cache() -> Option<Finding> {
    const SUBJECT: &str = "kernels";
    let runs_on_gpus = cfg!(any(
        feature = "cuda-nvrtc",
        feature = "cuda-llvm",
        feature = "vulkan",
        feature = "vulkan-wgsl"
    ));
    runs_on_gpus.then(|| match KernelCache::here() {
        Some(cache) => Finding::ok(SUBJECT, format!("compiled ones are kept in {cache}")),
        None => Finding::ok(
            SUBJECT,
            "compiled anew in every run: this build lacks the feature kernel-cache, or SAM2_KERNEL_CACHE is 0",
        ),
    })
}

#[cfg(test)]
mod tests {
    use sam2_model::cuda::{NvrtcLibrary, ToolkitPlace};

    use super::super::Health;
    use super::*;

    fn toolkit() -> CudaToolkit {
        let version = Some(CudaVersion::new(13, 0));
        let place = ToolkitPlace::Python("/venv/site".into());
        CudaToolkit {
            nvrtc: NvrtcLibrary { path: "/venv/libnvrtc.so.13".into(), version, place },
            headers: CudaHeaders {
                folders: vec!["/venv/include".into()],
                cccl: None,
                version: None,
            },
            is_visible: true,
        }
    }

    #[test]
    fn what_was_found_is_named_with_its_place() {
        let finding = of_toolkit(Build::WithNvrtc, None, Ok(toolkit()), None);
        assert_eq!(finding.health, Health::Ok);
        assert_eq!(
            finding.found,
            "NVRTC 13.0 '/venv/libnvrtc.so.13' (found by a Python environment), headers '/venv/include'"
        );
        // A restarted process finds NVRTC through CUDA_PATH, which was set for it.
        let again = of_toolkit(Build::WithNvrtc, None, Ok(toolkit()), Some("CUDA_HOME".into()));
        assert!(again.found.contains("(found by CUDA_HOME)"), "{}", again.found);
    }

    #[test]
    fn a_build_without_cuda_says_how_to_get_it() {
        for toolkit in [Ok(toolkit()), Err(CudaProblem::NvrtcMissing { driver: None })] {
            let finding = of_toolkit(Build::WithoutCuda, None, toolkit, None);
            assert_eq!(finding.health, Health::Ok);
            assert!(finding.found.contains("`make cuda`"), "{}", finding.found);
        }
    }

    #[test]
    fn what_is_missing_is_a_problem_where_there_is_a_driver() {
        let driver = Some(CudaVersion::new(12, 4));
        let missing = || Err(CudaProblem::NvrtcMissing { driver });
        let finding = of_toolkit(Build::WithNvrtc, driver, missing(), None);
        assert_eq!(finding.health, Health::Problem);
        assert!(finding.remedy.unwrap().contains("'nvidia-cuda-nvrtc-cu12<12.5'"));
        let finding = of_toolkit(Build::WithNvrtc, None, missing(), None);
        assert_eq!(finding.health, Health::Ok);
    }
}
