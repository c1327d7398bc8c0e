"""Regenerates every fixture of the numerical-parity tests with the official sam2 package.

    python tests/parity/make_fixtures.py

README.md in this folder describes the contents of the files."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
# sam2 warns once per frame that its CUDA hole filling is missing; the fixtures are made without it.
warnings.filterwarnings("ignore", message=r"[\s\S]*Skipping the post-processing step")

import torch  # noqa: E402

import micro_blocks  # noqa: E402
import micro_tracking
import scenario_automatic  # noqa: E402
import tiny_seeded  # noqa: E402
from common import REPOSITORY, Fixture  # noqa: E402

# A different number of threads sums in a different order, which changes the last bits.
THREADS = 2
SIZE_LIMIT = 9_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the fixtures of the parity tests.")
    parser.add_argument("--assets", type=Path, default=REPOSITORY / "assets", help="holds micro/ and clips/")
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent / "fixtures")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)

    started = time.monotonic()
    written: list[Path] = []

    def save(name: str, fixture: Fixture) -> None:
        path = arguments.output / f"{name}.safetensors"
        fixture.save(path)
        written.append(path)
        print(f"{path.stat().st_size:>9}  {path.name}  ({time.monotonic() - started:.0f} s)", flush=True)

    save("micro_blocks", micro_blocks.make(arguments.assets))
    model = micro_tracking.MicroModel(arguments.assets)
    mouse, mouse_j = micro_tracking.make_mouse(model)
    save("micro_mouse_forward_reverse", mouse)
    two, two_j = micro_tracking.make_two_objects(model)
    save("micro_two_objects", two)
    save("micro_truth", micro_tracking.make_truth(model, mouse_j, two_j))
    save("micro_absent", micro_tracking.make_absent(arguments.assets))
    save("micro_automatic", scenario_automatic.make(arguments.assets, only=("small-regions", "own-points")))
    for release in ("2_0", "2_1"):
        save(f"tiny_seeded_{release}", tiny_seeded.make(release))

    total = sum(path.stat().st_size for path in written)
    print(f"{total:>9}  total")
    if total > SIZE_LIMIT:
        raise SystemExit(f"the fixtures exceed {SIZE_LIMIT} bytes")


if __name__ == "__main__":
    main()
