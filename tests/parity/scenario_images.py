"""Runs the cases of `scenarios/image.json` with the official image predictor and the micro model."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sam2.sam2_image_predictor import SAM2ImagePredictor

from common import Fixture, pack_mask
from official import build_micro_image_model, tap
from scenarios import IMAGES, load_image

# The package hard-codes the sizes for 1024 x 1024.
FEATURE_SIZES = [(64, 64), (32, 32), (16, 16)]
STABILITY_THRESHOLD = 0.98
PROMPT_FIELDS = ("points", "box", "boxes", "mask_input")
CASE_FIELDS = {"name", "image", "batch", "multimask", "return_logits", *PROMPT_FIELDS}


def make(assets: Path) -> Fixture:
    text = IMAGES.read_text(encoding="utf-8")
    run = _Run(assets)
    for i, case in enumerate(json.loads(text)):
        run.case(f"case{i}", case)
    run.fixture.note("scenario", text)
    for key, smallest in run.smallest.items():
        run.fixture.note(key, smallest[0])
        run.fixture.note(f"{key}.at", smallest[1])
    return run.fixture


class _Run:
    def __init__(self, assets: Path) -> None:
        self.assets = assets
        self.fixture = Fixture("micro model, SAM2ImagePredictor")
        self.smallest: dict[str, tuple[float, str]] = {}
        self._predictor = SAM2ImagePredictor(build_micro_image_model(assets))
        self._predictor._bb_feat_sizes = FEATURE_SIZES
        self._low_res: dict[str, np.ndarray] = {}  # by case name: [prompts, masks, 64, 64]
        self._predicted: list[tuple[torch.Tensor, ...]] = []
        self._images: set[str] = set()
        tap(self._predictor.model.sam_mask_decoder, "predict_masks", lambda _, result: self._predicted.append(result))

    def case(self, name: str, case: dict[str, Any]) -> None:
        prompts = case.get("batch", [case])
        if unknown := set().union(case, *prompts) - CASE_FIELDS:
            raise ValueError(f"{case} has unknown fields {sorted(unknown)}")
        images = [load_image(self.assets, **prompt["image"]) for prompt in prompts]
        for prompt, image in zip(prompts, images):
            self._add_image(prompt["image"], image)
        arguments = [self._arguments(prompt) for prompt in prompts]
        options = {"multimask_output": case["multimask"], "return_logits": case.get("return_logits", False)}
        self._predicted.clear()
        self.fixture.note(f"{name}.json", case)
        if "batch" not in case:
            self._predictor.set_image(images[0])
            masks, ious, low_res = self._predictor.predict(**arguments[0], **options)
            self._low_res[case["name"]] = low_res.reshape(-1, *low_res.shape[-3:])
            self._add(name, case, masks, ious, low_res, self._predicted[0])
            return
        self._predictor.set_image_batch(images)
        batched = {f"{key}_batch": [a[key] for a in arguments] for key in arguments[0]}
        for key in [key for key, values in batched.items() if all(value is None for value in values)]:
            del batched[key]
        results = self._predictor.predict_batch(**batched, **options)
        for j, (masks, ious, low_res) in enumerate(zip(*results)):
            self._add(f"{name}.{j}", case, masks, ious, low_res, self._predicted[j])

    def _arguments(self, prompt: dict[str, Any]) -> dict[str, np.ndarray | None]:
        points = np.array(prompt["points"], dtype=np.float64) if "points" in prompt else None
        box = prompt.get("box", prompt.get("boxes"))
        mask = prompt.get("mask_input")
        return {
            "point_coords": None if points is None else points[:, :2],
            "point_labels": None if points is None else points[:, 2].astype(np.int32),
            "box": None if box is None else np.array(box, dtype=np.float64),
            "mask_input": None if mask is None else self._low_res[mask["case"]][0, mask["mask"]][None],
        }

    def _add(
        self,
        name: str,
        case: dict[str, Any],
        masks: np.ndarray,
        ious: np.ndarray,
        low_res: np.ndarray,
        predicted: tuple[torch.Tensor, ...],
    ) -> None:
        """Adds all results with the leading axes [prompts, masks]; the predictor drops the first axis if it is 1."""
        masks = masks.reshape(-1, *masks.shape[-3:])
        ious = ious.reshape(masks.shape[:2])
        if case.get("return_logits", False):
            self.fixture.add(f"{name}.masks", masks, full=True)
        else:
            packed = [[pack_mask(mask > 0) for mask in row] for row in masks]
            self.fixture.add(f"{name}.masks", np.array(packed, dtype=np.uint8), full=True)
        self.fixture.note(f"{name}.mask_size", masks.shape[-2:])
        self.fixture.add(f"{name}.ious", ious)
        self.fixture.add(f"{name}.low_res_logits", low_res.reshape(*masks.shape[:2], *low_res.shape[-2:]), full=True)
        self.fixture.add(f"{name}.decoder_ious", predicted[1])
        self.fixture.add(f"{name}.object_score", predicted[3])
        stability = self._predictor.model.sam_mask_decoder._get_stability_scores(predicted[0][:, :1])[:, 0]
        self.fixture.add(f"{name}.stability", torch.full_like(stability, -1) if case["multimask"] else stability)
        if not case["multimask"]:
            self._note_near_ties(f"{name} ({case['name']})", stability, predicted[1])

    def _note_near_ties(self, where: str, stability: torch.Tensor, ious: torch.Tensor) -> None:
        for score, row in zip(stability.tolist(), ious):
            self._note_smaller("min_stability_margin", abs(score - STABILITY_THRESHOLD), where)
            if score < STABILITY_THRESHOLD:
                best = row[1:].sort(descending=True).values
                self._note_smaller("min_iou_gap", float(best[0] - best[1]), where)

    def _note_smaller(self, key: str, value: float, where: str) -> None:
        if key not in self.smallest or value < self.smallest[key][0]:
            self.smallest[key] = value, where

    def _add_image(self, image: dict[str, Any], pixels: np.ndarray) -> None:
        key = f"image.{image['source']}.{image['frame']}"
        if key in self._images:
            return
        self._images.add(key)
        self.fixture.note(f"{key}.height", pixels.shape[0])
        self.fixture.note(f"{key}.width", pixels.shape[1])
        self.fixture.note(f"{key}.crc32", zlib.crc32(np.ascontiguousarray(pixels)))
        self.fixture.add(f"{key}.input", self._predictor._transforms(pixels))
