"""Checks `names.json`: weights seeded by official names are renamed by the inverse of the table for HF
`Sam2VideoModel`s, which must then give the results of the official package.

Needs what `make python` installs; no download. On one CPU core, all models take about five minutes, and the
micro model, which `make parity` runs, takes one; --mutate and --sizes add as much again."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore", message=r"[\s\S]*Skipping the post-processing step")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from transformers import Sam2VideoConfig, Sam2VideoModel  # noqa: E402
from transformers.models.sam2_video import modeling_sam2_video  # noqa: E402
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession  # noqa: E402

from common import REPOSITORY  # noqa: E402
from official import Recorder, Session, build_micro, build_without_weights, preprocess, tap  # noqa: E402
from seeded_weights import seeded_weights  # noqa: E402
from synthetic_frames import ellipse_centre, synthetic_frames  # noqa: E402

TOLERANCE = 1e-4  # of the largest magnitude
BF16_STEP = 2.0**-7  # stored memories are rounded to bf16: values near a rounding edge may differ by a step
TABLE = json.loads((HERE / "names.json").read_text())
HEADERS = HERE / "hf_headers.json"
RULES = [(re.compile(a), re.sub(r"\$\{(\d)\}", r"\\g<\1>", b)) for a, b in TABLE["rules"]]
OTHER_SIZES = [f"{release}_hiera_{size}" for release in ("sam2", "sam2.1") for size in ("s", "b+", "l")]


def official_name(hf_key: str) -> str:
    for pattern, replacement in RULES:
        hf_key = pattern.sub(replacement, hf_key, count=1)
    return hf_key


def official_names(hf_key: str) -> list[str]:
    split = TABLE["split"].get(hf_key)
    return split["into"] if split else [official_name(hf_key)]


def to_hf(weights: dict[str, torch.Tensor], hf_keys: list[str]) -> dict[str, torch.Tensor]:
    """Applies the inverse of the table. A tensor that is not split keeps its shape and is not changed."""
    return {key: torch.cat([weights[name] for name in official_names(key)]).clone() for key in hf_keys}


def _kv_in_dim_from_config() -> None:
    """Replaces the literal 64 of transformers: the micro model's memories have 32 channels."""
    original = modeling_sam2_video.Sam2VideoRoPEAttention.__init__

    def init(self: Any, config: Any, kv_in_dim: int | None = None, rope_k_repeat: bool = False) -> None:
        original(self, config, kv_in_dim and config.memory_encoder_output_channels, rope_k_repeat)

    modeling_sam2_video.Sam2VideoRoPEAttention.__init__ = init


def hf_config(official: Any) -> Sam2VideoConfig:
    """Returns the HF configuration of an official predictor, read from its modules."""
    trunk, size, dim = official.image_encoder.trunk, official.image_size, official.hidden_dim
    ends = trunk.stage_ends
    attention, fuser = official.memory_attention.layers, official.memory_encoder.fuser.layers
    backbone = dict(
        model_type="sam2_hiera_det_model",
        hidden_size=trunk.channel_list[-1],
        num_attention_heads=trunk.blocks[0].attn.num_heads,
        image_size=[size, size],
        window_positional_embedding_background_size=list(trunk.window_pos_embed_bkg_spatial_size),
        blocks_per_stage=[end - start for start, end in zip([-1, *ends], ends)],
        embed_dim_per_stage=trunk.channel_list[::-1],
        num_attention_heads_per_stage=[trunk.blocks[end].attn.num_heads for end in ends],
        window_size_per_stage=list(trunk.window_spec),
        global_attention_blocks=list(trunk.global_att_blocks),
    )
    vision = dict(
        model_type="sam2_vision_model",
        backbone_config=backbone,
        backbone_channel_list=trunk.channel_list,
        backbone_feature_sizes=[[size // n, size // n] for n in (4, 8, 16)],
        fpn_hidden_size=dim,
    )
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=dim, image_size=size),
        mask_decoder_config=dict(hidden_size=dim),
        image_size=size,
        enable_occlusion_spatial_embedding=official.no_obj_embed_spatial is not None,
        enable_temporal_pos_encoding_for_object_pointers=official.add_tpos_enc_to_obj_ptrs,
        memory_attention_hidden_size=dim,
        memory_attention_num_layers=len(attention),
        memory_attention_feed_forward_hidden_size=attention[0].linear1.out_features,
        memory_attention_rope_feat_sizes=[size // 16, size // 16],
        memory_encoder_hidden_size=dim,
        memory_encoder_output_channels=official.mem_dim,
        mask_downsampler_embed_dim=dim,
        memory_fuser_embed_dim=dim,
        memory_fuser_num_layers=len(fuser),
        memory_fuser_intermediate_dim=fuser[0].pwconv1.out_features,
    )


def check_table(official: dict[str, torch.Tensor], hf: dict[str, torch.Tensor]) -> None:
    """Checks names and shapes: HF has every official key, with its shape, and no other keys."""
    produced: dict[str, list[str]] = {}
    for key in hf:
        for name in official_names(key):
            produced.setdefault(name, []).append(key)
    assert set(produced) == set(official), set(produced) ^ set(official)
    several = {name: sorted(keys) for name, keys in produced.items() if len(keys) > 1}
    assert several == {entry["official"]: entry["hf"] for entry in TABLE["same_official_key"]}
    for key, tensor in to_hf(official, list(hf)).items():
        assert tensor.shape == hf[key].shape, key
    assert all(official_name(name) == name for name in official)  # official keys pass unchanged


class Pair:
    """An official predictor and the HF model of the same weights. `compare` collects relative differences."""

    def __init__(self, official: Any) -> None:
        self.official, self.size = official, official.image_size
        self.official.load_state_dict(seeded_weights(official.state_dict()))
        self.hf = Sam2VideoModel(hf_config(official)).eval()
        check_table(self.official.state_dict(), self.hf.state_dict())
        self.hf.load_state_dict(to_hf(self.official.state_dict(), list(self.hf.state_dict())), strict=True)
        self.frames = synthetic_frames()
        self.images = preprocess(self.frames, self.size)
        self.recorder = Recorder(official)
        self._bias = self.official.sam_mask_decoder.pred_obj_score_head.layers[2].bias
        self.differences: dict[str, tuple[float, float]] = {}  # and the tolerance

    def compare(self, name: str, official: Any, hf: Any, tolerance: float = TOLERANCE) -> None:
        official, hf = torch.as_tensor(official).float(), torch.as_tensor(hf).float()
        assert official.numel() == hf.numel(), (name, official.shape, hf.shape)
        difference = (official.flatten() - hf.flatten()).abs().max() / official.abs().max()
        self.differences[name] = (float(difference), tolerance)

    def failures(self) -> list[str]:
        return [name for name, (difference, limit) in self.differences.items() if not difference <= limit]

    def run_official(self) -> None:
        """Runs the official side once and records everything that the checks need."""
        official, size = self.official, self.size
        features = official.forward_image(self.images[:1])
        self.fpn, self.positions = features["backbone_fpn"], features["vision_pos_enc"]
        self.embedding = self.fpn[2] + official.no_mem_embed.reshape(1, -1, 1, 1)
        encoder, decoder = official.sam_prompt_encoder, official.sam_mask_decoder
        coordinates = torch.tensor([[[0.4, 0.45], [0.7, 0.1], [0.2, 0.9], [0.3, 0.3], [0.6, 0.6]]]) * size
        labels = torch.tensor([[1, 0, -1, 2, 3]], dtype=torch.int32)
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        self.mask = (((x - 0.4 * size) ** 2 + (y - 0.5 * size) ** 2) < (0.2 * size) ** 2).float()[None, None]
        self.low_mask = torch.nn.functional.avg_pool2d(self.mask, 4) * 20 - 10
        self.cases = {
            "one point": (coordinates[:, :1], labels[:, :1], None),
            "all labels": (coordinates, labels, None),
            "point and mask": (coordinates[:, :1], labels[:, :1], self.low_mask),
        }
        self.dense_pe = encoder.get_dense_pe()
        self.heads = {}
        for case, (points, point_labels, mask) in self.cases.items():
            sparse, dense = encoder(points=(points, point_labels), boxes=None, masks=mask)
            outputs = decoder.predict_masks(self.embedding, self.dense_pe, sparse, dense, False, self.fpn[:2])
            self.heads[case] = (sparse, dense, *outputs)
        self.downsampled = official.mask_downsample(self.mask)
        self.mask_prompt = official._use_mask_as_output(self.fpn[2], self.fpn[:2], self.mask)
        self.sessions = {}
        for absent in (False, True):
            value = self._bias.clone()
            self._bias.copy_(torch.full_like(value, -100.0) if absent else value)
            session = Session(official, self.recorder, self.frames)
            session.click(0, 1, torch.tensor([ellipse_centre(0)], dtype=torch.float64).numpy())
            self.sessions[absent] = session.propagate()
            self._bias.copy_(value)

    def check_hf(self, stop_at_failure: bool = False) -> list[str]:
        self.differences = {}
        present, absent = (lambda: self._check_session(False)), (lambda: self._check_session(True))
        for check in (self._check_image_encoder, self._check_heads, self._check_mask_prompt, present, absent):
            check()
            if stop_at_failure and self.failures():
                break
        return self.failures()

    def _check_image_encoder(self) -> None:
        out = self.hf.get_image_features(self.images[:1], return_dict=True)
        for level in range(3):
            hf, position = out.fpn_hidden_states[level], out.fpn_position_encoding[level]
            self.compare(f"image encoder: fpn{level}", self.fpn[level], hf.permute(1, 2, 0))
            self.compare(f"image encoder: position{level}", self.positions[level], position.permute(1, 2, 0))

    def _check_heads(self) -> None:
        hf, decoder = self.hf, self.hf.mask_decoder
        dense_pe = hf.get_image_wide_positional_embeddings()
        self.compare("prompt encoder: dense position", self.dense_pe, dense_pe)
        embedding = self.fpn[2] + hf.no_memory_embedding.reshape(1, -1, 1, 1)
        for case, (points, labels, mask) in self.cases.items():
            sparse, dense = hf.prompt_encoder(points[:, None], labels[:, None], None, mask)
            decoder.dynamic_multimask_via_stability = False  # mask 0 itself
            single = decoder(embedding, dense_pe, sparse, dense, False, self.fpn[:2])
            decoder.dynamic_multimask_via_stability = True
            three = decoder(embedding, dense_pe, sparse, dense, True, self.fpn[:2])
            found = (sparse, dense, *(torch.cat([a, b], dim=2) for a, b in zip(single[:3], three[:3])), single[3])
            for name, a, b in zip(("sparse", "dense", "masks", "ious", "tokens", "score"), self.heads[case], found):
                self.compare(f"{case}: {name}", a, b)

    def _check_mask_prompt(self) -> None:
        """Calls the two steps of a mask prompt here, because HF's own `_use_mask_as_output` takes its pointer from the
        best of three masks, but the official one from mask 0."""
        downsampled = self.hf.mask_downsample(self.mask)
        self.compare("mask prompt: downsampled", self.downsampled, downsampled)
        arguments = dict(input_masks=downsampled, image_embeddings=[*self.fpn[:2], self.fpn[2]])
        pointer = self.hf._single_frame_forward(**arguments, multimask_output=False).object_pointer
        self.compare("mask prompt: pointer", self.mask_prompt[5], pointer)

    def _check_session(self, absent: bool) -> None:
        hf, height, width = self.hf, *self.frames[0].shape[:2]
        bias = hf.mask_decoder.pred_obj_score_head.proj_out.bias
        value = bias.clone()
        bias.copy_(torch.full_like(value, -100.0) if absent else value)
        session = Sam2VideoInferenceSession(self.images, height, width, dtype=torch.float32)
        point = torch.tensor(ellipse_centre(0), dtype=torch.float32) / torch.tensor([width, height]) * self.size
        inputs = dict(point_coords=point.reshape(1, 1, 1, 2), point_labels=torch.ones(1, 1, 1, dtype=torch.int32))
        session.add_point_inputs(session.obj_id_to_idx(1), 0, inputs)
        session.obj_with_new_inputs = [1]
        heads: list[Any] = []
        attended: list[torch.Tensor] = []
        tap(hf, "_single_frame_forward", lambda _, result: heads.append(result))
        tap(hf.memory_attention, "forward", lambda _, result: attended.append(result))
        for _ in hf.propagate_in_video_iterator(session, start_frame_idx=0):
            pass
        del hf._single_frame_forward, hf.memory_attention.forward  # the taps
        bias.copy_(value)
        stored = session.output_dict_per_obj[0]
        for frame, tracked in enumerate(self.sessions[absent]):
            expected = tracked.outputs[0]
            kept = stored["non_cond_frame_outputs" if frame else "cond_frame_outputs"][frame]
            name = f"{'absent' if absent else 'session'}, frame {frame}"
            assert expected.multimask and (expected.object_score > 0) != absent
            self.compare(f"{name}: masks", expected.low_res_logits, kept["pred_masks"])
            self.compare(f"{name}: score", expected.object_score, kept["object_score_logits"])
            self.compare(f"{name}: ious", expected.decoder_ious[1:], heads[frame].iou_scores)
            self.compare(f"{name}: pointer", expected.obj_ptr, kept["object_pointer"])
            memory = kept["maskmem_features"].permute(1, 2, 0)
            self.compare(f"{name}: memory (bf16)", tracked.memory[0], memory, BF16_STEP)
            if frame:
                output = expected.memory_attention["output"]
                self.compare(f"{name}: memory attention", output.flatten(), attended[frame - 1].flatten())

    def mutate(self) -> list[str]:
        """Returns the HF keys whose change no check notices: for these only name and shape are checked."""
        unnoticed = []
        generator = torch.Generator().manual_seed(0)
        for key, tensor in self.hf.state_dict().items():
            kept = tensor.clone()
            tensor += 0.3 * (kept.abs().max() + 0.1) * torch.randn(kept.shape, generator=generator)
            if not self.check_hf(stop_at_failure=True):
                unnoticed.append(key)
            tensor.copy_(kept)
        assert not self.check_hf()
        return unnoticed


def check_saved_names(hf: Sam2VideoModel) -> None:
    """Checks that `save_pretrained` writes the names of the state dict, so that a file on the hub has them."""
    with tempfile.TemporaryDirectory() as folder:
        hf.save_pretrained(folder)
        with safe_open(f"{folder}/model.safetensors", "pt") as file:
            assert set(file.keys()) == set(hf.state_dict()), set(file.keys()) ^ set(hf.state_dict())


def save(pair: Pair, folder: Path) -> None:
    """Saves the same weights as `model.safetensors` as on the hub, and as `official.pt` like Meta's."""
    folder.mkdir(parents=True, exist_ok=True)
    pair.hf.save_pretrained(folder)
    torch.save({"model": pair.official.state_dict()}, folder / "official.pt")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="Prove names.json.")
    parser.add_argument("--write", action="store_true", help="write hf_headers.json instead of comparing with it")
    parser.add_argument("--mutate", action="store_true", help="also change every tensor of the micro model (minutes)")
    parser.add_argument("--sizes", action="store_true", help="also names and shapes of small, base+ and large")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these, such as micro_2_1")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save each model as both packages do, for the converter")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    _kv_in_dim_from_config()

    models = {
        "micro_2_1": lambda: build_micro(REPOSITORY / "assets"),
        "tiny_2_0": lambda: build_without_weights("configs/sam2/sam2_hiera_t.yaml"),
        "tiny_2_1": lambda: build_without_weights("configs/sam2.1/sam2.1_hiera_t.yaml"),
    }
    headers = {}
    wanted = arguments.models or list(models)
    for name in wanted:
        pair = Pair(models[name]())
        if arguments.save:
            save(pair, arguments.save / name)
        shapes = {key: list(tensor.shape) for key, tensor in pair.hf.state_dict().items()}
        headers[name] = dict(sorted(shapes.items()))
        print(f"{name}: {len(shapes)} HF keys, {len(pair.official.state_dict())} official keys")
        pair.run_official()
        failures = pair.check_hf()
        for check, (difference, limit) in pair.differences.items():
            print(f"  {difference:8.1e} (at most {limit:.1e})  {check}")
        assert not failures, failures
        if name == "micro_2_1":
            check_saved_names(pair.hf)
            if arguments.mutate:
                print("  by name and shape only:", *pair.mutate(), sep="\n    ", flush=True)
    if arguments.sizes:
        for size in OTHER_SIZES:
            official = build_without_weights(f"configs/{size.split('_')[0]}/{size}.yaml")
            with torch.device("meta"):
                hf = Sam2VideoModel(hf_config(official))
            check_table(official.state_dict(), hf.state_dict())
            print(f"{size}: {len(hf.state_dict())} HF keys, {len(official.state_dict())} official keys")
    if arguments.write:
        assert wanted == list(models), "all models are needed"
        lines = [json.dumps(name) + ": {\n" + ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(shape)}" for key, shape in keys.items()
        ) + "\n}" for name, keys in headers.items()]
        HEADERS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    expected = json.loads(HEADERS.read_text())
    assert {name: expected[name] for name in wanted} == headers


if __name__ == "__main__":
    main()
