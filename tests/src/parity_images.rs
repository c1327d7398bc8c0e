//! Plays `tests/parity/scenarios/image.json` with the image predictor and compares the results with
//! the official ones.

use std::collections::HashMap;
use std::path::Path;

use sam2_engine::{
    BoxPrompt, EncodedImage, FrameSource, ImageMask, ImagePredictor, ImagePrompt, Point, RgbFrame,
    Sam2,
};
use sam2_model::PointLabel;
use serde::Deserialize;

use crate::compare::Report;
use crate::fixture::{Fixture, to_values};
use crate::{clips, repository_file, seeded};

/// Bar for logits, absolute.
const LOGITS: f64 = 1e-3;
/// Bar for predicted IoU, relative.
const RELATIVE: f64 = 1e-4;
/// Bar for masks.
const MASK_IOU: f64 = 0.999;

/// One case: one image, or several in a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    image: Option<ImageChoice>,
    #[serde(default)]
    points: Vec<[f32; 3]>,
    #[serde(rename = "box")]
    bounds: Option<[f32; 4]>,
    #[serde(default)]
    boxes: Vec<[f32; 4]>,
    mask_input: Option<MaskInput>,
    #[serde(default)]
    multimask: bool,
    #[serde(default)]
    return_logits: bool,
    #[serde(default)]
    batch: Vec<BatchItem>,
}

/// One image of a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    image: ImageChoice,
    #[serde(default)]
    points: Vec<[f32; 3]>,
    #[serde(rename = "box")]
    bounds: Option<[f32; 4]>,
    #[serde(default)]
    boxes: Vec<[f32; 4]>,
}

/// A frame of a clip.
#[derive(Clone, Debug, Deserialize)]
struct ImageChoice {
    source: String,
    frame: usize,
}

/// The low-resolution logits of an earlier case.
#[derive(Clone, Debug, Deserialize)]
struct MaskInput {
    case: String,
    mask: usize,
}

impl ImageChoice {
    fn frame(&self) -> RgbFrame {
        match self.source.as_str() {
            "odd-size" => seeded::odd_size_image(),
            name => (*clips::frames(name).frame(self.frame).unwrap()).clone(),
        }
    }
}

/// Compares every case.
///
/// # Panics
/// If files are missing.
pub fn compare(model: &Sam2, out: &Path) -> Report {
    let official = Fixture::read(&out.join("image.safetensors"));
    let text = std::fs::read(repository_file("tests/parity/scenarios/image.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&text).unwrap();
    let predictor = ImagePredictor::new(model);
    let mut report = Report::default();
    let mut encoded: HashMap<String, EncodedImage> = HashMap::new();
    let mut encode = |image: &ImageChoice, report: &mut Report| -> EncodedImage {
        let key = format!("image.{}.{}", image.source, image.frame);
        let fresh = || {
            let frame = image.frame();
            let input = official.sampled(&format!("{key}.input"));
            report.sampled("input", predictor.input(&frame), &input, 1e-5, false);
            predictor.encode(&frame).unwrap()
        };
        encoded.entry(key.clone()).or_insert_with(fresh).clone()
    };
    for (index, case) in cases.iter().enumerate() {
        let items = items(case);
        for (position, (image, prompt)) in items.iter().enumerate() {
            let image = encode(image, &mut report);
            let prefix = if case.batch.is_empty() {
                format!("case{index}")
            } else {
                format!("case{index}.{position}")
            };
            let mask_logits = case.mask_input.as_ref().map(|input| {
                let from = cases.iter().position(|c| c.name == input.case).unwrap();
                let name = format!("case{from}.low_res_logits");
                let low = model.config().low_res_mask_size();
                let values = official.row(&name, input.mask, low * low);
                crate::fixture::to_tensor(&values, [1, 1, low, low])
            });
            for (row, bounds) in prompt.bounds.iter().enumerate() {
                let prompt = ImagePrompt {
                    points: prompt.points.clone(),
                    bounds: *bounds,
                    mask_logits: mask_logits.clone(),
                    candidates: case.multimask,
                };
                let answer = predictor.predict(&image, &prompt).unwrap();
                check(&mut report, &official, &prefix, row, &answer, case.return_logits);
            }
        }
    }
    report
}

/// Prompts of one image: the same points combined with each of its boxes.
struct Prompts {
    points: Vec<Point>,
    bounds: Vec<Option<BoxPrompt>>,
}

fn items(case: &Case) -> Vec<(ImageChoice, Prompts)> {
    let prompts = |points: &[[f32; 3]], one: Option<[f32; 4]>, several: &[[f32; 4]]| Prompts {
        points: points.iter().map(point).collect(),
        bounds: if several.is_empty() {
            vec![one.map(bounds)]
        } else {
            several.iter().map(|&b| Some(bounds(b))).collect()
        },
    };
    match &case.image {
        Some(image) => vec![(image.clone(), prompts(&case.points, case.bounds, &case.boxes))],
        None => case
            .batch
            .iter()
            .map(|item| (item.image.clone(), prompts(&item.points, item.bounds, &item.boxes)))
            .collect(),
    }
}

fn check(
    report: &mut Report,
    official: &Fixture,
    prefix: &str,
    row: usize,
    answer: &[ImageMask],
    logits: bool,
) {
    let count = answer.len();
    for (index, mask) in answer.iter().enumerate() {
        let at = row * count + index;
        let low_res = to_values(mask.low_res_logits.clone());
        let theirs = official.row(&format!("{prefix}.low_res_logits"), at, low_res.len());
        report.absolute("low-resolution logits", &low_res, &theirs, LOGITS);
        let iou = official.row(&format!("{prefix}.ious"), at, 1);
        report.relative("IoU", &[mask.predicted_iou], &iou, RELATIVE);
        let name = format!("{prefix}.masks");
        if logits {
            let ours = to_values(mask.logits.clone());
            let theirs = official.row(&name, at, ours.len());
            report.absolute("logits at image size", &ours, &theirs, LOGITS);
        } else {
            let (width, height) = (mask.mask.width(), mask.mask.height());
            let theirs = official.packed_mask(&name, at, width, height);
            let off = (1.0 - mask.mask.iou(&theirs)) as f32;
            report.absolute("1 - mask IoU", &[off], &[0.0], 1.0 - MASK_IOU);
        }
    }
}

fn point([x, y, label]: &[f32; 3]) -> Point {
    let label = if *label > 0.5 { PointLabel::Positive } else { PointLabel::Negative };
    Point { x: *x, y: *y, label }
}

fn bounds([x0, y0, x1, y1]: [f32; 4]) -> BoxPrompt {
    BoxPrompt { x0, y0, x1, y1 }
}
