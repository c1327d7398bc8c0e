"""Paths, the fixture file format, the clips and the J metric: everything that needs no model."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save as serialise

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("sam2", "torch", "torchvision", "numpy", "pillow", "opencv-python-headless", "safetensors")

# Tensors above this many elements are stored sampled, so that all fixtures stay below 9 MB.
FULL_LIMIT = 40_000


def sample_stride(elements: int, target: int) -> int:
    """Returns a stride for about `target` samples, without the factors 2 and 3. Widths and channel counts have
    these factors, and a stride that shares them would sample only a few columns or one colour."""
    stride = math.ceil(elements / target)
    while math.gcd(stride, 6) != 1:
        stride += 1
    return stride


class Fixture:
    """Collects named tensors and string metadata and writes them as one safetensors file."""

    def __init__(self, description: str, sample_target: int = 20_000) -> None:
        self._tensors: dict[str, torch.Tensor] = {}
        self._metadata: dict[str, str] = {"description": description}
        self._sample_target = sample_target
        # sam2 fills holes only with its CUDA extension; without it the step is skipped.
        self.note("hole_filling", "not applied")
        for tool in TOOLS:
            self.note(f"version.{tool}", version(tool))

    def note(self, key: str, value: object) -> None:
        """Stores strings unchanged, floats with all their digits, and other values as JSON."""
        self._metadata[key] = value if isinstance(value, str) else json.dumps(value)

    def noted(self, key: str) -> object:
        """Returns the value that was passed to `note` (a string only if it is not JSON), or None."""
        text = self._metadata.get(key)
        try:
            return None if text is None else json.loads(text)
        except json.JSONDecodeError:
            return text

    def add(self, name: str, value: torch.Tensor | np.ndarray, full: bool = False) -> None:
        """Stores `value`. A large one is sampled, unless `full` is set because a test passes it to the model."""
        tensor = torch.as_tensor(value).detach().clone().contiguous()
        if tensor.dtype == torch.bool:
            tensor = tensor.to(torch.uint8)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinite values")
        if full or tensor.numel() <= FULL_LIMIT:
            self._tensors[name] = tensor
            return
        stride = sample_stride(tensor.numel(), self._sample_target)
        self._tensors[f"{name}.sampled"] = tensor.flatten()[::stride].clone()
        self._tensors[f"{name}.shape"] = torch.tensor(tensor.shape, dtype=torch.int64)
        # The sums cover the elements that the samples skip.
        exact = tensor.to(torch.float64).numpy()
        self.note(f"{name}.stride", stride)
        self.note(f"{name}.sum", float(exact.sum()))
        self.note(f"{name}.abs_sum", float(np.abs(exact).sum()))

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_sort_metadata(serialise(self._tensors, self._metadata)))


def _sort_metadata(data: bytes) -> bytes:
    """Sorts the metadata, so that the same results give the same file. safetensors writes it in hash order,
    which differs on every run."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data aligned to 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@dataclass(frozen=True)
class Clip:
    frames: list[np.ndarray]  # RGB, u8 [height, width, 3]
    ids: np.ndarray  # truth, u8 [frames, height, width]: 0 background, 1.. objects


def load_clip(assets: Path, name: str) -> Clip:
    capture = cv2.VideoCapture(str(assets / "clips" / f"{name}.mp4"))
    frames = []
    while True:
        ok, bgr = capture.read()
        if not ok:
            break
        frames.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    capture.release()
    ids = np.load(assets / "clips" / f"{name}-masks.npz")["ids"]
    if len(frames) != len(ids):
        raise ValueError(f"{name}: {len(frames)} frames decoded, {len(ids)} truth masks")
    return Clip(frames, ids)


@dataclass(frozen=True)
class DlcTrack:
    """A DeepLabCut CSV: `points` f64 [frames, body parts, 2], `likelihood` f64 [frames, body parts]."""

    points: np.ndarray
    likelihood: np.ndarray

    def best_frame(self) -> int:
        """Returns the frame with the highest mean likelihood; argmax returns the earliest of equal ones."""
        return int(self.likelihood.mean(axis=1).argmax())


def load_dlc(assets: Path, name: str) -> DlcTrack:
    (path,) = (assets / "clips").glob(f"{name}DLC*.csv")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[3:]  # after the scorer, bodyparts and coords lines
    values = np.array([[float(cell) for cell in row[1:]] for row in rows]).reshape(len(rows), -1, 3)
    return DlcTrack(values[:, :, :2], values[:, :, 2])


def innermost_pixel(mask: np.ndarray) -> tuple[int, int]:
    """Returns (x, y) of the pixel farthest from the mask's outline. It is always on the object, unlike a centroid.
    Of equal pixels, it is the first in row-major order. The picture's border counts as outline."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    return int(x), int(y)


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the first and last pixel inside the mask: x0, y0, x1, y1."""
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def jaccard(prediction: np.ndarray, truth: np.ndarray) -> float:
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def pack_mask(mask: np.ndarray) -> np.ndarray:
    """Returns the row-major bits of the whole mask, with the first pixel in the highest bit of the first byte."""
    return np.packbits(mask.reshape(-1))
