"""Clips and an image that any language can reproduce exactly: integer arithmetic only.

t = 0, 1, 2, ... is the frame; c = 0, 1, 2 is red, green, blue; x and y are the pixel. All values are whole
numbers that fit in 32 bits; `mod` has operands >= 0, >> shifts right, |n| is the magnitude. Pixel values are
u8, frames are RGB.

`synthetic`: 640 x 480, t = 0..63.

    texture = (x * (c + 3) + y * (7 - c) + 13 * t + ((x * y) >> (5 + c))) & 255
    cx      = 500 - |(140 + 20 * t) mod 760 - 380|
    cy      = 392 - |(140 +  8 * t) mod 624 - 312|
    dx, dy  = x - cx, y - cy
    pixel   = 255 - 16 * c - (texture >> 3)   where 4 * dx * dx + 9 * dy * dy <= 57600   (the ellipse)
            = texture                         elsewhere

The ellipse has half axes 120 and 80. Its centre starts at (260, 220), moves by (20, 8) per frame and turns
back in x at 120 and 500, in y at 80 and 392: in frames 0..12 it is (260 + 20 t, 220 + 8 t).

`leave-and-return`: 320 x 240, t = 0..52.

    texture = (x * (c + 3) + y * (7 - c) + ((x * y) >> (5 + c))) & 255
    cx      = 416 - 12 * |t - 26|
    cy      = 108 + |(3 * t) mod 48 - 24|
    dx, dy  = x - cx, y - cy
    pixel   = 240 - 12 * c - (texture >> 5)   where 9 * dx * dx + 16 * dy * dy <= 11664   (the ellipse)
            = 60 - 10 * c + ((x + 2 * y) >> 3) + (texture >> 6)   elsewhere

A bright ellipse of half axes 36 and 27 moves over a static gradient with a faint texture. In frames 21..31 the ellipse is
completely outside the picture; in frames 15..20 and 32..37 the border cuts it.

`odd-size`: one image of 333 x 217, the formulae of `synthetic` at t = 0 with another ellipse.

    texture as in `synthetic`
    dx, dy  = x - 150, y - 100
    pixel   = 255 - 16 * c - (texture >> 3)   where 4 * dx * dx + 9 * dy * dy <= 14400
            = texture                         elsewhere"""

from __future__ import annotations

import numpy as np

FRAMES = 3  # number of `synthetic` frames in the fixtures of the tiny models
FRAMES_AT_MOST = 64
LEAVE_AND_RETURN_FRAMES = 53


def ellipse_centre(t: int) -> tuple[int, int]:
    """Returns the ellipse's centre in `synthetic`."""
    return 500 - abs((140 + 20 * t) % 760 - 380), 392 - abs((140 + 8 * t) % 624 - 312)


def synthetic_frame(t: int) -> np.ndarray:
    return _bright_ellipse(640, 480, t, ellipse_centre(t), 57600)


def synthetic_frames(count: int = FRAMES) -> list[np.ndarray]:
    return [synthetic_frame(t) for t in range(count)]


def leave_and_return_frame(t: int) -> np.ndarray:
    x, y, c = _pixels(320, 240)
    texture = _texture(x, y, c, 0)
    dx, dy = x - (416 - 12 * abs(t - 26)), y - (108 + abs((3 * t) % 48 - 24))
    inside = 9 * dx * dx + 16 * dy * dy <= 11664
    background = 60 - 10 * c + ((x + 2 * y) >> 3) + (texture >> 6)
    return np.where(inside, 240 - 12 * c - (texture >> 5), background).astype(np.uint8)


def odd_size_image() -> np.ndarray:
    return _bright_ellipse(333, 217, 0, (150, 100), 14400)


def _bright_ellipse(width: int, height: int, t: int, centre: tuple[int, int], limit: int) -> np.ndarray:
    x, y, c = _pixels(width, height)
    texture = _texture(x, y, c, t)
    dx, dy = x - centre[0], y - centre[1]
    inside = 4 * dx * dx + 9 * dy * dy <= limit
    return np.where(inside, 255 - 16 * c - (texture >> 3), texture).astype(np.uint8)


def _pixels(width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, x, c = np.mgrid[:height, :width, :3].astype(np.int64)
    return x, y, c


def _texture(x: np.ndarray, y: np.ndarray, c: np.ndarray, t: int) -> np.ndarray:
    return (x * (c + 3) + y * (7 - c) + 13 * t + ((x * y) >> (5 + c))) & 255
