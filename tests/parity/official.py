"""Runs the unmodified `SAM2VideoPredictor` and records its intermediate results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from sam2.build_sam import build_sam2, build_sam2_video_predictor
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


def build_micro(assets: Path, overrides: Sequence[str] = ()) -> SAM2VideoPredictor:
    """`overrides` are hydra overrides of the YAML file."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str((assets / "micro").resolve()), version_base="1.2"):
        return build_sam2_video_predictor(
            "sam2.1_hiera_micro.yaml",
            str(assets / "micro" / "sam2.1_hiera_micro.pt"),
            device="cpu",
            hydra_overrides_extra=list(overrides),
        )


def build_micro_image_model(assets: Path) -> SAM2Base:
    """For `SAM2ImagePredictor`."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str((assets / "micro").resolve()), version_base="1.2"):
        checkpoint = assets / "micro" / "sam2.1_hiera_micro.pt"
        return build_sam2("sam2.1_hiera_micro.yaml", str(checkpoint), device="cpu")


def build_without_weights(config: str, overrides: Sequence[str] = ()) -> SAM2VideoPredictor:
    """`config` is one of the YAML files inside the sam2 package."""
    GlobalHydra.instance().clear()
    with initialize_config_module("sam2", version_base="1.2"):
        return build_sam2_video_predictor(config, device="cpu", hydra_overrides_extra=list(overrides))


def resize_like_jpeg_folder(frame: np.ndarray, size: int) -> np.ndarray:
    """Resizes as `sam2.utils.misc._load_img_as_tensor` does with a decoded JPEG: with Pillow's default."""
    return np.array(Image.fromarray(frame).resize((size, size)))


def preprocess(frames: list[np.ndarray], size: int) -> torch.Tensor:
    """Does the rest of `load_video_frames_from_jpg_images`: the division is in f64 and stored as f32,
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


def promote_memory(predictor: SAM2VideoPredictor) -> None:
    """Makes it possible to track a frame in f32 that attends to no object pointer, because it comes before every
    prompt. Its memory is only bf16, and the package stops with "mat1 and mat2 must have the same dtype". If
    there are pointers, which are f32, `torch.cat` promotes the memory to f32; this function does the same."""
    original = predictor.memory_attention.forward

    def promoted(*args: Any, memory: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return original(*args, memory=memory.float(), **kwargs)

    predictor.memory_attention.forward = promoted


def tap(owner: Any, method: str, listener: Callable[[dict[str, Any], Any], None]) -> None:
    """Calls `listener(keyword arguments, result)` after every call of `owner.method`."""
    original = getattr(owner, method)

    def tapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        listener(kwargs, result)
        return result

    setattr(owner, method, tapped)


@dataclass
class FrameOutput:
    """One frame inference of one object. `low_res_logits` is taken before any post-processing. For a
    mask prompt, no mask is chosen (IoU 1, single mask); its `decoder_*` made the pointer."""

    low_res_logits: torch.Tensor  # [S/4, S/4]
    obj_ptr: torch.Tensor  # [C]
    object_score: float
    decoder_masks: torch.Tensor  # [4, S/4, S/4], all masks of `predict_masks`
    decoder_ious: torch.Tensor  # [4]
    decoder_tokens: torch.Tensor  # [4, C]
    iou: float  # of the chosen mask
    multimask: bool
    stability: float  # of mask 0 on the single-mask path; -1 elsewhere
    chosen: int  # index of the chosen mask among the four; -1 for a mask prompt
    is_mask_prompt: bool
    memory_attention: dict[str, Any] | None  # its keyword arguments and "output"; None without memory


class Recorder:
    """Records the inferences of a predictor. `last` is the last inference; `of` finds the one that made a stored
    output."""

    def __init__(self, predictor: SAM2VideoPredictor) -> None:
        self.last: FrameOutput | None = None
        # By the identity of the stored output. The output is kept here too, so that its identity is not reused.
        self._by_stored: dict[int, tuple[dict[str, Any], FrameOutput]] = {}
        self._decoder = predictor.sam_mask_decoder
        self._predicted: tuple[torch.Tensor, ...] = ()
        self._heads: tuple[bool, torch.Tensor] = (False, torch.empty(0))
        self._attention: dict[str, Any] | None = None
        tap(predictor.sam_mask_decoder, "predict_masks", self._on_predict_masks)
        tap(predictor, "_forward_sam_heads", self._on_sam_heads)
        tap(predictor.memory_attention, "forward", self._on_memory_attention)
        tap(predictor, "track_step", self._on_track_step)
        tap(predictor, "_run_single_frame_inference", self._on_stored)

    def clear(self) -> None:
        self.last = None
        self._by_stored = {}

    def of(self, stored: dict[str, Any]) -> FrameOutput:
        return self._by_stored[id(stored)][1]

    def stored(self) -> list[dict[str, Any]]:
        """Returns all outputs that the predictor has stored since `clear`, in order."""
        return [stored for stored, _ in self._by_stored.values()]

    def inferences(self) -> list[FrameOutput]:
        """Returns the inferences that made the outputs of `stored`, in the same order."""
        return [output for _, output in self._by_stored.values()]

    def _on_predict_masks(self, _: dict[str, Any], result: tuple[torch.Tensor, ...]) -> None:
        self._predicted = tuple(tensor.clone() for tensor in result)

    def _on_sam_heads(self, arguments: dict[str, Any], result: tuple[torch.Tensor, ...]) -> None:
        self._heads = (arguments.get("multimask_output", False), result[2].clone())

    def _on_memory_attention(self, arguments: dict[str, Any], result: torch.Tensor) -> None:
        # The predictor passes one-element lists.
        inputs = {k: v[0] if isinstance(v, list) else v for k, v in arguments.items()}
        self._attention = {**inputs, "output": result.clone()}

    def _on_track_step(self, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        masks, ious, tokens, _ = self._predicted
        multimask, head_ious = self._heads
        is_mask_prompt = arguments["mask_inputs"] is not None
        iou, stability, chosen = 1.0, -1.0, -1
        if not is_mask_prompt:
            iou, chosen = float(head_ious.max()), 1 + int(ious[0, 1:].argmax())
            if not multimask:
                stability = float(self._decoder._get_stability_scores(masks[:, :1])[0, 0])
                if stability >= self._decoder.dynamic_multimask_stability_thresh:
                    chosen = 0
        self.last = FrameOutput(
            low_res_logits=result["pred_masks"][0, 0].clone(),
            obj_ptr=result["obj_ptr"][0].clone(),
            object_score=float(result["object_score_logits"][0, 0]),
            decoder_masks=masks[0],
            decoder_ious=ious[0],
            decoder_tokens=tokens[0],
            iou=iou,
            multimask=multimask,
            stability=stability,
            chosen=chosen,
            is_mask_prompt=is_mask_prompt,
            memory_attention=self._attention,
        )
        self._attention = None

    def _on_stored(self, _: dict[str, Any], result: tuple[dict[str, Any], torch.Tensor]) -> None:
        self._by_stored[id(result[0])] = (result[0], self.last)


@dataclass(frozen=True)
class TrackedFrame:
    """The result of `propagate_in_video` for one frame; lists are by object index."""

    frame_idx: int
    object_ids: list[int]
    outputs: list[FrameOutput]
    stored: list[dict[str, Any]]  # the output that the predictor stores
    conditioning: list[bool]  # whether it stores it as a conditioning frame
    masks: np.ndarray  # bool [objects, height, width]

    @property
    def memory(self) -> list[torch.Tensor]:
        """Returns the memory as the predictor stores it: bf16 [mem_dim, S/16, S/16]."""
        return [stored["maskmem_features"][0] for stored in self.stored]


class Session:
    """One video in one predictor, with everything recorded."""

    def __init__(self, predictor: SAM2VideoPredictor, recorder: Recorder, frames: list[np.ndarray]) -> None:
        self.predictor = predictor
        self.recorder = recorder
        height, width = frames[0].shape[:2]
        with _injected(preprocess(frames, predictor.image_size), height, width):
            self.state = predictor.init_state(video_path="in memory")
        recorder.clear()

    def click(self, frame_idx: int, obj_id: int, points: np.ndarray) -> FrameOutput:
        """Adds positive clicks at pixels of the video."""
        labels = np.ones(len(points), dtype=np.int32)
        self.predictor.add_new_points_or_box(self.state, frame_idx, obj_id, points=points, labels=labels)
        return self.recorder.last

    def box(self, frame_idx: int, obj_id: int, box: tuple[int, int, int, int]) -> FrameOutput:
        self.predictor.add_new_points_or_box(self.state, frame_idx, obj_id, box=box)
        return self.recorder.last

    def propagate(self, frames: int | None = None, reverse: bool = False) -> list[TrackedFrame]:
        """Propagates. `frames` includes the prompt frame, unlike the official argument."""
        return self.track(max_frames=None if frames is None else frames - 1, reverse=reverse)

    def track(
        self, start: int | None = None, max_frames: int | None = None, reverse: bool = False
    ) -> list[TrackedFrame]:
        """Propagates with the arguments of `propagate_in_video`."""
        tracked = []
        for frame_idx, obj_ids, logits in self.predictor.propagate_in_video(
            self.state, start_frame_idx=start, max_frame_num_to_track=max_frames, reverse=reverse
        ):
            per_object = [self.state["output_dict_per_obj"][obj_idx] for obj_idx in range(len(obj_ids))]
            conditioning = [frame_idx in outputs["cond_frame_outputs"] for outputs in per_object]
            stored = [
                outputs["cond_frame_outputs" if is_cond else "non_cond_frame_outputs"][frame_idx]
                for outputs, is_cond in zip(per_object, conditioning)
            ]
            tracked.append(
                TrackedFrame(
                    frame_idx=frame_idx,
                    object_ids=list(obj_ids),
                    outputs=[self.recorder.of(output) for output in stored],
                    stored=stored,
                    conditioning=conditioning,
                    masks=(logits[:, 0] > 0).numpy(),
                )
            )
        return tracked
