"""Runs the scenarios of `scenarios/` with the official sam2 package and writes its results.

    python tests/parity/run_official.py

README.md in this folder describes the scenarios and the contents of the files."""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from contextlib import nullcontext
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
# The image predictor builds its transforms with torch.jit, which warns that it is old.
warnings.filterwarnings("ignore", message=".*torch.jit")

import torch  # noqa: E402
from sam2.build_sam import _load_checkpoint  # noqa: E402

import scenario_automatic  # noqa: E402
import scenario_images  # noqa: E402
from common import REPOSITORY, Fixture  # noqa: E402
from connected_components import hole_filling  # noqa: E402
from official import build_micro, build_without_weights  # noqa: E402
from scenario_session import ScenarioRun  # noqa: E402
from scenarios import AUTOMATIC, IMAGES, Scenario, load_frames, read_all  # noqa: E402
from seeded_weights import seeded_weights  # noqa: E402

# A different number of threads sums in a different order, which changes the last bits.
THREADS = 2
# Larger checkpoints are deleted after loading, unless --keep-checkpoints is given.
KEPT_CHECKPOINT_BYTES = 500_000_000
SUMMARY = ("min_stability_margin", "min_iou_gap", "min_object_score", "min_mask_margin", "mask_fraction", "filled_holes")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the parity scenarios with the official package.")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="scenarios, or patterns such as micro-*")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / ".out", help="where to write")
    parser.add_argument("--assets", type=Path, default=REPOSITORY / "assets", help="holds micro/ and clips/")
    parser.add_argument("--keep-checkpoints", action="store_true", help="keep the large ones too")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    arguments.out.mkdir(parents=True, exist_ok=True)

    scenarios = read_all()
    names = [IMAGES.stem, AUTOMATIC.stem, *(scenario.name for scenario in scenarios)]
    if nothing := [p for p in arguments.only if not any(fnmatch(name, p) for name in names)]:
        raise SystemExit(f"no scenario matches {nothing}; there are:\n" + "\n".join(names))
    index = Index(arguments.out, names)

    def wanted(name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in arguments.only)

    for path, make in ((IMAGES, scenario_images.make), (AUTOMATIC, scenario_automatic.make)):
        if wanted(path.stem):
            started = time.perf_counter()
            index.add(path.stem, make(arguments.assets), started)
    for scenario in scenarios:
        if wanted(scenario.name):
            started = time.perf_counter()
            index.add(scenario.name, run(scenario, arguments), started)


def run(scenario: Scenario, arguments: argparse.Namespace) -> Fixture:
    predictor = build(scenario, arguments)
    area = scenario.options.fill_hole_area
    predictor.fill_hole_area = area
    session = ScenarioRun(scenario, predictor, load_frames(arguments.assets, scenario.clip))
    with hole_filling(area) if area else nullcontext() as filled:
        session.run()
    if filled:
        session.fixture.note("hole_filling", f"up to {area} pixels")
        session.fixture.note("filled_holes", vars(filled))
    return session.fixture


def build(scenario: Scenario, arguments: argparse.Namespace) -> Any:
    overrides = scenario.options.overrides()
    if scenario.model.weights == "micro":
        predictor = build_micro(arguments.assets, overrides)
        with torch.inference_mode():
            predictor.sam_mask_decoder.pred_obj_score_head.layers[2].bias += scenario.model.object_score_shift
        return predictor
    predictor = build_without_weights(scenario.model.config, overrides)
    # Loaded from a file like Meta's, for the converter's tests; the package refuses missing and unknown keys.
    checkpoint = arguments.out / "checkpoints" / scenario.model.checkpoint
    checkpoint.parent.mkdir(exist_ok=True)
    torch.save({"model": seeded_weights(predictor.state_dict())}, checkpoint)
    _load_checkpoint(predictor, str(checkpoint))
    if checkpoint.stat().st_size > KEPT_CHECKPOINT_BYTES and not arguments.keep_checkpoints:
        checkpoint.unlink()
    return predictor


class Index:
    """`index.json`, rewritten after every scenario. Results of earlier runs stay in it."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder = folder
        self._path = folder / "index.json"
        self._entries: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            earlier = json.loads(self._path.read_text())
            self._entries = {n: e for n, e in earlier.items() if n in names and (folder / e["file"]).exists()}

    def add(self, name: str, fixture: Fixture, started: float) -> None:
        file = f"{name}.safetensors"
        fixture.save(self._folder / file)
        seconds = round(time.perf_counter() - started, 1)
        summary = {key: value for key in SUMMARY if (value := fixture.noted(key)) is not None}
        self._entries[name] = {"file": file, "seconds": seconds, **summary}
        self._path.write_text(json.dumps(dict(sorted(self._entries.items())), indent=1) + "\n")
        megabytes = (self._folder / file).stat().st_size / 1e6
        print(f"{seconds:6.1f} s {megabytes:6.1f} MB  {name:32} {_brief(summary)}", flush=True)


def _brief(summary: dict[str, Any]) -> str:
    def number(value: Any) -> str:
        return f"{value:.2g}" if isinstance(value, float) else str(value)

    return "  ".join(
        f"{key.removeprefix('min_')} {' '.join(map(number, value)) if isinstance(value, list) else number(value)}"
        for key, value in summary.items()
    )


if __name__ == "__main__":
    main()
