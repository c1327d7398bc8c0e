//! The automatic mask generator: two cases against the official one, and unusual images and
//! options.

#![allow(missing_docs, clippy::unwrap_used)]

use std::ops::ControlFlow;

use sam2_engine::{
    AutomaticMaskError, AutomaticMaskGenerator, AutomaticMaskOptions, EngineError, MaskOutput,
    PointGrids, RgbFrame, Sam2,
};
use sam2_tests::fixture::Fixture;
use sam2_tests::{clips, parity_automatic, seeded};

/// Options that keep everything that the weak micro model finds with few points.
fn everything() -> AutomaticMaskOptions {
    AutomaticMaskOptions {
        point_grids: PointGrids::PerSide(3),
        points_per_batch: 4,
        pred_iou_thresh: 0.0,
        stability_score_thresh: 0.0,
        ..AutomaticMaskOptions::default()
    }
}

fn generator(model: &Sam2, options: AutomaticMaskOptions) -> AutomaticMaskGenerator {
    AutomaticMaskGenerator::new(model, options).unwrap()
}

#[test]
fn masks_are_the_official_ones() {
    let official = Fixture::open("micro_automatic");
    parity_automatic::compare(&clips::micro_model(), &official).finish();
}

#[test]
fn the_batch_does_not_matter_nor_does_the_form() {
    let (model, image) = (clips::micro_model(), seeded::odd_size_image());
    let expected = generator(&model, everything()).generate(&image).unwrap();
    assert!(expected.len() > 3, "{} masks", expected.len());
    let options =
        AutomaticMaskOptions { points_per_batch: 1, output: MaskOutput::CocoRle, ..everything() };
    let alone = generator(&model, options).generate(&image).unwrap();
    assert_eq!(alone.len(), expected.len());
    for (a, b) in alone.iter().zip(&expected) {
        assert_eq!(a.segmentation.output(), MaskOutput::CocoRle);
        assert!(a.segmentation.to_mask().unwrap().iou(&b.segmentation.to_mask().unwrap()) >= 0.999);
        assert_eq!(a.point_coords, b.point_coords);
    }
}

#[test]
fn an_image_of_one_pixel_works() {
    let model = clips::micro_model();
    let image = RgbFrame::new(1, 1, vec![200, 100, 50]).unwrap();
    let options = AutomaticMaskOptions { crop_n_layers: 2, use_m2m: true, ..everything() };
    let records = generator(&model, options).generate(&image).unwrap();
    assert!(!records.is_empty());
    for record in records {
        assert!(record.area <= 1);
        assert_eq!((record.bbox, record.crop_box), ([0, 0, 0, 0], [0, 0, 1, 1]));
    }
}

#[test]
fn nothing_good_enough_is_an_empty_list() {
    let (model, image) = (clips::micro_model(), seeded::odd_size_image());
    let options = AutomaticMaskOptions { pred_iou_thresh: 1.0, crop_n_layers: 1, ..everything() };
    assert_eq!(generator(&model, options).generate(&image).unwrap(), []);
    let options =
        AutomaticMaskOptions { stability_score_thresh: 1.1, use_m2m: true, ..everything() };
    assert_eq!(generator(&model, options).generate(&image).unwrap(), []);
}

#[test]
fn no_points_are_refused() {
    let model = clips::micro_model();
    let options = AutomaticMaskOptions {
        point_grids: PointGrids::Explicit(vec![vec![[0.5, 0.5]]]),
        crop_n_layers: 1,
        ..everything()
    };
    let error = AutomaticMaskGenerator::new(&model, options).unwrap_err();
    let EngineError::AutomaticMasks(error) = error else { panic!("{error}") };
    assert_eq!(error, AutomaticMaskError::NoPoints { layer: 1 });
}

#[test]
fn progress_counts_points_and_can_stop() {
    let (model, image) = (clips::micro_model(), seeded::odd_size_image());
    let options = AutomaticMaskOptions {
        crop_n_layers: 1,
        crop_n_points_downscale_factor: 3,
        ..everything()
    };
    let generator = generator(&model, options);
    let mut seen = Vec::new();
    let observed = generator.generate_observed(&image, |progress| {
        assert_eq!((progress.crops, progress.points), (5, 13));
        seen.push((progress.crop, progress.points_done));
        ControlFlow::Continue(())
    });
    observed.unwrap();
    let expected = [(0, 0), (0, 4), (0, 8), (1, 9), (2, 10), (3, 11), (4, 12), (4, 13)];
    assert_eq!(seen, expected);
    let stopped = generator.generate_observed(&image, |progress| {
        if progress.points_done < 8 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(stopped.unwrap_err().to_string(), "stopped after 8 of 13 points");
}
