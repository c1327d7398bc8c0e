# A recording is cut into shards, each shard is a job of its own, and the parts are merged. Shards begin where batches begin, so
# that each batch is what it would be in one process, and the masks are the same bit for bit.

import hashlib
import json
from math import ceil


def shards(frames, batch_size, count):
    """Up to `count` ranges of whole batches, as alike as can be: [(first frame, frame after the last), ...]."""
    batches = ceil(frames / batch_size)
    count = max(1, min(count, batches))
    borders = [batches * shard // count * batch_size for shard in range(count)] + [frames]
    return list(zip(borders, borders[1:]))


def parts(wildcards):
    """The parts of a recording, once its length is known."""
    with checkpoints.probe.get(name=wildcards.name).output[0].open() as report:
        frames = json.load(report)["frames"]
    ranges = shards(frames, config["batch_size"], config["shards"])
    folder = f"{OUT}/parts/{wildcards.name}/{settings(wildcards.name)}"
    return [f"{folder}/{first}-{end}.sam2run" for first, end in ranges]


def model_and_device():
    given = [("--model", config.get("model")), ("--device", config["device"])]
    return [word for option, value in given if value for word in (option, value)]


def of_recording(name):
    """What `sam2 segment` is told of a recording."""
    recording = RECORDINGS[name]
    options = ["--keypoints", recording["track"], "--batch-size", str(config["batch_size"])]
    if recording.get("bodyparts"):
        options += ["--bodyparts", ",".join(recording["bodyparts"])]
    if recording.get("downsample_factor"):
        options += ["--downsample-factor", str(recording["downsample_factor"])]
    return options + model_and_device() + config["options"] + recording.get("options", [])


def settings(name):
    """A short name for all that decides over the masks: a job that was killed goes on only under the same settings."""
    recording = RECORDINGS[name]
    told = json.dumps([recording["recording"], of_recording(name)])
    return hashlib.sha256(told.encode()).hexdigest()[:8]


checkpoint probe:
    input:
        lambda wildcards: RECORDINGS[wildcards.name]["recording"],
    output:
        f"{OUT}/parts/{{name}}/probe.json",
    localrule: True
    log:
        f"{OUT}/logs/{{name}}/probe.log",
    shell:
        "{config[sam2]:q} probe {input:q} --json > {output:q} 2> {log:q}"


rule segment_part:
    input:
        recording=lambda wildcards: RECORDINGS[wildcards.name]["recording"],
        track=lambda wildcards: RECORDINGS[wildcards.name]["track"],
    output:
        temp(f"{OUT}/parts/{{name}}/{{settings}}/{{first}}-{{end}}.sam2run"),
    params:
        options=lambda wildcards: of_recording(wildcards.name),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    log:
        f"{OUT}/logs/{{name}}/{{settings}}/{{first}}-{{end}}.log",
    threads: config["threads"]
    resources:
        mem_mb=config["memory_mb"],
        runtime=config["minutes"],
    retries: config["retries"]
    shell:
        # A killed attempt leaves its unfinished output, which is of no use, and its journal, from which --resume goes on.
        "find {params.folder:q} -name '.{wildcards.first}-{wildcards.end}.sam2run.*.part' -delete\n"
        "RAYON_NUM_THREADS={threads} {config[sam2]:q} segment {input.recording:q}"
        " --frames {wildcards.first}..{wildcards.end} {params.options:q}"
        " --output {output:q} --overwrite --resume 2>> {log:q}"


rule merge:
    input:
        parts,
    output:
        f"{OUT}/{{name}}.btf",
    log:
        f"{OUT}/logs/{{name}}/merge.log",
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "{config[sam2]:q} merge {input:q} --output {output:q} --overwrite 2> {log:q}"
