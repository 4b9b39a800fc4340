"""Which images follow one another in time: frames of a video, or files whose names end in running numbers."""

import re
from collections import Counter, defaultdict

import numpy as np

from semipose.data.thumbnails import read_thumbnails
from semipose.geometry.boxes import box_iou
from semipose.structures import Persons

NUMBERED = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)  # the last number of a path
ALIKE = 2 / 3  # a frame differs from the next one at most by this share of how frames of its series differ at random
STILL = 2.0  # grey levels of 255: pictures that differ by less always follow one another
DRAWN = 1000  # pairs drawn to see how frames differ at random
SAME_PERSON = 0.3  # smallest overlap (IoU) of the boxes of one person in neighbouring frames

Step = tuple[int, int]  # two images, the earlier one first


def time_neighbours(persons: Persons, gap: int, folder: str) -> np.ndarray:
    """(N, 2) int64: the row of the same person in the frame before, and in the frame after; -1 = there is none.

    Files are a series if their paths differ in the last number only; its step is the most common difference of numbers
    that follow one another. It is a video if most frames one step apart are clearly more alike than two of the series
    drawn at random; all of those are neighbours. So numbered pictures that are no video, and the two sides of a cut,
    have none.
    Measured (mean grey difference of neighbours as a share of that of random pairs): frames of a running mouse, every
    second one, 0.22 to 0.67; loose pictures of the same mouse 0.96; photos 1.0.

    Persons of one frame are told apart by their boxes.

    Args:
        gap: largest step; a series of a larger one has no neighbours.
        folder: where thumbnails are kept.
    """
    found = np.full((len(persons), 2), -1, np.int64)
    on_image = defaultdict(list)
    for row, image in enumerate(persons.image_index.tolist()):
        on_image[image].append(row)
    for earlier, later in _steps(persons, sorted(on_image), gap, folder):
        for before, after in _same_persons(persons.boxes, on_image[earlier], on_image[later]):
            found[after, 0], found[before, 1] = before, after
    return found


def videos_of(neighbours: np.ndarray) -> list[np.ndarray]:
    """The rows of each chain of neighbours (N, 2), in the order of time; rows without a neighbour are in none."""
    found = []
    for row in np.flatnonzero((neighbours[:, 0] < 0) & (neighbours[:, 1] >= 0)).tolist():
        chain = [row]
        while neighbours[chain[-1], 1] >= 0:
            chain.append(int(neighbours[chain[-1], 1]))
        found.append(np.array(chain))
    return found


def _steps(persons: Persons, images: list[int], gap: int, folder: str) -> list[Step]:
    """All pairs of images that are neighbours in time."""
    steps = []
    for frames in _series(persons, images).values():
        numbers = sorted(frames)
        differences = np.diff(numbers)
        step = int(Counter(differences.tolist()).most_common(1)[0][0]) if len(differences) else 0
        if 0 < step <= gap:
            near = [(frames[number], frames[number + step]) for number in numbers if number + step in frames]
            steps += _that_look_alike(persons, list(frames.values()), near, folder)
    return steps


def _series(persons: Persons, images: list[int]) -> dict[tuple[str, str], dict[int, int]]:
    """By what the paths of a series share: its images by their number, each once."""
    series = defaultdict(dict)
    for image in images:
        place = NUMBERED.fullmatch(str(persons.image_paths[image]))
        if place:
            series[place[1], place[3]].setdefault(int(place[2]), image)
    return series


def _that_look_alike(persons: Persons, images: list[int], steps: list[Step], folder: str) -> list[Step]:
    thumbnails = read_thumbnails([str(persons.image_paths[image]) for image in images], folder)
    place = {image: number for number, image in enumerate(images)}
    drawn = np.random.default_rng(0).integers(len(images), size=(DRAWN, 2))
    typical = np.median(_differences(thumbnails, drawn[drawn[:, 0] != drawn[:, 1]]))
    between = _differences(thumbnails, np.array([(place[a], place[b]) for a, b in steps]))
    alike = between <= max(STILL, ALIKE * typical)
    return [step for step, is_near in zip(steps, alike) if is_near] if alike.mean() > 0.5 else []


def _differences(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) mean grey differences of the pairs (P, 2) of thumbnails (N, 32, 32)."""
    first, second = thumbnails[pairs.T].astype(np.int16)
    return np.abs(first - second).mean(axis=(1, 2))


def _same_persons(boxes: np.ndarray, before: list[int], after: list[int]) -> list[Step]:
    """The rows of one person in both frames: those that are each other's best overlap."""
    corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    overlaps = box_iou(corners[before], corners[after])
    there, back = overlaps.argmax(axis=1), overlaps.argmax(axis=0)
    pairs = [(a, b) for a, b in enumerate(there.tolist()) if back[b] == a and overlaps[a, b] >= SAME_PERSON]
    return [(before[a], after[b]) for a, b in pairs]
