"""What tracking costs with the official package: the twin of `track_cost` (benches/track_cost.rs), same weights, frames and prompts.

    python benches/compare/official.py MODEL OBJECTS FRAMES [--threads N] [--warm-up N] [--autocast]

Prints one JSON object. Frames are handed over in memory and encoded once each, as the package does."""

from __future__ import annotations

import argparse
import json
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


def build(name: str):
    if name == "micro":
        return build_micro(ROOT / "assets")
    predictor = build_without_weights(f"configs/sam2.1/sam2.1_hiera_{CONFIGS[name]}.yaml")
    predictor.load_state_dict(seeded_weights(predictor.state_dict()))
    return predictor


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("objects", type=int)
    parser.add_argument("frames", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm-up", type=int, default=17, help="frames tracked before the measured ones")
    parser.add_argument("--autocast", action="store_true", help="bfloat16 autocast, as on a GPU")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = build(args.model)
    clip = load_clip(ROOT / "assets", "mouse-arena").frames
    period = 2 * len(clip) - 2
    order = [min(at % period, period - at % period) for at in range(args.warm_up + args.frames)]
    frames = [clip[at] for at in order]
    height, width = frames[0].shape[:2]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=args.autocast):
        with _injected(preprocess(frames, predictor.image_size), height, width):
            state = predictor.init_state("")
        for object_id in range(args.objects):
            x, y = (object_id % 4) * 90.0 + 5.0, (object_id // 4) * 65.0 + 5.0
            predictor.add_new_points_or_box(state, 0, object_id + 1, box=[x, y, x + 60.0, y + 50.0])
        seconds, last = [], time.perf_counter()
        for index, _, logits in predictor.propagate_in_video(state):
            _ = (logits > 0).numpy()
            if index >= args.warm_up:
                seconds.append(time.perf_counter() - last)
            last = time.perf_counter()
    assert len(seconds) == args.frames
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(
        json.dumps(
            {
                "seconds_per_frame": round(statistics.mean(seconds), 5),
                "median": round(statistics.median(seconds), 5),
                "peak_mb": round(peak),
            }
        )
    )


if __name__ == "__main__":
    main()
