//! Makes a folder in which cudarc and cubecl find NVRTC and headers, wherever those are installed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::search::{CudaToolkit, entries};
use crate::hexadecimal::hexadecimal;

/// A folder made by [`CudaToolkit::link_into`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedToolkit {
    /// Folder that must come first in `LD_LIBRARY_PATH`.
    pub library_folder: PathBuf,
    /// Value that `CUDA_PATH` must have.
    pub cuda_path: PathBuf,
}

impl CudaToolkit {
    /// Makes a folder of links to NVRTC and the headers in `folder`, or reuses an existing one, and
    /// returns it.
    ///
    /// The folder that contains NVRTC cannot be used directly, for three reasons:
    ///
    /// - cudarc prefers any `libnvrtc.so` in the loader's path to a `libnvrtc.so.12`.
    /// - A folder such as `/usr/lib64` or conda's `lib` would put its other libraries before the
    ///   system's.
    /// - CUDA 12's packages have their headers in several folders, and cubecl searches only one.
    ///
    /// The folder's name is derived from the targets of its links, so several processes can do this
    /// at the same time.
    ///
    /// # Errors
    /// If the folder cannot be made.
    #[cfg(unix)]
    pub fn link_into(&self, folder: &Path) -> io::Result<LinkedToolkit> {
        let links = self.links();
        let mut digest = Sha256::new();
        for (name, target) in &links {
            digest.update(format!("{}\n{}\n", name.display(), target.display()));
        }
        let digest = hexadecimal(&digest.finalize()[..6]);
        let version = self.nvrtc.version.map_or_else(String::new, |v| format!("{v}-"));
        let root = folder.join(format!("{version}{digest}"));
        if !root.exists() {
            let new = folder.join(format!(".{digest}.{}", std::process::id()));
            for (name, target) in &links {
                let link = new.join(name);
                fs::create_dir_all(link.parent().unwrap_or(&new))?;
                std::os::unix::fs::symlink(target, link)?;
            }
            if let Err(error) = fs::rename(&new, &root) {
                fs::remove_dir_all(&new)?;
                // Another process has made it in the meantime.
                if !root.exists() {
                    return Err(error);
                }
            }
        }
        Ok(LinkedToolkit { library_folder: root.join("lib"), cuda_path: root })
    }

    /// Returns links and their targets: NVRTC and its parts below `lib`, headers below `include`.
    fn links(&self) -> Vec<(PathBuf, PathBuf)> {
        let nvrtc = &self.nvrtc.path;
        // cudarc tries this name first.
        let mut links = vec![(PathBuf::from("lib/libnvrtc.so"), nvrtc.clone())];
        let parts = nvrtc.parent().map(|folder| {
            entries(folder, |name| {
                name.starts_with("libnvrtc-builtins.so") || name.starts_with("libnvrtc.so.")
            })
        });
        for part in parts.unwrap_or_default() {
            if let Some(name) = part.file_name() {
                links.push((Path::new("lib").join(name), part.clone()));
            }
        }
        if let ([only], None) = (self.headers.folders.as_slice(), &self.headers.cccl) {
            links.push(("include".into(), only.clone()));
            return links;
        }
        let mut names = BTreeSet::new();
        for header in self.headers.folders.iter().flat_map(|folder| entries(folder, |_| true)) {
            if let Some(name) = header.file_name().map(Path::new)
                && name != "cccl"
                && names.insert(name.to_owned())
            {
                links.push((Path::new("include").join(name), header.clone()));
            }
        }
        // cubecl looks for CUDA's C++ library in this folder.
        links.extend(self.headers.cccl.iter().map(|cccl| ("include/cccl".into(), cccl.clone())));
        links
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::search::{CudaHeaders, NvrtcLibrary, ToolkitPlace};
    use super::super::version::CudaVersion;
    use super::*;

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, name).unwrap();
        }
    }

    fn toolkit(folder: &Path, headers: &[&str], cccl: Option<&str>) -> CudaToolkit {
        CudaToolkit {
            nvrtc: NvrtcLibrary {
                path: folder.join("lib/libnvrtc.so.12"),
                version: Some(CudaVersion::new(12, 4)),
                place: ToolkitPlace::Python(folder.to_owned()),
            },
            headers: CudaHeaders {
                folders: headers.iter().map(|name| folder.join(name)).collect(),
                cccl: cccl.map(|name| folder.join(name)),
                version: None,
            },
            is_visible: false,
        }
    }

    #[test]
    fn what_is_found_stands_where_cudarc_and_cubecl_look() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                "lib/libnvrtc.so.12",
                "lib/libnvrtc-builtins.so.12.4",
                "lib/libstdc++.so.6",
                "runtime/cuda_fp16.h",
                "nvcc/crt/mma.h",
                "nvcc/cuda_fp16.h",
                "cccl/nv/target",
            ],
        );
        let kept = folder.path().join("kept");
        let several = toolkit(folder.path(), &["runtime", "nvcc"], Some("cccl"));
        let made = several.link_into(&kept).unwrap();
        let read = |path: &str| fs::read_to_string(made.cuda_path.join(path)).unwrap();
        assert_eq!(read("lib/libnvrtc.so"), "lib/libnvrtc.so.12");
        assert_eq!(read("lib/libnvrtc-builtins.so.12.4"), "lib/libnvrtc-builtins.so.12.4");
        // Other libraries of that folder stay out of the loader's path.
        assert!(!made.library_folder.join("libstdc++.so.6").exists());
        // If two folders have a header, the first one's is linked.
        assert_eq!(read("include/cuda_fp16.h"), "runtime/cuda_fp16.h");
        assert_eq!(read("include/crt/mma.h"), "nvcc/crt/mma.h");
        assert_eq!(read("include/cccl/nv/target"), "cccl/nv/target");
        // A folder that was made stays, and no temporary files are left.
        assert_eq!(several.link_into(&kept).unwrap(), made);
        let one = toolkit(folder.path(), &["runtime"], None).link_into(&kept).unwrap();
        assert_ne!(one, made);
        assert!(one.cuda_path.join("include/cuda_fp16.h").is_file());
        assert_eq!(fs::read_dir(&kept).unwrap().count(), 2);
        // A file stands where the folder would be made.
        assert!(several.link_into(&folder.path().join("lib/libnvrtc.so.12")).is_err());
    }
}
