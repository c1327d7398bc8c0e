//! The Rust side of `make parity`. It plays every scenario that `tests/parity/run_official.py` has
//! played, teacher-forced and free-running, and writes `tests/parity/RESULTS.md`. The exit code is
//! 1 if any result misses its bar.
//!
//! `parity OUT [NAME ...]`

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sam2_engine::{
    BoxPrompt, Device, Direction, FrameMasks, FrameSource, ObjectId, ObjectMask, Outcome, Point,
    Sam2, Sam2Config, VideoSession,
};
use sam2_frame_provider::{MemoryFrames, RgbFrame};
use sam2_model::{MaskPrediction, MemoryFeatures, ModelVersion, PointLabel, Variant};
use sam2_tests::clips;
use sam2_tests::compare::Report;
use sam2_tests::fixture::{Fixture, to_tensor, to_values};
use sam2_tests::scenario::{Clip, ModelChoice, Op, Scenario, ellipse_mask};
use sam2_tests::seeded;
use sam2_tests::{parity_automatic, parity_images, parity_weights, repository_file};

/// Bar for logits, teacher-forced: absolute difference.
const LOGITS: f64 = 1e-3;
/// Bar for everything else, teacher-forced: difference relative to the range of the values.
const RELATIVE: f64 = 1e-4;
/// Bar for masks, free-running: IoU.
const MASK_IOU: f64 = 0.999;

/// Number of scenarios that are played at the same time.
const WORKERS: usize = 2;
/// First argument of a child process that plays one scenario and prints its report as JSON.
const ONE: &str = "--one";

/// Whether each of our results is replaced by the official one before the next step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Teacher,
    Free,
}

fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if_eq(ONE).is_some() {
        let (out, name) = (args.next().unwrap(), args.next().unwrap());
        let report = compare(&scenario(&name), Path::new(&out));
        println!("{}", serde_json::to_string(&report).unwrap());
        return std::process::ExitCode::SUCCESS;
    }
    let Some(out) = args.next().map(PathBuf::from) else {
        eprintln!("usage: parity OUT [NAME ...]");
        return std::process::ExitCode::from(2);
    };
    let only: Vec<String> = args.collect();
    let mut names: Vec<String> = std::fs::read_dir(repository_file("tests/parity/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["automatic", "image"].contains(&name.as_str()))
        .filter(|name| only.is_empty() || only.contains(name))
        .collect();
    names.sort();
    let known = |name: &&String| !["automatic", "image", "weights"].contains(&name.as_str());
    assert!(names.len() >= only.iter().filter(known).count(), "no such scenario");

    // The large models first, so that no worker is left with one at the end.
    names.sort_by_key(|name| if name.starts_with("large") { 0 } else { 1 });
    let mut outcomes = Vec::new();
    let whole = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    if whole("image") {
        outcomes.push(Played {
            name: "image".to_owned(),
            about:
                "the image predictor: points, boxes, masks, candidates, batches, logits in and out"
                    .to_owned(),
            report: parity_images::compare(&clips::micro_model(), &out),
        });
        outcomes[0].say();
    }
    if whole("automatic") {
        let official = Fixture::read(&out.join("automatic.safetensors"));
        let report = parity_automatic::compare(&clips::micro_model(), &official);
        outcomes.push(Played {
            name: "automatic".to_owned(),
            about: "the automatic mask generator: grids, crops, small regions, m2m, single masks"
                .to_owned(),
            report,
        });
        outcomes[outcomes.len() - 1].say();
    }
    if whole("weights") {
        outcomes.push(Played {
            name: "weights".to_owned(),
            about: "the same weights as Meta and as Hugging Face store them, and through f32, f16 and bf16".to_owned(),
            report: parity_weights::compare(&out),
        });
        outcomes[outcomes.len() - 1].say();
    }
    outcomes.extend(play_all(&names, &out));
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));

    let missed = outcomes.iter().filter(|played| played.missed() > 0).count();
    if only.is_empty() {
        write_results(&outcomes, missed);
    }
    println!("{} passed, {missed} failed", outcomes.len() - missed);
    if missed == 0 { std::process::ExitCode::SUCCESS } else { 1.into() }
}

/// Plays the scenarios in separate processes, two at a time with one thread each. Most of a
/// scenario keeps only one core busy, and threads within one process would wait for each other.
fn play_all(names: &[String], out: &Path) -> Vec<Played> {
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Vec::new());
    let program = std::env::current_exe().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let output = Command::new(&program)
                        .arg(ONE)
                        .arg(out)
                        .arg(name)
                        .env("RAYON_NUM_THREADS", "1")
                        .stderr(Stdio::inherit())
                        .output()
                        .unwrap();
                    assert!(output.status.success(), "{name}: {}", output.status);
                    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
                    let played_one =
                        Played { name: name.clone(), about: scenario(name).about, report };
                    print!("{:>4.0} s  ", started.elapsed().as_secs_f64());
                    played_one.say();
                    played.lock().unwrap().push(played_one);
                }
            });
        }
    });
    played.into_inner().unwrap()
}

fn scenario(name: &str) -> Scenario {
    Scenario::read(&repository_file(&format!("tests/parity/scenarios/{name}.json")))
}

/// The result of one scenario.
struct Played {
    name: String,
    about: String,
    report: Report,
}

impl Played {
    /// Returns the number of outputs that missed their bar.
    fn missed(&self) -> usize {
        self.report.rows().iter().filter(|row| !row.passes()).count()
    }

    fn say(&self) {
        if self.missed() == 0 {
            println!("{}: ok", self.name);
        } else {
            println!("{}: MISSED\n{}", self.name, self.report.table());
        }
    }

    /// Writes a section of the document.
    fn write(&self, document: &mut String) {
        let _ = writeln!(document, "\n### {}\n\n{}\n", self.name, self.about);
        document.push_str(
            "| output | values | max | mean | p99 | cosine | bar | |\n|---|---|---|---|---|---|---|---|\n",
        );
        for row in self.report.rows() {
            let mark = if row.passes() { "ok" } else { "**missed**" };
            let _ = writeln!(
                document,
                "| {} | {} | {:.1e} | {:.1e} | {:.1e} | {:.9} | {} | {mark} |",
                row.name,
                row.elements,
                row.max,
                row.mean(),
                row.p99(),
                row.cosine(),
                row.limit()
            );
        }
        for note in self.report.notes() {
            let _ = writeln!(document, "\n{note}");
        }
    }
}

fn write_results(outcomes: &[Played], missed: usize) {
    let mut text = format!(
        "# Parity with the official predictor\n\n\
         Written by `make parity`: `sam2` 1.1.0 on PyTorch against this engine, both in f32 on a CPU, same weights, same frames.\n\
         *Teacher-forced*: after each frame our results are replaced by the official ones, so that a figure is the error of one frame.\n\
         *Free*: each side goes its own way. max, mean and p99 are of |difference|; `rel` bars are relative to the output's range.\n\
         *Near-ties* are the official run's closest calls: distance of a stability score from 0.98, of the best two predicted IoUs from each\n\
         other, of an object score and of a pixel of a mask prompt from their thresholds. Beyond one, a correct port gives another mask.\n\n\
         {} of {} scenarios keep every bar.\n",
        outcomes.len() - missed,
        outcomes.len()
    );
    for played in outcomes {
        played.write(&mut text);
    }
    std::fs::write(repository_file("tests/parity/RESULTS.md"), text).unwrap();
}

fn compare(scenario: &Scenario, out: &Path) -> Report {
    let official = Fixture::read(&out.join(format!("{}.safetensors", scenario.name)));
    let model = build_model(scenario, out);
    let mut report = Report::default();
    for mode in [Mode::Teacher, Mode::Free] {
        Player::new(scenario, &official, &model, mode, &mut report).play();
    }
    report.note(near_ties(&official));
    report
}

/// Returns the near-ties that the official run has recorded.
fn near_ties(official: &Fixture) -> String {
    let mut text = "Near-ties:".to_owned();
    for (key, name) in [
        ("min_stability_margin", "stability"),
        ("min_iou_gap", "predicted IoU"),
        ("min_object_score", "object score"),
        ("min_mask_margin", "mask prompt"),
    ] {
        if let Some(margin) = official.find_meta(key).and_then(|text| text.parse::<f64>().ok()) {
            let place = official.find_meta(&format!("{key}.at")).unwrap_or("").trim_matches('"');
            let _ = write!(text, " {name} {margin:.1e} ({place});");
        }
    }
    text.trim_end_matches([';', ':']).to_owned()
}

/// Builds the model of a scenario. A seeded model is converted from the official checkpoint by our
/// converter, if the checkpoint was kept.
fn build_model(scenario: &Scenario, out: &Path) -> Sam2 {
    let model = match &scenario.model {
        ModelChoice::Micro { object_score_shift: 0.0 } => clips::micro_model(),
        ModelChoice::Micro { object_score_shift } => {
            clips::micro_model_shifted(*object_score_shift)
        }
        ModelChoice::Seeded { variant, version } => {
            let config = Sam2Config::new(*variant, *version);
            let checkpoint = out.join("checkpoints").join(official_file_name(*variant, *version));
            if checkpoint.exists() {
                converted(&checkpoint, &config)
            } else {
                seeded::seeded_model(config)
            }
        }
    };
    match scenario.options.image_size {
        Some(size) => model.with_image_size(size).unwrap(),
        None => model,
    }
}

/// Returns Meta's file name of a checkpoint.
fn official_file_name(variant: Variant, version: ModelVersion) -> String {
    let prefix = match version {
        ModelVersion::V2_0 => "sam2",
        ModelVersion::V2_1 => "sam2.1",
    };
    format!("{prefix}_hiera_{}.pt", variant.name().replace('-', "_"))
}

fn converted(checkpoint: &Path, config: &Sam2Config) -> Sam2 {
    use sam2_weights_convert::{StoredPrecision, convert};
    // A forward and a reverse scenario of the same checkpoint may be converting it at the same
    // time.
    static CONVERSIONS: AtomicUsize = AtomicUsize::new(0);
    let number = CONVERSIONS.fetch_add(1, Ordering::Relaxed);
    let output = checkpoint.with_extension(format!("{number}.safetensors"));
    let report = convert(checkpoint, &output, StoredPrecision::Keep, None, true).unwrap();
    assert_eq!(&report.config, config, "recognised as another model");
    let model = Sam2::load(&output, &Device::flex()).unwrap();
    std::fs::remove_file(output).unwrap();
    model
}

fn frames(clip: &Clip) -> MemoryFrames {
    let range = clip.start..clip.start + clip.count;
    let frames: Vec<RgbFrame> = match clip.source.as_str() {
        "synthetic" => range.map(|t| seeded::synthetic_frame(t as i64)).collect(),
        "leave-and-return" => range.map(|t| seeded::leave_and_return_frame(t as i64)).collect(),
        name => {
            let source = clips::frames(name);
            range.map(|index| (*source.frame(index).unwrap()).clone()).collect()
        }
    };
    MemoryFrames::new(frames).unwrap()
}

/// Plays a scenario and compares each result.
struct Player<'a> {
    scenario: &'a Scenario,
    mode: Mode,
    session: VideoSession<MemoryFrames>,
    check: Check<'a>,
}

/// The official results, and the report of the comparison.
struct Check<'a> {
    official: &'a Fixture,
    report: &'a mut Report,
    hidden_dim: usize,
    memory_dim: usize,
    low: usize,
}

impl<'a> Player<'a> {
    fn new(
        scenario: &'a Scenario,
        official: &'a Fixture,
        model: &'a Sam2,
        mode: Mode,
        report: &'a mut Report,
    ) -> Self {
        let frames = frames(&scenario.clip);
        let session =
            VideoSession::builder(model).options(scenario.options.session()).open(frames).unwrap();
        let config = model.config();
        let check = Check {
            official,
            report,
            hidden_dim: config.hidden_dim,
            memory_dim: config.memory_dim,
            low: config.low_res_mask_size(),
        };
        Self { scenario, mode, session, check }
    }

    fn play(&mut self) {
        for (index, op) in self.scenario.ops.iter().enumerate() {
            match op {
                Op::Points { frame, object, points, bounds, clear_old_points } => {
                    let points: Vec<Point> = points.iter().map(point).collect();
                    let bounds = bounds.map(|[x0, y0, x1, y1]| BoxPrompt { x0, y0, x1, y1 });
                    let object = ObjectId(*object);
                    let mask = self
                        .session
                        .add_points_or_box(*frame, object, &points, bounds, *clear_old_points)
                        .unwrap();
                    self.prompted(index, *frame, &mask);
                }
                Op::Mask { frame, object, ellipse } => {
                    let size = self.session.size();
                    let mask = ellipse_mask(*ellipse, size.width, size.height);
                    let mask = self.session.add_mask(*frame, ObjectId(*object), &mask).unwrap();
                    self.prompted(index, *frame, &mask);
                }
                Op::Propagate { reverse, start, max_frames } => {
                    let direction = if *reverse { Direction::Reverse } else { Direction::Forward };
                    self.propagate(index, direction, *start, *max_frames);
                }
                Op::ClearPrompts { frame, object } => {
                    self.session.clear_prompts(*frame, ObjectId(*object)).unwrap();
                }
                Op::RemoveObject { object } => {
                    self.session.remove_object(ObjectId(*object)).unwrap();
                }
                Op::Reset => self.session.reset(),
            }
        }
    }

    fn prompted(&mut self, op: usize, frame: usize, mask: &ObjectMask) {
        if self.mode == Mode::Teacher {
            let ours = self.session.pending_outcome(frame, mask.object).unwrap().clone();
            let official = self.check.prompt(op, mask, &ours);
            self.session.set_outcome(frame, mask.object, official).unwrap();
        }
    }

    fn propagate(
        &mut self,
        op: usize,
        direction: Direction,
        start: Option<usize>,
        limit: Option<usize>,
    ) {
        let Self { session, check, mode, .. } = self;
        let order = check.official.indices(&format!("op{op}.frame_index"));
        let ids: Vec<ObjectId> = check
            .official
            .indices(&format!("op{op}.object_ids"))
            .into_iter()
            .map(|id| ObjectId(id as u32))
            .collect();
        let mut seen = Vec::new();
        let mut worst = 1.0_f64;
        let mut run = session.propagate_from(start, direction, limit);
        while let Some(frame) = run.next() {
            let frame = frame.unwrap();
            let position = seen.len();
            seen.push(frame.frame_index);
            assert!(position < order.len(), "op {op}: more frames than the official run");
            worst = worst.min(check.masks(op, position, &frame, &ids));
            if *mode == Mode::Teacher {
                for index in 0..frame.objects.len() {
                    let object = frame.objects[index].object;
                    let bank = run.memory_bank(object).unwrap();
                    let conditioning = bank.conditioning(frame.frame_index);
                    let ours =
                        conditioning.or_else(|| bank.tracked(frame.frame_index)).unwrap().clone();
                    let row = position * ids.len() + index;
                    let official = check.frame(op, row, &frame.objects[index], &ours);
                    run.set_outcome(frame.frame_index, object, official).unwrap();
                }
            }
        }
        assert_eq!(seen, order, "op {op}: other frames than the official run");
        let name = match mode {
            Mode::Teacher => "teacher: 1 - mask IoU, worst frame",
            Mode::Free => "free: 1 - mask IoU, worst frame",
        };
        check.report.absolute(name, &[(1.0 - worst) as f32], &[0.0], 1.0 - MASK_IOU);
    }
}

impl Check<'_> {
    /// Compares the result of a prompt and returns the official one.
    fn prompt(&mut self, op: usize, mask: &ObjectMask, ours: &Outcome) -> Outcome {
        let official = |name: &str| self.official.values(&format!("op{op}.{name}"));
        let (low, hidden) = (self.low, self.hidden_dim);
        let (logits, score) = (official("low_res_logits"), official("object_score"));
        let (iou, pointer) = (official("iou"), official("obj_ptr"));
        let report = &mut *self.report;
        report.absolute("prompt: logits", &to_values(mask.low_res_logits.clone()), &logits, LOGITS);
        report.relative("prompt: object score", &[mask.object_score], &score, RELATIVE);
        report.relative("prompt: IoU", &[mask.predicted_iou], &iou, RELATIVE);
        let our_pointer = to_values(ours.prediction.object_pointer.clone());
        report.relative("prompt: pointer", &our_pointer, &pointer, RELATIVE);
        let prediction = MaskPrediction {
            low_res_logits: to_tensor(&logits, [1, 1, low, low]),
            iou: to_tensor(&iou, [1, 1]),
            object_score_logits: to_tensor(&score, [1, 1]),
            object_pointer: to_tensor(&pointer, [1, hidden]),
        };
        Outcome { prediction, memory: None }
    }

    /// Compares masks at video size and returns the lowest IoU.
    fn masks(&self, op: usize, position: usize, frame: &FrameMasks, ids: &[ObjectId]) -> f64 {
        let given: Vec<ObjectId> = frame.objects.iter().map(|o| o.object).collect();
        assert_eq!(given, ids);
        let name = format!("op{op}.masks_packed");
        let iou = |(index, object): (usize, &ObjectMask)| {
            let (width, height) = (object.mask.width(), object.mask.height());
            let row = position * ids.len() + index;
            object.mask.iou(&self.official.packed_mask(&name, row, width, height))
        };
        frame.objects.iter().enumerate().map(iou).fold(1.0, f64::min)
    }

    /// Compares all outputs of one object in one frame and returns the official outcome.
    fn frame(&mut self, op: usize, row: usize, object: &ObjectMask, ours: &Outcome) -> Outcome {
        let (low, hidden) = (self.low, self.hidden_dim);
        let places = (low / 4) * (low / 4);
        let official =
            |name: &str, length: usize| self.official.row(&format!("op{op}.{name}"), row, length);
        let logits = official("low_res_logits", low * low);
        let (score, iou) = (official("object_score", 1), official("iou", 1));
        let pointer = official("obj_ptr", hidden);
        let memory = official("memory", self.memory_dim * places);
        let memory = to_tensor(&memory, [1, self.memory_dim, places]).swap_dims(1, 2);
        let report = &mut *self.report;
        report.absolute("logits", &to_values(object.low_res_logits.clone()), &logits, LOGITS);
        report.relative("IoU", &[object.predicted_iou], &iou, RELATIVE);
        report.relative("object score", &[object.object_score], &score, RELATIVE);
        let our_pointer = to_values(ours.prediction.object_pointer.clone());
        report.relative("pointer", &our_pointer, &pointer, RELATIVE);
        if let Some(our_memory) = &ours.memory {
            let (ours, theirs) = (to_values(our_memory.0.clone()), to_values(memory.clone()));
            compare_memory(report, &ours, &theirs, object.prompted);
        }
        let prediction = MaskPrediction {
            low_res_logits: to_tensor(&logits, [1, 1, low, low]),
            iou: to_tensor(&iou, [1, 1]),
            object_score_logits: to_tensor(&score, [1, 1]),
            object_pointer: to_tensor(&pointer, [1, hidden]),
        };
        Outcome { prediction, memory: Some(MemoryFeatures(memory)) }
    }
}

/// Compares memories, which are stored in bfloat16: they agree exactly or, on the edge between two
/// numbers, differ by one step. On prompted frames the mask enters as a binary mask, so that one
/// logit near zero may change a few values by more. There the limit applies to the fraction of such
/// values.
fn compare_memory(report: &mut Report, ours: &[f32], theirs: &[f32], prompted: bool) {
    let step = |b: f32| b.abs() / 128.0 + 1e-4;
    let off: Vec<bool> = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() > step(*b)).collect();
    let share = off.iter().filter(|&&off| off).count() as f32 / ours.len() as f32;
    let limit = if prompted { 1e-3 } else { 0.0 };
    let name = if prompted {
        "memory (prompted): share beyond one bf16 step"
    } else {
        "memory: share beyond one bf16 step"
    };
    report.absolute(name, &[share], &[0.0], limit);
    let mean = |values: &[f32]| {
        values.iter().map(|v| f64::from(*v).abs()).sum::<f64>() / values.len() as f64
    };
    let difference: f64 =
        ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
            / ours.len() as f64;
    report.absolute(
        "memory: mean difference / mean magnitude",
        &[(difference / mean(theirs).max(1e-30)) as f32],
        &[0.0],
        RELATIVE,
    );
}

fn point([x, y, label]: &[f32; 3]) -> Point {
    let label = if *label > 0.5 { PointLabel::Positive } else { PointLabel::Negative };
    Point { x: *x, y: *y, label }
}
