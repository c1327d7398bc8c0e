"""Checks formats that are read by their own programs' Python packages: outlines, OME-Zarr, run files, and files made from these.

Each is compared with `objects`, (object, frame, y, x), pixel for pixel.
"""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import ome_zarr.io
import ome_zarr.reader
import pandas as pd
import roifile
import zarr
from labelme._label_file import LabelFile
from labelme.utils import shape_to_mask
from loguru import logger
from ome_zarr_models.v04.image_label import ImageLabel
from pycocotools.coco import COCO

# Labelme logs every image that it reads.
logger.remove()

DOCS = Path(__file__).resolve().parents[2] / "docs"


def equal(found, expected, what):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    differing = int((found != expected).sum())
    assert differing == 0, f"{what}: {differing} values differ"


def filled(rings, shape):
    """Returns the pixels whose centres lie in an odd number of rings, as ImageJ makes a mask of a region: each edge that goes down or up
    inverts the pixels to its right."""
    mask = np.zeros(shape, bool)
    for ring in rings:
        ring = np.asarray(ring).astype(int)
        if (ring[0] == ring[-1]).all():
            ring = ring[:-1]
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0)):
            assert x0 == x1 or y0 == y1, "an outline along the edges of pixels"
            mask[min(y0, y1):max(y0, y1), x0:] ^= True
    return mask


def check_rois(path, objects, names=None):
    """Checks ImageJ's regions with roifile."""
    found = np.zeros_like(objects)
    kinds = set()
    for roi in roifile.roiread(path):
        frame, number = map(int, roi.name.split("-")[:2])
        assert roi.position == frame + 1 and roi.group == 0, (roi.position, roi.group)
        assert roi.name.split("-", 2)[2:] == ([names[number]] if names else []), roi.name
        composite = roi.composite
        kinds.add("composite" if composite else roi.roitype.name)
        rings = roi.coordinates(multi=True) if composite else [roi.coordinates()]
        place = number - 1, frame
        assert not found[place].any(), "one region for an object on a frame"
        found[place] = filled(rings, objects.shape[2:])
        rows, columns = np.nonzero(objects[place])
        box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        assert (roi.top, roi.left, roi.bottom, roi.right) == box
    equal(found, objects, path)
    return kinds


def check_coco_polygons(path, objects):
    """Checks COCO's polygons with pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    found = np.zeros_like(objects)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        place = annotation["track_id"] - 1, annotation["image_id"]
        assert all(len(part) >= 6 and len(part) % 2 == 0 for part in annotation["segmentation"])
        found[place] = coco.annToMask(annotation) > 0
        assert annotation["area"] == objects[place].sum()
    equal(found, objects, path)


def check_labelme(folder, images, objects, names=None):
    """Checks Labelme's files next to their images, with Labelme's own reader and its rule for filling polygons."""
    found = np.zeros_like(objects)
    files = sorted(folder.glob("*.json"))
    assert [file.stem for file in files] == [Path(image).stem for image in images]
    for frame, file in enumerate(files):
        label = LabelFile(str(file))
        assert label.image_path == images[frame]
        for shape in label.shapes:
            number = shape["group_id"]
            assert shape["label"] == (names[number] if names else "object")
            found[number - 1, frame] |= shape_to_mask(objects.shape[2:], shape["points"], shape["shape_type"])
            assert "prompted" in shape["flags"]
    equal(found, objects, folder)


def check_ome_zarr(path, objects, rate, names=None):
    """Checks the label image with zarr and ome-zarr-py, and its metadata with ome-zarr-models."""
    ids = np.zeros(objects.shape[1:], np.uint16)
    for number in range(len(objects), 0, -1):
        ids[objects[number - 1]] = number
    group = zarr.open_group(path, mode="r")
    assert group["0"].dtype == np.uint16
    equal(group["0"][:], ids, path)
    ImageLabel.from_zarr(group)
    (node,) = [n for n in ome_zarr.reader.Reader(ome_zarr.io.parse_url(path))() if n.data]
    equal(node.data[0].compute(), ids, f"{path} by ome-zarr")
    assert [axis["name"] for axis in node.metadata["axes"]] == ["t", "y", "x"]
    scale = node.metadata["coordinateTransformations"][0][0]["scale"]
    assert np.allclose(scale, [1 / rate if rate else 1, 1, 1], rtol=1e-12)
    properties = {p["label-value"]: p["name"] for p in group.attrs["image-label"]["properties"]}
    assert properties == (names or {n: f"object {n}" for n in range(1, len(objects) + 1)}), properties


def documented(document, beginning):
    """Returns the block of Python code in a documentation page that has a line with this beginning."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)
    (block,) = [b for b in blocks if any(line.startswith(beginning) for line in b.splitlines())]
    return block


def check_run_file(path, objects, table, names=None):
    """Checks the run file with the code of docs/jobs.md."""
    code = documented("jobs.md", "def read_run")
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 35, f"{len(lines)} lines"
    scope = {}
    exec(code, scope)
    header, *frames = scope["read_run"](path)
    assert (header["height"], header["width"]) == objects.shape[2:]
    assert {int(n): name for n, name in header.get("object_names", {}).items()} == (names or {})
    found = np.zeros_like(objects)
    rows = {(row.frame, row.object): row for row in pd.read_parquet(table).itertuples()}
    flags = ["lost", "area-jump", "nearly-full", "inverted", "disagree", "overlap", "off-track", "doubtful-prompt"]
    for expected, (frame, seconds, masks) in enumerate(frames):
        assert frame == expected
        for number, (mask, facts) in masks.items():
            found[number - 1, frame] = mask
            row = rows[frame, number]
            assert seconds == row.time or pd.isna(row.time)
            score, iou, prompted, bits, agreement = facts
            assert (np.float32(score), np.float32(iou)) == (row.object_score, row.predicted_iou)
            assert prompted == row.prompted
            assert pd.isna(row.agreement) if agreement is None else np.float32(agreement) == row.agreement
            assert "|".join(flag for bit, flag in enumerate(flags) if bits >> bit & 1) == row.flags
    equal(found, objects, path)


def run_documented(folder, beginning):
    """Runs a block of docs/formats.md in `folder`, with the reader of run files in the same folder."""
    (folder / "read_run.py").write_text(documented("jobs.md", "def read_run"))
    code = documented("formats.md", beginning)
    (folder / "documented.py").write_text(code)
    subprocess.run([sys.executable, "documented.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def check_slp(folder, objects, names):
    """Checks a SLEAP file made with the code of docs/formats.md, with sleap-io."""
    import sleap_io
    run_documented(folder, "import sleap_io")
    labels = sleap_io.load_slp(str(folder / "mouse.slp"), open_videos=False)
    found = np.zeros_like(objects)
    numbers = {name: number for number, name in names.items()}
    for labelled in labels.labeled_frames:
        for mask in labelled.masks:
            found[numbers[mask.track.name] - 1, labelled.frame_idx] = mask.data
    equal(found, objects, "mouse.slp")


def check_nwb(folder, objects, table):
    """Checks an NWB file made with the code of docs/formats.md, with pynwb."""
    import pynwb
    run_documented(folder, "import pynwb")
    table = pd.read_parquet(table)
    with pynwb.NWBHDF5IO(str(folder / "mouse.nwb"), "r") as file:
        behaviour = file.read().processing["behavior"]
        ids = behaviour["masks"].data[:]
        for number, rows in table.groupby("object"):
            equal(behaviour[f"area {number}"].data[:], rows.area, "area")
            centroid = behaviour["centroids"][f"centroid {number}"].data[:]
            assert np.array_equal(centroid, rows[["centroid_x", "centroid_y"]], equal_nan=True)
    expected = np.zeros(objects.shape[1:], np.uint8)
    for number in range(len(objects), 0, -1):
        expected[objects[number - 1]] = number
    equal(ids, expected, "mouse.nwb")


def check_categories(path, names):
    """Checks that COCO's categories are the names of the objects."""
    document = json.loads(Path(path).read_text())
    assert document["categories"] == [{"id": n, "name": name} for n, name in names.items()]
    assert all(a["category_id"] == a["track_id"] for a in document["annotations"])
