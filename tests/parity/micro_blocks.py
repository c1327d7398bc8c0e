"""`micro_blocks.safetensors`: every module of the micro model on one frame, outputs and, where a test
cannot build them itself, inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import Fixture, load_clip, load_dlc, pack_mask
from official import FrameOutput, Recorder, Session, build_micro, preprocess, resize_like_jpeg_folder

BODY = 1  # index of the body part that the one-point prompt uses
FRAME = 0


def ellipse(height: int, width: int) -> np.ndarray:
    """Returns a mask of an ellipse with centre (5/8 W, 1/3 H) and half axes (W/8, H/6), rounded down; integers only."""
    cx, cy, a, b = width * 5 // 8, height // 3, width // 8, height // 6
    y, x = np.mgrid[:height, :width]
    return ((x - cx) * b) ** 2 + ((y - cy) * a) ** 2 <= (a * b) ** 2


@torch.inference_mode()
def make(assets: Path) -> Fixture:
    clip, dlc = load_clip(assets, "mouse-arena"), load_dlc(assets, "mouse-arena")
    predictor = build_micro(assets)
    recorder = Recorder(predictor)
    fixture = Fixture("micro model, modules on frame 0 of mouse-arena")
    fixture.note("frame_index", FRAME)

    _add_image_encoder(fixture, predictor, clip.frames[FRAME])
    points = dlc.points[FRAME]
    one = Session(predictor, recorder, clip.frames).click(FRAME, 1, points[BODY : BODY + 1])
    three = Session(predictor, recorder, clip.frames).click(FRAME, 1, points)
    _add_decoder(fixture, "decoder.one_point", one)
    _add_decoder(fixture, "decoder.three_points", three)
    _add_prompt_encoder(fixture, predictor, points, clip.frames[FRAME].shape, one.low_res_logits)
    _add_mask_prompts(fixture, predictor, recorder, clip.frames)
    _add_memory_encoder(fixture, predictor, recorder, clip.frames, three.low_res_logits)
    _add_memory_attention(fixture, predictor, recorder, clip.frames, dlc.best_frame(), dlc.points)
    return fixture


def _add_image_encoder(fixture: Fixture, predictor: Any, frame: np.ndarray) -> None:
    size = predictor.image_size
    captured: dict[str, Any] = {}
    encoder = predictor.image_encoder
    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: captured.update({name: output}))
        for name, module in (("trunk", encoder.trunk), ("neck", encoder.neck))
    ]
    image = preprocess([frame], size)
    features = predictor.forward_image(image)
    for hook in hooks:
        hook.remove()

    fixture.add("frame.rgb", frame, full=True)
    fixture.add("input.u8", resize_like_jpeg_folder(frame, size), full=True)
    fixture.add("input.normalised", image)
    patches = captured["trunk"][0].shape[-2:]
    fixture.add("trunk.pos_embed", encoder.trunk._get_pos_embed(patches))
    for stage, output in enumerate(captured["trunk"]):
        fixture.add(f"trunk.stage{stage}", output)
    before, pos = captured["neck"]
    for level in range(3):
        fixture.add(f"neck.fpn{level}", before[level])
    fixture.add("neck.fpn0_conv_s0", features["backbone_fpn"][0])
    fixture.add("neck.fpn1_conv_s1", features["backbone_fpn"][1])
    fixture.add("neck.pos2", pos[2])
    fixture.add("prompt_encoder.dense_pe", predictor.sam_prompt_encoder.get_dense_pe())
    fixture.add("decoder.image_embeddings", before[2] + predictor.no_mem_embed.reshape(1, -1, 1, 1))


def _add_decoder(fixture: Fixture, name: str, output: FrameOutput) -> None:
    fixture.add(f"{name}.masks", output.decoder_masks)
    fixture.add(f"{name}.ious", output.decoder_ious)
    fixture.add(f"{name}.mask_tokens", output.decoder_tokens)
    fixture.add(f"{name}.object_score", torch.tensor([output.object_score]))
    fixture.add(f"{name}.low_res_logits", output.low_res_logits)
    fixture.add(f"{name}.obj_ptr", output.obj_ptr)
    fixture.note(f"{name}.multimask", output.multimask)
    fixture.note(f"{name}.stability", output.stability)
    fixture.note(f"{name}.chosen", output.chosen)


def _add_prompt_encoder(
    fixture: Fixture,
    predictor: Any,
    points: np.ndarray,
    frame_shape: tuple[int, ...],
    mask_logits: torch.Tensor,
) -> None:
    height, width = frame_shape[:2]
    # As `add_new_points_or_box` scales them.
    scaled = torch.tensor(points, dtype=torch.float32) / torch.tensor([width, height]) * predictor.image_size
    low, high = scaled.min(dim=0).values, scaled.max(dim=0).values
    padding = (torch.zeros(1, 2), [-1])
    cases = {
        "one_point": ((scaled[BODY : BODY + 1], [1]), None),
        "three_points": ((scaled, [1, 1, 1]), None),
        "negative_point": ((scaled, [1, 1, 0]), None),
        "box_and_point": ((torch.stack([low, high, scaled[BODY]]), [2, 3, 1]), None),
        # Without points, `_forward_sam_heads` passes one padding point (and the encoder adds its own).
        "mask": (padding, mask_logits[None, None]),
        "padding_only": (padding, None),
    }
    # Without a mask the dense embedding is one vector everywhere, whatever the points are.
    no_mask_vector = predictor.sam_prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    no_mask = no_mask_vector.expand(-1, -1, *predictor.sam_prompt_encoder.image_embedding_size)
    for case, ((coords, labels), mask) in cases.items():
        label_tensor = torch.tensor([labels], dtype=torch.int32)
        sparse, dense = predictor.sam_prompt_encoder(points=(coords[None], label_tensor), boxes=None, masks=mask)
        name = f"prompt_encoder.{case}"
        fixture.add(f"{name}.coords", coords)
        fixture.add(f"{name}.labels", torch.tensor(labels, dtype=torch.int64))
        fixture.add(f"{name}.sparse", sparse)
        if mask is not None:
            fixture.add(f"{name}.dense", dense)
        else:
            assert torch.equal(dense, no_mask)
    fixture.add("prompt_encoder.no_mask.dense", no_mask)
    fixture.add("prompt_encoder.mask.logits", mask_logits)


def _add_mask_prompts(fixture: Fixture, predictor: Any, recorder: Recorder, frames: list[np.ndarray]) -> None:
    size = predictor.image_size
    height, width = frames[FRAME].shape[:2]
    masks = {
        "model_size": ellipse(size, size),
        "video_size": ellipse(height, width),
        "empty": np.zeros((size, size), dtype=bool),
    }
    for case, mask in masks.items():
        session = Session(predictor, recorder, frames)
        predictor.add_new_mask(session.state, FRAME, 1, mask)
        output = recorder.last
        resized = session.state["mask_inputs_per_obj"][0][FRAME]
        name = f"mask_prompt.{case}"
        fixture.add(f"{name}.input_packed", pack_mask(mask))
        fixture.note(f"{name}.input_shape", mask.shape)
        fixture.add(f"{name}.model_packed", pack_mask(resized.numpy() > 0))
        fixture.add(f"{name}.downsampled", predictor.mask_downsample(resized))
        fixture.add(f"{name}.low_res_logits", output.low_res_logits)
        fixture.add(f"{name}.obj_ptr", output.obj_ptr)
        fixture.add(f"{name}.object_score", torch.tensor([output.object_score]))


def _add_memory_encoder(
    fixture: Fixture, predictor: Any, recorder: Recorder, frames: list[np.ndarray], low_res_logits: torch.Tensor
) -> None:
    session = Session(predictor, recorder, frames)
    _, _, features, _, sizes = predictor._get_image_feature(session.state, FRAME, 1)
    logits = torch.nn.functional.interpolate(
        low_res_logits[None, None],
        size=(predictor.image_size, predictor.image_size),
        mode="bilinear",
        align_corners=False,
    )
    fixture.add("memory_encoder.low_res_logits", low_res_logits)
    fixture.add("memory_encoder.high_res_logits", logits)
    cases = {"binarised": (True, 1.0), "sigmoid": (False, 1.0), "sigmoid_absent": (False, -1.0)}
    for case, (from_points, score) in cases.items():
        memory, pos = predictor._encode_new_memory(
            current_vision_feats=features,
            feat_sizes=sizes,
            pred_masks_high_res=logits,
            object_score_logits=torch.tensor([[score]]),
            is_mask_from_pts=from_points,
        )
        fixture.add(f"memory_encoder.{case}.features", memory)
    fixture.add("memory_encoder.pos", pos[-1])


def _add_memory_attention(
    fixture: Fixture,
    predictor: Any,
    recorder: Recorder,
    frames: list[np.ndarray],
    prompt_frame: int,
    points: np.ndarray,
) -> None:
    session = Session(predictor, recorder, frames)
    session.click(prompt_frame, 1, points[prompt_frame])
    # The last frame of the longer direction has 7 memories and all 16 pointers. The conditioning frame is
    # farther away than the 15 frames that the pointers' time scale covers.
    last = session.propagate(reverse=True)[-1]
    captured = last.outputs[0].memory_attention
    for name in ("curr", "curr_pos", "memory", "memory_pos", "output"):
        fixture.add(f"memory_attention.{name}", captured[name], full=True)
    fixture.note("memory_attention.num_obj_ptr_tokens", captured["num_obj_ptr_tokens"])
    fixture.note("memory_attention.frame_index", last.frame_idx)
    fixture.note("memory_attention.prompt_frame", prompt_frame)
    fixture.note("memory_attention.reverse", True)
