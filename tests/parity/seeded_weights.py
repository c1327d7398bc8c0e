"""Weights that need no checkpoint: a pure function of each tensor's name and shape.

The rule, for the state-dict key `k` (UTF-8) of a tensor with the given shape:

1. h = FNV-1a-64(k): h = 0xCBF29CE484222325; for every byte b: h = ((h ^ b) * 0x100000001B3) mod 2^64.
2. For the flat row-major index i = 0, 1, 2, ...; all in u64, modulo 2^64:
       z = h + (i + 1) * 0x9E3779B97F4A7C15
       z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
       z = (z ^ (z >> 27)) * 0x94D049BB133111EB
       z =  z ^ (z >> 31)
3. u = (z >> 40) / 2^24 and t = 2 u - 1: both exact in f32, t in [-1, 1).
4. value = base + a * t in f32, the product rounded before the sum (no fused multiply-add).

`base` and `a` (rounded to f32) come from the first matching line; fan_in = product of shape[1:]:

    key                                                                  base   a
    "sam_mask_decoder.pred_obj_score_head.layers.2.bias"                 1.0    0.1
    ends with "positional_encoding_gaussian_matrix"                      0      sqrt(3)
    ends with ".gamma" (layer scale)                                     0.1    0.05
    an embedding: ends with one of pos_embed, pos_embed_window,
      maskmem_tpos_enc, no_mem_embed, no_mem_pos_enc, no_obj_ptr,
      no_obj_embed_spatial, iou_token.weight, obj_score_token.weight,
      mask_tokens.weight, not_a_point_embed.weight, no_mask_embed.weight;
      or contains ".point_embeddings."                                   0      0.5
    "obj_ptr_proj.layers.2.weight"                                       0      8 sqrt(3 / fan_in)
    "memory_encoder.out_proj.weight"                                     0      0.25 sqrt(3 / fan_in)
    two or more dimensions                                               0      sqrt(3 / fan_in)
    one dimension, ends with ".weight" (norm)                            1      0.1
    one dimension, ends with ".bias"                                     0      0.1

`a` is computed in f64 and rounded to f32. The first line makes the object score positive. The two
factors make memory attention attend to the few pointer tokens. Without them, the outputs would not
show whether pointers and their temporal encoding are correct (2.0 and 2.1 would hardly differ more
than two runs of the same version)."""

from __future__ import annotations

import math

import numpy as np
import torch

_MASK = (1 << 64) - 1
_EMBEDDING_ENDINGS = (
    "pos_embed",
    "pos_embed_window",
    "maskmem_tpos_enc",
    "no_mem_embed",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "iou_token.weight",
    "obj_score_token.weight",
    "mask_tokens.weight",
    "not_a_point_embed.weight",
    "no_mask_embed.weight",
)
_GAINS = {"obj_ptr_proj.layers.2.weight": 8.0, "memory_encoder.out_proj.weight": 0.25}


def seeded_weights(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns an f32 tensor for every key of `state_dict`, by the rule at the top of this file."""
    return {key: _seeded_tensor(key, tuple(value.shape)) for key, value in state_dict.items()}


def _seeded_tensor(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    base, a = _base_and_scale(key, shape)
    u = _splitmix64(_fnv1a64(key), math.prod(shape)).astype(np.float32) / np.float32(1 << 24)
    t = np.float32(2) * u - np.float32(1)
    value = np.float32(base) + np.float32(a) * t
    return torch.from_numpy(value.reshape(shape))


def _base_and_scale(key: str, shape: tuple[int, ...]) -> tuple[float, float]:
    if key == "sam_mask_decoder.pred_obj_score_head.layers.2.bias":
        return 1.0, 0.1
    if key.endswith("positional_encoding_gaussian_matrix"):
        return 0.0, math.sqrt(3)
    if key.endswith(".gamma"):
        return 0.1, 0.05
    if key.endswith(_EMBEDDING_ENDINGS) or ".point_embeddings." in key:
        return 0.0, 0.5
    if len(shape) >= 2:
        return 0.0, _GAINS.get(key, 1.0) * math.sqrt(3 / math.prod(shape[1:]))
    if key.endswith(".weight"):
        return 1.0, 0.1
    if key.endswith(".bias"):
        return 0.0, 0.1
    raise ValueError(f"no rule for {key} {shape}")


def _fnv1a64(key: str) -> int:
    h = 0xCBF29CE484222325
    for byte in key.encode():
        h = ((h ^ byte) * 0x100000001B3) & _MASK
    return h


def _splitmix64(h: int, count: int) -> np.ndarray:
    """Returns the upper 24 bits of `count` values; numpy's u64 arithmetic wraps modulo 2^64."""
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(h)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)
