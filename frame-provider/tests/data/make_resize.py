"""Makes resize_modes.tsv: what OpenCV and PyTorch give, for the tests of this crate to compare with.

    python3 -m venv venv && venv/bin/pip install opencv-python-headless torch torchvision numpy xxhash && venv/bin/python make_resize.py

PyTorch runs its plain code here: that for AVX2 fuses products and sums, so its results depend on the processor. How far
it is from the plain one is printed. Hashes are XXH3 with 64 bits.
"""

import os
import subprocess
import sys

import cv2
import numpy
import xxhash

HERE = os.path.dirname(os.path.abspath(__file__))

# source width, source height, target width, target height
SIZES = [
    (1, 1, 5, 7), (3, 2, 1, 1), (2, 3, 4, 6), (4, 4, 3, 5), (7, 5, 7, 9), (7, 5, 3, 5), (5, 1, 11, 1), (1, 5, 1, 3), (4, 4, 2, 2),
    (8, 6, 2, 3), (16, 16, 17, 17), (17, 19, 16, 18), (20, 10, 10, 10), (33, 31, 64, 8), (100, 75, 1, 75), (161, 97, 1024, 1024),
    (320, 240, 1024, 1024), (640, 480, 256, 192), (900, 896, 1024, 1024), (1280, 720, 1024, 1024), (720, 1280, 1024, 1024),
    (1920, 1080, 1024, 1024), (2048, 2048, 1024, 1024), (2000, 1500, 13, 11), (3000, 10, 3, 10),
]


def noise(width, height, seed):
    """The same bytes as `noise` in the tests. Odd seeds give only 0 and 255."""
    mask = numpy.uint64(0xFFFFFFFF)
    value = numpy.arange(width * height * 3, dtype=numpy.uint64) * numpy.uint64(2654435761) + numpy.uint64(seed)
    value &= mask
    value ^= value >> numpy.uint64(15)
    value = (value * numpy.uint64(2246822519)) & mask
    value ^= value >> numpy.uint64(13)
    value = (value & numpy.uint64(255)).astype(numpy.uint8)
    if seed % 2:
        value = numpy.where(value < 128, 0, 255).astype(numpy.uint8)
    return value.reshape(height, width, 3)


def digest(data):
    return f"{xxhash.xxh3_64_intdigest(numpy.ascontiguousarray(data).tobytes()):016x}"


def pairs():
    for seed, (width, height, to_width, to_height) in enumerate(size for size in SIZES for _ in range(2)):
        yield seed, (width, height, to_width, to_height), noise(width, height, seed)


def torch_results():
    """As floats and as bytes, for each pair."""
    import torch
    from torchvision import transforms

    for _, (_, _, width, height), image in pairs():
        image = torch.from_numpy(image).permute(2, 0, 1)
        as_float = transforms.Resize((height, width))(image.float().div(255))
        as_bytes = transforms.functional.resize(image, [height, width], antialias=True)
        yield as_float.numpy(), as_bytes.permute(1, 2, 0).numpy()


if "--plain" not in sys.argv:
    plain = subprocess.run([sys.executable, __file__, "--plain"], env={**os.environ, "ATEN_CPU_CAPABILITY": "default"}, check=True)
    expected = numpy.load(os.path.join(HERE, "plain.npy"), allow_pickle=True)
    os.remove(os.path.join(HERE, "plain.npy"))
    floats = max(numpy.abs(a - b).max() for (a, _), (b, _) in zip(torch_results(), expected))
    bytes_ = sum((a != b).sum() for (_, a), (_, b) in zip(torch_results(), expected))
    print(f"PyTorch's code for this processor: floats differ by up to {floats:.2g}, {bytes_} of {sum(b.size for _, b in expected)} bytes by 1")
else:
    import torch
    import torchvision

    results = list(torch_results())
    table = numpy.empty((len(results), 2), dtype=object)
    for row, result in zip(table, results):
        row[0], row[1] = result
    numpy.save(os.path.join(HERE, "plain.npy"), table, allow_pickle=True)
    with open(os.path.join(HERE, "resize_modes.tsv"), "w") as stream:
        stream.write(f"# OpenCV {cv2.__version__}, PyTorch {torch.__version__}, torchvision {torchvision.__version__}\n")
        stream.write("# source width, source height, target width, target height, seed, hash of: cv2, torch bytes, torch floats\n")
        for (seed, size, image), (as_float, as_bytes) in zip(pairs(), results):
            linear = cv2.resize(image, size[2:], interpolation=cv2.INTER_LINEAR)
            row = [*size, seed, digest(linear), digest(as_bytes), digest(as_float)]
            if size == (1, 5, 1, 3):
                # PyTorch gives wrong results where a single column is scaled: of 0, 0, 255, 0, 0 it makes 0, 0, 0.
                row[-2:] = ["-", "-"]
            stream.write("\t".join(map(str, row)) + "\n")
