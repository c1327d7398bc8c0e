//! The options that the user gave, under their names on the command line. They are stored in run
//! files and shown on pages.
//!
//! Only options that affect the masks are stored, without folders. So a run that was interrupted,
//! or merged from parts, has the same page as one that was not.

use clap::ValueEnum;
use std::fmt::Display;
use std::path::Path;

use sam2_engine::Precision;
use sam2_frame_provider::resize::ResizeMode;
use sam2_frame_provider::{BadFrames, FramesMode, Intensity};
use sam2_jobs::Reprompt;
use sam2_mask_writer::RunHeader;

use crate::args::{BetweenArg, MemoryArg, PassesArg, SegmentArgs};

/// The options that affect the masks, and their labels on a page.
const WORDS: &[(&str, &str)] = &[
    ("--join", "Further files of the recording"),
    ("--keypoints", "Track"),
    ("--bodyparts", "Body parts"),
    ("--individual", "Individuals"),
    ("--keypoints-video", "Recording's name in the track"),
    ("--keypoints-first-frame", "Frame that is the track's first"),
    ("--keypoints-offset", "Added to the track's coordinates"),
    ("--downsample-factor", "Track's coordinates multiplied by"),
    ("--allow-row-mismatch", "Track of another length allowed"),
    ("--min-likelihood", "Least likelihood of a body part"),
    ("--prompt-frames", "Frames prompted by the track"),
    ("--negatives", "Negative points on the other animals"),
    ("--box-from-keypoints", "Box around the body parts, grown by"),
    ("--prompts", "Prompts from files"),
    ("--point", "Clicks"),
    ("--box", "Boxes"),
    ("--mask", "Masks as prompts"),
    ("--batch-size", "Frames per batch"),
    ("--carry-over", "Masks carried over from batch to batch"),
    ("--passes", "How frames are tracked from prompts"),
    ("--every", "Every how many frames one is computed"),
    ("--between", "Masks of the others"),
    ("--reprompt", "Flags where the track prompts again"),
    ("--reprompt-rounds", "How often, at most"),
    ("--model", "Model"),
    ("--config", "Model's configuration"),
    ("--precision", "Number format"),
    ("--fill-holes", "Holes filled up to"),
    ("--image-size", "Side of the model's input"),
    ("--roi", "Part of the picture"),
    ("--letterbox", "Proportions kept"),
    ("--memory", "Memory policy"),
    ("--temporal-stride", "Frames from one memory to the next"),
    ("--frames-mode", "Frames held as"),
    ("--on-bad-frame", "Frames that cannot be decoded"),
    ("--intensity", "Samples to 8 bits"),
    ("--resize", "Frames resized as by"),
    ("--axes", "Axes"),
    ("--stream", "Video stream"),
    ("--no-exif", "Images as stored, not as their cameras were held"),
    ("--frames", "Frames of the recording"),
];

/// Collects the options of a job that differ from the built-in defaults, in the order of [`WORDS`].
/// Switches have an empty value. `passes` is how frames are tracked, which may depend on the track.
pub fn options(args: &SegmentArgs, passes: PassesArg) -> Vec<(String, String)> {
    let (prompts, frames) = (&args.prompts, &args.frames);
    let selection = prompts.selection();
    let mut told = Told(Vec::new());
    told.files("--join", &frames.joined);
    told.files("--keypoints", &prompts.keypoints);
    told.all("--bodyparts", joined(&selection.bodyparts));
    told.all("--individual", joined(&selection.individuals));
    told.all("--keypoints-video", &prompts.keypoints_video);
    told.all("--keypoints-first-frame", prompts.keypoints_first_frame);
    told.all("--keypoints-offset", prompts.keypoints_offset.map(|[x, y]| format!("{x},{y}")));
    told.all("--downsample-factor", prompts.downsample_factor);
    told.switch("--allow-row-mismatch", prompts.allow_row_mismatch);
    told.all("--min-likelihood", prompts.min_likelihood);
    told.all("--prompt-frames", prompts.prompt_frames);
    told.switch("--negatives", prompts.negatives);
    told.all("--box-from-keypoints", prompts.box_from_keypoints);
    told.files("--prompts", &prompts.prompts);
    told.all("--point", &prompts.point);
    told.all("--box", &prompts.bounds);
    told.all("--mask", &prompts.mask);
    told.all("--batch-size", prompts.batch_size);
    told.switch("--carry-over", args.running.carry_over);
    let is_plain = args.running.passes.is_none() && passes == PassesArg::Own;
    told.all("--passes", typed(&passes).filter(|_| !is_plain));
    let running = &args.running;
    told.unless("--every", running.every.get(), 1);
    let between = typed(&running.between).filter(|_| running.every.get() > 1);
    told.all("--between", between.filter(|_| running.between != BetweenArg::default()));
    let flags: Vec<String> = args.running.reprompt.iter().filter_map(typed).collect();
    told.all("--reprompt", joined(&flags));
    told.unless("--reprompt-rounds", args.running.reprompt_rounds, Reprompt::ROUNDS);
    told.files("--model", &args.network.model);
    told.all("--config", args.network.config.as_deref().map(|config| name(Path::new(config))));
    told.unless("--precision", args.network.precision, Precision::Auto);
    told.unless("--fill-holes", args.fill_holes, 8);
    told.all("--image-size", args.network.image_size);
    told.all("--roi", args.roi);
    told.switch("--letterbox", args.letterbox);
    told.unless("--memory", args.memory, MemoryArg::default());
    told.unless("--temporal-stride", args.temporal_stride.get(), 1);
    // The other modes give the same masks.
    told.all("--frames-mode", Some(frames.frames_mode).filter(|mode| *mode == FramesMode::Jpeg));
    told.unless("--on-bad-frame", frames.on_bad_frame, BadFrames::Error);
    told.unless("--intensity", frames.intensity, Intensity::Auto);
    told.unless("--resize", frames.resize, ResizeMode::PillowBicubic);
    told.all("--axes", &frames.axes);
    told.all("--stream", frames.stream);
    told.switch("--no-exif", frames.no_exif);
    told.0
}

struct Told(Vec<(String, String)>);

impl Told {
    fn all<T: Display>(&mut self, option: &str, values: impl IntoIterator<Item = T>) {
        self.0.extend(values.into_iter().map(|value| (option.to_owned(), value.to_string())));
    }

    fn files<'a, P: AsRef<Path> + 'a>(
        &mut self,
        option: &str,
        files: impl IntoIterator<Item = &'a P>,
    ) {
        self.all(option, files.into_iter().map(|file| name(file.as_ref())));
    }

    fn unless<T: Display + PartialEq>(&mut self, option: &str, value: T, default: T) {
        self.all(option, Some(value).filter(|value| *value != default));
    }

    fn switch(&mut self, option: &str, on: bool) {
        self.all(option, on.then_some(""));
    }
}

/// Returns the word of a value that is one of a list.
fn typed(value: &impl ValueEnum) -> Option<String> {
    Some(value.to_possible_value()?.get_name().to_owned())
}

/// Joins a list to one value; returns `None` for an empty list.
fn joined(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(","))
}

/// Returns a file's name without its folder.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Returns the command line that makes the masks of a run, without folders and outputs. Empty if
/// the run file does not contain the options.
pub(super) fn command(header: &RunHeader) -> String {
    if header.options.is_empty() {
        return String::new();
    }
    let mut words = vec!["sam2".to_owned(), "segment".to_owned(), quoted(&header.recording)];
    // Further files follow the first one, and after them the switch, once.
    let (further, options): (Vec<_>, Vec<_>) =
        header.options.iter().partition(|(option, _)| option == "--join");
    words.extend(further.iter().map(|(_, file)| quoted(file)));
    words.extend((!further.is_empty()).then(|| "--join".to_owned()));
    for (option, value) in options {
        words.push(quoted(option));
        if !value.is_empty() {
            words.push(quoted(value));
        }
    }
    if header.frames != (0..header.frame_count) {
        words.extend(["--frames".to_owned(), range(header)]);
    }
    words.join(" ")
}

fn range(header: &RunHeader) -> String {
    format!("{}..{}", header.frames.start, header.frames.end)
}

/// Quotes a word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Returns the options of a run as a page lists them. Important options are listed with their
/// default even if they were not given.
pub(super) fn in_words(header: &RunHeader) -> Vec<(String, String)> {
    if header.options.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for &(option, words) in WORDS {
        let values: Vec<&str> = header
            .options
            .iter()
            .filter(|(given, _)| given == option)
            .map(|(_, value)| if value.is_empty() { "yes" } else { value })
            .collect();
        let from_track = header.options.iter().any(|(given, _)| given == "--keypoints");
        let (words, value) = match option {
            "--bodyparts" | "--individual" if !values.is_empty() => {
                (words, values.join(",").replace(',', ", "))
            }
            _ if !values.is_empty() => (words, values.join("; ")),
            "--bodyparts" if from_track => (words, "all of the track".to_owned()),
            "--model" => (words, "the built-in demonstration model".to_owned()),
            "--batch-size" => {
                ("Batches", header.settings.get("batches").cloned().unwrap_or_default())
            }
            "--frames" if header.frames != (0..header.frame_count) => (words, range(header)),
            _ => continue,
        };
        rows.push((format!("{words} ({option})"), value));
    }
    // Options of a later version.
    let known = |option: &str| WORDS.iter().any(|(known, _)| *known == option);
    rows.extend(header.options.iter().filter(|(option, _)| !known(option)).cloned());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::{CommandFactory, Parser};

    /// Options that change no mask, or that only say which job it is.
    const WITHOUT_EFFECT: &[&str] = &[
        "help",
        "version",
        "verbose",
        "quiet",
        "config-file",
        "log-format",
        "job",
        "output",
        "overwrite",
        "ids",
        "compression",
        "coco-polygons",
        "contact-sheet",
        "resume",
        "stats",
        "checkpoint-frames",
        // Masks of different kinds of devices differ in a few pixels, but a run may be resumed on
        // another one.
        "device",
        "objects-per-pass",
        "feature-cache",
        "threads",
        "dry-run",
        "cache-frames",
        "prefetch",
        "index-cache",
        // Allows a run to be resumed; the masks are those of the processors that computed them.
        "mixed-processors",
        // The run's frames say it already.
        "frames",
    ];

    fn told(line: &str) -> Vec<(String, String)> {
        let words = ["sam2", "segment"].into_iter().chain(line.split(' '));
        let Command::Segment(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("another command")
        };
        options(&args, args.running.passes_for(0, FramesMode::Lazy))
    }

    #[test]
    fn every_option_is_either_shown_or_without_effect() {
        let command = Cli::command();
        let segment = command.find_subcommand("segment").unwrap();
        for option in segment.get_arguments().filter_map(clap::Arg::get_long) {
            let shown = WORDS.iter().any(|(name, _)| name[2..] == *option);
            assert!(
                shown || WITHOUT_EFFECT.contains(&option),
                "--{option}: add it to `options` and WORDS, or to WITHOUT_EFFECT"
            );
        }
    }

    #[test]
    fn options_are_kept_without_folders_and_defaults() {
        let line = "day/a.avi --keypoints day/aDLC.csv --bodyparts snout --bodyparts tail,base --negatives --batch-size 20 \
                    --model models/large.pt --cache-frames 7 --fill-holes 8 --resize cv2-linear --point 3:1.5,2:2:- \
                    --box 0:1,2,30,40 --mask 5:masks/first.png:3 --resume --frames 0..20 -o out/a.btf";
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = [
            ("--keypoints", "aDLC.csv"),
            ("--bodyparts", "snout,tail,base"),
            ("--negatives", ""),
            ("--point", "3:1.5,2:2:-"),
            ("--box", "0:1,2,30,40:1"),
            ("--mask", "5:first.png:3"),
            ("--batch-size", "20"),
            ("--model", "large.pt"),
            ("--resize", "cv2-linear"),
        ];
        assert_eq!(told(&line), expected.map(|(option, value)| (option.into(), value.into())));
        // The same options, written differently.
        let again = line.replace("snout --bodyparts tail,base", "snout,tail base");
        assert_eq!(told(&again), told(&line));
    }

    #[test]
    fn the_command_line_comes_back_as_it_means() {
        let mut header = RunHeader::new("my mouse's.avi", (64, 48), 60);
        assert_eq!((command(&header), in_words(&header)), (String::new(), vec![]));
        header.options = told("x.avi --keypoints a.csv --negatives -o a.btf");
        header.settings.insert("batches".into(), "1 of up to 60 frames".into());
        assert_eq!(
            command(&header),
            r"sam2 segment 'my mouse'\''s.avi' --keypoints a.csv --negatives"
        );
        let rows = in_words(&header);
        for row in [
            ("Track (--keypoints)", "a.csv"),
            ("Body parts (--bodyparts)", "all of the track"),
            ("Negative points on the other animals (--negatives)", "yes"),
            ("Batches (--batch-size)", "1 of up to 60 frames"),
            ("Model (--model)", "the built-in demonstration model"),
        ] {
            assert!(rows.contains(&(row.0.into(), row.1.into())), "{row:?} in {rows:?}");
        }
        header.options.insert(0, ("--join".into(), "b c.avi".into()));
        assert_eq!(
            command(&header),
            r"sam2 segment 'my mouse'\''s.avi' 'b c.avi' --join --keypoints a.csv --negatives"
        );
        header.frames = 0..20;
        assert!(command(&header).ends_with(" --frames 0..20"));
    }
}
