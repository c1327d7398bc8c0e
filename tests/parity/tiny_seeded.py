"""`tiny_seeded_2_0` and `tiny_seeded_2_1`: the official tiny architectures at 1024 x 1024 with weights
from `seeded_weights.py`, on the frames of `synthetic_frames.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from common import Fixture, pack_mask
from official import Recorder, Session, build_without_weights, preprocess, resize_like_jpeg_folder
from seeded_weights import seeded_weights
from synthetic_frames import FRAMES, ellipse_centre, synthetic_frames

CONFIGS = {"2_0": "configs/sam2/sam2_hiera_t.yaml", "2_1": "configs/sam2.1/sam2.1_hiera_t.yaml"}
SAMPLE_TARGET = 6_000


@torch.inference_mode()
def make(release: str) -> Fixture:
    predictor = build_without_weights(CONFIGS[release])
    weights = seeded_weights(predictor.state_dict())
    predictor.load_state_dict(weights)
    recorder = Recorder(predictor)
    frames = synthetic_frames()

    fixture = Fixture(f"{CONFIGS[release]} with seeded weights, synthetic frames", SAMPLE_TARGET)
    _add_weight_checks(fixture, weights)
    _add_image_encoder(fixture, predictor, frames[0])
    _add_session(fixture, Session(predictor, recorder, frames))
    return fixture


def _add_weight_checks(fixture: Fixture, weights: dict[str, torch.Tensor]) -> None:
    """Adds two elements and the sum of every tensor, so that a port can check its weights first."""
    fixture.note("weights.keys", "\n".join(weights))
    fixture.add("weights.first", torch.stack([tensor.flatten()[0] for tensor in weights.values()]))
    fixture.add("weights.last", torch.stack([tensor.flatten()[-1] for tensor in weights.values()]))
    fixture.add("weights.sum", np.array([tensor.double().numpy().sum() for tensor in weights.values()]))


def _add_image_encoder(fixture: Fixture, predictor: Any, frame: np.ndarray) -> None:
    image = preprocess([frame], predictor.image_size)
    trunk = predictor.image_encoder.trunk
    stages: list[torch.Tensor] = []
    hook = trunk.register_forward_hook(lambda _m, _i, output: stages.extend(output))
    features = predictor.forward_image(image)
    hook.remove()
    fixture.add("frame.rgb", frame)
    fixture.add("input.u8", resize_like_jpeg_folder(frame, predictor.image_size))
    fixture.add("input.normalised", image)
    fixture.add("trunk.pos_embed", trunk._get_pos_embed(stages[0].shape[-2:]))
    for stage, output in enumerate(stages):
        fixture.add(f"trunk.stage{stage}", output)
    fixture.add("neck.fpn0_conv_s0", features["backbone_fpn"][0])
    fixture.add("neck.fpn1_conv_s1", features["backbone_fpn"][1])
    fixture.add("neck.fpn2", features["backbone_fpn"][2])
    fixture.add("neck.pos2", features["vision_pos_enc"][2])


def _add_session(fixture: Fixture, session: Session) -> None:
    point = ellipse_centre(0)
    session.click(0, 1, np.array([point], dtype=np.float64))
    tracked = session.propagate()
    assert [frame.frame_idx for frame in tracked] == list(range(FRAMES))
    fixture.note("prompt.frame_index", 0)
    fixture.note("prompt.points_json", [point])
    fixture.add("prompt.points", np.array([point], dtype=np.float32))
    for frame in tracked:
        output, name = frame.outputs[0], f"frame{frame.frame_idx}"
        # The weights are tuned for a present object with a meaningful mask.
        assert output.object_score > 0 and 0.05 < frame.masks.mean() < 0.95
        fixture.add(f"{name}.low_res_logits", output.low_res_logits)
        fixture.add(f"{name}.decoder_masks", output.decoder_masks)
        fixture.add(f"{name}.decoder_ious", output.decoder_ious)
        fixture.add(f"{name}.iou", torch.tensor([output.iou]))
        fixture.add(f"{name}.object_score", torch.tensor([output.object_score]))
        fixture.add(f"{name}.obj_ptr", output.obj_ptr)
        fixture.add(f"{name}.maskmem_features", frame.memory[0].float())
        fixture.add(f"{name}.mask_packed", pack_mask(frame.masks[0]))
        fixture.note(f"{name}.chosen", output.chosen)
        if output.memory_attention is not None:
            fixture.add(f"{name}.memory_attention", output.memory_attention["output"])
            fixture.note(f"{name}.num_obj_ptr_tokens", output.memory_attention["num_obj_ptr_tokens"])
