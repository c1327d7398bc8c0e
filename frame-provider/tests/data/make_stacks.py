"""Makes stacks.bin.zst and stacks.tsv: TIFF stacks and Micro-Manager recordings as other programs write them, and what
NumPy makes of their pixels, for the tests of this crate to compare with.

    python3 -m venv venv && venv/bin/pip install tifffile imagecodecs ndstorage zstandard numpy xxhash && venv/bin/python make_stacks.py

The files lie one after the other in stacks.bin.zst. Lines of stacks.tsv:

    file    name    offset    length
    case    name of the file or folder    axes    intensity    hash of the RGB pixels of each frame (XXH3, 64 bits)

Every stack is read back by tifffile, and its pixels compared with what was written, before a hash is made of them.
"""

import io
import itertools
import json
import os
import struct
import tempfile

import ndstorage
import numpy
import tifffile
import xxhash
import zstandard

HERE = os.path.dirname(os.path.abspath(__file__))
HEIGHT, WIDTH, PAGES = 21, 35, 3

files, cases = {}, []


def pixels(dtype, samples, pages=PAGES, seed=0):
    """Smooth with noise, so that every codec has something to do. `[pages, height, width, samples]`."""
    random = numpy.random.default_rng(seed)
    n, y, x, s = numpy.mgrid[0:pages, 0:HEIGHT, 0:WIDTH, 0:samples]
    value = (n * 5 + y * 3 + x * 2 + s * 40) % 200 + random.integers(0, 50, n.shape)
    return value.astype(numpy.uint8) if dtype == "uint8" else (value * 257 + random.integers(0, 256, n.shape)).astype(numpy.uint16)


def to_rgb(frame):
    """Gray thrice, or the first three samples of `[height, width, samples]`."""
    frame = frame.reshape(frame.shape[0], frame.shape[1], -1)
    return numpy.repeat(frame, 3, axis=2) if frame.shape[2] < 3 else frame[:, :, :3]


def full(frame):
    return frame if frame.dtype == numpy.uint8 else (frame >> 8).astype(numpy.uint8)


def ramp(frame, low, high):
    """The formula of the documentation of `Intensity`."""
    high = max(high, low + 1)
    value = numpy.clip(frame.astype(numpy.int64), low, high)
    return (((value - low) * 510 + (high - low)) // (2 * (high - low))).astype(numpy.uint8)


def percentiles(frames, low, high):
    return [int(numpy.percentile(frames, p, method="inverted_cdf")) for p in (low, high)]


def digests(frames):
    return " ".join(f"{xxhash.xxh3_64_intdigest(numpy.ascontiguousarray(f).tobytes()):016x}" for f in frames)


def case(name, frames, axes="", intensity="full", mapping=full):
    """Frames as stored, `[height, width]` or `[height, width, samples]`."""
    cases.append((name, axes, intensity, digests([mapping(to_rgb(frame)) for frame in frames])))


def add(name, data):
    assert name not in files
    files[name] = bytes(data)


def stack(name, data, check=True, **options):
    """Writes `data` with tifffile, page by page."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, data, **options)
    if check:
        with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as tiff:
            back = numpy.stack([page.asarray() for page in tiff.pages])
        assert (back.reshape(data.shape) == data).all(), name
    add(name, buffer.getvalue())


def combinations():
    """Every combination of byte order, BigTIFF, depth, channels, planar configuration, layout, codec and predictor."""
    codecs = [("none", None, False), ("packbits", "packbits", False)]
    codecs += [(f"{c}{'_predictor' if p else ''}", c, p) for c in ("lzw", "deflate", "zstd") for p in (False, True)]
    kinds = [("gray", 1, None), ("rgb", 3, "contig"), ("rgb", 3, "separate"), ("rgba", 4, "contig"), ("rgba", 4, "separate")]
    for order, big, dtype, (kind, samples, planar), tiled, (codec, compression, predictor) in itertools.product(
        "<>", (False, True), ("uint8", "uint16"), kinds, (False, True), codecs
    ):
        data = pixels(dtype, samples, 2)
        stored = data[..., 0] if samples == 1 else numpy.moveaxis(data, 3, 1) if planar == "separate" else data
        parts = [kind, dtype, planar or "gray", "tiles" if tiled else "strips", codec, "big" if big else "classic", "le" if order == "<" else "be"]
        name = "grid_" + "_".join(parts) + ".tif"
        options = dict(byteorder=order, bigtiff=big, compression=compression, predictor=predictor, metadata=None)
        options |= dict(tile=(16, 16)) if tiled else dict(rowsperstrip=8)
        options |= dict(photometric="rgb", planarconfig=planar) if samples > 1 else dict(photometric="minisblack")
        if samples == 4:
            options["extrasamples"] = ["unassalpha"]
        stack(name, stored, **options)
        case(name, data)


def overwrite(name, source, tag, value, pages=None):
    """A copy of a file with another value of a tag in all pages."""
    buffer = io.BytesIO(files[source])
    with tifffile.TiffFile(buffer) as tiff:
        for page in tiff.pages if pages is None else [tiff.pages[i] for i in pages]:
            page.tags[tag].overwrite(value)
        add(name, buffer.getvalue())


def odd_kinds():
    for dtype in ("uint8", "uint16"):
        data = pixels(dtype, 1)[..., 0]
        stack(f"white_is_zero_{dtype}.tif", data, photometric="miniswhite", metadata=None)
        case(f"white_is_zero_{dtype}.tif", ~data)
    index = pixels("uint8", 1)[..., 0]
    colours = numpy.random.default_rng(1).integers(0, 65536, (3, 256)).astype(numpy.uint16)
    stack("palette.tif", index, photometric="palette", colormap=colours, compression="lzw", metadata=None)
    case("palette.tif", (colours >> 8).astype(numpy.uint8).T[index])
    bilevel = pixels("uint8", 1)[..., 0] > 100
    stack("one_bit.tif", bilevel, photometric="minisblack", metadata=None)
    case("one_bit.tif", bilevel.astype(numpy.uint8) * 255)
    for compression in ("zstd", "deflate"):
        source = f"grid_gray_uint16_gray_strips_{compression}_predictor_classic_le.tif"
        other = {"zstd": 34926, "deflate": 32946}[compression]
        overwrite(f"compression_{other}.tif", source, "Compression", other)
        case(f"compression_{other}.tif", pixels("uint16", 1, 2))
    # One page in one strip, without the tag that gives its length.
    data = pixels("uint8", 1)[:1, :, :, 0]
    stack("whole.btf", data, bigtiff=True, metadata=None)
    case("whole.btf", data)
    # Two channels: the first is read.
    data = pixels("uint8", 2)
    stack("two_samples.tif", data, photometric="minisblack", planarconfig="contig", extrasamples=["unspecified"], metadata=None)
    case("two_samples.tif", data[..., 0])


def jpeg():
    for tiled, samples in itertools.product((False, True), (1, 3)):
        name = f"jpeg_{samples}_{'tiles' if tiled else 'strips'}.tif"
        data = pixels("uint8", samples)
        data = data[..., 0] if samples == 1 else data
        layout = dict(tile=(16, 16)) if tiled else dict(rowsperstrip=8)
        stack(name, data, check=False, photometric="rgb" if samples == 3 else "minisblack", compression="jpeg", metadata=None, **layout)
        case(name, tifffile.imread(io.BytesIO(files[name])))
    # Colours without conversion, and with the tables kept apart.
    import imagecodecs

    data = pixels("uint8", 3)
    stack("jpeg_rgb.tif", data, check=False, photometric="rgb", compression="jpeg", compressionargs={"outcolorspace": "rgb"}, metadata=None)
    case("jpeg_rgb.tif", tifffile.imread(io.BytesIO(files["jpeg_rgb.tif"])))
    whole = [imagecodecs.jpeg8_encode(numpy.ascontiguousarray(frame[..., 0]), level=90) for frame in data]
    tables, images = zip(*map(split_tables, whole))
    assert len(set(tables)) == 1
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for image in images:
            writer.write(iter([image]), shape=(HEIGHT, WIDTH), dtype="uint8", compression="jpeg", jpegtables=tables[0], metadata=None, photometric="minisblack")
    add("jpeg_tables.tif", buffer.getvalue())
    case("jpeg_tables.tif", [imagecodecs.jpeg8_decode(image) for image in whole])
    assert (tifffile.imread(io.BytesIO(buffer.getvalue()), key=1) == imagecodecs.jpeg8_decode(whole[1])).all()


def split_tables(data):
    """Moves the tables of a JPEG into a stream of their own."""
    tables, image, at = b"\xff\xd8", b"\xff\xd8", 2
    while data[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if data[at + 1] in (0xC4, 0xDB):
            tables += data[at : at + length]
        else:
            image += data[at : at + length]
        at += length
    return tables + b"\xff\xd9", image + data[at:]


def described():
    data = pixels("uint16", 1, 12)[..., 0]
    stack("shaped.tif", data)
    case("shaped.tif", data)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=True) as writer:
        writer.write(data, truncate=True)
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as tiff:
        assert len(tiff.pages) == 1 and (tiff.asarray() == data).all()
    add("shaped_one_directory.btf", buffer.getvalue())
    case("shaped_one_directory.btf", data)
    add("shaped_cut_off.btf", buffer.getvalue()[: -HEIGHT * WIDTH * 2 * 4 - 9])
    case("shaped_cut_off.btf", data[:7])
    rgb = pixels("uint8", 3, 4)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(rgb, truncate=True, photometric="rgb")
    add("shaped_rgb.tif", buffer.getvalue())
    case("shaped_rgb.tif", rgb)
    # Hyperstacks: time, z, channel.
    hyper = data.reshape(3, 2, 2, HEIGHT, WIDTH)
    for name, options in [("imagej", dict(imagej=True)), ("ome", dict(ome=True))]:
        if name == "imagej":
            stack("imagej_hyper.tif", hyper, check=False, metadata={"axes": "TZCYX"}, **options)
        else:
            stack("ome_hyper.ome.tif", hyper, check=False, metadata={"axes": "TZCYX"}, **options)
        path = "imagej_hyper.tif" if name == "imagej" else "ome_hyper.ome.tif"
        case(path, hyper[:, 0, 0])
        case(path, hyper[:, 1, 1], axes="z=1,channel=1")
        case(path, hyper[2, :, 1], axes="along=z,time=2,channel=1")
    # As ImageJ itself writes beyond 4 GiB: one directory, all frames behind it, big-endian.
    for order, letters in ((">", "be"), ("<", "le")):
        add(f"imagej_one_directory_{letters}.tif", image_j(order, data, "images=12\nslices=12\n"))
        case(f"imagej_one_directory_{letters}.tif", data)
        add(f"imagej_one_directory_hyper_{letters}.tif", image_j(order, data, "images=12\nchannels=2\nslices=2\nframes=3\nhyperstack=true\n"))
        case(f"imagej_one_directory_hyper_{letters}.tif", hyper[:, 0, 0])
        case(f"imagej_one_directory_hyper_{letters}.tif", hyper[:, 1, 0], axes="z=1")


def image_j(order, data, text):
    """A file in the layout that ImageJ's own writer has for stacks."""
    text = f"ImageJ=1.54f\n{text}\0".encode()
    tags = [(254, 4, 1, 0), (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 1, 16), (262, 3, 1, 1), (270, 2, len(text), 200),
            (273, 4, 1, 200 + len(text)), (277, 3, 1, 1), (278, 3, 1, HEIGHT), (279, 4, 1, HEIGHT * WIDTH * 2)]
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "HIH", 42, 8, len(tags))
    for tag, kind, count, value in tags:
        head += struct.pack(order + "HHI", tag, kind, count) + (struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value))
    head += struct.pack(order + "I", 0)
    data = head.ljust(200, b"\0") + text + data.astype(order + "u2").tobytes()
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        assert tiff.is_imagej and tiff.series[0].size == 12 * HEIGHT * WIDTH
    return data


def not_frames():
    data = pixels("uint8", 1)[..., 0]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for frame in data:
            writer.write(frame, subifds=1, metadata=None)
            writer.write(frame[::2, ::2], subfiletype=1, metadata=None)
            writer.write(frame[::4, ::4], subfiletype=1, metadata=None)
    add("pyramid.tif", buffer.getvalue())
    case("pyramid.tif", data)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(data[0], metadata=None)
        writer.write(data[1][:5, :7], metadata=None)
        writer.write(data[2], metadata=None)
    add("sizes.tif", buffer.getvalue())
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(data.astype(numpy.float32), metadata=None)
    add("float.tif", buffer.getvalue())
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(data.astype(numpy.int16), metadata=None)
    add("signed.tif", buffer.getvalue())
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(data, compression="lzma", metadata=None)
    add("lzma.tif", buffer.getvalue())


def intensities():
    """12 bits in 16, with a few hot pixels, in more frames than the range is measured on."""
    random = numpy.random.default_rng(3)
    data = (random.gamma(3, 300, (50, HEIGHT, WIDTH)) + 100).clip(0, 4095).astype(numpy.uint16)
    data[7, 3, 4], data[31, 0, 0], data[49, 20, 34] = 65535, 60000, 4096
    sampled = data[[i * 49 // 31 for i in range(32)]]
    stack("twelve_bits.tif", data, compression="zstd", predictor=True, metadata=None)
    stack("eight_bits.tif", (data >> 4).clip(0, 255).astype(numpy.uint8), compression="zstd", metadata=None)
    eight = (data >> 4).clip(0, 255).astype(numpy.uint8)
    for name, frames, chosen in [("twelve_bits.tif", data, sampled), ("eight_bits.tif", eight, eight[[i * 49 // 31 for i in range(32)]])]:
        automatic = full if frames.dtype == numpy.uint8 else lambda f, r=percentiles(chosen, 0.1, 99.9): ramp(f, *r)
        case(name, frames, intensity="auto", mapping=automatic)
        case(name, frames, intensity="full")
        case(name, frames, intensity="minmax", mapping=lambda f: ramp(f, int(chosen.min()), int(chosen.max())))
        for low, high in ((0.1, 99.9), (0.35, 99.65), (1, 99), (0, 100), (12.5, 50)):
            measured = percentiles(chosen, low, high)
            case(name, frames, intensity=f"percentile:{low},{high}", mapping=lambda f: ramp(f, *measured))
            case(name, frames, intensity=f"per-frame:percentile:{low},{high}", mapping=lambda f: ramp(f, *percentiles(f[..., 0], low, high)))
        for low, high in ((0, 4095), (100, 101), (0, 65535), (30, 200)):
            case(name, frames, intensity=f"{low},{high}", mapping=lambda f: ramp(f, low, high))
        case(name, frames, intensity="per-frame:minmax", mapping=lambda f: ramp(f, int(f.min()), int(f.max())))


def nd_tiff():
    data = pixels("uint16", 1, 12, seed=5)[..., 0].reshape(3, 2, 2, HEIGHT, WIDTH)

    def write(name, images, version=3):
        with tempfile.TemporaryDirectory() as folder:
            dataset = ndstorage.NDTiffDataset(folder, name="clip", summary_metadata={"a": 1}, writable=True)
            dataset.initialize({"a": 1}) if hasattr(dataset, "initialize") else None
            for axes, image in images:
                dataset.put_image(axes, image, {"x": 1})
            dataset.finish()
            back = ndstorage.Dataset(dataset.path)
            for axes, image in images:
                assert (back.read_image(**axes) == image).all()
            back.close()
            for file in sorted(os.listdir(dataset.path)):
                with open(os.path.join(dataset.path, file), "rb") as stream:
                    add(f"{name}/{file}", stream.read())
            dataset.close()

    write("nd_time", [({"time": t}, data[t, 0, 0]) for t in range(3)])
    case("nd_time", data[:, 0, 0])
    # Channels by name, and times out of order with one left out.
    names = ["GFP", "DAPI"]
    order = [(t, z, c) for t in (2, 0) for z in range(2) for c in range(2)]
    write("nd_axes", [({"time": t * 2, "z": z, "channel": names[c]}, data[t, z, c]) for t, z, c in order])
    case("nd_axes", data[[0, 2], 0, 0])
    case("nd_axes", data[[0, 2], 1, 1], axes="channel=DAPI,z=1")
    case("nd_axes", data[2, :, 0], axes="along=z,time=4,channel=GFP")
    write("nd_eight", [({"time": t}, (data[t, 0, 0] >> 8).astype(numpy.uint8)) for t in range(3)])
    case("nd_eight", (data[:, 0, 0] >> 8).astype(numpy.uint8))

    # Version 2 has the same index but another header; RGB, twelve bits and several files are written by hand.
    rgb = pixels("uint8", 3, 4, seed=6)
    twelve = pixels("uint16", 1, 4, seed=7)[..., 0] >> 4
    for name, frames, kind in [("nd_v2_rgb", rgb, 2), ("nd_twelve", twelve, 4)]:
        index = b""
        for part, some in enumerate((frames[:2], frames[2:])):
            file = f"clip_NDTiffStack{f'_{part}' if part else ''}.tif"
            stream = b"II" + struct.pack("<HIIIII", 42, 0, 483729, 2, 2355492, 2) + b"{}"
            for i, frame in enumerate(some):
                entry = ndstorage.ndtiff_index.NDTiffIndexEntry({"time": part * 2 + i}.items(), kind, len(stream), WIDTH, HEIGHT, 0, 0, file)
                index += entry.as_byte_buffer().getvalue()
                stream += frame.tobytes()
            add(f"{name}/{file}", stream)
        add(f"{name}/NDTiff.index", index)
        case(name, frames)
    # A pyramid keeps its index one level down.
    for file in [file for file in files if file.startswith("nd_time/")]:
        add("nd_pyramid/Full resolution/" + file.split("/")[1], files[file])
    case("nd_pyramid", data[:, 0, 0])


def mm_stack(name, images, next_file=0):
    """One file in the layout of Micro-Manager's image stacks. `images`: (channel, slice, frame, position, pixels)."""
    summary = json.dumps({"MicroManagerVersion": "2.0", "Frames": 3, "Slices": 2, "Channels": 2, "Positions": 1}).encode()
    map_at = 40 + len(summary)
    stream = bytearray(map_at + 8 + 20 * len(images))
    entries = []
    link = 4
    for channel, z, frame, position, image in images:
        stream += b"\0" * (len(stream) % 2)
        at = len(stream)
        struct.pack_into("<I", stream, link, at)
        entries.append((channel, z, frame, position, at))
        metadata = json.dumps({"ChannelIndex": channel, "SliceIndex": z, "FrameIndex": frame, "PositionIndex": position}).encode()
        pixels_at = at + 2 + 12 * 10 + 4
        tags = [(256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, pixels_at),
                (277, 3, 1, 1), (278, 4, 1, HEIGHT), (279, 4, 1, image.nbytes), (51123, 2, len(metadata), pixels_at + image.nbytes)]
        stream += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        link = len(stream)
        stream += bytes(4) + image.astype("<u2").tobytes() + metadata
    struct.pack_into("<2sH", stream, 0, b"II", 42)
    struct.pack_into("<8I", stream, 8, 54773648, map_at, 483765892, 0, 99384722, 0, 2355492, len(summary))
    stream[40:map_at] = summary
    struct.pack_into("<2I", stream, map_at, 3453623, len(images))
    for i, entry in enumerate(entries):
        struct.pack_into("<5I", stream, map_at + 8 + 20 * i, *entry)
    back = tifffile.read_micromanager_metadata(io.BytesIO(stream))
    assert [tuple(row) for row in back["IndexMap"].tolist()] == entries
    with tifffile.TiffFile(io.BytesIO(stream)) as tiff:
        assert all((page.asarray() == image[4]).all() for page, image in zip(tiff.pages, images, strict=True))
    add(name, stream)
    return map_at


def mm_stacks():
    data = pixels("uint16", 1, 12, seed=8)[..., 0].reshape(3, 2, 2, HEIGHT, WIDTH)
    images = [(c, z, t, 0, data[t, z, c]) for t in range(3) for z in range(2) for c in range(2)]
    # Three files; one starts in the middle of a time point. The tenth comes after the second.
    for name, some in [("", images[:3]), ("_2", images[3:7]), ("_10", images[7:])]:
        mm_stack(f"mm_axes/clip_MMStack_Pos0{name}.ome.tif", some)
    case("mm_axes", data[:, 0, 0])
    case("mm_axes", data[:, 1, 0], axes="z=1")
    case("mm_axes", data[1, :, 1], axes="along=z,time=1,channel=1")
    case("mm_axes/clip_MMStack_Pos0_2.ome.tif", data[[1], 0, 0])
    for position in range(2):
        mm_stack(f"mm_positions/clip_MMStack_Pos{position}.ome.tif", [(0, 0, t, position, data[t, position, 0]) for t in range(3)])
    case("mm_positions", data[:, 0, 0])
    case("mm_positions", data[:, 1, 0], axes="position=1")
    # After a crash the map is missing; the pages tell their places.
    map_at = mm_stack("mm_crashed/clip_MMStack.ome.tif", images)
    broken = bytearray(files["mm_crashed/clip_MMStack.ome.tif"])
    struct.pack_into("<II", broken, 8, 0, 0)
    files["mm_crashed/clip_MMStack.ome.tif"] = bytes(broken)
    case("mm_crashed", data[:, 0, 0])
    # An entry without an image.
    mm_stack("mm_gap/clip_MMStack.ome.tif", [(0, 0, t, 0, data[t, 0, 0]) for t in range(3)])
    gap = bytearray(files["mm_gap/clip_MMStack.ome.tif"])
    struct.pack_into("<I", gap, map_at + 8 + 20 + 16, 0)
    files["mm_gap/clip_MMStack.ome.tif"] = bytes(gap)
    case("mm_gap", data[[0, 2], 0, 0])


combinations()
odd_kinds()
jpeg()
described()
not_frames()
intensities()
nd_tiff()
mm_stacks()

with open(os.path.join(HERE, "stacks.bin.zst"), "wb") as stream:
    # The window is as long as the whole, since the files of one kind differ by a few bytes.
    settings = zstandard.ZstdCompressionParameters.from_level(19, window_log=24, enable_ldm=True)
    stream.write(zstandard.ZstdCompressor(compression_params=settings).compress(b"".join(files.values())))
with open(os.path.join(HERE, "stacks.tsv"), "w") as table:
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (numpy, tifffile, ndstorage))
    table.write(f"# {versions}\n")
    offset = 0
    for name, data in files.items():
        table.write(f"file\t{name}\t{offset}\t{len(data)}\n")
        offset += len(data)
    for row in cases:
        table.write("\t".join(("case",) + row) + "\n")
print(len(files), "files,", len(cases), "cases,", offset, "bytes,", os.path.getsize(os.path.join(HERE, "stacks.bin.zst")), "packed")
