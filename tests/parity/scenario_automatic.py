"""Runs the cases of `scenarios/automatic.json` with the official automatic mask generator and the micro model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from sam2 import automatic_mask_generator
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from torchvision.ops import box_iou

from common import Fixture, pack_mask
from connected_components import hole_filling
from official import build_micro_image_model, tap
from scenario_images import FEATURE_SIZES, STABILITY_THRESHOLD
from scenarios import AUTOMATIC, load_image

CASE_FIELDS = {"name", "image", "options"}
# Logits of two implementations differ by rounding, by about 1e-5. A pixel nearer than this to a threshold of the stability score may lie on either side.
NEAR = 2e-5


def make(assets: Path, only: tuple[str, ...] = ()) -> Fixture:
    """Runs the cases named in `only`, or all if it is empty."""
    cases = json.loads(AUTOMATIC.read_text(encoding="utf-8"))
    cases = [case for case in cases if not only or case["name"] in only]
    fixture = Fixture("micro model, SAM2AutomaticMaskGenerator")
    model = build_micro_image_model(assets)
    close = CloseCalls()
    for i, case in enumerate(cases):
        if unknown := case.keys() - CASE_FIELDS:
            raise ValueError(f"{case} has unknown fields {sorted(unknown)}")
        options = dict(case["options"])
        if "point_grids" in options:
            options["points_per_side"] = None
            options["point_grids"] = [np.array(grid, dtype=np.float64) for grid in options["point_grids"]]
        generator = SAM2AutomaticMaskGenerator(model, **options)
        generator.predictor._bb_feat_sizes = FEATURE_SIZES
        area = generator.min_mask_region_area
        with ExitStack() as stack:
            if area:
                stack.enter_context(hole_filling(area))
            stack.enter_context(close.watching(f"case{i} ({case['name']})", generator))
            close.stability_bounds.clear()
            records = generator.generate(load_image(assets, **case["image"]))
        _add(fixture, f"case{i}", records)
        bounds = np.array([close.stability_bounds[record["stability_score"]] for record in records], dtype=np.float32)
        fixture.add(f"case{i}.stability_lowest", bounds[:, 0], full=True)
        fixture.add(f"case{i}.stability_highest", bounds[:, 1], full=True)
    fixture.note("scenario", cases)
    for key, (value, place) in close.smallest.items():
        fixture.note(key, value)
        fixture.note(f"{key}.at", place)
    return fixture


def _add(fixture: Fixture, name: str, records: list[dict[str, Any]]) -> None:
    masks = [record["segmentation"] for record in records]
    if isinstance(masks[0], dict):
        counts = [count for mask in masks for count in mask["counts"]]
        fixture.add(f"{name}.counts", np.array(counts, dtype=np.int64), full=True)
    else:
        fixture.add(f"{name}.masks", np.array([pack_mask(mask) for mask in masks], dtype=np.uint8), full=True)
    for key in ("bbox", "area", "crop_box"):
        fixture.add(f"{name}.{key}", np.array([record[key] for record in records]).astype(np.int64), full=True)
    points = [record["point_coords"][0] for record in records]
    fixture.add(f"{name}.point_coords", np.array(points, dtype=np.float32), full=True)
    for key in ("predicted_iou", "stability_score"):
        fixture.add(f"{name}.{key}", np.array([record[key] for record in records], dtype=np.float32), full=True)


def stability_bounds(logits: torch.Tensor, mask_threshold: float, offset: float) -> Iterator[tuple[float, float]]:
    """Returns the smallest and largest stability score of each mask if pixels near a shifted threshold fall on the other side."""
    counts = []
    for threshold in (mask_threshold + offset, mask_threshold - offset):
        surely = (logits > threshold + NEAR).sum((-1, -2))
        possibly = (logits > threshold - NEAR).sum((-1, -2))
        counts.append((surely.tolist(), possibly.tolist()))
    (raised_least, raised_most), (lowered_least, lowered_most) = counts
    for low, high, less, more in zip(raised_least, raised_most, lowered_least, lowered_most, strict=True):
        yield low / more if more else np.nan, high / less if less else np.nan


class CloseCalls:
    """Records how near the run came to different results: to each threshold, and to another order."""

    def __init__(self) -> None:
        self.smallest: dict[str, tuple[float, str]] = {}
        # By the official score. For two masks with the same score, the wider bounds, because a record does not say which mask it is.
        self.stability_bounds: dict[float, tuple[float, float]] = {}

    @contextmanager
    def watching(self, where: str, generator: SAM2AutomaticMaskGenerator) -> Iterator[None]:
        score, nms = automatic_mask_generator.calculate_stability_score, automatic_mask_generator.batched_nms

        def note(key: str, distances: torch.Tensor) -> None:
            distances = distances[~distances.isnan()]
            if distances.numel() and float(distances.min()) < self.smallest.get(key, (np.inf,))[0]:
                self.smallest[key] = float(distances.min()), where

        def scored(*arguments: Any) -> torch.Tensor:
            result = score(*arguments)
            note("min_score_margin", (result - generator.stability_score_thresh).abs())
            for value, (low, high) in zip(result.tolist(), stability_bounds(*arguments), strict=True):
                lowest, highest = self.stability_bounds.get(value, (low, high))
                self.stability_bounds[value] = min(low, lowest), max(high, highest)
            return result

        def chosen(boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor, iou_threshold: float) -> torch.Tensor:
            kept = nms(boxes, scores, classes, iou_threshold=iou_threshold)
            between_crops = bool((scores < 1e-3).all())  # these are one over an area, the same for every mask of a crop
            if not between_crops:
                note("min_order_gap", scores[kept].diff().abs())
                # If a box was dropped for a better one, a small change could have dropped the other.
                better = scores[kept][:, None] - scores[None, :]
                overlap = box_iou(boxes[kept], boxes) > iou_threshold
                note("min_winner_gap", better[overlap & (better > 0)])
            note("min_box_margin", (box_iou(boxes[kept], boxes) - iou_threshold).abs().flatten())
            return kept

        def predicted(_: dict[str, Any], result: tuple[torch.Tensor, ...]) -> None:
            if not generator.use_m2m or result[1].shape[1] == 1:
                note("min_iou_margin", (result[1] - generator.pred_iou_thresh).abs())

        def decoded(_: dict[str, Any], result: tuple[torch.Tensor, ...]) -> None:
            if not generator.multimask_output or generator.use_m2m:
                stability = generator.predictor.model.sam_mask_decoder._get_stability_scores(result[0][:, :1])
                note("min_stability_margin", (stability - STABILITY_THRESHOLD).abs())

        decoder = generator.predictor.model.sam_mask_decoder
        tap(generator.predictor, "_predict", predicted)
        tap(decoder, "predict_masks", decoded)
        try:
            with (
                patch.object(automatic_mask_generator, "calculate_stability_score", scored),
                patch.object(automatic_mask_generator, "batched_nms", chosen),
            ):
                yield
        finally:
            del decoder.predict_masks
