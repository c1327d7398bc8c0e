"""Compares ours with the official package, in alternating runs on the same machine, with the same weights, prompts, and numbers of frames and threads.

    python benches/compare/run.py SAM2 [--rounds 3] [--threads 1 2] [--cases micro:1:40 micro:8:20 tiny:1:3:8 ...]

SAM2 is the built program. A case is MODEL:OBJECTS:FRAMES[:WARM-UP]; MODEL = micro, tiny, small, base-plus, large. Weights other than micro's are seeded, and saved in
benches/compare/.weights. Prints one Markdown table for each number of threads: medians over the rounds, in milliseconds, and the median of the ratios within each round.
Run it on an idle machine: PyTorch's threads spin while they wait, so other work slows PyTorch far more than its share."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OFFICIAL = HERE / "official.py"
WEIGHTS = HERE / ".weights"
DEFAULT = ["micro:1:40", "micro:8:20", "tiny:1:5:10", "tiny:8:2:8", "base-plus:1:2:8", "large:1:1:7"]
# The values shown for a run, and their keys.
COLUMNS = ["frame", "encode", "track", "prompt", "memory_encode"]


def call(command: list[str], threads: int) -> dict:
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def weights(sam2: str, model: str) -> tuple[list[str], list[str]]:
    """Returns the options that give both sides the same weights."""
    if model == "micro":
        return [], []
    WEIGHTS.mkdir(exist_ok=True)
    theirs, ours = WEIGHTS / f"{model}.pt", WEIGHTS / f"{model}.safetensors"
    if not theirs.exists():
        subprocess.run([sys.executable, str(OFFICIAL), model, "--save", str(theirs)], check=True)
    if not ours.exists():
        config = f"{model}-2.1"
        subprocess.run([sam2, "-q", "convert", str(theirs), str(ours), "--config", config], check=True)
    return ["--model", str(ours)], ["--checkpoint", str(theirs)]


def measure(sam2: str, case: str, precision: str, threads: int, rounds: int) -> str:
    model, objects, frames, *rest = case.split(":")
    warm_up = rest[0] if rest else "17"
    our_weights, their_weights = weights(sam2, model)
    ours, theirs = [], []
    for _ in range(rounds):
        counts = ["--objects", objects, "--frames", frames, "--warm-up", warm_up, "--repeats", "3"]
        # Our side times each step in a separate loop, with a full memory; the official steps are timed within the frames.
        ours.append(call([sam2, "-q", "bench", *our_weights, "--device", "cpu", "--precision", precision, *counts, "--json"], threads))
        official = [sys.executable, str(OFFICIAL), model, objects, frames, "--threads", str(threads), "--warm-up", warm_up, *their_weights]
        theirs.append(call(official + (["--autocast"] if precision == "bf16" else []), threads))

    def middle(runs: list[dict], key: str) -> float:
        return statistics.median(run["seconds"][key] for run in runs)

    def ratio(key: str) -> float:
        return statistics.median(a["seconds"][key] / max(b["seconds"][key], 1e-9) for a, b in zip(ours, theirs))

    cells = [f"{middle(ours, c) * 1e3:.1f} / {middle(theirs, c) * 1e3:.1f}" for c in COLUMNS]
    memory = [statistics.median(run["peak_bytes"] for run in runs) / 1e6 for runs in (ours, theirs)]
    first = "first_mask_from_process_start"
    return (
        f"| {model} | {objects} | {precision} | **{ratio('frame'):.2f}** | "
        + " | ".join(cells)
        + f" | {middle(ours, first):.2f} / {middle(theirs, first):.2f} s | {memory[0]:.0f} / {memory[1]:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sam2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--cases", nargs="+", default=DEFAULT)
    args = parser.parse_args()
    for threads in args.threads:
        print(f"\n{threads} threads; ours / official, ms:\n")
        titles = ["frame", "image encoder", "memory attention + decoder", "a box answered", "memory encoder", "first mask", "peak MB"]
        print("| model | objects | precision | frame, ratio | " + " | ".join(titles) + " |")
        print("|---" * (4 + len(titles)) + "|")
        for case in args.cases:
            for precision in args.precisions:
                print(measure(args.sam2, case, precision, threads, args.rounds), flush=True)


if __name__ == "__main__":
    main()
