"""Makes the HDF5 files of this folder: small files that claim to be huge. Needs numpy and h5py.

    python tests/cases/hostile-tracks/make.py
"""

import zlib
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent


def tracks(name, shape, **how):
    with h5py.File(HERE / name, "w") as file:
        file.create_dataset("tracks", shape=shape, **how)
        file["node_names"] = np.array([f"n{i}".encode() for i in range(shape[2])])
        file["track_names"] = np.array([f"a{i}".encode() for i in range(shape[0])])



def main():
    # A billion frames, and eight million frames, none of them stored.
    tracks("billion-frames.h5", (1, 2, 1, 10**9), dtype="f8", chunks=(1, 2, 1, 10**5))
    tracks("million-frames.h5", (1, 2, 1, 8 * 10**6), dtype="f8", chunks=(1, 2, 1, 10**5))
    # Thirty million points that are all the fill value.
    tracks("fill-values.h5", (50, 2, 10, 60000), dtype="i1", chunks=(1, 2, 10, 60000), fillvalue=1)
    # Forty thousand names that all refer to one text of ten thousand letters.
    with h5py.File(HERE / "one-long-name.h5", "w") as file:
        file.create_dataset("tracks", shape=(1, 2, 1, 10), dtype="f8")
        file["track_names"] = np.array([b"a"])
        count = 40000
        kind = h5py.string_dtype()
        first = file.create_dataset("first", shape=(1,), dtype=kind)
        first[0] = "x" * 10000
        file.flush()
        offset = first.id.get_offset()
        reference = (HERE / "one-long-name.h5").read_bytes()[offset : offset + 16]
        names = file.create_dataset("node_names", shape=(count,), dtype=kind, chunks=(count,), compression="gzip")
        names.id.write_direct_chunk((0,), zlib.compress(reference * count, 9))
    # A body part that hundreds of links point to.
    with h5py.File(HERE / "links.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.6"
        pose = file.create_group("processing/behavior/pose")
        pose.attrs["neurodata_type"] = "PoseEstimation"
        series = pose.create_group("s0")
        series.attrs["neurodata_type"] = "PoseEstimationSeries"
        series.create_dataset("data", shape=(10**5, 2), dtype="f4", chunks=(10**5, 2))
        series.create_dataset("starting_time", data=0.0).attrs["rate"] = 25.0
        for number in range(1, 500):
            pose[f"s{number}"] = series
    # A billion points, and thirty million frames, none of them stored.
    instance = [("instance_type", "u1"), ("skeleton", "u4"), ("track", "i4"), ("from_predicted", "i8")]
    instance += [("point_id_start", "u8"), ("point_id_end", "u8")]
    frame = [("video", "u4"), ("frame_idx", "u8"), ("instance_id_start", "u8"), ("instance_id_end", "u8")]
    point = [("x", "f8"), ("y", "f8"), ("visible", "?")]
    for name, frames, points in [("points.slp", 1, 10**9), ("frames.slp", 3 * 10**7, 2)]:
        with h5py.File(HERE / name, "w") as file:
            meta = file.create_group("metadata")
            meta.attrs["format_id"] = 1.2
            meta.attrs["json"] = np.bytes_('{"skeletons": [{"nodes": [{"id": 0}]}], "nodes": [{"name": "a"}]}')
            for table, dtype, count in [
                ("frames", frame, frames),
                ("instances", instance, 1),
                ("points", point, points),
                ("pred_points", point, 1),
            ]:
                file.create_dataset(table, shape=(count,), dtype=np.dtype(dtype), chunks=(min(count, 10**5),))


if __name__ == "__main__":
    main()
