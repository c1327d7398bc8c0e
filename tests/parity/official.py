"""Runs the unmodified `SAM2VideoPredictor` and records what passes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import initialize_config_dir, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from PIL import Image
from sam2 import sam2_video_predictor
from sam2.build_sam import build_sam2_video_predictor
from sam2.sam2_video_predictor import SAM2VideoPredictor

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


def build_micro(assets: Path) -> SAM2VideoPredictor:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str((assets / "micro").resolve()), version_base="1.2"):
        return build_sam2_video_predictor(
            "sam2.1_hiera_micro.yaml",
            str(assets / "micro" / "sam2.1_hiera_micro.pt"),
            device="cpu",
        )


def build_without_weights(config: str) -> SAM2VideoPredictor:
    """`config` is one of the YAML files inside the sam2 package."""
    GlobalHydra.instance().clear()
    with initialize_config_module("sam2", version_base="1.2"):
        return build_sam2_video_predictor(config, device="cpu")


def resize_like_jpeg_folder(frame: np.ndarray, size: int) -> np.ndarray:
    """What `sam2.utils.misc._load_img_as_tensor` does to a decoded JPEG: Pillow's default resize."""
    return np.array(Image.fromarray(frame).resize((size, size)))


def preprocess(frames: list[np.ndarray], size: int) -> torch.Tensor:
    """The rest of `load_video_frames_from_jpg_images`: the division is in f64 and stored into f32,
    the normalisation is in f32."""
    images = torch.zeros(len(frames), 3, size, size, dtype=torch.float32)
    for n, frame in enumerate(frames):
        images[n] = torch.from_numpy(resize_like_jpeg_folder(frame, size) / 255.0).permute(2, 0, 1)
    images -= torch.tensor(IMAGE_MEAN, dtype=torch.float32)[:, None, None]
    images /= torch.tensor(IMAGE_STD, dtype=torch.float32)[:, None, None]
    return images


@contextmanager
def _injected(images: torch.Tensor, height: int, width: int) -> Iterator[None]:
    """Lets `init_state` take frames that are already in memory."""
    original = sam2_video_predictor.load_video_frames
    sam2_video_predictor.load_video_frames = lambda **_: (images, height, width)
    try:
        yield
    finally:
        sam2_video_predictor.load_video_frames = original


def _tap(owner: Any, method: str, listener: Callable[[dict[str, Any], Any], None]) -> None:
    """Calls `listener(keyword arguments, result)` after every call of `owner.method`."""
    original = getattr(owner, method)

    def tapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        listener(kwargs, result)
        return result

    setattr(owner, method, tapped)


@dataclass
class FrameOutput:
    """One frame inference of one object. `low_res_logits` is taken before any post-processing."""

    low_res_logits: torch.Tensor  # [S/4, S/4]
    obj_ptr: torch.Tensor  # [C]
    object_score: float
    decoder_masks: torch.Tensor  # [4, S/4, S/4], all masks of `predict_masks`
    decoder_ious: torch.Tensor  # [4]
    decoder_tokens: torch.Tensor  # [4, C]
    iou: float  # of the mask that was chosen
    multimask: bool
    stability: float  # of mask 0 on the single-mask path; -1 where multimask was used
    chosen: int  # index of the chosen mask among the four
    memory_attention: dict[str, Any] | None  # its keyword arguments and "output"; None without memory


class Recorder:
    """Taps a predictor. Keeps the last inference of every (object index, frame)."""

    def __init__(self, predictor: SAM2VideoPredictor) -> None:
        self.outputs: dict[tuple[int, int], FrameOutput] = {}
        self._state: dict[str, Any] = {}
        self._decoder = predictor.sam_mask_decoder
        self._predicted: tuple[torch.Tensor, ...] = ()
        self._heads: tuple[bool, torch.Tensor] = (False, torch.empty(0))
        self._attention: dict[str, Any] | None = None
        _tap(predictor.sam_mask_decoder, "predict_masks", self._on_predict_masks)
        _tap(predictor, "_forward_sam_heads", self._on_sam_heads)
        _tap(predictor.memory_attention, "forward", self._on_memory_attention)
        _tap(predictor, "track_step", self._on_track_step)

    def watch(self, state: dict[str, Any]) -> None:
        self._state = state
        self.outputs = {}

    def _on_predict_masks(self, _: dict[str, Any], result: tuple[torch.Tensor, ...]) -> None:
        self._predicted = tuple(tensor.clone() for tensor in result)

    def _on_sam_heads(self, arguments: dict[str, Any], result: tuple[torch.Tensor, ...]) -> None:
        self._heads = (arguments.get("multimask_output", False), result[2].clone())

    def _on_memory_attention(self, arguments: dict[str, Any], result: torch.Tensor) -> None:
        # The predictor passes one-element lists.
        inputs = {k: v[0] if isinstance(v, list) else v for k, v in arguments.items()}
        self._attention = {**inputs, "output": result.clone()}

    def _on_track_step(self, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        per_object = self._state["output_dict_per_obj"]
        (obj_idx,) = (k for k, v in per_object.items() if v is arguments["output_dict"])
        masks, ious, tokens, _ = self._predicted
        multimask, head_ious = self._heads
        best = 1 + int(ious[0, 1:].argmax())
        stability = -1.0 if multimask else float(self._decoder._get_stability_scores(masks[:, :1])[0, 0])
        stable = stability >= self._decoder.dynamic_multimask_stability_thresh
        self.outputs[obj_idx, arguments["frame_idx"]] = FrameOutput(
            low_res_logits=result["pred_masks"][0, 0].clone(),
            obj_ptr=result["obj_ptr"][0].clone(),
            object_score=float(result["object_score_logits"][0, 0]),
            decoder_masks=masks[0],
            decoder_ious=ious[0],
            decoder_tokens=tokens[0],
            iou=float(head_ious.max()),
            multimask=multimask,
            stability=stability,
            chosen=0 if stable else best,
            memory_attention=self._attention,
        )
        self._attention = None


@dataclass(frozen=True)
class TrackedFrame:
    """What `propagate_in_video` yielded for one frame; lists are by object index."""

    frame_idx: int
    outputs: list[FrameOutput]
    memory: list[torch.Tensor]  # as the predictor keeps it: bf16 [mem_dim, S/16, S/16]
    masks: np.ndarray  # bool [objects, height, width]


class Session:
    """One video in one predictor, with everything recorded."""

    def __init__(self, predictor: SAM2VideoPredictor, recorder: Recorder, frames: list[np.ndarray]) -> None:
        self.predictor = predictor
        self.recorder = recorder
        height, width = frames[0].shape[:2]
        with _injected(preprocess(frames, predictor.image_size), height, width):
            self.state = predictor.init_state(video_path="in memory")
        recorder.watch(self.state)

    def click(self, frame_idx: int, obj_id: int, points: np.ndarray) -> FrameOutput:
        """Positive clicks at pixels of the video."""
        labels = np.ones(len(points), dtype=np.int32)
        self.predictor.add_new_points_or_box(self.state, frame_idx, obj_id, points=points, labels=labels)
        return self.recorder.outputs[self.state["obj_id_to_idx"][obj_id], frame_idx]

    def box(self, frame_idx: int, obj_id: int, box: tuple[int, int, int, int]) -> FrameOutput:
        self.predictor.add_new_points_or_box(self.state, frame_idx, obj_id, box=box)
        return self.recorder.outputs[self.state["obj_id_to_idx"][obj_id], frame_idx]

    def propagate(self, frames: int | None = None, reverse: bool = False) -> list[TrackedFrame]:
        """`frames` counts the prompt frame, which the official argument does not."""
        limit = None if frames is None else frames - 1
        tracked = []
        for frame_idx, obj_ids, logits in self.predictor.propagate_in_video(
            self.state, max_frame_num_to_track=limit, reverse=reverse
        ):
            objects = range(len(obj_ids))
            stored = [self._stored_output(obj_idx, frame_idx) for obj_idx in objects]
            tracked.append(
                TrackedFrame(
                    frame_idx,
                    [self.recorder.outputs[obj_idx, frame_idx] for obj_idx in objects],
                    [output["maskmem_features"][0] for output in stored],
                    (logits[:, 0] > 0).numpy(),
                )
            )
        return tracked

    def _stored_output(self, obj_idx: int, frame_idx: int) -> dict[str, Any]:
        outputs = self.state["output_dict_per_obj"][obj_idx]
        conditioning = outputs["cond_frame_outputs"].get(frame_idx)
        return conditioning or outputs["non_cond_frame_outputs"][frame_idx]
