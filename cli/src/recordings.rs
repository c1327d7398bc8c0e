//! Expands the recordings on the command line, and the names of the files that belong to each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sam2_frame_provider::{ImageFolder, order_files};

use crate::args::OutputArg;
use crate::args::SegmentArgs;
use crate::outputs;
use crate::typed_files;

/// Returns one set of arguments per recording, with wildcards expanded and placeholders filled in.
pub fn each(args: &SegmentArgs) -> Result<Vec<SegmentArgs>> {
    typed_files::check_unquoted(&args.recordings, args.prompts.keypoints.as_deref())?;
    typed_files::check_individuals(&args.recordings, &args.prompts.individuals)?;
    let recordings = files_of(&args.recordings, args.join)?;
    if args.join {
        if recordings.is_empty() {
            return Ok(Vec::new());
        }
        let (first, further) = joined(recordings)?;
        let mut one = for_one(args, &first);
        one.frames.joined = further;
        return Ok(vec![one]);
    }
    Ok(recordings.iter().map(|recording| for_one(args, recording)).collect())
}

/// Returns the recording of a command that takes a single one: its file or folder and, with
/// `--join`, its further files.
///
/// # Errors
/// Fails for several names without `--join`, or for one name with it.
pub fn one(given: &[PathBuf], join: bool) -> Result<Option<(PathBuf, Vec<PathBuf>)>> {
    match given {
        [] => Ok(None),
        given if join => joined(files_of(given, true)?).map(Some),
        [only] => match &matching(only)?[..] {
            [one] => Ok(Some((one.clone(), Vec::new()))),
            several => bail!(
                "'{}' matches {} recordings, and one is wanted: give one, or add --join if they are files of the same recording",
                only.display(),
                several.len()
            ),
        },
        [first, second, ..] => bail!(
            "'{}' and '{}' are two recordings, and one is wanted: give one, or add --join if they are files of the same recording",
            first.display(),
            second.display()
        ),
    }
}

/// Returns the files that the names stand for: wildcards are expanded, and each file is listed
/// once. With `join`, the files that match one pattern are ordered like those of a folder of
/// videos.
fn files_of(given: &[PathBuf], join: bool) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for given in given {
        let mut paths = matching(given)?;
        if join && paths.len() > 1 {
            let ordered = order_files(paths)?;
            ordered.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            paths = ordered.files;
        }
        for path in paths {
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// Returns the first file of a recording and its further files.
fn joined(mut files: Vec<PathBuf>) -> Result<(PathBuf, Vec<PathBuf>)> {
    if let [only] = &files[..] {
        bail!(
            "--join needs the video files of one recording, in their order; only '{}' is given",
            only.display()
        );
    }
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    tracing::info!("{} files are one recording, in this order: {}", files.len(), names.join(", "));
    let further = files.split_off(files.len().min(1));
    match files.pop() {
        Some(first) => Ok((first, further)),
        None => bail!("--join needs the video files of one recording, in their order"),
    }
}

/// Refuses two recordings that are the same file, that would write the same file, or of which one
/// would overwrite an input of the other, however the paths are spelled. This is checked before any
/// work, even with `--overwrite`.
pub fn check_distinct(each: &[SegmentArgs]) -> Result<()> {
    if each.len() < 2 {
        return Ok(());
    }
    let mut recordings: HashMap<PathBuf, &SegmentArgs> = HashMap::new();
    let mut sets: HashMap<Vec<PathBuf>, &SegmentArgs> = HashMap::new();
    let mut inputs: HashMap<PathBuf, (&SegmentArgs, PathBuf)> = HashMap::new();
    let mut outputs: HashMap<PathBuf, (&SegmentArgs, PathBuf)> = HashMap::new();
    for args in each {
        let recording = args.recording.display();
        if let Some(other) = recordings.insert(outputs::spelled_out(&args.recording), args) {
            bail!(
                "'{}' and '{recording}' are the same recording: give it once",
                other.recording.display()
            );
        }
        let set = set_of(args);
        let count = set.len();
        if let Some(other) = sets.insert(set, args) {
            let other = other.recording.display();
            let what = match count {
                1 => "the same recording".to_owned(),
                _ => format!("one recording in {count} files, which are read together"),
            };
            bail!("'{other}' and '{recording}' are {what}: name only one of them");
        }
        let (masks, files) = (args.prompts.masks_in_documents(), args.files());
        let named = args.prompts.files().chain(&masks).chain(&files).chain(&args.network.model);
        for input in named {
            inputs.entry(outputs::spelled_out(input)).or_insert((args, input.clone()));
        }
        // An invalid output is reported with its recording.
        for output in
            outputs::named(&args.output, args.contact_sheet.as_deref()).unwrap_or_default()
        {
            let whole = outputs::spelled_out(&output.path);
            if let Some((other, name)) = outputs.insert(whole, (args, output.path.clone())) {
                if std::ptr::eq(other, args) {
                    // Two equal outputs of one recording are reported with that recording.
                    continue;
                }
                if are_images_of_one_folder(&other.recording, &args.recording) {
                    bail!(
                        "'{}' would be written for '{}' and for '{recording}': each image is taken as a recording of its own; to \
                         read them as the frames of one, give their folder, or the pattern in quotes so that the shell leaves it \
                         alone",
                        output.path.display(),
                        other.recording.display(),
                    );
                }
                bail!(
                    "'{}' would be written for '{}' and{} for '{recording}': use {{stem}} (the recording's name) or {{folder}} \
                     in the output's name",
                    output.path.display(),
                    other.recording.display(),
                    if name == output.path {
                        String::new()
                    } else {
                        format!(", as '{}',", name.display())
                    },
                );
            }
        }
    }
    check_tracks(each)?;
    for (whole, (args, output)) in &outputs {
        if let Some((other, input)) = inputs.get(whole) {
            bail!(
                "'{}' would be written for '{}', and is an input ('{}') of '{}': choose another name for the output",
                output.display(),
                args.recording.display(),
                input.display(),
                other.recording.display()
            );
        }
    }
    Ok(())
}

/// Returns the files that are read for a recording, with uniform spelling and sorted.
fn set_of(args: &SegmentArgs) -> Vec<PathBuf> {
    let files = match args.frames.joined.as_slice() {
        [] => sam2_frame_provider::files_of(&args.recording),
        _ => args.files(),
    };
    let mut set: Vec<PathBuf> = files.iter().map(|file| outputs::spelled_out(file)).collect();
    set.sort();
    set
}

/// Refuses several recordings that use the same video's rows of a track, and warns of a track that
/// several recordings share.
fn check_tracks(each: &[SegmentArgs]) -> Result<()> {
    let mut tracks: HashMap<PathBuf, Vec<&SegmentArgs>> = HashMap::new();
    for args in each {
        let Some(track) = &args.prompts.keypoints else { continue };
        // A pattern that matches no track, or several, is reported with its recording.
        let track = the_one(track).unwrap_or_else(|_| track.clone());
        let those = tracks.entry(outputs::spelled_out(&track)).or_default();
        let video = args.prompts.keypoints_video.as_ref();
        let same = |other: &&&SegmentArgs| other.prompts.keypoints_video.as_ref() == video;
        if let (Some(video), Some(other)) = (video, those.iter().find(same)) {
            bail!(
                "--keypoints-video '{video}' would give '{}' and '{}' the same rows of '{}': segment one recording at a time, or give \
                 each its own track, with {{stem}} in the name of --keypoints",
                other.recording.display(),
                args.recording.display(),
                track.display()
            );
        }
        those.push(args);
    }
    for (track, those) in tracks.iter().filter(|(_, those)| those.len() > 1) {
        tracing::warn!(
            "'{}' is given as the track of {} recordings: is it of each of them? With {{stem}} in its name, each recording has its own",
            track.display(),
            those.len()
        );
    }
    Ok(())
}

/// Returns whether both are still images in one folder, as when the shell expands `frames/*.png`.
fn are_images_of_one_folder(a: &Path, b: &Path) -> bool {
    let is_image = |path: &Path| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        ["jpg", "jpeg", "png", "bmp"].iter().any(|known| ending == *known)
    };
    a.parent() == b.parent() && is_image(a) && is_image(b)
}

/// Returns the arguments for one recording.
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

/// Replaces a pattern in `--keypoints` by the track that it matches. A pattern that matches none or
/// several makes only this recording fail.
pub fn with_track(args: &SegmentArgs) -> Result<SegmentArgs> {
    let mut args = args.clone();
    if let Some(track) = &mut args.prompts.keypoints {
        *track = the_one(track)?;
    }
    Ok(args)
}

/// Replaces `{stem}`, `{name}` and `{folder}` in a template by those of the recording.
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
    let stem = stem(recording);
    let words = [("{stem}", &stem), ("{name}", &name), ("{folder}", &folder)];
    // One pass only: a recording whose own name contains such a placeholder keeps it.
    let (mut filled, mut rest) = (String::new(), template);
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        match words.iter().find(|(word, _)| rest.starts_with(word)) {
            Some((word, value)) => {
                filled.push_str(value);
                rest = &rest[word.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Returns the recording's name without folder and ending.
pub fn stem(recording: &Path) -> String {
    if let Some(stem) = pattern_stem(recording) {
        return stem;
    }
    // A folder of images has no ending, even if its name contains dots.
    let stem = if recording.is_dir() { recording.file_name() } else { recording.file_stem() };
    stem.unwrap_or("recording".as_ref()).to_string_lossy().into_owned()
}

/// Returns the common name of the images that match a pattern: `cam1` for `frames/cam1_*.png`, and
/// the folder's name for `frames/*.png`. Returns `None` for a path that is not a pattern.
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

/// Returns the recordings that a path stands for: itself or, with wildcards, all matches in the
/// order of their names. Still images in one folder are one recording, which keeps the path with
/// the wildcards.
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

/// Returns the single file that matches a path with wildcards.
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

/// Returns the images of a recording that is given as a pattern, or `None` if it is not such a
/// pattern.
pub fn images_of(recording: &Path) -> Option<Vec<PathBuf>> {
    let is_pattern = !recording.exists() && ImageFolder::is_pattern(recording);
    is_pattern.then(|| expanded(recording).unwrap_or_default())
}

fn expanded(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let matches = glob::glob(&text)
        .with_context(|| format!("'{text}' is not a valid pattern: use *, ?, [a-z] and **"))?;
    // Folders that cannot be read match nothing.
    let mut found: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
    found.sort();
    Ok(found)
}

impl SegmentArgs {
    /// Returns the files, or the folder, that the recording consists of, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        match images_of(&self.recording) {
            Some(images) => images,
            None => std::iter::once(&self.recording).chain(&self.frames.joined).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(line: &str) -> SegmentArgs {
        use clap::Parser;
        let line = format!("sam2 segment {line} --point 0:1,1 -o {{stem}}.btf");
        match crate::args::Cli::parse_from(line.split_whitespace()).command {
            crate::args::Command::Segment(args) => *args,
            _ => unreachable!("it is what was typed"),
        }
    }

    #[test]
    fn joined_files_are_one_recording_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for part in [1, 2, 10] {
            std::fs::write(path(&format!("msCam{part}.avi")), "").unwrap();
        }
        let one = each(&segment("--join b.avi a.avi c.avi")).unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].recording, Path::new("b.avi"));
        assert_eq!(one[0].frames.joined, ["a.avi", "c.avi"].map(PathBuf::from));
        assert_eq!(one[0].output[0].typed(), "b.btf");
        let pattern = path("msCam*.avi");
        let one = each(&segment(&format!("--join {}", pattern.display()))).unwrap();
        assert_eq!(one[0].recording, path("msCam1.avi"));
        assert_eq!(one[0].frames.joined, [path("msCam2.avi"), path("msCam10.avi")]);
        for chapter in ["GX010042.MP4", "GX020042.MP4", "GX010043.MP4"] {
            std::fs::write(path(chapter), "").unwrap();
        }
        let one = each(&segment(&format!("--join {}", path("GX*.MP4").display()))).unwrap();
        assert_eq!(one[0].recording, path("GX010042.MP4"));
        assert_eq!(one[0].frames.joined, [path("GX020042.MP4"), path("GX010043.MP4")]);
        assert!(each(&segment("--join a.avi")).unwrap_err().to_string().contains("--join"));
        assert_eq!(each(&segment("b.avi a.avi")).unwrap().len(), 2);
    }

    #[test]
    fn commands_that_take_one_recording_take_several_files_with_join() {
        let files = ["b.avi", "a.avi"].map(PathBuf::from);
        assert_eq!(one(&[], false).unwrap(), None);
        assert_eq!(one(&files[..1], false).unwrap(), Some(("b.avi".into(), vec![])));
        assert_eq!(one(&files, true).unwrap(), Some(("b.avi".into(), vec!["a.avi".into()])));
        assert!(one(&files, false).unwrap_err().to_string().contains("add --join"));
        assert!(one(&files[..1], true).unwrap_err().to_string().contains("only 'b.avi'"));
        let folder = tempfile::tempdir().unwrap();
        let pattern = [folder.path().join("GX*.MP4")];
        assert!(one(&pattern, false).unwrap_err().to_string().contains("nothing matches"));
        std::fs::write(folder.path().join("GX010042.MP4"), "").unwrap();
        let only = (folder.path().join("GX010042.MP4"), Vec::new());
        assert_eq!(one(&pattern, false).unwrap(), Some(only));
        std::fs::write(folder.path().join("GX020042.MP4"), "").unwrap();
        let error = one(&pattern, false).unwrap_err().to_string();
        assert!(error.contains("matches 2 recordings") && error.contains("--join"), "{error}");
    }

    #[test]
    fn placeholders_are_parts_of_the_recordings_name() {
        let fill = |template| filled_in(template, Path::new("day1/m.2.avi"));
        assert_eq!(fill("{folder}/{stem}DLC*.csv"), "day1/m.2DLC*.csv");
        assert_eq!(fill("out/{name}.btf"), "out/m.2.avi.btf");
        assert_eq!(filled_in("{folder}/{stem}", Path::new("a.avi")), "./a");
        let odd = Path::new("x/{folder}{name}.avi");
        assert_eq!(filled_in("{{stem}}-{stem}{", odd), "{{folder}{name}}-{folder}{name}{");
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
