"""Ours beside the official package, in alternating runs on the same machine: same weights, frames, prompts and number of threads.

    python benches/compare/run.py TRACK_COST [--rounds 3] [--cases micro:1:40 micro:8:20 tiny:1:3:8 tiny:8:1:8]

TRACK_COST is the built `track_cost`. A case is MODEL:OBJECTS:FRAMES[:WARM-UP]. Prints a Markdown table: medians over the rounds of seconds per tracked
frame, of their ratio within each round, and of peak memory. Run it on a machine that does nothing else: PyTorch's threads
spin while they wait, so other work costs it far more than its share."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

OFFICIAL = Path(__file__).with_name("official.py")


def run(command: list[str], threads: int) -> dict[str, float]:
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("track_cost")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cases", nargs="+", default=["micro:1:40", "micro:8:20", "tiny:1:3:8", "tiny:8:1:8"])
    args = parser.parse_args()
    print("| model | objects | ours, s/frame | official f32, s/frame | ours / official | ours, peak MB | official, peak MB |")
    print("|---|---|---|---|---|---|---|")
    for case in args.cases:
        model, objects, frames, *rest = case.split(":")
        warm_up = rest[0] if rest else "17"
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(run([args.track_cost, model, objects, frames, f"warm-up={warm_up}"], args.threads))
            official = [sys.executable, str(OFFICIAL), model, objects, frames, "--threads", str(args.threads), "--warm-up", warm_up]
            theirs.append(run(official, args.threads))
        middle = lambda runs, key: statistics.median(r[key] for r in runs)  # noqa: E731
        ratio = statistics.median(a["median"] / b["median"] for a, b in zip(ours, theirs))
        print(
            f"| {model} | {objects} | {middle(ours, 'median'):.3f} | {middle(theirs, 'median'):.3f} | {ratio:.2f} "
            f"| {middle(ours, 'peak_mb'):.0f} | {middle(theirs, 'peak_mb'):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
