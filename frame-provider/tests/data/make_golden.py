"""Makes resize.tsv and images/: what Pillow gives, for the tests of this crate to compare with.

    python3 -m venv venv && venv/bin/pip install "Pillow==12.2.0" numpy xxhash && venv/bin/python make_golden.py

Pillow up to 12 always scales rows first; Pillow 13 scales columns first if that is cheaper, with other results for such
sizes (720x1280 to 1024x1024, for one). SAM 2 was published in the days of the former.

Versions at the last run are in the first line of each table. Hashes are XXH3 with 64 bits.
"""

import os
import numpy
import PIL
import xxhash
from PIL import Image, ImageOps, features

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = f"# Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}\n"

# source width, source height, target width, target height
SIZES = [
    (1, 1, 5, 7), (1, 1, 1, 1), (3, 2, 1, 1), (2, 3, 4, 6), (4, 4, 3, 5), (7, 5, 7, 5), (7, 5, 7, 9), (7, 5, 3, 5),
    (5, 1, 11, 1), (1, 5, 1, 3), (16, 16, 17, 17), (17, 19, 16, 18), (33, 31, 64, 8), (100, 75, 1, 75), (100, 75, 100, 1),
    (161, 97, 1024, 1024), (320, 180, 512, 512), (320, 240, 1024, 1024), (640, 360, 1024, 1024), (640, 480, 256, 192),
    (900, 896, 1024, 1024), (901, 897, 1024, 1024), (1024, 1024, 1024, 1024), (1024, 768, 1024, 1024),
    (768, 1024, 1024, 1024), (1280, 720, 1024, 1024), (720, 1280, 1024, 1024), (1920, 1080, 1024, 1024), (1920, 1080, 512, 512),
    (3000, 10, 3, 10), (10, 3000, 10, 3), (2000, 1500, 13, 11), (1500, 40, 1499, 41),
]


def noise(width, height, seed):
    """The same bytes as `noise` in the tests. Odd seeds give only 0 and 255, for the largest overshoot."""
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


def digest(pixels):
    return f"{xxhash.xxh3_64_intdigest(numpy.ascontiguousarray(pixels).tobytes()):016x}"


def resize_table():
    lines = [VERSIONS, "# source width, source height, target width, target height, seed, hash\n"]
    for seed, (width, height, to_width, to_height) in enumerate(s for s in SIZES for _ in range(2)):
        scaled = Image.fromarray(noise(width, height, seed)).resize((to_width, to_height))
        lines.append("\t".join(map(str, (width, height, to_width, to_height, seed, digest(numpy.asarray(scaled))))) + "\n")
    with open(os.path.join(HERE, "resize.tsv"), "w") as table:
        table.writelines(lines)


def picture(width, height):
    """Smooth with edges, so that chroma upsampling and quantisation matter."""
    y, x = numpy.mgrid[0:height, 0:width]
    red = 128 + 127 * numpy.sin(x / 5.0)
    green = 255 * ((x // 7 + y // 5) % 2)
    blue = 255 * y / height
    return numpy.stack([red, green, blue], axis=-1).astype(numpy.uint8)


def image_table():
    folder = os.path.join(HERE, "images")
    os.makedirs(folder, exist_ok=True)
    lines = [VERSIONS, "# file, hash of the RGB pixels\n"]

    def write(name, image, expected=None, **options):
        path = os.path.join(folder, name)
        image.save(path, **options)
        if expected is None:
            expected = numpy.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        lines.append(f"{name}\t{digest(expected)}\n")

    rgb = Image.fromarray(picture(67, 45))
    for subsampling, name in [(0, "444"), (1, "422"), (2, "420")]:
        write(f"{name}.jpg", rgb, quality=80, subsampling=subsampling)
    write("progressive.jpg", rgb, quality=70, progressive=True)
    write("gray.jpg", rgb.convert("L"), quality=80)
    write("restart.jpg", rgb, quality=95, restart_marker_rows=1)
    turned = Image.Exif()
    turned[0x0112] = 6  # To be shown a quarter turn on.
    write("exif_orientation.jpg", rgb, quality=80, exif=turned)
    write("rgb.png", rgb)
    write("gray.png", rgb.convert("L"))
    write("palette.png", rgb.quantize(16))
    write("one_bit.png", rgb.convert("1"))
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.fromarray(picture(67, 45)[:, :, 0]))
    write("alpha.png", rgba)
    write("gray_alpha.png", rgba.convert("LA"))
    deep = (numpy.arange(67 * 45, dtype=numpy.uint32).reshape(45, 67) * 21).astype(numpy.uint16)
    upper = numpy.repeat((deep >> 8).astype(numpy.uint8)[:, :, None], 3, axis=2)
    write("gray16.png", Image.fromarray(deep), upper)
    write("gray16.tif", Image.fromarray(deep), upper)
    write("rgb.tif", rgb, compression="tiff_lzw")
    write("rgb.bmp", rgb)
    with open(os.path.join(HERE, "images.tsv"), "w") as table:
        table.writelines(lines)
    # Errors, without a hash.
    rgb.convert("CMYK").save(os.path.join(folder, "cmyk.jpg.refused"), format="JPEG")
    rgb.save(os.path.join(folder, "stack.tif.refused"), format="TIFF", save_all=True, append_images=[rgb])


resize_table()
image_table()
