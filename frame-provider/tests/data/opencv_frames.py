"""Prints the CRC-32 of every frame, as RGB, that OpenCV reads from start to end, one line each: file, number, CRC.

Needs Python with OpenCV:  python opencv_frames.py FILE...
The table that the tests read:  python opencv_frames.py ../../../assets/clips/*.mp4 > opencv.tsv
"""

import os
import sys
import zlib

import cv2

for path in sys.argv[1:]:
    video = cv2.VideoCapture(path)
    number = 0
    while True:
        found, frame = video.read()
        if not found:
            break
        print(os.path.basename(path), number, f"{zlib.crc32(frame[:, :, ::-1].tobytes()):08x}", sep="\t")
        number += 1
