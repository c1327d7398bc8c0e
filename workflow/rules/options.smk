# From the configuration to the options of each command.

import re

# Options of `sam2 segment` that the workflow gives itself, and the key that stands for each.
KEYS_OF_OPTIONS = {
    "-o": "outputs",
    "--output": "outputs",
    "--contact-sheet": "outputs",
    "--overwrite": None,
    "--resume": None,
    "--job": None,
    "--frames": "shards",
    "--batch-size": "batch_size",
    "--keypoints": "track",
    "--bodyparts": "bodyparts",
    "--downsample-factor": "downsample_factor",
    "--prompts": "prompts",
    "--model": "model",
    "--device": "device",
}
# Options of `sam2 segment` that say how outputs are written: those of `sam2 merge` too, with the number of values that each takes.
OF_OUTPUTS = {"--ids": 0, "--compression": 1, "--coco-polygons": 0}
# Options that say which parts may be put together.
OF_PARTS = {"--mixed-processors": 0}
# Options that say what the recording's frames are: every command that opens it must be told.
OF_FRAMES = {"--axes": 1, "--stream": 1, "--index-cache": 0}
# Options that say how its pictures are read: `merge` needs them where an output shows pictures.
OF_PICTURES = {"--intensity": 1, "--no-exif": 0, "--on-bad-frame": 1, "--cache-frames": 1, "--prefetch": 1}
# Formats that show no pictures, by name and by ending.
WITHOUT_PICTURES = {
    *("tiff", "object-tiffs", "davis", "object-pngs", "coco", "sav", "yolo", "csv", "parquet", "run"),
    *("btf", "tif", "tiff", "json", "csv", "parquet", "sam2run"),
}


def words(options):
    """Options as texts; YAML reads 0.1 as a number."""
    return [str(option) for option in options]


def selected(options, wanted):
    """Those of `options` that are in `wanted`, with their values."""
    kept, left = [], 0
    for word in options:
        name, has_value, _ = word.partition("=")
        if left:
            kept.append(word)
            left -= 1
        elif name in wanted:
            kept.append(word)
            left = 0 if has_value else wanted[name]
    return kept


def own_options(name):
    """The options that the configuration gives to a recording."""
    return words(config["options"]) + words(RECORDINGS[name].get("options", []))


def listed(value):
    """A list, also of one text."""
    return [value] if isinstance(value, str) else list(value or [])


def batch_size(name):
    """Frames per batch; 0 = the whole recording at once, as where nothing but clicks prompts."""
    recording = RECORDINGS[name]
    return recording.get("batch_size", config["batch_size"] if "track" in recording else 0)


def most_shards(name):
    """Jobs for a recording at most. With --carry-over a batch needs the one before it."""
    return 1 if "--carry-over" in own_options(name) else RECORDINGS[name].get("shards", config["shards"])


def of_recording(name):
    """What `sam2 segment` is told of a recording."""
    recording = RECORDINGS[name]
    options = ["--batch-size", str(batch_size(name))] if batch_size(name) or "track" in recording else []
    if "track" in recording:
        options += ["--keypoints", recording["track"]]
    if recording.get("bodyparts"):
        options += ["--bodyparts", ",".join(words(recording["bodyparts"]))]
    if recording.get("downsample_factor"):
        options += ["--downsample-factor", str(recording["downsample_factor"])]
    for key, option in [("points", "--point"), ("boxes", "--box"), ("prompts", "--prompts")]:
        options += [f"{option}={value}" for value in listed(recording.get(key))]
    for option, value in [("--model", config.get("model")), ("--device", config["device"])]:
        options += [option, value] if value else []
    return options + own_options(name)


def prompt_files(name):
    """The files that say what to segment."""
    recording = RECORDINGS[name]
    return listed(recording.get("track")) + listed(recording.get("prompts"))


def shows_pictures(output):
    """Whether an output is drawn over the recording's pictures, as far as its name tells."""
    kind, colon, path = output.rpartition(":")
    return (kind if colon else path.rpartition(".")[2]) not in WITHOUT_PICTURES


def is_folder(output):
    """Whether an output is a folder: one without an ending, or with that of a zarr store."""
    return Path(output.format(name="name").rpartition(":")[2]).suffix in ("", ".zarr")


def placed(output):
    """An output with its folder, as `-o` takes it, with {name} for the recording's name."""
    kind, colon, path = output.rpartition(":")
    return f"{kind}{colon}{OUT}/{path}"


def output_file(output):
    """An output as Snakemake looks for it."""
    path = f"{OUT}/{output.rpartition(':')[2]}"
    return directory(path) if is_folder(output) else path


def check(name):
    """Finds at once what `sam2` would find in each job."""

    def wrong(what):
        raise WorkflowError(f"recordings: {name}: {what}")

    recording, options = RECORDINGS[name], own_options(name)
    if "--join" in options:
        wrong("--join among the options: a recording in several files is named by its folder here")
    for word in options:
        option = word.partition("=")[0]
        if option in KEYS_OF_OPTIONS:
            key = KEYS_OF_OPTIONS[option]
            wrong(f"{option} among the options: " + (f"use the key `{key}:`" if key else "the workflow gives it itself"))
    clicks = any(word.partition("=")[0] in ("--point", "--box", "--mask") for word in options)
    if not clicks and not any(recording.get(key) for key in ("track", "points", "boxes", "prompts")):
        wrong("nothing says what to segment: give `track:`, `points:`, `boxes:` or `prompts:`")
    for key in ("bodyparts", "downsample_factor"):
        if recording.get(key) and "track" not in recording:
            wrong(f"`{key}:` is about a track: give `track:`")


def check_output(output):
    """Finds at once which outputs cannot be made."""
    if not re.fullmatch(r"([a-z0-9-]+:)?[^{}:]*(\{name\}[^{}:]*)+", output):
        raise WorkflowError(f"outputs: {output}: each recording needs names of its own: put {{name}} into it, as in '{{name}}.csv'")
    if output.startswith("logits:") or output.endswith(".npy"):
        raise WorkflowError(f"outputs: {output}: outputs are made of run files, which hold no logits; use `sam2 segment -o`")


for name in RECORDINGS:
    check(name)
for output in config["outputs"]:
    check_output(output)

# The run file is kept in any case.
TOLD_OUTPUTS = [output for output in config["outputs"] if output != "runs/{name}.sam2run"]
OUTPUTS = [output_file(output) for output in TOLD_OUTPUTS]
WITH_PICTURES = any(map(shows_pictures, TOLD_OUTPUTS))
