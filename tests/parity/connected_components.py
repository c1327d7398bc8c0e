"""Replaces sam2's CUDA extension, so that holes are filled on the CPU too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from sam2.utils import misc


def connected_components(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the documented result of `get_connected_components`: for a binary mask [N, 1, H, W], the label (0 in the
    background) and the area of every pixel's component (8-connectivity), both int32."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    areas = np.zeros(mask.shape, dtype=np.int32)
    for n, (picture,) in enumerate(mask.to(torch.uint8).numpy()):
        _, components, statistics, _ = cv2.connectedComponentsWithStats(picture, connectivity=8)
        labels[n, 0] = components
        areas[n, 0] = np.where(components > 0, statistics[components, cv2.CC_STAT_AREA], 0)
    return torch.from_numpy(labels), torch.from_numpy(areas)


@dataclass
class FilledHoles:
    """Counts what hole filling changed, over all frames and objects."""

    masks: int = 0  # in which a hole was filled
    holes: int = 0
    pixels: int = 0  # of the low-res masks


@contextmanager
def hole_filling(max_area: int) -> Iterator[FilledHoles]:
    """Puts the replacement where the predictor looks for the extension. `max_area` is used only for the counts."""
    filled = FilledHoles()

    def counting(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        labels, areas = connected_components(mask)
        hole = (labels > 0) & (areas <= max_area)
        filled.masks += int(hole.any())
        filled.holes += len(labels[hole].unique())
        filled.pixels += int(hole.sum())
        return labels, areas

    original = misc.get_connected_components
    misc.get_connected_components = counting
    try:
        yield filled
    finally:
        misc.get_connected_components = original
