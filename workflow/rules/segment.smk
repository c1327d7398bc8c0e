# A recording is cut into shards, each shard is a job of its own, the parts become one run file, and the outputs are made of it. Shards
# begin where batches begin, so that each batch is what it would be in one process, and the masks are the same bit for bit.

import hashlib
import json
from math import ceil


def shards(frames, batch_size, count):
    """Up to `count` ranges of whole batches, as alike as can be: [(first frame, frame after the last), ...]."""
    batches = ceil(frames / batch_size) if batch_size else 1
    count = max(1, min(count, batches))
    borders = [batches * shard // count * batch_size for shard in range(count)] + [frames]
    return list(zip(borders, borders[1:]))


def parts(wildcards, ending):
    """The parts of a recording, once its length is known."""
    name = wildcards.name
    with checkpoints.probe.get(name=name).output.report.open() as report:
        frames = json.load(report)["frames"]
    ranges = shards(frames, batch_size(name), most_shards(name))
    folder = f"{OUT}/parts/{name}/{settings(name)}"
    return [f"{folder}/{first}-{end}.{ending}" for first, end in ranges]


def settings(name):
    """A short name for all that decides over the masks: a job that was killed goes on only under the same settings."""
    told = json.dumps([RECORDINGS[name]["recording"], of_recording(name)])
    return hashlib.sha256(told.encode()).hexdigest()[:8]


checkpoint probe:
    input:
        lambda wildcards: RECORDINGS[wildcards.name]["recording"],
    output:
        report=f"{OUT}/parts/{{name}}/probe.json",
        status=temp(f"{OUT}/parts/{{name}}/probe.status"),
    params:
        options=lambda wildcards: selected(own_options(wildcards.name), OF_FRAMES),
    localrule: True
    log:
        f"{OUT}/logs/{{name}}/probe.log",
    shell:
        accepting_flawed("{config[sam2]:q} probe {input:q} --json {params.options:q} > {output.report:q} 2> {log:q}")


rule segment_part:
    input:
        recording=lambda wildcards: RECORDINGS[wildcards.name]["recording"],
        prompts=lambda wildcards: prompt_files(wildcards.name),
    output:
        run=temp(f"{OUT}/parts/{{name}}/{{settings}}/{{first}}-{{end}}.sam2run"),
        status=temp(f"{OUT}/parts/{{name}}/{{settings}}/{{first}}-{{end}}.status"),
    params:
        options=lambda wildcards: of_recording(wildcards.name),
        folder=lambda wildcards, output: str(Path(output.run).parent),
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
        + accepting_flawed(
            "RAYON_NUM_THREADS={threads} {config[sam2]:q} segment {input.recording:q}"
            " --frames {wildcards.first}..{wildcards.end} {params.options:q}"
            " --output {output.run:q} --overwrite --resume 2>> {log:q}"
        )
        # The record of which job the part is of would outlive it; here its folder's name says that.
        + "\nrm -f {params.folder:q}/.{wildcards.first}-{wildcards.end}.sam2run.sam2job"


# The run file of the whole recording is kept: outputs that are wanted later are made of it, without the model.
rule whole_run:
    input:
        runs=lambda wildcards: parts(wildcards, "sam2run"),
        statuses=lambda wildcards: parts(wildcards, "status"),
    output:
        run=f"{OUT}/runs/{{name}}.sam2run",
        status=f"{OUT}/runs/{{name}}.status",
    params:
        options=lambda wildcards: selected(own_options(wildcards.name), OF_PARTS),
    log:
        f"{OUT}/logs/{{name}}/run.log",
    resources:
        mem_mb=2000,
        runtime=config["minutes"],
    shell:
        accepting_flawed("{config[sam2]:q} merge {input.runs:q} --output {output.run:q} {params.options:q} --overwrite 2> {log:q}")
        # What a part lacks for another reason than its prompts, such as damaged frames, the run file does not know.
        + "\nif grep -qx flawed {input.statuses:q}; then echo flawed > {output.status:q}; fi"


if OUTPUTS:

    rule outputs:
        input:
            run=f"{OUT}/runs/{{name}}.sam2run",
            recording=lambda wildcards: RECORDINGS[wildcards.name]["recording"] if WITH_PICTURES else [],
        output:
            files=OUTPUTS,
            status=temp(f"{OUT}/parts/{{name}}/outputs.status"),
        params:
            outputs=lambda wildcards: [f"--output={placed(output).format(name=wildcards.name)}" for output in TOLD_OUTPUTS],
            options=lambda wildcards, input: [f"--recording={path}" for path in input[1:]]
            + selected(
                own_options(wildcards.name), {**OF_OUTPUTS, **({**OF_FRAMES, **OF_PICTURES} if WITH_PICTURES else {})}
            ),
        log:
            f"{OUT}/logs/{{name}}/outputs.log",
        resources:
            mem_mb=2000,
            runtime=config["minutes"],
        shell:
            accepting_flawed("{config[sam2]:q} merge {input.run:q} {params.outputs:q} {params.options:q} --overwrite 2> {log:q}")
