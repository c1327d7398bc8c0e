//! `unsafe` occurs only in the files that `ARCHITECTURE.md` lists, and no crate can add it
//! unnoticed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::asset;

fn repository() -> PathBuf {
    asset("..")
}

/// Returns the repository's files with this extension, as paths in the repository. Folders of tools
/// and of builds are left out.
fn files(ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || name.starts_with("target") {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// Returns whether a source file contains unsafe code outside comments.
fn is_unsafe(source: &str) -> bool {
    let kinds = ["{", "fn ", "impl ", "impl<", "extern ", "trait "];
    source.lines().filter_map(|line| line.split("//").next()).any(|code| {
        // In two parts, because this file is searched too.
        kinds.iter().any(|kind| code.contains(&["unsafe", " ", kind].concat()))
    })
}

/// Returns the files and folders of the table below the heading in `ARCHITECTURE.md`.
fn listed() -> BTreeSet<String> {
    let text = read("ARCHITECTURE.md");
    let (_, section) = text.split_once("## Where `unsafe` is\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once(" | "));
    cells.flat_map(|(paths, _)| paths.split(", ").map(|path| path.replace('`', ""))).collect()
}

#[test]
fn unsafe_code_is_where_the_architecture_says() {
    let listed = listed();
    assert!(listed.len() >= 5, "{listed:?}");
    let mut used = BTreeSet::new();
    for path in files(".rs").into_iter().filter(|path| is_unsafe(&read(path))) {
        let place = listed.iter().find(|place| path.starts_with(place.as_str()));
        used.insert(place.unwrap_or_else(|| panic!("ARCHITECTURE.md does not list {path}")));
    }
    assert_eq!(used, listed.iter().collect(), "listed places have unsafe code");
}

#[test]
fn the_compiler_refuses_it_in_every_crate() {
    let lints = read("Cargo.toml");
    assert!(lints.contains("unsafe_code = \"deny\""), "{lints}");
    let members = lints.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    for member in serde_json::from_str::<Vec<String>>(members).unwrap() {
        let manifest = read(format!("{member}/Cargo.toml"));
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert!(inherits || manifest.contains("unsafe_code = \"deny\""), "{member}");
    }
}

/// Checks that only the listed files lift the ban.
#[test]
fn nothing_else_allows_it() {
    let listed = listed();
    let allows = ["allow(", "unsafe_code", ")"].concat();
    for path in files(".rs").into_iter().filter(|path| read(path).contains(&allows)) {
        assert!(listed.iter().any(|place| path.starts_with(place.as_str())), "{path}");
    }
}
