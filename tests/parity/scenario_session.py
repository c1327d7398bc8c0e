"""Runs a scenario's operations with the official video predictor and stores every output."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from common import Fixture, pack_mask
from official import FrameOutput, Recorder, Session, TrackedFrame, promote_memory
from scenarios import Scenario, ellipse_mask

STABILITY_THRESHOLD = 0.98


class ScenarioRun:
    """One scenario in one session. After `run`, `fixture` holds everything."""

    def __init__(self, scenario: Scenario, predictor: Any, frames: list[np.ndarray]) -> None:
        self.scenario = scenario
        self.predictor = predictor
        promote_memory(predictor)
        self.recorder = Recorder(predictor)
        self.frames = frames
        self.fixture = Fixture(scenario.about)
        self._where: dict[int, str] = {}  # of every inference, by identity
        self._mask_margins: list[float] = []  # distances of resized mask prompts from their threshold
        self._fractions: list[float] = []  # fractions of the picture that the masks of propagation cover
        self._seconds = 0.0
        self._tracked = 0

    def run(self) -> None:
        self.session = Session(self.predictor, self.recorder, self.frames)
        runners: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "points": self._points,
            "mask": self._mask,
            "propagate": self._propagate,
            "clear_prompts": self._clear_prompts,
            "remove_object": self._remove_object,
            "reset": self._reset,
        }
        for k, op in enumerate(self.scenario.ops):
            runners[op["op"]](f"op{k}", op)
        self._note_video()
        self._note_near_ties()

    def _points(self, name: str, op: dict[str, Any]) -> None:
        points = np.array(op["points"] or [], dtype=np.float64).reshape(-1, 3)
        _, ids, logits = self.predictor.add_new_points_or_box(
            self.session.state,
            op["frame"],
            op["object"],
            points=points[:, :2],
            labels=points[:, 2].astype(np.int32),
            clear_old_points=op["clear_old_points"],
            box=op["box"],
        )
        self._add_prompt_output(name, op, ids, logits)

    def _mask(self, name: str, op: dict[str, Any]) -> None:
        mask = ellipse_mask(op["ellipse"], *self.frames[0].shape[:2])
        _, ids, logits = self.predictor.add_new_mask(self.session.state, op["frame"], op["object"], mask)
        size = (self.predictor.image_size,) * 2
        resized = torch.nn.functional.interpolate(
            torch.from_numpy(mask)[None, None].float(), size=size, mode="bilinear", align_corners=False, antialias=True
        )
        self._mask_margins.append(float((resized - 0.5).abs().min()))
        self._add_prompt_output(name, op, ids, logits)

    def _add_prompt_output(self, name: str, op: dict[str, Any], ids: list[int], logits: torch.Tensor) -> None:
        output = self.recorder.last
        self._where[id(output)] = f"{name}, frame {op['frame']}, object {op['object']}"
        self._add(f"{name}.low_res_logits", self.recorder.stored()[-1]["pred_masks"][0, 0])
        self._add(f"{name}.iou", torch.tensor([output.iou]))
        if not output.is_mask_prompt:
            self._add(f"{name}.decoder_ious", output.decoder_ious)
        self._add(f"{name}.object_score", torch.tensor([output.object_score]))
        self._add(f"{name}.obj_ptr", output.obj_ptr)
        self._add(f"{name}.multimask", torch.tensor([output.multimask]))
        self._add(f"{name}.stability", torch.tensor([output.stability]))
        self._add(f"{name}.chosen", torch.tensor([output.chosen]))
        self._add(f"{name}.memory_tokens", torch.tensor([_memory_tokens(output)]))
        self._add(f"{name}.pointer_tokens", torch.tensor([_pointer_tokens(output)]))
        self._add(f"{name}.object_ids", torch.tensor(ids))
        self._add(f"{name}.masks_packed", np.stack([pack_mask(mask) for mask in (logits[:, 0] > 0).numpy()]))

    def _propagate(self, name: str, op: dict[str, Any]) -> None:
        started = time.perf_counter()
        tracked = self.session.track(op["start"], op["max_frames"], op["reverse"])
        self._seconds += time.perf_counter() - started
        self._tracked += len(tracked)
        for frame in tracked:
            for object_id, output in zip(frame.object_ids, frame.outputs):
                self._where.setdefault(id(output), f"{name}, frame {frame.frame_idx}, object {object_id}")
        self._fractions += [float(mask.mean()) for frame in tracked for mask in frame.masks]
        self._add_tracked(name, tracked, list(self.session.state["obj_ids"]))

    def _add_tracked(self, name: str, tracked: list[TrackedFrame], ids: list[int]) -> None:
        model = self.predictor
        height, width = self.frames[0].shape[:2]
        low, grid = model.image_size // 4, model.image_size // 16
        self._add(f"{name}.frame_index", torch.tensor([frame.frame_idx for frame in tracked], dtype=torch.int64))
        self._add(f"{name}.object_ids", torch.tensor(ids))

        def add(key: str, rows: list[list[torch.Tensor]], *shape: int, dtype: torch.dtype = torch.float32) -> None:
            """Adds [frames, objects, ...]. If no frame was tracked, there is nothing to stack."""
            result = torch.empty(len(tracked), len(ids), *shape, dtype=dtype)
            for n, row in enumerate(rows):
                for m, value in enumerate(row):
                    assert value.dtype == dtype and value.shape == shape, f"{key}: {value.dtype} {value.shape}"
                    result[n, m] = value
            self._add(f"{name}.{key}", result)

        def outputs(value: Callable[[FrameOutput], Any], dtype: torch.dtype) -> list[list[torch.Tensor]]:
            return [[torch.as_tensor(value(o), dtype=dtype) for o in frame.outputs] for frame in tracked]

        def add_outputs(key: str, value: Callable[[FrameOutput], Any], *shape: int, dtype: torch.dtype = torch.float32):
            add(key, outputs(value, dtype), *shape, dtype=dtype)

        add("low_res_logits", [[s["pred_masks"][0, 0] for s in frame.stored] for frame in tracked], low, low)
        add_outputs("iou", lambda o: o.iou)
        add_outputs("decoder_ious", lambda o: -torch.ones(4) if o.is_mask_prompt else o.decoder_ious, 4)
        add_outputs("object_score", lambda o: o.object_score)
        add("obj_ptr", [[s["obj_ptr"][0] for s in frame.stored] for frame in tracked], model.hidden_dim)
        add("memory", [frame.memory for frame in tracked], model.mem_dim, grid, grid, dtype=torch.bfloat16)
        add_outputs("multimask", lambda o: o.multimask, dtype=torch.uint8)
        add_outputs("stability", lambda o: o.stability)
        add_outputs("chosen", lambda o: o.chosen, dtype=torch.int64)
        add_outputs("memory_tokens", _memory_tokens, dtype=torch.int64)
        add_outputs("pointer_tokens", _pointer_tokens, dtype=torch.int64)
        conditioning = [[torch.tensor(int(c), dtype=torch.uint8) for c in frame.conditioning] for frame in tracked]
        add("conditioning", conditioning, dtype=torch.uint8)
        packed = [[torch.from_numpy(pack_mask(mask)) for mask in frame.masks] for frame in tracked]
        add("masks_packed", packed, (height * width + 7) // 8, dtype=torch.uint8)

    def _clear_prompts(self, _: str, op: dict[str, Any]) -> None:
        self.predictor.clear_all_prompts_in_frame(self.session.state, op["frame"], op["object"])

    def _remove_object(self, _: str, op: dict[str, Any]) -> None:
        self.predictor.remove_object(self.session.state, op["object"], strict=True)

    def _reset(self, _name: str, _op: dict[str, Any]) -> None:
        self.predictor.reset_state(self.session.state)

    def _add(self, name: str, value: torch.Tensor | np.ndarray) -> None:
        self.fixture.add(name, value, full=True)

    def _note_video(self) -> None:
        height, width = self.frames[0].shape[:2]
        self.fixture.note("scenario", self.scenario.text)
        self.fixture.note("video.frames", len(self.frames))
        self.fixture.note("video.height", height)
        self.fixture.note("video.width", width)
        self.fixture.note("image_size", self.predictor.image_size)
        checksums = [zlib.crc32(np.ascontiguousarray(frame)) for frame in self.frames]
        self._add("frames.crc32", torch.tensor(checksums, dtype=torch.int64))
        self.fixture.note("seconds_per_frame", self._seconds / self._tracked if self._tracked else 0.0)
        self.fixture.note("mask_fraction", [min(self._fractions), max(self._fractions)])

    def _note_near_ties(self) -> None:
        """Records the smallest distances to a discontinuity and their places: a port may fall on the other side there."""
        chosen = [o for o in self.recorder.inferences() if not o.is_mask_prompt]
        single = [o for o in chosen if not o.multimask]
        self._note_smallest("min_stability_margin", single, lambda o: abs(o.stability - STABILITY_THRESHOLD))
        self._note_smallest("min_iou_gap", [o for o in chosen if o.chosen > 0], _iou_gap)
        self._note_smallest("min_object_score", chosen, lambda o: abs(o.object_score))
        if self._mask_margins:
            self.fixture.note("min_mask_margin", min(self._mask_margins))

    def _note_smallest(self, key: str, outputs: list[FrameOutput], value: Callable[[FrameOutput], float]) -> None:
        if outputs:
            smallest = min(outputs, key=value)
            self.fixture.note(key, value(smallest))
            self.fixture.note(f"{key}.at", self._where[id(smallest)])


def _iou_gap(output: FrameOutput) -> float:
    """Returns the IoU gap between the best two of the masks 1..3, of which the best was chosen."""
    ious = output.decoder_ious[1:].sort(descending=True).values
    return float(ious[0] - ious[1])


def _memory_tokens(output: FrameOutput) -> int:
    """Returns the number of tokens of memory attention, including those of pointers; 0 without memory attention."""
    return 0 if output.memory_attention is None else output.memory_attention["memory"].shape[0]


def _pointer_tokens(output: FrameOutput) -> int:
    return 0 if output.memory_attention is None else output.memory_attention["num_obj_ptr_tokens"]
