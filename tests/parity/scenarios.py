"""Reads the scenario files, which both the Python side and the Rust side run. README.md in this
folder explains every field; unknown fields are refused, so that a typing error is noticed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from common import load_clip
from synthetic_frames import (
    FRAMES_AT_MOST,
    LEAVE_AND_RETURN_FRAMES,
    leave_and_return_frame,
    odd_size_image,
    synthetic_frame,
)

FOLDER = Path(__file__).resolve().parent / "scenarios"
IMAGES = FOLDER / "image.json"  # cases for the image predictor, in a different format
AUTOMATIC = FOLDER / "automatic.json"  # cases for the automatic mask generator, also in a different format

RECORDED = ("mouse-arena", "worm", "two-crossing")
VARIANTS = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}
VERSIONS = {"2.0": "configs/sam2/sam2_hiera_{}.yaml", "2.1": "configs/sam2.1/sam2.1_hiera_{}.yaml"}

# Fields of each operation, with the defaults of the optional ones.
REQUIRED: Any = object()
OPERATIONS: dict[str, dict[str, Any]] = {
    "points": {"frame": REQUIRED, "object": REQUIRED, "points": None, "box": None, "clear_old_points": True},
    "mask": {"frame": REQUIRED, "object": REQUIRED, "ellipse": REQUIRED},
    "propagate": {"reverse": False, "start": None, "max_frames": None},
    "clear_prompts": {"frame": REQUIRED, "object": REQUIRED},
    "remove_object": {"object": REQUIRED},
    "reset": {},
}


@dataclass(frozen=True)
class Model:
    weights: str  # "micro" or "seeded"
    variant: str | None = None  # of seeded weights
    version: str | None = None  # of seeded weights
    object_score_shift: float = 0.0  # of the micro model; see README.md

    def __post_init__(self) -> None:
        if self.weights == "seeded":
            if self.variant not in VARIANTS or self.version not in VERSIONS or self.object_score_shift:
                raise ValueError(f"no such model: {self}")
        elif self.weights != "micro" or self.variant or self.version:
            raise ValueError(f"no such model: {self}")

    @property
    def config(self) -> str:
        """Returns the YAML file inside the sam2 package."""
        return VERSIONS[self.version].format(VARIANTS[self.variant])

    @property
    def checkpoint(self) -> str:
        """Returns Meta's name of the file."""
        prefix = "sam2" if self.version == "2.0" else f"sam{self.version}"
        return f"{prefix}_hiera_{self.variant.replace('-', '_')}.pt"


@dataclass(frozen=True)
class Options:
    image_size: int | None = None  # None: the model's own
    memory_temporal_stride: int = 1
    max_conditioning_frames: int | None = None  # None: no limit
    non_overlap_masks: bool = False
    fill_hole_area: int = 0
    corrections_condition: bool = False

    def overrides(self) -> list[str]:
        """Returns the options as hydra overrides, without `fill_hole_area`: the builder sets it after our overrides."""
        result = [
            f"++model.memory_temporal_stride_for_eval={self.memory_temporal_stride}",
            f"++model.non_overlap_masks={str(self.non_overlap_masks).lower()}",
            f"++model.add_all_frames_to_correct_as_cond={str(self.corrections_condition).lower()}",
        ]
        if self.image_size is not None:
            result.append(f"++model.image_size={self.image_size}")
        if self.max_conditioning_frames is not None:
            result.append(f"++model.max_cond_frames_in_attn={self.max_conditioning_frames}")
        return result


@dataclass(frozen=True)
class ClipRange:
    source: str
    count: int
    start: int = 0


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    model: Model
    clip: ClipRange
    ops: list[dict[str, Any]]  # with all fields of OPERATIONS, and "op"
    options: Options = field(default_factory=Options)
    text: str = ""  # of the file

    @staticmethod
    def read(path: Path) -> Scenario:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text)
        raw["model"] = Model(**raw["model"])
        raw["options"] = Options(**raw.get("options", {}))
        raw["clip"] = ClipRange(**raw["clip"])
        raw["ops"] = [_complete(op) for op in raw["ops"]]
        unknown = raw.keys() - {f.name for f in fields(Scenario)} | ({"text"} & raw.keys())
        if unknown or raw["name"] != path.stem:
            raise ValueError(f"{path.name}: the name must be the file's, unknown fields: {sorted(unknown)}")
        return Scenario(**raw, text=text)


def _complete(op: dict[str, Any]) -> dict[str, Any]:
    known = OPERATIONS[op["op"]]
    result = {"op": op["op"], **known, **op}
    if missing := [key for key, value in result.items() if value is REQUIRED]:
        raise ValueError(f"{op} lacks {missing}")
    if unknown := op.keys() - known.keys() - {"op"}:
        raise ValueError(f"{op} has unknown fields {sorted(unknown)}")
    if op["op"] == "points" and result["points"] is None and result["box"] is None:
        raise ValueError(f"{op} has neither points nor a box")
    return result


def read_all() -> list[Scenario]:
    """Reads all scenarios. Those of the micro model come first, because they are fast."""
    scenarios = [Scenario.read(path) for path in sorted(FOLDER.glob("*.json")) if path not in (IMAGES, AUTOMATIC)]
    sizes = [None, *VARIANTS]
    return sorted(scenarios, key=lambda s: (sizes.index(s.model.variant), s.name))


def load_frames(assets: Path, clip: ClipRange) -> list[np.ndarray]:
    if clip.source in RECORDED:
        frames = load_clip(assets, clip.source).frames[clip.start : clip.start + clip.count]
    else:
        make, limit = {
            "synthetic": (synthetic_frame, FRAMES_AT_MOST),
            "leave-and-return": (leave_and_return_frame, LEAVE_AND_RETURN_FRAMES),
        }[clip.source]
        frames = [make(t) for t in range(clip.start, min(clip.start + clip.count, limit))]
    if len(frames) != clip.count:
        raise ValueError(f"{clip} goes past the end")
    return frames


def load_image(assets: Path, source: str, frame: int) -> np.ndarray:
    """Loads an image for the image predictor: a frame of a clip, or the odd-sized image."""
    if source == "odd-size":
        return odd_size_image()
    return load_frames(assets, ClipRange(source, count=1, start=frame))[0]


def ellipse_mask(ellipse: list[float], height: int, width: int) -> np.ndarray:
    """Returns bool [height, width]: in f64, ((x - cx) / rx)^2 + ((y - cy) / ry)^2 <= 1 at whole x and y."""
    cx, cy, rx, ry = (float(value) for value in ellipse)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v = (x - cx) / rx, (y - cy) / ry
    return u * u + v * v <= 1.0
