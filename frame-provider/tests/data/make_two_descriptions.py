"""Makes two_descriptions.mp4: one H.264 track with two sample descriptions, as editors and some cameras write it.

Needs the ffmpeg program. Two clips (CABAC, then CAVLC) are encoded, and their samples put into one track; each sample
refers to the description of its own clip, which is all that says how to decode it.

    python3 make_two_descriptions.py [WIDTHxHEIGHT of the second clip]
"""

import struct
import subprocess
import sys
import tempfile


def boxes(data, start=0, end=None):
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, name = struct.unpack(">I4s", data[start:start + 8])
        yield name, start + 8, start + size
        start += size


def find(data, *path):
    start, end = 0, len(data)
    for name in path:
        start, end = next((s, e) for n, s, e in boxes(data, start, end) if n == name)
    return data[start:end]


def samples(data):
    stbl = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    description = find(data, *stbl, b"stsd")[8:]
    stsz = find(data, *stbl, b"stsz")
    count = struct.unpack(">I", stsz[8:12])[0]
    sizes = struct.unpack(f">{count}I", stsz[12:12 + 4 * count])
    # All samples of a track alone lie one after the other.
    place = struct.unpack(">I", find(data, *stbl, b"stco")[8:12])[0]
    stss = find(data, *stbl, b"stss")
    keys = struct.unpack(f">{struct.unpack('>I', stss[4:8])[0]}I", stss[8:])
    parts = []
    for size in sizes:
        parts.append(data[place:place + size])
        place += size
    return description, parts, keys


def box(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, name) + body


def full(name, *parts):
    return box(name, bytes(4), *parts)


def numbers(*values):
    return struct.pack(f">{len(values)}I", *values)


def main():
    second = sys.argv[1] if len(sys.argv) > 1 else "64x48"
    name = "two_descriptions.mp4" if second == "64x48" else "two_sizes.mp4"
    clips = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (size, coder) in enumerate([("64x48", 1), (second, 0)]):
            path = f"{folder}/{number}.mp4"
            subprocess.run(
                ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.8", "-c:v",
                 "libx264", "-preset", "veryslow", "-crf", "40", "-threads", "1", "-bf", "0", "-g", "5", "-coder",
                 str(coder), "-pix_fmt", "yuv420p", path], check=True)
            with open(path, "rb") as file:
                clips.append((file.read(),))
    (a, a_samples, a_keys), (b, b_samples, b_keys) = (samples(clip) for (clip,) in clips)
    everything = a_samples + b_samples
    ftyp = box(b"ftyp", b"isom", numbers(512), b"isomavc1")
    mdat = box(b"mdat", *everything)
    a_place = len(ftyp) + 8
    b_place = a_place + sum(map(len, a_samples))
    keys = list(a_keys) + [key + len(a_samples) for key in b_keys]
    count = len(everything)
    matrix = numbers(1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    stbl = box(
        b"stbl",
        full(b"stsd", numbers(2), a, b),
        full(b"stts", numbers(1, count, 512)),
        full(b"stss", numbers(len(keys), *keys)),
        full(b"stsc", numbers(2, 1, len(a_samples), 1, 2, len(b_samples), 2)),
        full(b"stsz", numbers(0, count, *map(len, everything))),
        full(b"stco", numbers(2, a_place, b_place)),
    )
    minf = box(b"minf", box(b"vmhd", numbers(1, 0, 0)),
               box(b"dinf", full(b"dref", numbers(1), box(b"url ", numbers(1)))), stbl)
    mdia = box(
        b"mdia",
        full(b"mdhd", numbers(0, 0, 12800, count * 512), b"\x55\xc4\0\0"),
        full(b"hdlr", numbers(0), b"vide", bytes(12), b"video\0"),
        minf,
    )
    tkhd = box(b"tkhd", numbers(3, 0, 0, 1, 0, count * 40), bytes(8), bytes(8), matrix, numbers(64 << 16, 48 << 16))
    mvhd = full(b"mvhd", numbers(0, 0, 1000, count * 40, 1 << 16), b"\1\0", bytes(10), matrix, bytes(24), numbers(2))
    with open(name, "wb") as file:
        file.write(ftyp + mdat + box(b"moov", mvhd, box(b"trak", tkhd, mdia)))


main()
