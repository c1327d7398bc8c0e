"""Three frames that any language can reproduce exactly: integer arithmetic only.

With t = 0, 1, 2 (frame), c = 0, 1, 2 (red, green, blue), x = 0..639, y = 0..479:

    texture = (x * (c + 3) + y * (7 - c) + 13 * t + ((x * y) >> (5 + c))) & 255
    dx      = x - (260 + 20 * t)
    dy      = y - (220 + 8 * t)
    pixel   = 255 - 16 * c - (texture >> 3)   where 4 * dx * dx + 9 * dy * dy <= 57600   (the ellipse)
            = texture                         elsewhere

The ellipse has half axes 120 and 80 and moves by (20, 8) per frame. All values are u8, frames are RGB."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT, FRAMES = 640, 480, 3


def ellipse_centre(t: int) -> tuple[int, int]:
    return 260 + 20 * t, 220 + 8 * t


def synthetic_frame(t: int) -> np.ndarray:
    y, x, c = np.mgrid[:HEIGHT, :WIDTH, :3].astype(np.int64)
    texture = (x * (c + 3) + y * (7 - c) + 13 * t + ((x * y) >> (5 + c))) & 255
    cx, cy = ellipse_centre(t)
    dx, dy = x - cx, y - cy
    inside = 4 * dx * dx + 9 * dy * dy <= 57600
    return np.where(inside, 255 - 16 * c - (texture >> 3), texture).astype(np.uint8)


def synthetic_frames() -> list[np.ndarray]:
    return [synthetic_frame(t) for t in range(FRAMES)]
