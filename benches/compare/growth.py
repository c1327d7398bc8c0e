"""Measures how our time and memory grow with the number of objects and with the length of the recording.

    python benches/compare/growth.py TRACK_COST [--model micro] [--side N] [--lengths 200 2000 20000]

TRACK_COST is the built program `track_cost`. Prints two Markdown tables. Needs only Python's standard library."""

from __future__ import annotations

import argparse
import json
import subprocess


def run(command: list[str]) -> dict:
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("track_cost")
    parser.add_argument("--model", default="micro")
    parser.add_argument("--side", default=None, help="side of the model's input")
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--lengths", type=int, nargs="*", default=[200, 2000, 20000])
    parser.add_argument("--length-objects", type=int, default=1)
    args = parser.parse_args()
    side = [f"side={args.side}"] if args.side else []
    if args.objects:
        print("| objects | ms a frame (median) | ms a frame and object beyond the first | peak RSS, MB |\n|---|---|---|---|")
        first = None
        for objects in args.objects:
            result = run([args.track_cost, args.model, str(objects), str(args.frames), *side])
            time = result["median"] * 1e3
            first = time if first is None else first
            beyond = f"{(time - first) / (objects - 1):.1f}" if objects > 1 else ""
            print(f"| {objects} | {time:.1f} | {beyond} | {result['peak_mb']:.0f} |", flush=True)
    if args.lengths:
        print(f"\n{args.length_objects} object(s):\n")
        print("| frames | ms a frame (mean) | RSS after each quarter, MB | peak RSS, MB |\n|---|---|---|---|")
        for length in args.lengths:
            result = run([args.track_cost, args.model, str(args.length_objects), str(length), *side])
            quarters = ", ".join(f"{megabytes:.1f}" for megabytes in result["quarters_mb"])
            print(f"| {length} | {result['seconds_per_frame'] * 1e3:.1f} | {quarters} | {result['peak_mb']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
