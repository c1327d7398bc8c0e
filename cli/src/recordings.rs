//! Which recordings are meant, and what each one's files are called.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sam2_frame_provider::ImageFolder;

use crate::args::SegmentArgs;
use crate::outputs::OutputArg;

/// One set of arguments for each recording: wildcards expanded, placeholders filled in.
pub fn each(args: &SegmentArgs) -> Result<Vec<SegmentArgs>> {
    let mut recordings = Vec::new();
    for given in &args.recordings {
        for path in matching(given)? {
            if !recordings.contains(&path) {
                recordings.push(path);
            }
        }
    }
    Ok(recordings.iter().map(|recording| for_one(args, recording)).collect())
}

/// Refuses recordings that would write the same file.
pub fn check_distinct(each: &[SegmentArgs]) -> Result<()> {
    let mut seen: Vec<(&Path, &Path)> = Vec::new();
    for args in each {
        let sheet = args.contact_sheet.as_deref();
        let outputs = args.output.iter().map(|output| Path::new(output.typed())).chain(sheet);
        for output in outputs {
            let other =
                seen.iter().find(|(name, owner)| *name == output && *owner != args.recording);
            if let Some((_, owner)) = other {
                if are_images_of_one_folder(owner, &args.recording) {
                    bail!(
                        "'{}' would be written for '{}' and for '{}': each image is taken as a recording of its own; to read them \
                         as the frames of one, give their folder, or the pattern in quotes so that the shell leaves it alone",
                        output.display(),
                        owner.display(),
                        args.recording.display()
                    );
                }
                bail!(
                    "'{}' would be written for '{}' and for '{}': use {{stem}} (the recording's name) or {{folder}} in the \
                     output's name",
                    output.display(),
                    owner.display(),
                    args.recording.display()
                );
            }
            seen.push((output, &args.recording));
        }
    }
    Ok(())
}

/// Whether both are still images next to each other, as when the shell expands `frames/*.png`.
fn are_images_of_one_folder(a: &Path, b: &Path) -> bool {
    let is_image = |path: &Path| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        ["jpg", "jpeg", "png", "bmp"].iter().any(|known| ending == *known)
    };
    a.parent() == b.parent() && is_image(a) && is_image(b)
}

/// The arguments for one recording.
fn for_one(args: &SegmentArgs, recording: &Path) -> SegmentArgs {
    let mut one = args.clone();
    recording.clone_into(&mut one.recording);
    one.recordings = vec![recording.to_owned()];
    for output in &mut one.output {
        if let Some(typed) = output.typed().to_str() {
            *output = OutputArg::from(std::ffi::OsString::from(filled_in(typed, recording)));
        }
    }
    let fill = |path: &mut Option<PathBuf>| {
        if let Some(text) = path.as_deref().and_then(Path::to_str) {
            *path = Some(filled_in(text, recording).into());
        }
    };
    fill(&mut one.contact_sheet);
    fill(&mut one.prompts.keypoints);
    for path in &mut one.prompts.prompts {
        if let Some(text) = path.to_str() {
            *path = filled_in(text, recording).into();
        }
    }
    one
}

/// The arguments with the track that a pattern means; patterns that mean none or several are this recording's failure, not that of
/// others.
pub fn with_track(args: &SegmentArgs) -> Result<SegmentArgs> {
    let mut args = args.clone();
    if let Some(track) = &mut args.prompts.keypoints {
        *track = the_one(track)?;
    }
    Ok(args)
}

/// `{stem}`, `{name}` and `{folder}` of a recording in the place of those words.
fn filled_in(template: &str, recording: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let folder = match recording.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_string_lossy().into_owned(),
        _ => ".".to_owned(),
    };
    let name = match pattern_stem(recording) {
        Some(stem) => stem,
        None => text(recording.file_name()),
    };
    template
        .replace("{stem}", &stem(recording))
        .replace("{name}", &name)
        .replace("{folder}", &folder)
}

/// The recording's name without folder and ending.
pub fn stem(recording: &Path) -> String {
    if let Some(stem) = pattern_stem(recording) {
        return stem;
    }
    // A folder of images has no ending, whatever dots are in its name.
    let stem = if recording.is_dir() { recording.file_name() } else { recording.file_stem() };
    stem.unwrap_or("recording".as_ref()).to_string_lossy().into_owned()
}

/// What the images that a pattern means are called: `cam1` for `frames/cam1_*.png`, and the folder's name for `frames/*.png`.
/// `None` for what is no pattern.
fn pattern_stem(recording: &Path) -> Option<String> {
    if !has_wildcards(recording) || recording.exists() {
        return None;
    }
    let name = recording.file_name()?.to_string_lossy();
    let literal = name.split(['*', '?', '[']).next().unwrap_or_default();
    let literal = literal.trim_end_matches(|c: char| !c.is_alphanumeric());
    if !literal.is_empty() {
        return Some(literal.to_owned());
    }
    let folder = recording.parent().and_then(Path::file_name);
    Some(folder.map_or("images".to_owned(), |folder| folder.to_string_lossy().into_owned()))
}

fn has_wildcards(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// The recordings that a name means: itself, or, with wildcards, all that match, in the order of their names. Still images of one
/// folder are one recording, which keeps the name with the wildcards.
fn matching(given: &Path) -> Result<Vec<PathBuf>> {
    if !has_wildcards(given) || given.exists() || ImageFolder::is_pattern(given) {
        return Ok(vec![given.to_owned()]);
    }
    let found = expanded(given)?;
    if found.is_empty() {
        bail!("nothing matches '{}': check the pattern and the folder", given.display());
    }
    Ok(found)
}

/// The one file that a name with wildcards means.
fn the_one(given: &Path) -> Result<PathBuf> {
    if !has_wildcards(given) || given.exists() {
        return Ok(given.to_owned());
    }
    match &expanded(given)?[..] {
        [one] => Ok(one.clone()),
        [] => bail!("no track matches '{}': check the pattern and the folder", given.display()),
        several => {
            let names: Vec<_> = several.iter().take(5).map(|p| p.display().to_string()).collect();
            bail!(
                "{} tracks match '{}' ({}): use a pattern that one of them matches",
                several.len(),
                given.display(),
                names.join(", ")
            )
        }
    }
}

fn expanded(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let matches = glob::glob(&text)
        .with_context(|| format!("'{text}' is no pattern: use *, ?, [a-z] and **"))?;
    // What cannot be looked into cannot match.
    let mut found: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_parts_of_the_recordings_name() {
        let fill = |template| filled_in(template, Path::new("day1/m.2.avi"));
        assert_eq!(fill("{folder}/{stem}DLC*.csv"), "day1/m.2DLC*.csv");
        assert_eq!(fill("out/{name}.btf"), "out/m.2.avi.btf");
        assert_eq!(filled_in("{folder}/{stem}", Path::new("a.avi")), "./a");
    }

    #[test]
    fn a_pattern_of_images_is_named_after_what_they_share() {
        let fill = |recording: &str| filled_in("{folder}/{stem}.btf", Path::new(recording));
        assert_eq!(fill("day1/frames/cam1_*.png"), "day1/frames/cam1.btf");
        assert_eq!(fill("frames/frame*[0-9].png"), "frames/frame.btf");
        assert_eq!(fill("day1/frames/*.png"), "day1/frames/frames.btf");
        assert_eq!(fill("*_L.png"), "./images.btf");
        assert_eq!(stem(Path::new("day1/m.2.avi")), "m.2");
    }
}
