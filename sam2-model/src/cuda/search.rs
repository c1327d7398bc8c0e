//! Searches for NVRTC and CUDA's headers.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::problem::CudaProblem;
use super::version::CudaVersion;

/// Headers that kernels include.
const HEADERS: [&str; 4] = ["cuda_fp16.h", "cuda_bf16.h", "mma.h", "crt/mma.h"];

/// The place where NVRTC or headers were found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolkitPlace {
    /// In the CUDA toolkit that `CUDA_PATH` names.
    CudaPath,
    /// In the CUDA toolkit that `CUDA_HOME` names.
    CudaHome,
    /// In a folder that the loader searches: `LD_LIBRARY_PATH`, the system's own list, or a default
    /// folder.
    LoaderPath,
    /// In a CUDA toolkit at one of the usual places.
    System(PathBuf),
    /// Installed from PyPI, in this packages folder.
    Python(PathBuf),
    /// In the active conda environment.
    Conda,
}

impl fmt::Display for ToolkitPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CudaPath => f.write_str("CUDA_PATH"),
            Self::CudaHome => f.write_str("CUDA_HOME"),
            Self::LoaderPath => f.write_str("the loader's path"),
            Self::System(root) => write!(f, "{}", root.display()),
            Self::Python(_) => f.write_str("a Python environment"),
            Self::Conda => f.write_str("CONDA_PREFIX"),
        }
    }
}

/// An NVRTC library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvrtcLibrary {
    /// The library's file, with links resolved.
    pub path: PathBuf,
    /// Its version, if the names of its files contain it.
    pub version: Option<CudaVersion>,
    /// Where it was found.
    pub place: ToolkitPlace,
}

/// The complete set of CUDA's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaHeaders {
    /// The folders that contain them: a single one for a CUDA toolkit or CUDA 13's packages,
    /// several for CUDA 12's packages.
    pub folders: Vec<PathBuf>,
    /// The folder of CUDA's C++ library, if it is not below the first folder.
    pub cccl: Option<PathBuf>,
    /// Their version, if the headers state it.
    pub version: Option<CudaVersion>,
}

/// An NVRTC with matching headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaToolkit {
    /// The compiler library.
    pub nvrtc: NvrtcLibrary,
    /// The headers that kernels include.
    pub headers: CudaHeaders,
    /// True if cudarc and cubecl would find the same files without help.
    pub is_visible: bool,
}

/// The places to search, in this order: the toolkits of `CUDA_PATH` and `CUDA_HOME`, the loader's
/// folders, the usual places, Python's packages, conda's packages.
#[derive(Clone, Debug, Default)]
pub struct SearchPlaces {
    /// The value of `CUDA_PATH`.
    pub cuda_path: Option<PathBuf>,
    /// The value of `CUDA_HOME`, which many clusters set instead of `CUDA_PATH`.
    pub cuda_home: Option<PathBuf>,
    /// Folders in which the loader looks for libraries.
    pub loader_folders: Vec<PathBuf>,
    /// CUDA toolkits at usual places, in the order in which cubecl takes headers from them.
    pub system_roots: Vec<PathBuf>,
    /// Folders of Python packages (`site-packages`).
    pub site_packages: Vec<PathBuf>,
    /// The active conda environment, whose own packages have the layout of a CUDA toolkit.
    pub conda: Option<PathBuf>,
}

impl SearchPlaces {
    /// Returns the places for this process and machine. Asks the system's loader for its list.
    pub fn here() -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let mut loader_folders: Vec<PathBuf> =
            std::env::split_paths(&own).filter(|folder| !folder.as_os_str().is_empty()).collect();
        loader_folders.extend(listed_by_the_loader(&loader_list()));
        loader_folders.extend(default_folders());
        let mut system_roots = vec![PathBuf::from("/usr/local/cuda"), PathBuf::from("/opt/cuda")];
        system_roots.retain(|root| root.exists());
        if Path::new("/usr/bin/nvcc").exists() {
            system_roots.push("/usr".into());
        }
        let user = variable("PYTHONUSERBASE").or_else(|| Some(variable("HOME")?.join(".local")));
        // The last prefix is the one that pip uses as root in a container.
        let prefixes =
            [variable("VIRTUAL_ENV"), variable("CONDA_PREFIX"), user, Some("/usr/local".into())];
        Self {
            cuda_path: variable("CUDA_PATH"),
            cuda_home: variable("CUDA_HOME"),
            loader_folders,
            system_roots,
            site_packages: prefixes.into_iter().flatten().flat_map(|p| site_packages(&p)).collect(),
            conda: variable("CONDA_PREFIX"),
        }
    }

    /// Returns the path of a library that the loader finds, such as `libcuda.so.1`.
    pub fn in_loader_path(&self, name: &str) -> Option<PathBuf> {
        self.loader_folders.iter().map(|folder| folder.join(name)).find(|file| file.exists())
    }

    /// Returns the NVRTC that cudarc opens.
    fn visible_nvrtc(&self) -> Option<PathBuf> {
        nvrtc_names().iter().find_map(|name| self.in_loader_path(name)?.canonicalize().ok())
    }

    /// Returns the folder of headers that cubecl passes to NVRTC.
    fn visible_headers(&self) -> Option<PathBuf> {
        let root = self.cuda_path.as_ref().or(self.system_roots.first())?;
        root.join("include").canonicalize().ok()
    }

    /// Returns every NVRTC in the order of the search, each with the headers of its own
    /// installation.
    fn libraries(&self) -> Vec<(NvrtcLibrary, Option<CudaHeaders>)> {
        let mut groups = Vec::new();
        let toolkit = |root: &PathBuf, place: ToolkitPlace| {
            let libraries = library_folders(root).iter().flat_map(|f| nvrtc_in(f)).collect();
            (place, libraries, headers_of_toolkit(root))
        };
        groups.extend(self.cuda_path.iter().map(|root| toolkit(root, ToolkitPlace::CudaPath)));
        groups.extend(self.cuda_home.iter().map(|root| toolkit(root, ToolkitPlace::CudaHome)));
        // The library that cudarc opens comes first among the loader's.
        let opened = self.visible_nvrtc().map(|path| vec![path]);
        let listed = self.loader_folders.iter().map(|folder| nvrtc_in(folder));
        groups.extend(opened.into_iter().chain(listed).map(|libraries| {
            let headers = libraries.first().and_then(|path| headers_near(path.parent()?));
            (ToolkitPlace::LoaderPath, libraries, headers)
        }));
        let system = |root: &PathBuf| toolkit(root, ToolkitPlace::System(root.clone()));
        groups.extend(self.system_roots.iter().map(system));
        groups.extend(self.site_packages.iter().flat_map(|site| {
            packages_in(site).into_iter().map(|(folder, headers)| {
                (ToolkitPlace::Python(site.clone()), nvrtc_in(&folder), headers)
            })
        }));
        groups.extend(self.conda.iter().map(|root| toolkit(root, ToolkitPlace::Conda)));
        let in_group = |(place, paths, headers): (ToolkitPlace, Vec<PathBuf>, _)| {
            paths.into_iter().map(move |path| {
                let version = version_of(&path);
                (NvrtcLibrary { path, version, place: place.clone() }, Option::clone(&headers))
            })
        };
        groups.into_iter().flat_map(in_group).collect()
    }

    /// Returns headers that belong to no particular NVRTC, in the order of the search.
    fn headers(&self) -> impl Iterator<Item = CudaHeaders> {
        let named = [&self.cuda_path, &self.cuda_home].into_iter().flatten();
        let toolkits = named.chain(&self.system_roots).filter_map(|root| headers_of_toolkit(root));
        let packages = self.site_packages.iter().flat_map(|site| packages_in(site));
        let conda = self.conda.iter().filter_map(|root| headers_of_toolkit(root));
        toolkits.chain(packages.filter_map(|(_, headers)| headers)).chain(conda)
    }
}

/// Finds the first NVRTC with headers whose kernels a driver for `driver` can load. Without a
/// driver, any version is accepted.
///
/// # Errors
/// [`CudaProblem`] if there is none: a part is missing, or the driver is too old.
pub fn find_toolkit(
    places: &SearchPlaces,
    driver: Option<CudaVersion>,
) -> Result<CudaToolkit, CudaProblem> {
    let mut too_new = None;
    let mut without_headers = None;
    for (nvrtc, own) in places.libraries() {
        // NVRTC writes PTX of its own version. Older drivers reject that, whatever the code
        // contains.
        if let (Some(version), Some(driver)) = (nvrtc.version, driver)
            && version > driver
        {
            let path = nvrtc.path;
            too_new.get_or_insert(CudaProblem::DriverTooOld { driver, nvrtc: version, path });
            continue;
        }
        let fits = |headers: &CudaHeaders| match (headers.version, nvrtc.version) {
            (Some(headers), Some(nvrtc)) => headers.major == nvrtc.major,
            _ => true,
        };
        let Some(headers) =
            own.filter(|own| fits(own)).or_else(|| places.headers().find(|other| fits(other)))
        else {
            without_headers.get_or_insert(CudaProblem::HeadersMissing {
                nvrtc: nvrtc.path,
                version: nvrtc.version,
                driver,
            });
            continue;
        };
        let opened = places.visible_nvrtc();
        let is_visible = opened.as_ref() == Some(&nvrtc.path)
            && headers.folders.as_slice() == places.visible_headers().as_slice();
        return Ok(CudaToolkit { nvrtc, headers, is_visible });
    }
    Err(without_headers.or(too_new).unwrap_or(CudaProblem::NvrtcMissing { driver }))
}

/// Returns the names under which cudarc opens NVRTC, in cudarc's order.
fn nvrtc_names() -> Vec<String> {
    #[cfg(feature = "nvidia")]
    return cudarc::get_lib_name_candidates("nvrtc");
    #[cfg(not(feature = "nvidia"))]
    ["", ".13", ".12", ".11"].iter().map(|ending| format!("libnvrtc.so{ending}")).collect()
}

/// Returns the NVRTCs in a folder without duplicates, with links resolved: first the one without a
/// version in its name, then the newest.
fn nvrtc_in(folder: &Path) -> Vec<PathBuf> {
    let mut names =
        entries(folder, |name| name == "libnvrtc.so" || name.starts_with("libnvrtc.so."));
    names.sort_by_key(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let numbers: Vec<i64> =
            name.split('.').skip(2).filter_map(|number| number.parse().ok()).collect();
        (!numbers.is_empty(), numbers.into_iter().map(|number| -number).collect::<Vec<_>>())
    });
    let mut files: Vec<PathBuf> = Vec::new();
    for file in names.iter().filter_map(|name| name.canonicalize().ok()) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// Returns the version of an NVRTC from its own name, or from the name of the library next to it,
/// which must have the same version.
fn version_of(library: &Path) -> Option<CudaVersion> {
    let name = library.file_name()?.to_str()?;
    if let Some(version) = CudaVersion::of_library(name) {
        return Some(version);
    }
    let major: Option<u32> = name.rsplit('.').next().and_then(|number| number.parse().ok());
    let builtins = entries(library.parent()?, |name| name.starts_with("libnvrtc-builtins.so."));
    let mut versions: Vec<CudaVersion> = builtins
        .iter()
        .filter_map(|path| CudaVersion::of_library(path.file_name()?.to_str()?))
        .filter(|version| major.is_none_or(|major| version.major == major))
        .collect();
    versions.sort();
    versions.dedup();
    match versions.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// Returns the folders of a CUDA toolkit that may contain libraries.
fn library_folders(root: &Path) -> Vec<PathBuf> {
    if root.as_os_str().is_empty() {
        return Vec::new();
    }
    let mut folders = vec![root.join("lib64"), root.join("lib")];
    folders.extend(entries(&root.join("targets"), |_| true).into_iter().map(|t| t.join("lib")));
    folders
}

fn headers_of_toolkit(root: &Path) -> Option<CudaHeaders> {
    if root.as_os_str().is_empty() {
        return None;
    }
    let targets = entries(&root.join("targets"), |_| true);
    let folders = std::iter::once(root.to_owned()).chain(targets);
    folders.map(|folder| folder.join("include")).find_map(|folder| complete(vec![folder], None))
}

/// Returns the headers that belong to a folder of libraries, in the layouts of toolkits (`lib64`,
/// `targets/NAME/lib`) and of Linux distributions (`lib/NAME`).
fn headers_near(libraries: &Path) -> Option<CudaHeaders> {
    let folder = libraries.canonicalize().ok()?;
    let above = folder.ancestors().skip(1).take(2);
    above.map(|folder| folder.join("include")).find_map(|folder| complete(vec![folder], None))
}

/// Returns the library folders of NVIDIA's packages, each with its headers.
fn packages_in(site: &Path) -> Vec<(PathBuf, Option<CudaHeaders>)> {
    let nvidia = site.join("nvidia");
    // Since CUDA 13 all packages share a folder.
    let mut shared = entries(&nvidia, |name| {
        name.strip_prefix("cu").is_some_and(|major| major.parse::<u32>().is_ok())
    });
    shared.sort();
    let mut found: Vec<_> = shared
        .iter()
        .rev()
        .map(|folder| (folder.join("lib"), complete(vec![folder.join("include")], None)))
        .collect();
    let include =
        |package: &str| Some(nvidia.join(package).join("include")).filter(|folder| folder.is_dir());
    let folders = ["cuda_runtime", "cuda_nvcc", "cuda_crt"].into_iter().filter_map(include);
    let headers = complete(folders.collect(), include("cuda_cccl"));
    found.push((nvidia.join("cuda_nvrtc/lib"), headers));
    found
}

/// Returns true if these folders together contain all headers that kernels include.
pub(super) fn is_complete(folders: &[PathBuf]) -> bool {
    let has = |header: &&str| folders.iter().any(|folder| folder.join(header).is_file());
    HEADERS.iter().all(has)
}

/// Returns the headers in these folders, if they are complete.
fn complete(folders: Vec<PathBuf>, cccl: Option<PathBuf>) -> Option<CudaHeaders> {
    if !is_complete(&folders) {
        return None;
    }
    let read = |name: &str| {
        folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(name)).ok())
    };
    let version = read("cuda_runtime_api.h")
        .and_then(|text| CudaVersion::of_header(&text, "CUDART_VERSION"))
        .or_else(|| CudaVersion::of_header(&read("cuda.h")?, "CUDA_VERSION"));
    let folders = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    Some(CudaHeaders { folders, cccl, version })
}

/// Returns the entries of a folder whose names pass `has_name`.
pub(super) fn entries(folder: &Path, has_name: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(&has_name))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// Returns the package folders below a Python prefix, for the newest Python first.
fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let minor = |path: &PathBuf| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix("python3.")?.parse().ok()
    };
    let mut pythons: Vec<PathBuf> = ["lib", "lib64"]
        .iter()
        .flat_map(|lib| entries(&prefix.join(lib), |name| name.starts_with("python3.")))
        .collect();
    pythons.sort_by_key(|path| std::cmp::Reverse(minor(path)));
    pythons
        .iter()
        .flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name)))
        .filter(|folder| folder.join("nvidia").is_dir())
        .collect()
}

/// Returns the output of `ldconfig -p`, or an empty string if there is no such program.
fn loader_list() -> String {
    let list = |program: &str| {
        let mut command = Command::new(program);
        let output = command.arg("-p").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    ["/sbin/ldconfig", "ldconfig"].into_iter().find_map(list).unwrap_or_default()
}

/// Returns the folders of NVIDIA's libraries for this kind of processor in the loader's list.
fn listed_by_the_loader(list: &str) -> Vec<PathBuf> {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "AArch64",
        _ => "",
    };
    let mut folders = Vec::new();
    for line in list.lines() {
        let Some((name, path)) = line.trim().split_once(" => ") else { continue };
        let wanted = ["libnvrtc.so", "libcuda.so"].iter().any(|wanted| name.starts_with(wanted));
        let folder = Path::new(path).parent().map(Path::to_owned);
        if let Some(folder) = folder.filter(|folder| wanted && !folders.contains(folder))
            && name.contains(processor)
        {
            folders.push(folder);
        }
    }
    folders
}

/// Returns the folders that the loader searches last.
fn default_folders() -> Vec<PathBuf> {
    let system = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from);
    let of_debian = ["/lib", "/usr/lib"].map(|folder| Path::new(folder).join(&system));
    of_debian.into_iter().chain(folders).filter(|folder| folder.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder with made-up files.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(path)
        }

        fn file(&self, path: &str, text: &str) {
            fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
            fs::write(self.path(path), text).unwrap();
        }

        fn headers(&self, folder: &str, names: &[&str]) {
            names.iter().for_each(|name| self.file(&format!("{folder}/{name}"), ""));
        }

        /// Makes a CUDA toolkit with the layout of NVIDIA's installer.
        fn toolkit(&self, root: &str, version: &str) {
            let (major, _) = version.split_once('.').unwrap();
            let lib = self.path(&format!("{root}/lib64"));
            self.file(&format!("{root}/lib64/libnvrtc.so.{version}.1"), "");
            self.file(&format!("{root}/lib64/libnvrtc-builtins.so.{version}"), "");
            let link = |to: String, name: String| {
                std::os::unix::fs::symlink(lib.join(to), lib.join(name)).unwrap();
            };
            link(format!("libnvrtc.so.{version}.1"), format!("libnvrtc.so.{major}"));
            link(format!("libnvrtc.so.{major}"), "libnvrtc.so".to_owned());
            self.headers(&format!("{root}/include"), &HEADERS);
            let number = version.replace('.', "0");
            let text = format!("#define CUDART_VERSION {number}0\n");
            self.file(&format!("{root}/include/cuda_runtime_api.h"), &text);
        }

        /// Makes NVRTC and headers with the layout of the PyPI packages since CUDA 13.
        fn packages_13(&self, site: &str, version: &str) {
            let folder = format!("{site}/nvidia/cu13");
            self.file(&format!("{folder}/lib/libnvrtc.so.13"), "");
            self.file(&format!("{folder}/lib/libnvrtc.alt.so.13"), "");
            self.file(&format!("{folder}/lib/libnvrtc-builtins.so.{version}"), "");
            self.headers(&format!("{folder}/include"), &HEADERS);
        }

        /// Makes NVRTC and headers with the layout of the PyPI packages up to CUDA 12.
        fn packages_12(&self, site: &str, version: &str) {
            let folder = format!("{site}/nvidia");
            self.file(&format!("{folder}/cuda_nvrtc/lib/libnvrtc.so.12"), "");
            self.file(&format!("{folder}/cuda_nvrtc/lib/libnvrtc-builtins.so.{version}"), "");
            self.headers(&format!("{folder}/cuda_runtime/include"), &HEADERS[..3]);
            self.headers(&format!("{folder}/cuda_nvcc/include"), &HEADERS[3..]);
            self.headers(&format!("{folder}/cuda_cccl/include"), &["nv/target"]);
        }
    }

    fn version(major: u32, minor: u32) -> Option<CudaVersion> {
        Some(CudaVersion::new(major, minor))
    }

    #[test]
    fn places_are_taken_in_order() {
        let machine = Machine::new();
        machine.toolkit("named", "12.1");
        machine.toolkit("home", "12.2");
        machine.toolkit("system", "12.3");
        machine.packages_13("site", "13.0");
        let mut places = SearchPlaces {
            cuda_path: Some(machine.path("named")),
            cuda_home: Some(machine.path("home")),
            loader_folders: vec![],
            system_roots: vec![machine.path("system")],
            site_packages: vec![machine.path("site")],
            conda: Some(machine.path("conda")),
        };
        machine.toolkit("conda", "11.8");
        let found = |places: &SearchPlaces| find_toolkit(places, version(13, 0)).unwrap();
        let first = found(&places);
        assert_eq!(first.nvrtc.path, machine.path("named/lib64/libnvrtc.so.12.1.1"));
        assert_eq!((first.nvrtc.version, first.headers.version), (version(12, 1), version(12, 1)));
        assert_eq!(first.nvrtc.place, ToolkitPlace::CudaPath);
        // To be visible, it would have to be in the loader's path too.
        assert!(!first.is_visible);
        places.loader_folders = vec![machine.path("named/lib64")];
        assert!(found(&places).is_visible);
        // cubecl takes the headers from another place.
        places.cuda_path = None;
        places.cuda_home = None;
        let loaded = found(&places);
        assert_eq!(loaded.nvrtc.place, ToolkitPlace::LoaderPath);
        assert_eq!(loaded.headers.folders, [machine.path("named/include")]);
        assert!(!loaded.is_visible);
        places.loader_folders.clear();
        places.cuda_path = Some(PathBuf::new());
        assert_eq!(found(&places).nvrtc.version, version(12, 3));
        places.system_roots.clear();
        let package = found(&places);
        assert_eq!(package.nvrtc.place, ToolkitPlace::Python(machine.path("site")));
        assert_eq!(package.nvrtc.version, version(13, 0));
        assert_eq!(package.headers.folders, [machine.path("site/nvidia/cu13/include")]);
        places.site_packages.clear();
        assert_eq!(found(&places).nvrtc.place, ToolkitPlace::Conda);
    }

    #[test]
    fn packages_of_cuda_12_have_headers_in_several_folders() {
        let machine = Machine::new();
        machine.packages_12("site", "12.4");
        let mut places =
            SearchPlaces { site_packages: vec![machine.path("site")], ..Default::default() };
        let found = find_toolkit(&places, None).unwrap();
        assert_eq!(found.nvrtc.version, version(12, 4));
        assert_eq!(found.headers.folders.len(), 2);
        assert_eq!(found.headers.cccl, Some(machine.path("site/nvidia/cuda_cccl/include")));
        fs::remove_dir_all(machine.path("site/nvidia/cuda_nvcc")).unwrap();
        let error = find_toolkit(&places, version(12, 4)).unwrap_err();
        assert!(
            matches!(&error, CudaProblem::HeadersMissing { version: v, .. } if *v == version(12, 4)),
            "{error}"
        );
        // Headers of another minor version are accepted, those of another major version are not.
        machine.toolkit("system", "13.0");
        places.system_roots = vec![machine.path("system")];
        fs::remove_file(machine.path("system/lib64/libnvrtc.so.13.0.1")).unwrap();
        assert!(find_toolkit(&places, version(12, 4)).is_err());
        machine.file("system/include/cuda_runtime_api.h", "#define CUDART_VERSION 12010");
        assert!(find_toolkit(&places, version(12, 4)).is_ok());
    }

    #[test]
    fn what_the_driver_cannot_load_is_passed_over() {
        let machine = Machine::new();
        machine.toolkit("system", "13.1");
        let mut places = SearchPlaces {
            loader_folders: vec![machine.path("system/lib64")],
            system_roots: vec![machine.path("system")],
            ..Default::default()
        };
        assert!(find_toolkit(&places, version(13, 1)).unwrap().is_visible);
        let error = find_toolkit(&places, version(12, 8)).unwrap_err();
        let expected = CudaProblem::DriverTooOld {
            driver: CudaVersion::new(12, 8),
            nvrtc: CudaVersion::new(13, 1),
            path: machine.path("system/lib64/libnvrtc.so.13.1.1"),
        };
        assert_eq!(error, expected);
        machine.packages_12("site", "12.8");
        places.site_packages = vec![machine.path("site")];
        let found = find_toolkit(&places, version(12, 8)).unwrap();
        assert_eq!(found.nvrtc.version, version(12, 8));
        // cudarc would open the other library.
        assert!(!found.is_visible);
    }

    #[test]
    fn nothing_at_all_says_so() {
        let places = SearchPlaces::default();
        let driver = version(13, 0);
        assert_eq!(find_toolkit(&places, driver), Err(CudaProblem::NvrtcMissing { driver }));
    }

    #[test]
    fn the_loaders_list_is_read_for_this_processor() {
        let list = "2 libs found in cache `/etc/ld.so.cache'\n\
            \tlibnvrtc.so.12 (libc6,x86-64) => /a/lib/libnvrtc.so.12\n\
            \tlibnvrtc.so (libc6,x86-64) => /a/lib/libnvrtc.so\n\
            \tlibcuda.so.1 (libc6,AArch64) => /b/libcuda.so.1\n\
            \tlibcuda.so.1 (libc6) => /c/libcuda.so.1\n\
            \tlibcudart.so.12 (libc6,x86-64) => /d/libcudart.so.12\n";
        let expected: &[&str] = match std::env::consts::ARCH {
            "x86_64" => &["/a/lib"],
            "aarch64" => &["/b"],
            _ => return,
        };
        let folders: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(listed_by_the_loader(list), folders);
        assert_eq!(listed_by_the_loader(""), Vec::<PathBuf>::new());
    }

    #[test]
    fn packages_of_the_newest_python_come_first() {
        let machine = Machine::new();
        for python in ["python3.9", "python3.12", "python3.10"] {
            machine.packages_13(&format!("venv/lib/{python}/site-packages"), "13.0");
        }
        machine.file("venv/lib/python3.13/site-packages/numpy/x", "");
        let found = site_packages(&machine.path("venv"));
        let expected = ["python3.12", "python3.10", "python3.9"];
        let expected = expected.map(|p| machine.path(&format!("venv/lib/{p}/site-packages")));
        assert_eq!(found, expected);
    }

    #[test]
    fn several_versions_in_one_folder_are_told_apart() {
        let machine = Machine::new();
        machine.file("lib/libnvrtc.so.12", "");
        machine.file("lib/libnvrtc-builtins.so.12.2", "");
        machine.file("lib/libnvrtc.so.13", "");
        machine.file("lib/libnvrtc-builtins.so.13.0", "");
        let found = nvrtc_in(&machine.path("lib"));
        assert_eq!(found, [machine.path("lib/libnvrtc.so.13"), machine.path("lib/libnvrtc.so.12")]);
        let versions: Vec<_> = found.iter().map(|path| version_of(path)).collect();
        assert_eq!(versions, [version(13, 0), version(12, 2)]);
        machine.file("lib/libnvrtc-builtins.so.12.3", "");
        assert_eq!(version_of(&found[1]), None);
    }
}
