"""A small lightning-pose project: labelled frames that are all taken from one video of random pictures."""

import csv
from pathlib import Path

import cv2
import numpy as np

from semipose.skeletons import Skeleton

SKELETON = Skeleton(name="three", keypoints=("nose", "paw", "tail"), sigmas=(0.1,) * 3, links=(("nose", "tail"),))
WIDTH, HEIGHT = 56, 40
FRAMES, STRIDE, START = 80, 7, 4  # labelled frame i shows frame START + i * STRIDE of the video


def picture(seed: int) -> np.ndarray:
    """(40, 56, 3) uint8, smooth, and different from all others."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def video_frame(labeled: int) -> int:
    """The frame of the video that a labelled frame shows."""
    return START + labeled * STRIDE


def points(count: int) -> np.ndarray:
    """(N, 3, 2) x, y inside the frame, of two decimals."""
    return np.random.default_rng(1).uniform(5, [WIDTH - 5, HEIGHT - 5], (count, 3, 2)).round(2)


def rows(count: int) -> list[list[str]]:
    """The CSV's cells."""
    head = [["scorer", *["me"] * 6], ["bodyparts", *[n for n in SKELETON.keypoints for _ in "xy"]]]
    head.append(["coords", *["x", "y"] * 3])
    return head + [[f"labeled-data/f{n}.png", *map(str, points(count)[n].ravel())] for n in range(count)]


def write_csv(path: Path, cells: list[list[str]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(cells)
    return str(path)


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_video(path: Path, pictures: list[np.ndarray]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (pictures[0].shape[1], pictures[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, size)
    for frame in pictures:
        writer.write(frame)
    writer.release()
    return str(path)


def write_project(root: Path, count: int = 10) -> tuple[str, str]:
    """CSV and video file of a project with `count` labelled frames."""
    for number in range(count):
        write_image(root / f"labeled-data/f{number}.png", picture(video_frame(number)))
    video = write_video(root / "videos/day.avi", [picture(number) for number in range(FRAMES)])
    return write_csv(root / "CollectedData.csv", rows(count)), video


def damage_frame(video: str, number: int, path: Path) -> str:
    """A copy of a video of `write_video` in which the JPEG of one frame is gone."""
    data, place = bytearray(Path(video).read_bytes()), 0
    for _ in range(number + 1):
        place = data.find(b"\xff\xd8\xff", place + 3)
    end = data.find(b"\xff\xd9", place)
    data[place:end] = bytes(end - place)
    path.write_bytes(data)
    return str(path)
