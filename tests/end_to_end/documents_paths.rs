//! Every relative link in the documents leads somewhere, and every path that `ARCHITECTURE.md` and
//! `CONTRIBUTING.md` name exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Folders whose documents are checked, at any depth. The documents of the repository's root and
/// each crate's `README.md` are checked too.
const FOLDERS: [&str; 6] = [".github", "assets", "benches", "docs", "tests", "workflow"];

/// The start of a link in the template of a pull request. GitHub shows the template on a page of
/// its own, from where this leads to the repository's root.
const FROM_A_PULL_REQUEST: &str = "../blob/HEAD/";

fn repository() -> &'static Path {
    Path::new(REPOSITORY)
}

/// Returns the files and folders in a folder. Folders of tools and of builds are left out.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| !name(path).starts_with('.') && !name(path).starts_with("target")).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "md")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in entries(repository()) {
        let readme = path.join("README.md");
        if is_document(&path) {
            found.insert(path);
        } else if path.join("Cargo.toml").exists() && readme.exists() {
            found.insert(readme);
        }
    }
    let mut folders: Vec<PathBuf> =
        FOLDERS.iter().map(|folder| repository().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if is_document(&path) {
                found.insert(path);
            }
        }
    }
    found
}

/// Returns the lines of a document outside fenced code.
fn unfenced(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// Returns the paragraphs of a document, with lists and tables, without code blocks.
fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = unfenced(text).collect();
    let blocks = lines.split(|line| line.trim().is_empty());
    let is_prose = |block: &&[&str]| block.first().is_some_and(|first| !first.starts_with("    "));
    blocks.filter(is_prose).map(|block| block.join("\n")).collect()
}

/// Returns the targets of a document's links and images.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in paragraphs(text) {
        let prose: String = paragraph.split('`').step_by(2).collect();
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let definitions =
            prose.lines().filter_map(|line| Some(line.strip_prefix('[')?.split_once("]: ")?.1));
        // A title may follow the target.
        let targets = inline.chain(definitions).filter_map(|link| link.split_whitespace().next());
        found.extend(targets.map(str::to_owned));
    }
    found
}

/// Returns the words that a document shows as code within its prose.
fn words_in_code(text: &str) -> Vec<String> {
    let paragraphs = paragraphs(text);
    let spans = paragraphs.iter().flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    spans.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Returns the anchors of a document's headings, by GitHub's rules.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut counts = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in unfenced(text) {
        let heading = line.trim_start_matches('#');
        if !(1..=6).contains(&(line.len() - heading.len())) || !heading.starts_with(' ') {
            continue;
        }
        let slug = slug(heading);
        let count = counts.entry(slug.clone()).or_insert(0);
        found.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    found
}

/// Returns a heading as an anchor: lower-case letters, digits, hyphens and underscores.
fn slug(heading: &str) -> String {
    // Of a link, only the text is shown.
    let mut pieces = heading.split("](");
    let first = pieces.next().unwrap_or_default();
    let rest = pieces.filter_map(|piece| Some(piece.split_once(')')?.1));
    let shown: String = std::iter::once(first).chain(rest).collect();
    let lower = shown.trim().to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || ['-', '_', ' '].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Describes why a relative link leads nowhere. Returns `None` if it leads somewhere.
fn problem(document: &Path, link: &str) -> Option<String> {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let target = match path.strip_prefix(FROM_A_PULL_REQUEST) {
        Some(path) => repository().join(path),
        None if path.is_empty() => document.to_owned(),
        None => document.parent().unwrap().join(path),
    };
    if !target.exists() {
        return Some("there is no such file".to_owned());
    }
    let anchor = anchor.filter(|_| is_document(&target))?;
    let known = anchors(&read(&target));
    (!known.contains(anchor)).then(|| format!("there is no such heading, but {known:?}"))
}

#[test]
fn every_relative_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 30, "{documents:?}");
    let (mut count, mut broken) = (0, Vec::new());
    for document in &documents {
        let links = links(&read(document));
        let is_outside = |link: &str| link.contains("://") || link.starts_with("mailto:");
        for link in links.iter().filter(|link| !is_outside(link)) {
            count += 1;
            let shown = document.strip_prefix(repository()).unwrap().display();
            broken.extend(problem(document, link).map(|what| format!("{shown}: {link}: {what}")));
        }
    }
    assert!(count > 150, "{count} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_path_that_the_guides_for_contributors_name_exists() {
    let folders = entries(repository()).into_iter().filter(|path| path.is_dir());
    let mut folders: BTreeSet<String> = folders.map(|folder| name(&folder).to_owned()).collect();
    folders.extend([".ci", ".github"].map(str::to_owned));
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let words = words_in_code(&read(&repository().join(document)));
        // `NAME` stands for the name of a file that the reader will write.
        let is_path = |word: &&String| {
            let top = word.split_once('/').map(|(top, _)| top);
            top.is_some_and(|top| folders.contains(top)) && !word.contains("NAME")
        };
        let paths: Vec<&String> = words.iter().filter(is_path).collect();
        assert!(paths.len() > 40, "{document}: {paths:?}");
        let missing: Vec<_> =
            paths.into_iter().filter(|path| !repository().join(path).exists()).collect();
        assert!(missing.is_empty(), "{document}: there is no {missing:?}");
    }
}

#[test]
fn links_and_paths_are_found_where_a_reader_sees_them() {
    let text = "See [`a`](a.md#b), `[no](no.md)` and\n![c](c.png \"title\"), `make x\ncli/src`.\n\n    \
                [code](d.md)\n\n```\n[fenced](f.md)\n```\n\n| [g](../g.md) |\n\n[e]: e.md\n";
    assert_eq!(links(text), ["a.md#b", "c.png", "../g.md", "e.md"]);
    assert_eq!(words_in_code(text), ["a", "[no](no.md)", "make", "x", "cli/src"]);
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# What's new, in 0.1?\n## Where `unsafe_code` & [links](a.md) are\n## Twice\n```\n# code\n```\n\
                ### Twice\n#no heading\n## Größe\n";
    let expected = ["größe", "twice", "twice-1", "whats-new-in-01", "where-unsafe_code--links-are"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
}
