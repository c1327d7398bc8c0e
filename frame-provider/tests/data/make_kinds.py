"""Makes kinds.bin.zst and kinds.tsv: TIFF files with signed, 32-bit and floating-point samples, TIFF files of microscopes'
own programs, OME-TIFF recordings in several files, NumPy arrays, and images that are stored turned, with what NumPy, tifffile, Pillow and
OpenCV make of them, for the tests of this crate to compare with.

    python3 -m venv venv && venv/bin/pip install tifffile imagecodecs pillow opencv-python-headless zstandard numpy xxhash && venv/bin/python make_kinds.py

The form of both files is that of make_stacks.py. In the column of the axes, `as-stored` means that EXIF is not followed.
"""

import io
import itertools
import json
import os
import struct
import tempfile
import zlib

import cv2
import numpy
import tifffile
import xxhash
import zstandard
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
HEIGHT, WIDTH, PAGES = 13, 19, 2

files, cases = {}, []


def to_rgb(frame):
    frame = frame.reshape(frame.shape[0], frame.shape[1], -1)
    return numpy.repeat(frame, 3, axis=2) if frame.shape[2] < 3 else frame[:, :, :3]


def ramp(frame, low, high):
    """The formula of the documentation of `Intensity`, in float64."""
    low, high = float(low), float(high)
    high = high if high > low else low + 1
    value = frame.astype(numpy.float64)
    finite = numpy.isfinite(value)
    value = numpy.clip(numpy.where(finite, value, low), low, high)
    out = numpy.floor(((value - low) * 510 + (high - low)) / (2 * (high - low)))
    return numpy.where(finite, out, 0).astype(numpy.uint8)


def percentiles(frames, low, high):
    values = frames.astype(numpy.float64)
    values = values[numpy.isfinite(values)]
    return [numpy.percentile(values, p, method="inverted_cdf") for p in (low, high)]


def full(frame):
    """The upper byte, counted from the smallest value of the type."""
    if frame.dtype == numpy.uint8:
        return frame
    info = numpy.iinfo(frame.dtype)
    return ((frame.astype(numpy.int64) - info.min) >> (info.bits - 8)).astype(numpy.uint8)


def digests(frames):
    return " ".join(f"{xxhash.xxh3_64_intdigest(numpy.ascontiguousarray(f).tobytes()):016x}" for f in frames)


def case(name, frames, axes="", intensity="full", mapping=full):
    cases.append((name, axes, intensity, digests([mapping(to_rgb(frame)) for frame in frames])))


def add(name, data):
    assert name not in files
    files[name] = bytes(data)


def spread(levels, shape):
    """A few levels in a pattern, so that the packed file is small."""
    n, y, x, s = numpy.mgrid[tuple(slice(0, side) for side in (tuple(shape) + (1,))[:4])]
    return levels[(n * 7 + y * y // 3 + x * 2 + s * 5) % len(levels)].reshape(shape)


def values(dtype, samples=1, pages=PAGES):
    """Over much of the type's range, with what is special to it."""
    random = numpy.random.default_rng(len(str(dtype)) + samples)
    shape = (pages, HEIGHT, WIDTH, samples)
    dtype = numpy.dtype(dtype)
    if dtype.kind == "f":
        data = spread((random.normal(0.3, 0.7, 40) * (1 if dtype.itemsize > 2 else 4)).astype(dtype), shape)
        data[0, 0, 0], data[1, 2, 3], data[1, 5, 5], data[1, 1, 1] = numpy.nan, numpy.inf, -numpy.inf, -0.0
    else:
        info = numpy.iinfo(dtype)
        data = spread(random.integers(info.min // 3, info.max // 2, 40).astype(dtype), shape)
        data[0, 0, 0], data[1, 2, 3] = info.min, info.max
    return data


def real_samples():
    for dtype in ("int8", "int16", "int32", "uint32", "float16", "float32", "float64"):
        is_float = dtype.startswith("float")
        layouts = itertools.product("<>", (None, "lzw", "deflate", "zstd"), (False, True), ("strips", "tiles"), (1, 3))
        for order, codec, predictor, layout, samples in layouts:
            # A quarter of all combinations, each value of each choice with each of the others.
            if predictor and codec is None or (order == ">") != (layout == "tiles") or samples == 3 and codec in ("lzw", "zstd"):
                continue
            data = values(dtype, samples)
            name = f"{dtype}_{samples}_{layout}_{codec}{'_predictor' if predictor else ''}_{'le' if order == '<' else 'be'}.tif"
            options = dict(byteorder=order, compression=codec, predictor=predictor, metadata=None)
            options |= dict(tile=(16, 16)) if layout == "tiles" else dict(rowsperstrip=5)
            options |= dict(photometric="rgb", planarconfig="contig") if samples == 3 else dict(photometric="minisblack")
            buffer = io.BytesIO()
            tifffile.imwrite(buffer, data if samples == 3 else data[..., 0], **options)
            with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as tiff:
                back = numpy.stack([page.asarray() for page in tiff.pages]).reshape(data.shape)
                assert int(tiff.pages[0].predictor) == (1 if not predictor else 3 if is_float else 2)
            assert numpy.array_equal(back, data, equal_nan=is_float), name
            add(name, buffer.getvalue())
            chosen = percentiles(data, 0.1, 99.9)
            case(name, data, intensity="auto", mapping=lambda f: ramp(f, *chosen))
        # Every way to 8 bits, of one file.
        ends = percentiles(data, 0, 100)
        case(name, data, intensity="minmax", mapping=lambda f: ramp(f, *ends))
        measured = percentiles(data, 5, 80)
        case(name, data, intensity="percentile:5,80", mapping=lambda f: ramp(f, *measured))
        case(name, data, intensity="-0.5,0.75" if is_float else "-20,100", mapping=lambda f: ramp(f, *((-0.5, 0.75) if is_float else (-20, 100))))
        case(name, data, intensity="per-frame:minmax", mapping=lambda f: ramp(f, *percentiles(f, 0, 100)))
        case(name, data, intensity="per-frame:percentile:5,80", mapping=lambda f: ramp(f, *percentiles(f, 5, 80)))
        if not is_float:
            case(name, data, intensity="full")
    data = values("int16")[..., 0]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, data, photometric="miniswhite", metadata=None)
    add("white_is_zero_int16.tif", buffer.getvalue())
    case("white_is_zero_int16.tif", ~data)
    # More frames than the range is measured on.
    data = spread(numpy.random.default_rng(9).normal(100, 30, 211).astype(numpy.float32), (50, HEIGHT, WIDTH))
    data[7, 3, 4] = 1e6
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, data, compression="zstd", predictor=True, metadata=None)
    add("fifty_float32.tif", buffer.getvalue())
    sampled = data[[i * 49 // 31 for i in range(32)]]
    case("fifty_float32.tif", data, intensity="auto", mapping=lambda f, r=percentiles(sampled, 0.1, 99.9): ramp(f, *r))
    case("fifty_float32.tif", data, intensity="minmax", mapping=lambda f: ramp(f, sampled.min(), sampled.max()))
    # A folder of single pages.
    for i in range(3):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, data[i], metadata=None)
        add(f"float_folder/frame{i}.tif", buffer.getvalue())
    case("float_folder", data[:3], intensity="auto", mapping=lambda f, r=percentiles(data[:3], 0.1, 99.9): ramp(f, *r))


def plain(dtype="uint16", pages=12, seed=1):
    high = numpy.iinfo(dtype).max
    return spread(numpy.random.default_rng(seed).integers(0, high, 50).astype(dtype), (pages, HEIGHT, WIDTH))


def meta_morph(name, data, order="<", strips=1, wavelengths=None, planes=None):
    """One directory, the planes behind each other, UIC1 to UIC3."""
    planes = len(data) if planes is None else planes
    bits = data.dtype.itemsize * 8
    rows = -(-HEIGHT // strips)
    counts = [min(rows, HEIGHT - i * rows) * WIDTH * bits // 8 for i in range(strips)]
    offsets = [8 + sum(counts[:i]) for i in range(strips)]
    pixels = data.astype(data.dtype.newbyteorder(order)).tobytes()
    at = 8 + len(pixels)
    blobs = b""

    def blob(raw):
        nonlocal blobs
        blobs += raw
        return at + len(blobs) - len(raw)

    longs = lambda numbers: struct.pack(f"{order}{len(numbers)}I", *numbers)
    wavelengths = wavelengths or [500] * planes
    uic1 = blob(longs([2, 0]))
    uic2 = blob(longs([number for i in range(planes) for number in (1, 1, 2451545, i * 100, 2451545, i * 100)]))
    uic3 = blob(longs([number for w in wavelengths for number in (w, 1)]))
    where = (offsets[0], counts[0]) if strips == 1 else (blob(longs(offsets)), blob(longs(counts)))
    tags = [(254, 4, 1, 0), (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, strips, where[0]), (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, strips, where[1]),
            (33628, 4, 1, uic1), (33629, 5, planes, uic2), (33630, 5, planes, uic3)]
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at + len(blobs))
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        directory += struct.pack(order + "HHI", tag, kind, count)
        directory += struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
    stream = head + pixels + blobs + directory + bytes(4)
    if planes == len(data):
        with tifffile.TiffFile(io.BytesIO(stream)) as tiff:
            assert tiff.is_stk and (tiff.asarray().reshape(data.shape) == data).all(), name
    add(name, stream)
    return stream


def programs():
    data = plain(pages=8)
    meta_morph("metamorph_le.stk", data)
    case("metamorph_le.stk", data)
    meta_morph("metamorph_strips.tif", data, strips=3)
    case("metamorph_strips.tif", data)
    eight = plain("uint8", 5)
    meta_morph("metamorph_eight.stk", eight, strips=2)
    case("metamorph_eight.stk", eight)
    meta_morph("metamorph_two_wavelengths.stk", data, wavelengths=[488, 561] * 4)
    case("metamorph_two_wavelengths.stk", data[::2])
    case("metamorph_two_wavelengths.stk", data[1::2], axes="channel=1")
    # Claims eight planes, of which five are there.
    meta_morph("metamorph_cut_off.stk", data[:5], planes=8)

    data = plain("int16", 12, seed=2)

    def scan_image(name, text, where="software", **options):
        buffer = io.BytesIO()
        texts = {where: text} if where != "ahead" else {}
        tifffile.imwrite(buffer, data, metadata=None, **({"software": "x"} if where == "description" else {}), **texts, **options)
        add(name, buffer.getvalue())

    scan_image("scanimage_2016.tif", "SI.VERSION_MAJOR = '2016b'\nSI.hChannels.channelSave = [1;2]\nSI.hFastZ.enable = true\nSI.hStackManager.numSlices = 2\n")
    case("scanimage_2016.tif", data[::4])
    case("scanimage_2016.tif", data[3::4], axes="channel=2,z=1")
    scan_image("scanimage_3.tif", "state.configName='a'\rstate.acq.savingChannel1=1\rstate.acq.savingChannel2=0\rstate.acq.savingChannel3=1\rstate.acq.numberOfZSlices=1\r", "description")
    case("scanimage_3.tif", data[::2])
    case("scanimage_3.tif", data[1::2], axes="channel=3")
    scan_image("scanimage_one.tif", "SI.hChannels.channelSave = 1\nSI.hStackManager.numSlices = 1\n")
    case("scanimage_one.tif", data)
    # The settings of BigTIFF files are ahead of the first directory.
    text = b"SI.VERSION_MAJOR = 2022\nSI.hChannels.channelSave = [1;2]\nSI.hStackManager.numSlices = 1\n\0"
    ahead = struct.pack("<4I", 117637889, 4, len(text), 2) + text + b"{}"
    at = -(-(16 + len(ahead)) // 8) * 8
    pages = b""
    for i, frame in enumerate(data):
        here = at + len(pages)
        tags = [(256, 4, WIDTH), (257, 4, HEIGHT), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 16, here + 8 + 20 * 10 + 8), (277, 3, 1), (278, 4, HEIGHT),
                (279, 16, frame.nbytes), (339, 3, 2)]
        following = here + 8 + 20 * 10 + 8 + frame.nbytes
        pages += struct.pack("<Q", len(tags)) + b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in tags)
        pages += struct.pack("<Q", following if i + 1 < len(data) else 0) + frame.tobytes()
    stream = (b"II" + struct.pack("<HHHQ", 43, 8, 0, at) + ahead).ljust(at, b"\0") + pages
    with tifffile.TiffFile(io.BytesIO(stream)) as tiff:
        assert (numpy.stack([page.asarray() for page in tiff.pages]) == data).all()
    assert tifffile.read_scanimage_metadata(io.BytesIO(stream))[0]["SI.hChannels.channelSave"]
    add("scanimage_big.tif", stream)
    case("scanimage_big.tif", data[::2])

    # Arrays of tifffile with more than one axis before those of a page, with and without names.
    data = plain(pages=12, seed=6)
    for name, shape, axes in [("shaped_tcyx.tif", (6, 2), "TCYX"), ("shaped_ctyx.tif", (2, 6), "CTYX"), ("shaped_unnamed.tif", (6, 2), None)]:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, data.reshape(shape + (HEIGHT, WIDTH)), photometric="minisblack", **({"metadata": {"axes": axes}} if axes else {}))
        with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as tiff:
            assert tiff.series[0].shape == shape + (HEIGHT, WIDTH) and (axes is None or tiff.series[0].axes == axes)
        add(name, buffer.getvalue())
        case(name, data[:6] if axes == "CTYX" else data[::2])
    case("shaped_tcyx.tif", data[1::2], axes="channel=1")
    case("shaped_unnamed.tif", data[1::2], axes="axis1=1")

    # Zeiss LSM: two channels as samples, a thumbnail after each page, three slices and two times.
    pair = numpy.stack([plain("uint8", 6, 3), plain("uint8", 6, 4)], axis=1)
    info = struct.pack("<IiIIIIII", 0x0400494C, 500, WIDTH, HEIGHT, 3, 2, 2, 1).ljust(500, b"\0")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for i, page in enumerate(pair):
            extra = [(34412, 1, len(info), info, True)] if i == 0 else []
            writer.write(page, photometric="minisblack", planarconfig="separate", extrasamples=["unspecified"], metadata=None, extratags=extra)
            writer.write(page[:, ::4, ::4].copy(), photometric="minisblack", planarconfig="separate", extrasamples=["unspecified"], subfiletype=1, metadata=None)
    add("zeiss.lsm", buffer.getvalue())
    case("zeiss.lsm", pair[[0, 3], 0])
    case("zeiss.lsm", pair[3:, 0], axes="along=z,time=1")


def ome(name, parts, sizes, order="XYCZT", images=1, companion=None, blocks=None):
    """`parts`: the planes of each file. `blocks`: (image, file, ifd, t, c, z) of each plane."""
    uuid = lambda i: f"urn:uuid:{i:08d}-1111-2222-3333-{len(name):012d}"
    file = lambda i: f"{name}_{i}.ome.tif"
    text = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="@"><!-- µm -->'
    t, c, z = sizes
    for image in range(images):
        text += f'<Image ID="Image:{image}" Name="a"><Pixels ID="Pixels:{image}" DimensionOrder="{order}" Type="uint16" SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeC="{c}" SizeZ="{z}" SizeT="{t}">'
        text += "".join(f'<Channel ID="Channel:{image}:{i}" SamplesPerPixel="1"><LightPath/></Channel>' for i in range(c))
        for _, part, ifd, at_t, at_c, at_z in [block for block in blocks if block[0] == image]:
            text += f'<TiffData FirstT="{at_t}" FirstC="{at_c}" FirstZ="{at_z}" IFD="{ifd}" PlaneCount="1"><UUID FileName="{file(part)}">{uuid(part)}</UUID></TiffData>'
        text += "</Pixels></Image>"
    text += "</OME>"
    if companion:
        add(f"{name}/{companion}", text.replace("@", "urn:uuid:companion").encode())
    for i, planes in enumerate(parts):
        own = text.replace("@", uuid(i))
        if companion:
            own = f'<?xml version="1.0" encoding="UTF-8"?><OME UUID="{uuid(i)}"><BinaryOnly MetadataFile="{companion}" UUID="urn:uuid:companion"/></OME>'
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as writer:
            for at, plane in enumerate(planes):
                writer.write(plane, metadata=None, description=own.encode() if at == 0 else None, contiguous=False)
        add(f"{name}/{file(i)}", buffer.getvalue())
    with tempfile.TemporaryDirectory() as folder:
        for path in [path for path in files if path.startswith(name + "/")]:
            with open(os.path.join(folder, path.split("/")[1]), "wb") as stream:
                stream.write(files[path])
        if not companion:
            return tifffile.TiffFile(os.path.join(folder, file(0))).series[0].asarray()


def ome_files():
    data = plain(pages=12, seed=5)
    # Three files; the last one is shorter.
    blocks = [(0, i // 5, i % 5, i, 0, 0) for i in range(12)]
    back = ome("ome_time", [data[:5], data[5:10], data[10:]], (12, 1, 1), blocks=blocks)
    assert (back == data).all()
    case("ome_time", data)
    for i in range(3):
        case(f"ome_time/ome_time_{i}.ome.tif", data)
    # A file for each plane, with two channels and two slices, in another order of the axes.
    hyper = data.reshape(3, 2, 2, HEIGHT, WIDTH)  # t, c, z
    blocks = [(0, i, 0, i // 4, i // 2 % 2, i % 2) for i in range(12)]
    back = ome("ome_planes", [[plane] for plane in data], (3, 2, 2), order="XYZCT", blocks=blocks)
    assert (back.reshape(hyper.shape) == hyper).all()
    case("ome_planes", hyper[:, 0, 0])
    case("ome_planes", hyper[:, 1, 0], axes="channel=1")
    case("ome_planes/ome_planes_7.ome.tif", hyper[2, 1], axes="along=z,time=2,channel=1")
    # The metadata in a file of its own.
    blocks = [(0, i // 6, i % 6, i, 0, 0) for i in range(12)]
    ome("ome_companion", [data[:6], data[6:]], (12, 1, 1), companion="rec.companion.ome", blocks=blocks)
    case("ome_companion", data)
    case("ome_companion/ome_companion_1.ome.tif", data)
    case("ome_companion/rec.companion.ome", data)
    # Two positions in one file.
    blocks = [(i // 6, 0, i, i % 6, 0, 0) for i in range(12)]
    ome("ome_positions", [data], (6, 1, 1), images=2, blocks=blocks)
    case("ome_positions/ome_positions_0.ome.tif", data[:6])
    case("ome_positions/ome_positions_0.ome.tif", data[6:], axes="position=1")


def arrays():
    """Files of numpy.save."""
    for dtype in ("uint8", "uint16", ">u2", "int16", "uint32", "float32", ">f8", "bool"):
        data = spread(numpy.arange(0, 80) % 2 == 0, (3, HEIGHT, WIDTH)) if dtype == "bool" else (plain("uint8", 3) * 3.0).astype(dtype)
        buffer = io.BytesIO()
        numpy.save(buffer, data)
        name = f"array_{dtype.replace('>', 'big_')}.npy"
        add(name, buffer.getvalue())
        if dtype == "bool":
            case(name, data.astype(numpy.uint8) * 255, intensity="auto")
        elif dtype == "uint8":
            case(name, data, intensity="auto")
        else:
            case(name, data, intensity="minmax", mapping=lambda f: ramp(f, data.min(), data.max()))
    rgb = spread(numpy.random.default_rng(4).integers(0, 256, 50).astype(numpy.uint8), (3, HEIGHT, WIDTH, 3))
    for name, data in [("array_rgb", rgb), ("array_rgba", numpy.concatenate([rgb, rgb[..., :1]], axis=3)), ("array_one_channel", rgb[..., :1]), ("array_fortran", numpy.asfortranarray(rgb[..., 0]))]:
        buffer = io.BytesIO()
        numpy.save(buffer, data)
        add(name + ".npy", buffer.getvalue())
        case(name + ".npy", data)
    for name, data in [("array_image.npy", rgb[0, ..., 0]), ("array_image_rgb.npy", rgb[0])]:
        buffer = io.BytesIO()
        numpy.save(buffer, data)
        add(name, buffer.getvalue())
        case(name, [data])
    for name, data in [("array_int64.npy", rgb[..., 0].astype(numpy.int64)),
                       ("array_first.npy", numpy.moveaxis(rgb, 3, 1).copy()), ("array_line.npy", rgb[0, 0, :, 0]), ("array_complex.npy", rgb[..., 0].astype(numpy.complex64))]:
        buffer = io.BytesIO()
        numpy.save(buffer, data)
        add("refused_" + name, buffer.getvalue())


def orientations():
    """All eight, in each format; Pillow and OpenCV agree, but for TIFF files on their side, which OpenCV cannot read."""
    random = numpy.random.default_rng(7)
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    picture = numpy.stack([x * 13, y * 19, (x * 5 + y * 7) % 256], axis=-1).astype(numpy.uint8)
    deep = random.integers(0, 65536, (HEIGHT, WIDTH)).astype(numpy.uint16)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        chunk = exif.tobytes()[6:]
        chunk = struct.pack(">I", len(chunk)) + b"eXIf" + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + chunk))
        stored = {}
        for kind in ("jpg", "png", "late.png", "tif", "deep.tif"):
            buffer = io.BytesIO()
            if kind == "jpg":
                Image.fromarray(picture).save(buffer, "JPEG", quality=90, exif=exif)
            elif kind == "png":
                Image.fromarray(picture).save(buffer, "PNG", exif=exif)
            elif kind == "late.png":
                Image.fromarray(picture).save(buffer, "PNG")
                buffer = io.BytesIO(buffer.getvalue()[:-12] + chunk + buffer.getvalue()[-12:])
            else:
                pixels, photometric = (picture, "rgb") if kind == "tif" else (deep, "minisblack")
                tifffile.imwrite(buffer, pixels, photometric=photometric, metadata=None, extratags=[(274, 3, 1, orientation, True)])
            stored[kind] = buffer.getvalue()
        for kind, data in stored.items():
            name = f"turned_{kind.replace('.', '_')}/{orientation}.{kind.split('.')[-1]}"
            add(name, data)
            image = Image.open(io.BytesIO(data))
            upright = numpy.asarray(ImageOps.exif_transpose(image))
            if not (kind.endswith("tif") and orientation > 4):
                flags = cv2.IMREAD_ANYDEPTH if kind == "deep.tif" else cv2.IMREAD_COLOR_RGB
                path = os.path.join(tempfile.gettempdir(), "turned." + kind)
                with open(path, "wb") as stream:
                    stream.write(data)
                seen = cv2.imread(path, flags)
                os.remove(path)
                # OpenCV's own decoder of JPEG rounds otherwise.
                assert seen.shape == upright.shape and abs(seen.astype(int) - upright).max() <= (3 if kind == "jpg" else 0), name
            # Pillow turns TIFF files when it loads them.
            is_tiff = kind.endswith("tif")
            as_stored = tifffile.imread(io.BytesIO(data)) if is_tiff else numpy.asarray(Image.open(io.BytesIO(data)))
            case(name, [upright], axes="upright")
            case(name, [as_stored], axes="as-stored")


real_samples()
programs()
ome_files()
arrays()
orientations()

with open(os.path.join(HERE, "kinds.bin.zst"), "wb") as stream:
    settings = zstandard.ZstdCompressionParameters.from_level(19, window_log=24, enable_ldm=True)
    stream.write(zstandard.ZstdCompressor(compression_params=settings).compress(b"".join(files.values())))
with open(os.path.join(HERE, "kinds.tsv"), "w") as table:
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (numpy, tifffile, cv2))
    table.write(f"# {versions}, Pillow {Image.__version__}\n")
    offset = 0
    for name, data in files.items():
        table.write(f"file\t{name}\t{offset}\t{len(data)}\n")
        offset += len(data)
    for row in cases:
        table.write("\t".join(("case",) + row) + "\n")
print(len(files), "files,", len(cases), "cases,", offset, "bytes,", os.path.getsize(os.path.join(HERE, "kinds.bin.zst")), "packed")
