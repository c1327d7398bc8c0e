"""Fills corpus/tiff_stack with the files of the test data: python3 make_corpus.py (needs the package zstandard)."""

import os

import zstandard

here = os.path.dirname(os.path.abspath(__file__))
data = os.path.join(here, "..", "tests", "data")
corpus = os.path.join(here, "corpus", "tiff_stack")
os.makedirs(corpus, exist_ok=True)
with open(os.path.join(data, "stacks.bin.zst"), "rb") as stream:
    everything = zstandard.ZstdDecompressor().decompress(stream.read())
with open(os.path.join(data, "stacks.tsv")) as table:
    for line in table:
        if line.startswith("file\t"):
            _, name, offset, length = line.rstrip("\n").split("\t")
            # Every eighth of the grid is enough to start from.
            if "/" not in name and (not name.startswith("grid_") or int(offset) % 8 == 0):
                with open(os.path.join(corpus, name), "wb") as file:
                    file.write(everything[int(offset) : int(offset) + int(length)])
