"""Makes seeds/ from the test data: python3 make_seeds.py (needs the package zstandard).

`seeds/tiff_stack`: one file of each kind that the walker and the codecs tell apart. `seeds/index`: tables of packets, three
bytes each (time shown, time decoded, size and flags), as `check_index` in frame-provider/src/video/index.rs reads them.
`seeds/run_file`: records as fuzz_targets/run_file.rs reads them. `seeds/label_image`: PNG images; TIFF images are those of
`tiff_stack`. Films for `video_file` are made by scripts/fuzz.sh.
"""

import json
import os
import struct
import zlib

import zstandard

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "frame-provider", "tests", "data")

# Beside the grid of sample types, layouts and codecs: what only some programs write.
SPECIAL = """one_bit.tif palette.tif white_is_zero_uint16.tif compression_34926.tif compression_32946.tif whole.btf two_samples.tif
    jpeg_1_strips.tif jpeg_3_tiles.tif jpeg_tables.tif imagej_one_directory_hyper_be.tif shaped_cut_off.btf pyramid.tif sizes.tif
    float.tif lzma.tif""".split()

KEY, SHOWN = 1, 8 << 3
INDEX = {
    "in_order": [(t, t, SHOWN | (KEY if t % 8 == 0 else 0)) for t in range(24)],
    # I0 P3 B1 B2 | I6 b4 b5 P7
    "open_groups": [(p, d, SHOWN | (KEY if p % 6 == 0 else 0)) for d, p in enumerate([0, 3, 1, 2, 6, 4, 5, 7, 12, 10, 11])],
    "edit_list": [(t, t, SHOWN | (KEY if t % 5 == 0 else 0) | (2 if t < 7 else 0)) for t in range(20)],
    "doubtful": [(255, 3, SHOWN | KEY), (7, 255, SHOWN), (7, 7, 0), (7, 8, SHOWN | 4), (250, 9, SHOWN | KEY | 4)],
}


def write(folder, name, data):
    folder = os.path.join(HERE, "seeds", folder)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


with open(os.path.join(DATA, "stacks.bin.zst"), "rb") as stream:
    everything = zstandard.ZstdDecompressor().decompress(stream.read())
grid = 0
with open(os.path.join(DATA, "stacks.tsv")) as table:
    for line in table:
        if not line.startswith("file\t"):
            continue
        _, name, offset, length = line.rstrip("\n").split("\t")
        grid += name.startswith("grid_")
        # 23 is prime to the sizes of the grid, so every value of each of its axes comes up.
        if name in SPECIAL or (name.startswith("grid_") and grid % 23 == 0):
            write("tiff_stack", name, everything[int(offset) : int(offset) + int(length)])
for name, packets in INDEX.items():
    write("index", name, bytes(value for packet in packets for value in packet))


def record(kind, contents):
    return struct.pack("<BH", kind, len(contents)) + contents


def head(**more):
    header = {
        "format_version": 1, "sam2_version": "0.1.0", "recording": "mouse.avi", "width": 4, "height": 2, "frames_per_second": 25.0,
        "frame_count": 2, "frames": {"start": 0, "end": 2}, "logits": False, "settings": {"model": "tiny"},
    }  # fmt: skip
    return record(0, json.dumps(header | more).encode())


def batch(**more):
    return record(2, json.dumps({"frames": {"start": 0, "end": 2}, "prompt_frames": [0], "prompts": []} | more).encode())


# Frame number, its time, objects; an object: number, parts, facts, runs.
FACTS = struct.pack("<ffBB", 3.5, 0.9, 1, 0)
FIRST = bytes([0, 1]) + struct.pack("<d", 0.0) + bytes([1, 1, 1]) + FACTS + bytes([3, 2, 3, 3])
SECOND = bytes([1, 0, 2, 1, 0, 1, 8, 2, 0, 2, 0, 8])
LOGITS = bytes([0, 0, 1, 1, 2, 1, 8]) + struct.pack("<8f", *range(8))
END = record(3, b"")
RUNS = {
    "finished": head() + record(1, FIRST) + record(1, SECOND) + batch() + END,
    "unfinished": head() + record(1, FIRST) + record(1, SECOND) + batch(),
    "loose": head() + record(1, FIRST),
    "part": head(frame_count=9) + record(1, FIRST) + record(1, SECOND) + batch() + END,
    "logits": head(logits=True, frame_count=1, frames={"start": 0, "end": 1}) + record(1, LOGITS) + batch(frames={"start": 0, "end": 1}) + END,
    "names": head(object_names={"1": "ann"}, image_names=["a.png", "b.png"], options=[["--point", "0:1,1"]]) + record(1, FIRST),
}
for name, data in RUNS.items():
    write("run_file", name, data)


def chunk(kind, contents):
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


def png(depth, colour, rows, interlaced=0):
    palette = chunk(b"PLTE", bytes([0, 0, 0, 255, 0, 0, 0, 255, 0])) if colour == 3 else b""
    size = struct.pack(">IIBBBBB", 4, 2, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


IMAGES = {
    "grey.png": png(8, 0, bytes([0, 0, 255, 255, 0, 0, 0, 0, 0, 255])),
    "numbers.png": png(8, 0, bytes([0, 0, 1, 2, 3, 1, 0, 0, 0, 4])),
    "bits.png": png(1, 0, bytes([0, 0x60, 0, 0x10])),
    "deep.png": png(16, 0, bytes([0] + [0, 1] * 4 + [0] + [0, 2] * 4)),
    "palette.png": png(2, 3, bytes([0, 0x18, 0, 0x24])),
    "colour.png": png(8, 2, bytes([0] + [0, 0, 9] * 4 + [1] + [0] * 12)),
    "transparent.png": png(8, 6, bytes([0] + [9, 9, 9, 0] * 4 + [2] + [9, 9, 9, 255] * 4)),
    "interlaced.png": png(8, 0, bytes([0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 255, 255, 255]), 1),
}
for name, data in IMAGES.items():
    write("label_image", name, data)
