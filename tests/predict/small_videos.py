"""Videos whose frames can be told apart, and mp4 files whose tables are changed by hand."""

import struct
from pathlib import Path

import cv2
import numpy as np

SIZE = (64, 48)


def frame(number: int) -> np.ndarray:
    """(48, 64, 3) uint8 RGB; the brightness is the number, the upper left corner is white."""
    image = np.full((SIZE[1], SIZE[0], 3), 10 + 10 * number % 200, np.uint8)
    image[:12, :12] = 255
    return image


def write_video(path: Path, count: int = 12, rate: float = 25, codec: str = "mp4v") -> str:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, SIZE)
    assert writer.isOpened()
    for number in range(count):
        writer.write(frame(number)[..., ::-1])
    writer.release()
    return str(path)


def slow_down(path: str, first: int, factor: int) -> None:
    """From frame `first` on, each frame of an mp4 is shown `factor` times as long: a variable frame rate."""
    data = bytearray(Path(path).read_bytes())
    edits = _find(data, "moov", "trak", "edts")[-1][0]
    data[edits + 4 : edits + 8] = b"free"  # it would cut the end off
    chain = _find(data, "moov", "trak", "mdia", "minf", "stbl", "stts")
    start, end = chain[-1]
    count, delta = struct.unpack(">II", data[start + 16 : start + 24])
    table = struct.pack(">I4sIIIIII", 32, b"stts", 0, 2, first, delta, count - first, factor * delta)
    for place, _ in chain[:-1]:
        (size,) = struct.unpack(">I", data[place : place + 4])
        data[place : place + 4] = struct.pack(">I", size + len(table) - (end - start))
    data[start:end] = table
    Path(path).write_bytes(data)


def turn(path: str) -> None:
    """Set the rotation tag of an mp4 to a quarter turn clockwise, as phones do."""
    data = bytearray(Path(path).read_bytes())
    matrix = _find(data, "moov", "trak", "tkhd")[-1][0] + 48
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, SIZE[1] << 16, 0, 1 << 30)
    Path(path).write_bytes(data)


def _find(data: bytearray, *names: str) -> list[tuple[int, int]]:
    """Start and end of each box on a path of boxes (ISO 14496-12)."""
    chain, start, end = [], 0, len(data)
    for name in names:
        while True:
            size, kind = struct.unpack(">I4s", data[start : start + 8])
            if kind.decode() == name:
                break
            start += size
            assert start < end, name
        chain.append((start, start + size))
        start, end = start + 8, start + size
    return chain
