"""Regions of pictures that hold persons without labels, as polygons and run lengths."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class RunLengths:
    """A mask as runs of 0 and 1 in turn, column by column: `counts` sum to the pixels of (height, width) `size`."""

    size: tuple[int, int]
    counts: np.ndarray

    @staticmethod
    def of(mask: np.ndarray) -> "RunLengths":
        """Of a mask (H, W) of 0 and 1."""
        column = mask.T.ravel()
        changes = np.flatnonzero(column[1:] != column[:-1]) + 1
        start = [0, 0] if column[0] else [0]  # the first run is of 0
        return RunLengths(mask.shape, np.diff(np.concatenate([start, changes, [len(column)]])).astype(np.int32))

    def draw(self) -> np.ndarray:
        """(H, W) uint8, 0 or 1."""
        runs = np.arange(len(self.counts), dtype=np.uint8) % 2
        return np.repeat(runs, self.counts).reshape(self.size[::-1]).T


Region = np.ndarray | RunLengths  # a polygon is (P, 2) float32 x, y in image pixels


def parse_segmentation(value: object) -> list[Region]:
    """A COCO segmentation: polygons, or run lengths, as a list of numbers or compressed to a text; [] if it is empty.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not value:
        return []
    if isinstance(value, dict):
        return [_parse_run_lengths(value)]
    if not isinstance(value, list):
        raise ValueError(f"is a {type(value).__name__}; polygons or an object of run lengths expected")
    return [_parse_polygon(part) for part in value]


def box_region(box: Sequence[float]) -> Region:
    """The polygon of a box x, y, width, height."""
    x, y, width, height = box
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float32)


def draw_regions(regions: Sequence[Region], size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8, 1 within a region, of a picture of (width, height) `size`."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for region in regions:
        if isinstance(region, RunLengths):
            part = region.draw()[: size[1], : size[0]]
            canvas[: part.shape[0], : part.shape[1]] |= part
        else:
            points = np.clip(region, -max(size), 2 * max(size))
            cv2.fillPoly(canvas, [np.round(points * 2**_SUBPIXEL_BITS).astype(np.int32)], 1, cv2.LINE_8, _SUBPIXEL_BITS)
    return canvas


def _parse_polygon(numbers: object) -> np.ndarray:
    if not isinstance(numbers, list) or len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("has a polygon that is not a list of x, y for three corners or more")
    if not set(map(type, numbers)) <= {int, float} or not np.isfinite(np.array(numbers, np.float64)).all():
        raise ValueError("has a polygon whose numbers are not finite")
    return np.array(numbers, np.float32).reshape(-1, 2)


def _parse_run_lengths(value: dict) -> RunLengths:
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and n > 0 for n in size):
        raise ValueError("has run lengths without a size [height, width]")
    if size[0] * size[1] > int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"]):
        raise ValueError(f"has run lengths for {size[0]} x {size[1]} pixels, more than an image may have")
    counts = _decompress(counts) if isinstance(counts, str) else counts
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise ValueError("has run lengths that are not whole numbers from 0 on")
    if sum(counts) != size[0] * size[1]:
        raise ValueError(f"has run lengths of {sum(counts)} pixels for a size of {size[0]} x {size[1]}")
    return RunLengths(tuple(size), np.array(counts, np.int64))


def _decompress(text: str) -> list[int]:
    """COCO's compressed run lengths: 5 bits in each letter, the sixth says that more follow; from the fourth number on
    it is the difference from the one two before."""
    counts, number, shift = [], 0, 0
    for code in (ord(letter) - 48 for letter in text):
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        number -= (code & 16) and 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    return counts
