//! Plays `tests/parity/scenarios/automatic.json` with the automatic mask generator and compares the
//! results with the official ones.

use sam2_engine::{
    AutomaticMaskGenerator, AutomaticMaskOptions, CocoRle, FrameSource, Mask, MaskOutput,
    MaskRecord, PointGrids, RgbFrame, Sam2, Segmentation,
};
use serde::Deserialize;

use crate::compare::Report;
use crate::fixture::Fixture;
use crate::{clips, seeded};

/// Bar for predicted IoU and the stability score, relative.
const RELATIVE: f64 = 1e-4;
/// Bar for masks.
const MASK_IOU: f64 = 0.999;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    image: ImageChoice,
    options: Options,
}

/// A frame of a clip.
#[derive(Debug, Deserialize)]
struct ImageChoice {
    source: String,
    frame: usize,
}

/// The arguments of the official generator that cases use.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    points_per_side: Option<u32>,
    point_grids: Option<Vec<Vec<[f64; 2]>>>,
    points_per_batch: Option<usize>,
    pred_iou_thresh: Option<f64>,
    stability_score_thresh: Option<f64>,
    stability_score_offset: Option<f64>,
    mask_threshold: Option<f64>,
    box_nms_thresh: Option<f64>,
    crop_n_layers: Option<u32>,
    crop_nms_thresh: Option<f64>,
    crop_overlap_ratio: Option<f64>,
    crop_n_points_downscale_factor: Option<u32>,
    min_mask_region_area: Option<u32>,
    output_mode: Option<String>,
    use_m2m: Option<bool>,
    multimask_output: Option<bool>,
}

impl Options {
    fn ours(self) -> AutomaticMaskOptions {
        let d = AutomaticMaskOptions::default();
        let per_side = self.points_per_side.map(PointGrids::PerSide);
        let output = match self.output_mode.as_deref() {
            None | Some("binary_mask") => MaskOutput::Mask,
            Some("uncompressed_rle") => MaskOutput::UncompressedRle,
            Some(other) => panic!("no such output: {other}"),
        };
        AutomaticMaskOptions {
            point_grids: self.point_grids.map(PointGrids::Explicit).or(per_side).unwrap(),
            points_per_batch: self.points_per_batch.unwrap_or(d.points_per_batch),
            pred_iou_thresh: self.pred_iou_thresh.unwrap_or(d.pred_iou_thresh),
            stability_score_thresh: self.stability_score_thresh.unwrap_or(d.stability_score_thresh),
            stability_score_offset: self.stability_score_offset.unwrap_or(d.stability_score_offset),
            mask_threshold: self.mask_threshold.unwrap_or(d.mask_threshold),
            box_nms_thresh: self.box_nms_thresh.unwrap_or(d.box_nms_thresh),
            crop_n_layers: self.crop_n_layers.unwrap_or(d.crop_n_layers),
            crop_nms_thresh: self.crop_nms_thresh.unwrap_or(d.crop_nms_thresh),
            crop_overlap_ratio: self.crop_overlap_ratio.unwrap_or(d.crop_overlap_ratio),
            crop_n_points_downscale_factor: self
                .crop_n_points_downscale_factor
                .unwrap_or(d.crop_n_points_downscale_factor),
            min_mask_region_area: self.min_mask_region_area.unwrap_or(d.min_mask_region_area),
            output,
            use_m2m: self.use_m2m.unwrap_or(d.use_m2m),
            multimask_output: self.multimask_output.unwrap_or(d.multimask_output),
        }
    }
}

impl ImageChoice {
    fn frame(&self) -> RgbFrame {
        match self.source.as_str() {
            "odd-size" => seeded::odd_size_image(),
            name => (*clips::frames(name).frame(self.frame).unwrap()).clone(),
        }
    }
}

/// Compares every case of an official run.
///
/// # Panics
/// If the file was not written by `scenario_automatic.py`.
pub fn compare(model: &Sam2, official: &Fixture) -> Report {
    let cases: Vec<Case> = serde_json::from_str(official.meta("scenario")).unwrap();
    let mut report = Report::default();
    for (index, case) in cases.into_iter().enumerate() {
        let image = case.image.frame();
        let generator = AutomaticMaskGenerator::new(model, case.options.ours()).unwrap();
        let records = generator.generate(&image).unwrap();
        check(&mut report, official, &format!("case{index}"), &case.name, &records);
    }
    report.note(near_ties(official));
    report
}

/// Returns the near-ties that the official run has recorded.
fn near_ties(official: &Fixture) -> String {
    let keys = [
        ("min_iou_margin", "predicted IoU and its threshold"),
        ("min_score_margin", "stability score and its threshold"),
        ("min_box_margin", "box IoU and its threshold"),
        ("min_order_gap", "neighbours in order"),
        ("min_winner_gap", "two of a box"),
        ("min_stability_margin", "stability of a single mask"),
    ];
    let calls = keys.iter().filter_map(|(key, name)| {
        let margin: f64 = official.find_meta(key)?.parse().ok()?;
        let place = official.find_meta(&format!("{key}.at"))?.trim_matches('"');
        Some(format!("{name} {margin:.1e} ({place})"))
    });
    format!("Near-ties: {}", calls.collect::<Vec<_>>().join("; "))
}

/// The official masks: bits, or COCO's runs, concatenated for all masks.
enum OfficialMask {
    Bits(Mask),
    Runs(CocoRle),
}

impl OfficialMask {
    fn all(official: &Fixture, prefix: &str, records: &[MaskRecord]) -> Vec<Self> {
        let Some(first) = records.first() else { return Vec::new() };
        let size = first.segmentation.to_mask().unwrap();
        let (width, height) = (size.width(), size.height());
        if first.segmentation.output() == MaskOutput::Mask {
            let name = format!("{prefix}.masks");
            let mask = |index| Self::Bits(official.packed_mask(&name, index, width, height));
            return (0..records.len()).map(mask).collect();
        }
        let mut masks = Vec::new();
        let mut counts = Vec::new();
        for count in official.indices(&format!("{prefix}.counts")) {
            counts.push(count as u32);
            if counts.iter().sum::<u32>() == width * height {
                let runs = std::mem::take(&mut counts);
                masks.push(Self::Runs(CocoRle::from_counts(width, height, runs).unwrap()));
            }
        }
        masks
    }

    fn mask(&self) -> Mask {
        match self {
            Self::Bits(mask) => mask.clone(),
            Self::Runs(runs) => runs.to_mask(),
        }
    }

    /// Compares the runs of equal masks, which must be equal. For masks that differ in a pixel,
    /// their IoU is the measure.
    fn compare_runs(&self, report: &mut Report, ours: &Segmentation) {
        if let (Self::Runs(theirs), Segmentation::UncompressedRle(ours)) = (self, ours) {
            let numbers = |runs: &CocoRle| -> Vec<f32> {
                runs.counts().iter().map(|&count| count as f32).collect()
            };
            report.absolute("COCO's runs", &numbers(ours), &numbers(theirs), 0.0);
        }
    }
}

/// Compares records in order: a different order or number counts as a miss.
fn check(
    report: &mut Report,
    official: &Fixture,
    prefix: &str,
    case: &str,
    records: &[MaskRecord],
) {
    let theirs = |name: &str| official.values(&format!("{prefix}.{name}"));
    let ious = theirs("predicted_iou");
    report.absolute("number of masks", &[records.len() as f32], &[ious.len() as f32], 0.0);
    report.note(format!("{case}: {} masks, {} official", records.len(), ious.len()));
    if records.len() != ious.len() {
        return;
    }
    let their_masks = OfficialMask::all(official, prefix, records);
    assert_eq!(their_masks.len(), records.len(), "{case}: masks of the official run");
    let (mut same, mut near_ties) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        let mask = record.segmentation.to_mask().unwrap();
        let their_mask = their_masks[index].mask();
        let equal = mask == their_mask;
        same += usize::from(equal);
        report.absolute(
            "1 - mask IoU",
            &[(1.0 - mask.iou(&their_mask)) as f32],
            &[0.0],
            1.0 - MASK_IOU,
        );
        // Equal masks must have equal boxes and areas. Otherwise these differ as much as the masks
        // do, which the IoU limits.
        report.absolute("area: of the mask", &[record.area as f32], &[mask.area() as f32], 0.0);
        if equal {
            let bbox = record.bbox.map(|edge| edge as f32);
            report.absolute("box", &bbox, &theirs("bbox")[4 * index..4 * index + 4], 0.0);
            report.absolute("area", &[record.area as f32], &theirs("area")[index..=index], 0.0);
            their_masks[index].compare_runs(report, &record.segmentation);
        }
        let point = theirs("point_coords");
        report.absolute("point", &record.point_coords, &point[2 * index..2 * index + 2], 0.0);
        let crop = record.crop_box.map(|edge| edge as f32);
        report.absolute("crop box", &crop, &theirs("crop_box")[4 * index..4 * index + 4], 0.0);
        // Each value relative to itself, not to the largest one.
        let relative = |ours: f32, theirs: f32| (ours - theirs) / theirs;
        let iou = relative(record.predicted_iou, ious[index]);
        report.absolute("predicted IoU, relative", &[iou], &[0.0], RELATIVE);
        // The stability score is a ratio of two pixel counts and moves in steps. Where logits lie
        // within rounding error of a shifted threshold, the official run has recorded the range of
        // scores that these pixels allow. Everywhere else both bounds equal its score.
        let (lowest, highest) =
            (theirs("stability_lowest")[index], theirs("stability_highest")[index]);
        near_ties += usize::from(lowest < highest);
        let stability = record.stability_score;
        let outside = relative(stability, stability.clamp(lowest, highest));
        report.absolute("stability score, relative", &[outside], &[0.0], RELATIVE);
    }
    report.note(format!("{case}: {same} masks are equal to the pixel; {near_ties} with a pixel within rounding of a threshold of their stability score"));
}
