"""Runs the program with every output format, and reads each one with its usual reader.

All others are compared with the masks of the BigTIFF stack, read by tifffile, pixel for pixel and value for value.

    python tests/formats/check_formats.py --sam2 target/release/sam2
    python tests/formats/check_formats.py --sam2 target/release/sam2 --memory 200 2000
"""

import argparse
import contextlib
import filecmp
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import more_formats

CLIPS = Path(__file__).resolve().parents[2] / "assets" / "clips"
RATE = Fraction(30000, 1001)
FRAMES = 24
# Okabe and Ito's first two colours, which the program uses for objects 1 and 2.
COLOURS = {1: (230, 159, 0), 2: (86, 180, 233)}

# Every format, as typed on the command line.
OUTPUTS = [
    "masks.btf",
    "object-tiffs:objects",
    "davis:davis",
    "object-pngs:object-pngs",
    "coco.json",
    "sav:clip_auto.json",
    "yolo:yolo",
    "labelme:labelme",
    "rois.zip",
    "masks.zarr",
    "masks.sam2run",
    "table.csv",
    "table.parquet",
    "overlay.mp4",
    "contact-sheet:overview.png",
    "logits.npy",
]


def path_of(output):
    return output.split(":")[-1]


def ffmpeg(*arguments):
    command = ["ffmpeg", "-y", "-v", "error", "-threads", "1", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def make_clip(folder, frames=FRAMES, loop=False):
    """Makes a lossless clip of the first frames of a bundled one, with odd sides and an NTSC rate."""
    clip = folder / "clip.mkv"
    repeat = ["-stream_loop", "-1"] if loop else []
    # Every frame exactly as often as in the file, and then our own rate.
    ffmpeg(*repeat, "-i", CLIPS / "two-crossing.mp4", "-frames:v", frames,
           "-vf", f"format=bgr0,crop=iw-1:ih-1:0:0:exact=1,setpts=N/({RATE})/TB", "-r", str(RATE), "-c:v", "ffv1", "-g", "1", clip)
    return clip


def frame_times(clip):
    """Returns each frame's time as ffprobe reports it, relative to the first frame. Matroska rounds to milliseconds."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", clip]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    times = sorted(float(line.split(",")[0]) for line in told.split())
    assert len(times) == FRAMES and abs(times[-1] - (FRAMES - 1) / RATE) < 1e-3
    return [time - times[0] for time in times]


def clicks():
    """Clicks on each of the two objects on the second frame, so that the reverse pass makes the masks of the first."""
    prompts = []
    for number in (1, 2):
        truth = tifffile.imread(CLIPS / f"two-crossing-truth-{number}.tif", key=1)
        rows, columns = np.nonzero(truth)
        # The pixel farthest from the outline.
        depth = cv2.distanceTransform((truth > 0).astype(np.uint8), cv2.DIST_L2, 5)
        row, column = np.unravel_index(np.argmax(depth), depth.shape)
        assert len(rows) and truth[row, column]
        prompts += ["--point", f"1:{column},{row}:{number}"]
    return prompts


def segment(sam2, folder, clip, outputs, *arguments):
    """Runs the program in `folder` and returns its peak memory in MB."""
    command = [sam2, "segment", str(clip), *clicks(), *arguments]
    for output in outputs:
        command += ["-o", output]
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {process.returncode}:\n{(folder / 'log.txt').read_text()}")
    return usage.ru_maxrss / 1024


def equal(found, expected, what):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    differing = int((found != expected).sum())
    assert differing == 0, f"{what}: {differing} values differ"


def read_stack(path):
    """Reads a stack with tifffile, which must find one series of all pages and give no warnings."""
    with tifffile.TiffFile(path) as stack:
        assert stack.is_bigtiff and len(stack.series) == 1, f"{path}: {stack.series}"
        assert stack.series[0].shape[0] == len(stack.pages)
        return stack.asarray()


def check_stacks(folder):
    """Checks the objects' stacks with tifffile and OpenCV, and that the combined stack is their union. Returns (object, frame, y, x)."""
    stacks = sorted((folder / "objects").iterdir())
    assert [stack.name for stack in stacks] == ["object-001.btf", "object-002.btf"]
    objects = np.stack([read_stack(stack) for stack in stacks])
    assert set(np.unique(objects)) == {0, 255}
    objects = objects > 0
    union = read_stack(folder / "masks.btf")
    assert union.dtype == np.uint8 and union.shape[0] == FRAMES
    equal(union, 255 * objects.any(axis=0).astype(np.uint8), "masks.btf")
    for path, expected in [("masks.btf", objects.any(axis=0)), ("objects/object-002.btf", objects[1])]:
        found, pages = cv2.imreadmulti(str(folder / path), flags=cv2.IMREAD_UNCHANGED)
        assert found
        equal(np.stack(pages) > 0, expected, f"{path} by OpenCV")
    # An uncompressed stack can be mapped into memory, all frames at once.
    equal(tifffile.memmap(folder / "objects/object-001.btf", mode="r", page=5) > 0, objects[0, 5], "mapped")
    for number, areas in enumerate(objects.sum(axis=(2, 3)), 1):
        assert (areas > 0).mean() > 0.8, f"object {number} is on too few frames for a test: {areas}"
    return objects


def smallest_wins(objects):
    ids = np.zeros(objects.shape[1:], np.uint8)
    for number in range(len(objects), 0, -1):
        ids[objects[number - 1]] = number
    return ids


def check_compressed(sam2, folder, clip, objects):
    """Checks stacks of ids in every compression with tifffile and OpenCV."""
    sizes = {}
    for method, code in [("none", 1), ("deflate", 8), ("packbits", 32773)]:
        name = f"{method}.tif"
        segment(sam2, folder, clip, [name, f"object-tiffs:{method}"], "--ids", "--compression", method)
        with tifffile.TiffFile(folder / name) as stack:
            assert all(page.compression == code for page in stack.pages)
        expected = smallest_wins(objects)
        equal(read_stack(folder / name), expected, name)
        found, pages = cv2.imreadmulti(str(folder / name), flags=cv2.IMREAD_UNCHANGED)
        assert found
        equal(np.stack(pages), expected, f"{name} by OpenCV")
        equal(read_stack(folder / method / "object-002.btf") > 0, objects[1], f"{method}/object-002.btf")
        sizes[method] = (folder / name).stat().st_size
    assert sizes["deflate"] < sizes["packbits"] < sizes["none"] / 4, sizes
    return sizes


def check_pngs(folder, objects):
    """Checks DAVIS's and SA-V's images with Pillow, as the official code reads them."""
    frames = [f"{frame:05}.png" for frame in range(FRAMES)]
    assert sorted(p.name for p in (folder / "davis").iterdir()) == frames
    for frame, expected in zip(frames, smallest_wins(objects)):
        image = Image.open(folder / "davis" / frame)
        assert image.mode == "P" and image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
        equal(np.array(image), expected, f"davis/{frame}")
    assert sorted(p.name for p in (folder / "object-pngs").iterdir()) == ["001", "002"]
    for number, masks in enumerate(objects, 1):
        of_object = folder / "object-pngs" / f"{number:03}"
        assert sorted(p.name for p in of_object.iterdir()) == frames
        for frame, expected in zip(frames, masks):
            equal(np.array(Image.open(of_object / frame)) > 0, expected, f"{of_object}/{frame}")
            assert np.array(Image.open(of_object / frame)).max() <= 1


def check_coco(folder, objects):
    """Checks COCO's JSON with pycocotools: masks, areas, boxes."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "coco.json"))
    assert sorted(coco.getImgIds()) == list(range(FRAMES))
    height, width = objects.shape[2:]
    assert all((i["height"], i["width"]) == (height, width) for i in coco.loadImgs(coco.getImgIds()))
    found = np.zeros_like(objects)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        place = annotation["track_id"] - 1, annotation["image_id"]
        assert not found[place].any(), "one annotation for an object on a frame"
        found[place] = coco.annToMask(annotation) > 0
        rle = annotation["segmentation"]
        assert annotation["area"] == coco_mask.area(rle) == objects[place].sum()
        assert annotation["bbox"] == list(coco_mask.toBbox(rle)), annotation["bbox"]
        assert set(annotation) >= {"object_score", "predicted_iou", "prompted", "flags"}
    equal(found, objects, "coco.json")
    assert len(coco.getAnnIds()) == objects.any(axis=(2, 3)).sum()


def check_sav(folder, objects):
    """Checks SA-V's JSON as `sav_utils.py` of the official repository reads it, and its sums."""
    document = json.loads((folder / "clip_auto.json").read_text())
    found = [[coco_mask.decode(rle) > 0 for rle in frame] for frame in document["masklet"]]
    equal(np.swapaxes(found, 0, 1), objects, "clip_auto.json")
    height, width = objects.shape[2:]
    assert document["video_id"] == "clip" and document["masklet_id"] == [1, 2]
    assert (document["video_height"], document["video_width"]) == (height, width)
    assert document["video_frame_count"] == FRAMES and document["masklet_num"] == 2
    assert math.isclose(document["video_duration"], FRAMES / RATE, rel_tol=1e-9)
    areas = objects.sum(axis=(2, 3))
    for number, of_object in enumerate(areas):
        visible = of_object > 0
        assert document["masklet_size_abs"][number] == of_object[visible].mean()
        assert math.isclose(document["masklet_size_rel"][number], of_object[visible].mean() / (height * width))
        assert document["masklet_first_appeared_frame"][number] == visible.argmax()
        later = visible[visible.argmax():]
        assert document["masklet_visibility_changes"][number] == (later[1:] != later[:-1]).sum()
        assert document["masklet_edited_frame_count"][number] == 1


def check_yolo(folder, objects):
    """Checks YOLO's labels, filled by OpenCV as in Ultralytics (`polygon2mask`)."""
    height, width = objects.shape[2:]
    assert len(list((folder / "yolo").iterdir())) == FRAMES
    bridged = 0
    for frame in range(FRAMES):
        seen = set()
        for line in (folder / "yolo" / f"{frame:05}.txt").read_text().splitlines():
            label, *values = line.split()
            label = int(label)
            seen.add(label)
            points = np.array(values, np.float32).reshape(-1, 2)
            assert len(points) >= 3 and (points >= 0).all() and (points <= 1).all()
            filled = np.zeros((height, width), np.uint8)
            cv2.fillPoly(filled, [np.asarray(points * (width, height), np.int32)], 1)
            expected = objects[label, frame]
            assert (filled[expected] == 1).all(), f"frame {frame}: the polygon lacks pixels"
            parts = cv2.connectedComponents(expected.astype(np.uint8), connectivity=8)[0] - 1
            if parts == 1:
                equal(filled > 0, expected, f"yolo frame {frame}, object {label + 1}")
            else:
                bridged += 1
        assert seen == set(np.nonzero(objects[:, frame].any(axis=(1, 2)))[0])
    return bridged


def check_tables(folder, objects):
    """Checks CSV and Parquet with pandas: both are equal, and equal to values that NumPy computes from the masks."""
    csv = pd.read_csv(folder / "table.csv", dtype={"flags": str})
    parquet = pd.read_parquet(folder / "table.parquet")
    assert pq.ParquetFile(folder / "table.parquet").metadata.num_rows == len(csv) == 2 * FRAMES
    assert list(csv.columns) == list(parquet.columns)
    csv["flags"] = csv["flags"].fillna("")
    without = ["name", "image", "agreement"]
    for column in without:
        assert csv[column].isna().all() and parquet[column].isna().all(), "a video, objects without names, one prompted frame"
    for column in csv.columns.drop(without):
        left, right = csv[column], parquet[column]
        if column in ("object_score", "predicted_iou"):
            # The model uses single precision; the text has as many digits as that needs.
            assert right.dtype == np.float32
            left = left.astype(np.float32)
        equal(left.to_numpy(), right.to_numpy(), f"column {column}")
    times = frame_times(folder / "clip.mkv")
    for row in parquet.itertuples():
        mask = objects[row.object - 1, row.frame]
        assert row.area == mask.sum()
        assert math.isclose(row.time, times[row.frame], abs_tol=1e-9)
        if row.area:
            rows, columns = np.nonzero(mask)
            assert math.isclose(row.centroid_x, columns.mean(), rel_tol=1e-9)
            assert math.isclose(row.centroid_y, rows.mean(), rel_tol=1e-9)
            x, y = columns.min(), rows.min()
            box = x, y, columns.max() - x + 1, rows.max() - y + 1
            assert (row.box_x, row.box_y, row.box_width, row.box_height) == box
        else:
            assert math.isnan(row.centroid_x) and math.isnan(row.box_x)
        assert row.prompted == (row.frame == 1)
        assert 0 <= row.predicted_iou <= 1
    # The code of docs/formats.md, unchanged.
    shown = (Path(__file__).parents[2] / "docs/formats.md").read_text().splitlines()
    first = next(number for number, line in enumerate(shown) if "pd.read_csv(" in line)
    names = {"pd": pd}
    exec("\n".join(line.strip() for line in shown[first:first + 2]).replace("masks.csv", str(folder / "table.csv")), names)
    equal(names["lost"].index.to_numpy(), csv.index[csv["flags"].str.contains("lost")].to_numpy(), "lost frames")
    coco = json.loads((folder / "coco.json").read_text())["annotations"]
    scores = {(a["track_id"], a["image_id"]): a for a in coco}
    for row in parquet.itertuples():
        if row.area:
            annotation = scores[row.object, row.frame]
            assert np.float32(annotation["object_score"]) == np.float32(row.object_score)
            assert "|".join(annotation["flags"]) == row.flags


def drawn(folder, clip, objects):
    """Draws the masks into the frames with NumPy, as the program does, but without text."""
    video = cv2.VideoCapture(str(clip))
    frames = []
    for frame in range(FRAMES):
        read, image = video.read()
        assert read
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint16)
        tinted = np.zeros(image.shape[:2], bool)
        for number, colour in COLOURS.items():
            mask = objects[number - 1, frame] & ~tinted
            image[mask] = (2 * image[mask] + colour) // 3
            tinted |= mask
        for number, colour in reversed(COLOURS.items()):
            mask = objects[number - 1, frame]
            inside = cv2.erode(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)),
                               borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
            image[mask & ~inside] = colour
        frames.append(image.astype(np.uint8))
    return np.stack(frames)


def without_text(folder, objects):
    """Selects pixels where no label can be: not in the upper left corner, and not above, below or at the top of an object. Leaves out
    frames with a flag, because outlines of flagged masks are red."""
    free = np.ones(objects.shape[1:], bool)
    free[:, :24, :200] = False
    for row in pd.read_parquet(folder / "table.parquet").itertuples():
        if row.flags:
            free[row.frame] = False
        elif row.area:
            x, y = int(row.centroid_x), int(row.box_y)
            top, bottom = y, y + int(row.box_height)
            for rows in (slice(max(top - 44, 0), top + 24), slice(bottom, bottom + 44)):
                free[row.frame, rows, max(x - 90, 0):x + 90] = False
    assert free.any(axis=(1, 2)).sum() > FRAMES / 2 and free.mean() > 0.3, free.mean()
    return free


def psnr(found, expected):
    error = np.mean((found.astype(np.float64) - expected) ** 2)
    return 10 * math.log10(255**2 / error)


def check_overlay(folder, clip, objects):
    """Checks the video with ffprobe (sizes, rate, exact duration) and OpenCV (contents)."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json",
               str(folder / "overlay.mp4")]
    probed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    (stream,) = probed["streams"]
    height, width = objects.shape[2:]
    assert width % 2 == 1 and height % 2 == 1, "the clip is to have odd sides"
    assert (stream["width"], stream["height"]) == (width + 1, height + 1)
    assert stream["pix_fmt"] == "yuv420p" and int(stream["nb_read_frames"]) == FRAMES
    assert Fraction(stream["avg_frame_rate"]) == RATE and float(stream["start_time"]) == 0
    assert stream["duration_ts"] * Fraction(stream["time_base"]) == FRAMES / RATE
    assert math.isclose(float(probed["format"]["duration"]), FRAMES / RATE, abs_tol=1e-6)
    video = cv2.VideoCapture(str(folder / "overlay.mp4"))
    found = np.stack([cv2.cvtColor(video.read()[1], cv2.COLOR_BGR2RGB) for _ in range(FRAMES)])
    assert not video.read()[0]
    free = without_text(folder, objects)
    expected = drawn(folder, clip, objects)
    quality = psnr(found[:, :height, :width][free], expected[free])
    corner = found[:, 2:14, 1:7].reshape(FRAMES, -1)
    assert len(np.unique(corner > 128, axis=0)) >= 3, "each frame has its number in the corner"
    # Colours at half the resolution blur the outlines, which are one pixel wide.
    assert quality > 28, f"{quality} dB"
    equal(np.abs(found[:, -1].astype(int) - found[:, -2]).max() < 64, True, "the last row is repeated")
    return quality


def check_logits(folder, objects):
    logits = np.load(folder / "logits.npy", mmap_mode="r")
    assert logits.dtype == np.float32 and logits.shape == objects.shape
    assert np.isfinite(logits).all()
    equal(logits > 0, objects, "logits.npy")


def check_all(sam2, folder):
    clip = make_clip(folder)
    segment(sam2, folder, clip, OUTPUTS, "--compression", "none")
    names = {path.name for path in folder.iterdir()}
    receipt = ".masks.btf.sam2job"
    assert names == {"clip.mkv", "log.txt", receipt, *map(path_of, OUTPUTS)}, names
    objects = check_stacks(folder)
    check_pngs(folder, objects)
    check_coco(folder, objects)
    check_sav(folder, objects)
    bridged = check_yolo(folder, objects)
    check_tables(folder, objects)
    check_outlines(sam2, folder, clip, objects)
    quality = check_overlay(folder, clip, objects)
    check_logits(folder, objects)
    overview = Image.open(folder / "overview.png")
    assert overview.format == "PNG" and overview.mode == "RGB" and overview.width > 600

    again = folder / "again"
    again.mkdir()
    segment(sam2, again, clip, OUTPUTS, "--compression", "none")
    for output in map(path_of, OUTPUTS):
        same_bytes(folder / output, again / output)
    sizes = check_compressed(sam2, folder, clip, objects)
    check_documented(folder, clip, objects)
    check_names(sam2, folder / "named", clip)
    print(f"{len(OUTPUTS)} formats agree on {FRAMES} frames of {objects.shape[3]} x {objects.shape[2]}, two objects; "
          f"a second run wrote the same bytes; overlay {quality:.1f} dB; {bridged} polygons of several parts; "
          f"stack in bytes: {sizes}")


def check_outlines(sam2, folder, clip, objects):
    """Checks outlines, OME-Zarr and the run file."""
    more_formats.check_rois(folder / "rois.zip", objects)
    more_formats.check_ome_zarr(folder / "masks.zarr", objects, float(RATE))
    more_formats.check_run_file(folder / "masks.sam2run", objects, folder / "table.parquet")
    images = [f"{frame:05}.jpg" for frame in range(FRAMES)]
    # Not in the folder with which the second run's folder is compared.
    beside = folder / "tmp-labelme"
    shutil.copytree(folder / "labelme", beside)
    ffmpeg("-i", clip, "-start_number", 0, beside / "%05d.jpg")
    more_formats.check_labelme(beside, images, objects)
    polygons = folder / "polygons"
    polygons.mkdir()
    run = [sam2, "merge", folder / "masks.sam2run", "--coco-polygons", "-o", polygons / "coco.json"]
    subprocess.run(run, check=True, stderr=subprocess.DEVNULL)
    more_formats.check_coco_polygons(polygons / "coco.json", objects)


def check_documented(folder, clip, objects):
    """Checks the Python code of docs/formats.md that converts outputs."""
    documented = folder / "documented"
    documented.mkdir()
    given = {"mouse.mp4": clip, "mouse.sam2run": folder / "masks.sam2run", "mouse.parquet": folder / "table.parquet",
             "mouse.btf": folder / "none.tif"}
    for name, source in given.items():
        shutil.copy(source, documented / name)
    more_formats.check_slp(documented, objects, {1: "object 1", 2: "object 2"})
    more_formats.check_nwb(documented, objects, documented / "mouse.parquet")


def check_names(sam2, folder, clip):
    """Checks a folder of images whose names are not their frame numbers, and a track whose animals have names."""
    names = {1: "Tom", 2: "Jerry"}
    images = [f"{frame:05}.png" for frame in range(1, FRAMES + 1)]
    (folder / "frames").mkdir(parents=True)
    ffmpeg("-i", clip, folder / "frames" / "%05d.png")
    points = [prompt.split(":")[1].split(",") for prompt in clicks()[1::2]]
    with open(folder / "trackDLC.csv", "w") as track:
        for line in ["scorer" + 6 * ",net", "individuals" + "".join(3 * f",{name}" for name in names.values()),
                     "bodyparts" + 6 * ",body", "coords" + 2 * ",x,y,likelihood"]:
            track.write(line + "\n")
        for frame in range(FRAMES):
            sure = 0.99 if frame == 1 else 0.01
            track.write(",".join([str(frame)] + [str(cell) for point in points for cell in (*point, sure)]) + "\n")
    outputs = [output for output in OUTPUTS if output not in ("logits.npy", "masks.btf", "overlay.mp4")]
    command = [sam2, "segment", "frames", "--keypoints", "trackDLC.csv", "--min-likelihood", "0.5", "--batch-size", "0"]
    for output in outputs:
        command += ["-o", output]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    objects = np.stack([read_stack(stack) for stack in sorted((folder / "objects").iterdir())]) > 0
    stems = [Path(image).stem for image in images]
    for path, ending in [("davis", "png"), ("object-pngs/001", "png"), ("yolo", "txt"), ("labelme", "json")]:
        assert sorted(p.name for p in (folder / path).iterdir()) == [f"{stem}.{ending}" for stem in stems], path
    for stem, expected in zip(stems, smallest_wins(objects)):
        equal(np.array(Image.open(folder / "davis" / f"{stem}.png")), expected, f"davis/{stem}.png")
    document = json.loads((folder / "coco.json").read_text())
    assert [image["file_name"] for image in document["images"]] == images
    more_formats.check_categories(folder / "coco.json", names)
    csv, parquet = pd.read_csv(folder / "table.csv"), pd.read_parquet(folder / "table.parquet")
    for table in (csv, parquet):
        assert list(table.name) == [names[number] for number in table.object]
        assert list(table.image) == [images[frame] for frame in table.frame]
    more_formats.check_rois(folder / "rois.zip", objects, names)
    more_formats.check_ome_zarr(folder / "masks.zarr", objects, None, names)
    more_formats.check_run_file(folder / "masks.sam2run", objects, folder / "table.parquet", names)
    for image in images:
        shutil.copy(folder / "frames" / image, folder / "labelme")
    more_formats.check_labelme(folder / "labelme", images, objects, names)


def same_bytes(a, b):
    if a.is_dir():
        assert sorted(p.name for p in a.iterdir()) == sorted(p.name for p in b.iterdir())
        for inside in a.iterdir():
            same_bytes(inside, b / inside.name)
    else:
        assert filecmp.cmp(a, b, shallow=False), f"{a} and {b} differ"


def check_memory(sam2, folder, lengths):
    """Measures peak memory with all formats at once, for recordings of several lengths."""
    peaks = {}
    for frames in lengths:
        of_length = folder / str(frames)
        of_length.mkdir()
        clip = make_clip(of_length, frames, loop=True)
        peaks[frames] = segment(sam2, of_length, clip, OUTPUTS)
        print(f"{frames} frames: {peaks[frames]:.0f} MB at most", flush=True)
    growth = max(peaks.values()) - peaks[lengths[0]]
    assert growth < 64, f"memory grows with the recording: {peaks}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sam2", required=True, type=lambda text: str(Path(text).resolve()))
    parser.add_argument("--keep", type=Path, help="write into this folder, and leave it")
    parser.add_argument("--memory", type=int, nargs="+", metavar="FRAMES")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        folder = folder.resolve()
        if arguments.memory:
            check_memory(arguments.sam2, folder, arguments.memory)
        else:
            check_all(arguments.sam2, folder)


if __name__ == "__main__":
    main()
