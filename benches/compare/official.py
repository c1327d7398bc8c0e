"""Measures the cost of tracking with the official package. Counterpart of `sam2 bench` and `track_cost`, with the same weights, prompts and number of frames.

    python benches/compare/official.py MODEL OBJECTS FRAMES [--threads N] [--warm-up N] [--autocast] [--checkpoint FILE] [--device cuda]
    python benches/compare/official.py MODEL --save FILE        (saves seeded weights as a checkpoint, for both sides)

Prints one JSON object: median seconds for a tracked frame and for each of its steps, seconds from the start of the process to the first mask, and peak memory (on a GPU also the
device's). On a GPU each step waits for the device; `--no-steps` leaves the steps and this waiting out.
Frames are passed in memory and encoded once each, as the package does."""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "parity"))

from common import load_clip  # noqa: E402
from official import _injected, build_micro, build_without_weights, preprocess  # noqa: E402
from seeded_weights import seeded_weights  # noqa: E402

CONFIGS = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}
# The methods of SAM2Base that do the steps of a frame.
STEPS = {
    "encode": ["forward_image"],
    "track": ["_prepare_memory_conditioned_features", "_forward_sam_heads"],
    "memory_encode": ["_encode_new_memory"],
}


def build(name: str, checkpoint: Path | None):
    if name == "micro":
        return build_micro(ROOT / "assets")
    predictor = build_without_weights(f"configs/sam2.1/sam2.1_hiera_{CONFIGS[name]}.yaml")
    if checkpoint:
        predictor.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["model"])
    else:
        predictor.load_state_dict(seeded_weights(predictor.state_dict()))
    return predictor


def seconds_of_this_process() -> float:
    """Returns the seconds since the process was started, to a hundredth."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(Path("/proc/uptime").read_text().split()[0]) - started


class Stopwatch:
    """Adds up the time that methods take."""

    def __init__(self, predictor, wait) -> None:
        self.taken: dict[str, float] = {}
        self.wait = wait
        for step, methods in STEPS.items():
            for method in methods:
                setattr(predictor, method, self._timed(step, getattr(predictor, method)))

    def _timed(self, step: str, method):
        @functools.wraps(method)
        def timed(*args, **kwargs):
            self.wait()
            started = time.perf_counter()
            result = method(*args, **kwargs)
            self.wait()
            self.taken[step] = self.taken.get(step, 0.0) + time.perf_counter() - started
            return result

        return timed

    def lap(self) -> dict[str, float]:
        taken, self.taken = self.taken, {}
        return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("objects", type=int, nargs="?", default=1)
    parser.add_argument("frames", type=int, nargs="?", default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=17, help="frames tracked before the measured ones")
    parser.add_argument("--autocast", action="store_true", help="bfloat16 autocast, as on a GPU")
    parser.add_argument("--checkpoint", type=Path, help="weights; otherwise seeded ones are made, which takes time")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--no-steps", action="store_true", help="frames only")
    parser.add_argument("--compile", action="store_true", help="with torch.compile, the parts that SAM2VideoPredictorVOS compiles")
    parser.add_argument("--save", type=Path, help="write the seeded weights to this file and end")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = build(args.model, args.checkpoint)
    if args.save:
        torch.save({"model": predictor.state_dict()}, args.save)
        return
    clip = load_clip(ROOT / "assets", "mouse-arena").frames
    period = 2 * len(clip) - 2
    order = [min(at % period, period - at % period) for at in range(1 + args.warm_up + args.frames)]
    frames = [clip[at] for at in order]
    height, width = frames[0].shape[:2]
    predictor.to(args.device)
    if args.compile:
        # `SAM2VideoPredictorVOS` uses "max-autotune", which tunes kernels for minutes; this is the default mode.
        for part, dynamic in [("image_encoder", False), ("memory_encoder", False), ("memory_attention", True), ("sam_prompt_encoder", False), ("sam_mask_decoder", False)]:
            module = getattr(predictor, part)
            module.forward = torch.compile(module.forward, dynamic=dynamic)
    waits = args.device != "cpu" and not args.no_steps
    watch = Stopwatch(predictor, torch.cuda.synchronize if waits else lambda: None)
    with torch.inference_mode(), torch.autocast(args.device, torch.bfloat16, enabled=args.autocast):
        with _injected(preprocess(frames, predictor.image_size), height, width):
            state = predictor.init_state("")
        first_mask, prompt = None, 0.0
        for object_id in range(args.objects):
            x, y = (object_id % 4) * 90.0 + 5.0, (object_id // 4) * 65.0 + 5.0
            watch.lap()
            predictor.add_new_points_or_box(state, 0, object_id + 1, box=[x, y, x + 60.0, y + 50.0])
            if first_mask is None:
                first_mask = seconds_of_this_process()
            # For all objects together, as on our side.
            prompt += watch.lap().get("track", 0.0)
        seconds, steps, last = [], [], time.perf_counter()
        for index, _, logits in predictor.propagate_in_video(state):
            _ = (logits > 0).cpu().numpy()
            lap = watch.lap()
            if index > args.warm_up:
                seconds.append(time.perf_counter() - last)
                steps.append(lap)
            last = time.perf_counter()
    assert len(seconds) == args.frames
    middle = {step: round(statistics.median(lap.get(step, 0.0) for lap in steps), 5) for step in STEPS}
    print(
        json.dumps(
            {
                "seconds": {
                    "first_mask_from_process_start": round(first_mask, 2),
                    "frame": round(statistics.median(seconds), 5),
                    "prompt": round(prompt, 5),
                    **middle,
                },
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                **({"peak_device_bytes": torch.cuda.max_memory_allocated()} if args.device != "cpu" else {}),
            }
        )
    )


if __name__ == "__main__":
    main()
