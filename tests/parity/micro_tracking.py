"""Whole sessions of the micro model: `micro_mouse_forward_reverse`, `micro_two_objects`, `micro_truth`
and `micro_absent`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from common import Clip, Fixture, bounding_box, innermost_pixel, jaccard, load_clip, load_dlc, pack_mask
from official import FrameOutput, Recorder, Session, TrackedFrame, build_micro

BOX_FRAMES = 20
LOGITS_EVERY = 4  # two objects: low-res logits of only every fourth frame, to save space
# The micro model itself never predicts that an object is absent. With its object score lowered by this
# amount, it sees the object only on the prompted frame.
ABSENT_SHIFT = 12.0
ABSENT_FRAMES = 4


class MicroModel:
    """The predictor and its recorder, built once for all sessions."""

    def __init__(self, assets: Path) -> None:
        self.assets = assets
        self.predictor = build_micro(assets)
        self.recorder = Recorder(self.predictor)

    def session(self, clip: Clip) -> Session:
        return Session(self.predictor, self.recorder, clip.frames)


def j_per_frame(clip: Clip, tracked: list[TrackedFrame]) -> np.ndarray:
    """Returns J of every frame and object, f64 [frames, objects]. Object index k has truth id k + 1."""
    result = np.full((len(clip.frames), tracked[0].masks.shape[0]), np.nan)
    for frame in tracked:
        for k, mask in enumerate(frame.masks):
            result[frame.frame_idx, k] = jaccard(mask, clip.ids[frame.frame_idx] == k + 1)
    return result


def make_mouse(model: MicroModel) -> tuple[Fixture, np.ndarray]:
    clip, dlc = load_clip(model.assets, "mouse-arena"), load_dlc(model.assets, "mouse-arena")
    best = dlc.best_frame()
    points = dlc.points[best]
    session = model.session(clip)
    prompt = session.click(best, 1, points)
    forward = session.propagate()
    reverse = session.propagate(reverse=True)
    # Both passes start with the prompt frame and yield the same mask for it.
    assert np.array_equal(forward[0].masks, reverse[0].masks)
    j = j_per_frame(clip, forward + reverse)

    fixture = Fixture("micro model, mouse-arena, three clicks on the best DLC frame, forward, then reverse")
    fixture.note("prompt.frame_index", best)
    fixture.note("prompt.mean_likelihood", float(dlc.likelihood[best].mean()))
    fixture.note("prompt.points_json", points.tolist())
    fixture.add("prompt.points", points.astype(np.float32))
    fixture.add("prompt.labels", np.ones(len(points), dtype=np.int64))
    _add_outputs(fixture, "prompt", [[prompt]], squeeze=True)
    for name, tracked in (("forward", forward), ("reverse", reverse)):
        _add_outputs(fixture, name, [frame.outputs for frame in tracked], squeeze=True)
        _add_masks(fixture, name, tracked, squeeze=True)
        fixture.add(f"{name}.maskmem_features", torch.stack([frame.memory[0] for frame in tracked]), full=True)
    _note_video(fixture, clip)
    fixture.note("mean_j", float(j.mean()))
    return fixture, j


def make_two_objects(model: MicroModel) -> tuple[Fixture, np.ndarray]:
    clip = load_clip(model.assets, "two-crossing")
    clicks = [innermost_pixel(clip.ids[0] == k) for k in (1, 2)]
    session = model.session(clip)
    for k, point in enumerate(clicks):
        session.click(0, k + 1, np.array([point], dtype=np.float64))
    tracked = session.propagate()
    j = j_per_frame(clip, tracked)

    fixture = Fixture("micro model, two-crossing, one click per object on frame 0, forward; and object 1 with a box")
    fixture.note("prompt.frame_index", 0)
    fixture.note("prompt.points_json", clicks)
    fixture.add("prompt.points", np.array(clicks, dtype=np.float32))
    _add_outputs(fixture, "forward", [frame.outputs for frame in tracked], logits_every=LOGITS_EVERY)
    _add_masks(fixture, "forward", tracked)
    fixture.add(
        "forward.low_res_frame_index",
        np.array([frame.frame_idx for frame in tracked[::LOGITS_EVERY]], dtype=np.int64),
    )
    fixture.note("mean_j", float(j.mean()))
    fixture.note("mean_j_per_object", j.mean(axis=0).tolist())

    box = bounding_box(clip.ids[0] == 1)
    session = model.session(clip)
    session.box(0, 1, box)
    boxed = session.propagate(frames=BOX_FRAMES)
    fixture.note("box.prompt_json", box)
    fixture.add("box.prompt", np.array(box, dtype=np.float32))
    _add_outputs(fixture, "box", [frame.outputs for frame in boxed], squeeze=True, logits_every=LOGITS_EVERY)
    _add_masks(fixture, "box", boxed, squeeze=True)
    fixture.add(
        "box.low_res_frame_index",
        np.array([frame.frame_idx for frame in boxed[::LOGITS_EVERY]], dtype=np.int64),
    )
    _note_video(fixture, clip)
    return fixture, j


def make_truth(model: MicroModel, mouse_j: np.ndarray, two_j: np.ndarray) -> Fixture:
    """Writes the J of the two sessions above and of the worm."""
    clip = load_clip(model.assets, "worm")
    click = innermost_pixel(clip.ids[0] == 1)
    session = model.session(clip)
    session.click(0, 1, np.array([click], dtype=np.float64))
    worm_j = j_per_frame(clip, session.propagate())

    dlc = load_dlc(model.assets, "mouse-arena")
    two = load_clip(model.assets, "two-crossing")
    prompts = {
        "mouse_arena": (dlc.best_frame(), dlc.points[dlc.best_frame()][None], mouse_j),
        "worm": (0, np.array([[click]], dtype=np.float64), worm_j),
        "two_crossing": (0, np.array([[innermost_pixel(two.ids[0] == k)] for k in (1, 2)], dtype=np.float64), two_j),
    }
    fixture = Fixture("micro model: J against the truth, official predictor, all frames of the three clips")
    for name, (frame, points, j) in prompts.items():
        fixture.note(f"{name}.mean_j", float(j.mean()))
        fixture.note(f"{name}.mean_j_per_object", j.mean(axis=0).tolist())
        fixture.note(f"{name}.worst_j", float(j.min()))
        fixture.note(f"{name}.prompt_frame", frame)
        fixture.note(f"{name}.points_json", points.tolist())
        fixture.add(f"{name}.points", points.astype(np.float32))
        fixture.add(f"{name}.j", j)
    return fixture


@torch.inference_mode()
def make_absent(assets: Path) -> Fixture:
    model = MicroModel(assets)  # a separate model, because it is changed
    model.predictor.sam_mask_decoder.pred_obj_score_head.layers[2].bias -= ABSENT_SHIFT
    clip, dlc = load_clip(assets, "mouse-arena"), load_dlc(assets, "mouse-arena")
    points = dlc.points[0]
    session = model.session(clip)
    session.click(0, 1, points)
    tracked = session.propagate(frames=ABSENT_FRAMES)
    assert [frame.outputs[0].object_score > 0 for frame in tracked] == [True] + [False] * (ABSENT_FRAMES - 1)

    fixture = Fixture("micro model with a lowered object score, mouse-arena: the object is absent after frame 0")
    fixture.note("object_score_bias_shift", -ABSENT_SHIFT)
    fixture.note("object_score_bias_key", "sam_mask_decoder.pred_obj_score_head.layers.2.bias")
    fixture.note("prompt.frame_index", 0)
    fixture.note("prompt.points_json", points.tolist())
    fixture.add("prompt.points", points.astype(np.float32))
    fixture.add("prompt.labels", np.ones(len(points), dtype=np.int64))
    _add_outputs(fixture, "forward", [frame.outputs for frame in tracked], squeeze=True)
    _add_masks(fixture, "forward", tracked, squeeze=True)
    fixture.add("forward.maskmem_features", torch.stack([frame.memory[0] for frame in tracked]), full=True)
    _note_video(fixture, clip)
    return fixture


def _note_video(fixture: Fixture, clip: Clip) -> None:
    height, width = clip.frames[0].shape[:2]
    fixture.note("video.frames", len(clip.frames))
    fixture.note("video.height", height)
    fixture.note("video.width", width)


def _add_outputs(
    fixture: Fixture,
    name: str,
    outputs: list[list[FrameOutput]],
    squeeze: bool = False,
    logits_every: int = 1,
) -> None:
    """Stacks to [frames, objects, ...]; `squeeze` drops the object axis of a single object."""

    def add(key: str, rows: list[list[FrameOutput]], value: Callable[[FrameOutput], torch.Tensor]) -> None:
        stacked = torch.stack([torch.stack([value(output) for output in row]) for row in rows])
        fixture.add(f"{name}.{key}", stacked[:, 0] if squeeze else stacked, full=True)

    add("low_res_logits", outputs[::logits_every], lambda o: o.low_res_logits)
    add("obj_ptr", outputs, lambda o: o.obj_ptr)
    add("object_score", outputs, lambda o: torch.tensor(o.object_score, dtype=torch.float32))
    add("iou", outputs, lambda o: torch.tensor(o.iou, dtype=torch.float32))
    add("decoder_ious", outputs, lambda o: o.decoder_ious)
    add("stability", outputs, lambda o: torch.tensor(o.stability, dtype=torch.float32))
    add("multimask", outputs, lambda o: torch.tensor(o.multimask))
    add("chosen", outputs, lambda o: torch.tensor(o.chosen, dtype=torch.int64))


def _add_masks(fixture: Fixture, name: str, tracked: list[TrackedFrame], squeeze: bool = False) -> None:
    fixture.add(f"{name}.frame_index", np.array([frame.frame_idx for frame in tracked], dtype=np.int64))
    packed = np.stack([np.stack([pack_mask(mask) for mask in frame.masks]) for frame in tracked])
    fixture.add(f"{name}.masks_packed", packed[:, 0] if squeeze else packed, full=True)
