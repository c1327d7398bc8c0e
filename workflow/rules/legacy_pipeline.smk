# A drop-in for the rule that ran the lab's Python script: the same inputs, the same parameters, the same file out.
# `params` are the script's arguments; see `sam2 legacy-pipeline --help` for what each means.


def legacy_options(wildcards):
    recording = LEGACY[wildcards.name]
    common = config["legacy_pipeline"]
    of_stack = "tiff_path" in recording
    options = ["-tiff_path" if of_stack else "-video_path", recording["tiff_path" if of_stack else "video_path"]]
    options += ["-DLC_csv_file_path", recording["DLC_csv_file_path"]]
    options += ["-column_names", *words(recording["column_names"])]
    for name, option in [
        ("SAM2_path", "-SAM2_path"),
        ("batch_size", "--batch_size"),
        ("downsample_factor", "--downsample_factor"),
        ("device", "--device"),
    ]:
        value = recording.get(name, common.get(name))
        if value is not None:
            options += [option, str(value)]
    return options


def legacy_inputs(wildcards):
    recording = LEGACY[wildcards.name]
    return [recording.get("video_path") or recording["tiff_path"], recording["DLC_csv_file_path"]]


rule legacy_pipeline:
    input:
        legacy_inputs,
    output:
        masks=f"{OUT}/legacy/{{name}}.btf",
        status=f"{OUT}/legacy/{{name}}.status",
    params:
        options=legacy_options,
    log:
        f"{OUT}/logs/legacy/{{name}}.log",
    threads: config["threads"]
    resources:
        mem_mb=config["memory_mb"],
        runtime=config["minutes"],
    retries: config["retries"]
    shell:
        # What follows `--` goes to `sam2 segment`: an attempt goes on where the one before it was killed.
        accepting_flawed(
            "RAYON_NUM_THREADS={threads} {config[sam2]:q} legacy-pipeline {params.options:q}"
            " -output_file_path {output.masks:q} -- --resume 2>> {log:q}"
        )
