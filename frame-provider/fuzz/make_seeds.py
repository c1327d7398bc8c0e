"""Makes seeds/ from the test data: python3 make_seeds.py (needs the package zstandard).

`seeds/tiff_stack`: one file of each kind that the walker and the codecs tell apart. `seeds/index`: tables of packets, three
bytes each (time shown, time decoded, size and flags), as `check_index` in src/video/index.rs reads them. Films for
`video_file` are made by scripts/fuzz.sh.
"""

import os

import zstandard

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "tests", "data")

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
