"""The plain data types that the layers hand to each other."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_OF_IMAGES = ("image_paths", "image_ids", "image_sizes", "image_orientations", "image_whites")


class Reading(NamedTuple):
    """How an image file becomes the picture that its labels refer to.

    Attributes:
        size: (width, height) that the picture must have; (0, 0) = any.
        orientation: EXIF orientation by which the stored pixels are turned; 1 = as they are stored.
        white: of images with more than 8 bits, the value that becomes 255; 0 = the largest of integers.
    """

    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    white: float = 0.0


AS_STORED = Reading()


@dataclass(frozen=True)
class Persons:
    """What a reader returns: N persons on I images, as arrays (workers share them without copying).

    Attributes:
        image_paths: (I,) str, absolute or relative to the working folder.
        image_ids: (I,) int64, the data set's own image ids.
        image_index: (N,) int32, row of `image_paths` for each person.
        ids: (N,) int64, annotation ids (for detections and bare images: running numbers).
        boxes: (N, 4) float32, x, y, width, height in image pixels.
        keypoints: (N, K, 3) float32, x, y in image pixels and 1 where labelled, else 0.
        areas: (N,) float32, segmentation area in square pixels.
        scores: (N,) float32, detector score; 1 for ground truth.
        weights: (N,) float32, factor of each person in the supervised loss; 1 if not given.
        group_ids: (N,) int64, group of each person (such as a labelme group_id); -1 = none, if not given.
        head_sizes: (N,) float32, head size in image pixels, the norm of PCKh; 0 = not known, if not given.
        image_sizes: (I, 2) int32, annotated width and height; 0 = not known, if not given.
        image_orientations: (I,) int8, EXIF orientation by which the stored pixels are turned; 1 = none, if not given.
        image_whites: (I,) float32, see `Reading.white`; 0, if not given.
    """

    image_paths: np.ndarray
    image_ids: np.ndarray
    image_index: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray
    areas: np.ndarray
    scores: np.ndarray
    weights: np.ndarray = None
    group_ids: np.ndarray = None
    head_sizes: np.ndarray = None
    image_sizes: np.ndarray = None
    image_orientations: np.ndarray = None
    image_whites: np.ndarray = None

    def __post_init__(self):
        persons, images = len(self.ids), len(self.image_paths)
        missing = {
            "weights": (persons, 1, np.float32), "group_ids": (persons, -1, np.int64),
            "head_sizes": (persons, 0, np.float32), "image_sizes": ((images, 2), 0, np.int32),
            "image_orientations": (images, 1, np.int8), "image_whites": (images, 0, np.float32),
        }  # fmt: skip
        for name, filled in missing.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(*filled))

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, row: int) -> str:
        """Image file of person `row`."""
        return str(self.image_paths[self.image_index[row]])

    def reading(self, image: int) -> Reading:
        """How to read the file of row `image`."""
        width, height = self.image_sizes[image].tolist()
        return Reading((width, height), int(self.image_orientations[image]), float(self.image_whites[image]))

    def take(self, rows) -> "Persons":
        """The persons in `rows` (indices or boolean mask), in that order; all images are kept."""
        per_person = [f.name for f in fields(Persons) if f.name not in _OF_IMAGES]
        return replace(self, **{name: getattr(self, name)[rows] for name in per_person})

    def take_images(self, keep: np.ndarray) -> "Persons":
        """The images of the mask `keep` (I,), and the persons on them."""
        persons, place = self.take(keep[self.image_index]), (np.cumsum(keep) - 1).astype(np.int32)
        of_images = [f.name for f in fields(Persons) if f.name.startswith("image_") and f.name != "image_index"]
        kept = {name: getattr(self, name)[keep] for name in of_images}
        return replace(persons, image_index=place[persons.image_index], **kept)

    @staticmethod
    def concatenate(parts: "list[Persons]") -> "Persons":
        """All persons of several sources, in order."""
        offsets = np.cumsum([0] + [len(p.image_paths) for p in parts[:-1]])
        joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Persons)}
        joined["image_index"] = np.concatenate([p.image_index + o for p, o in zip(parts, offsets)]).astype(np.int32)
        return Persons(**joined)


IGNORED = -1.0  # weight of a keypoint that is labelled, but whose surroundings teach nothing; for whole pictures only


@dataclass(frozen=True)
class PoseBatch:
    """B context crops with their keypoints: a person each, or (bottom-up) a whole picture with N instances each.

    Attributes:
        images: (B, 3, H, W) uint8 RGB context crops ("base crops").
        keypoints: (B, K, 2) float32, x, y in base-crop pixels; zero in an unlabelled batch. Of whole pictures
            (B, N, K, 2); N, at least 1, is the largest number of instances in the batch, and the others are padding.
        weights: (B, K) or (B, N, K) float32, weight of each keypoint in the loss; 0 = not labelled, or padding.
        to_image: (B, 2, 3) float32, affine map from base-crop pixels to image pixels.
        index: (B,) int64, row of each person or picture in its data set.
        faults: one line for each image that could not be read while this batch was made.
        mask: (B, H, W) uint8 over the base crops, 0 where persons have no labels, else 1; None = 1 everywhere.
        known: (B, K) float32, 0 for keypoints that the source of a whole picture does not have, else 1; None = all 1.
    """

    images: Tensor
    keypoints: Tensor
    weights: Tensor
    to_image: Tensor
    index: Tensor
    faults: tuple[str, ...] = field(default=())
    mask: Tensor | None = None
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def _map(self, function) -> "PoseBatch":
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return replace(self, **{name: function(t) for name, t in tensors.items()})

    def to(self, device: torch.device) -> "PoseBatch":
        return self._map(lambda t: t.to(device, non_blocking=True))

    def pin_memory(self) -> "PoseBatch":
        return self._map(Tensor.pin_memory)

    def without_labels(self) -> "PoseBatch":
        """The same crops with all coordinates and weights zero, so that no label can leak."""
        nothing = {"keypoints": torch.zeros_like(self.keypoints), "weights": torch.zeros_like(self.weights)}
        return replace(self, mask=None, known=None, **nothing)


@dataclass(frozen=True)
class PairBatch:
    """One training step's data; `unlabeled` is None for a supervised algorithm."""

    labeled: PoseBatch
    unlabeled: PoseBatch | None = None

    def to(self, device: torch.device) -> "PairBatch":
        unlabeled = None if self.unlabeled is None else self.unlabeled.to(device)
        return PairBatch(self.labeled.to(device), unlabeled)

    def __len__(self) -> int:
        """Images of both sides."""
        return len(self.labeled) + (0 if self.unlabeled is None else len(self.unlabeled))


@dataclass(frozen=True)
class LabeledOutput:
    """What a student says of the labelled view, and what is true.

    Attributes:
        decode: gives the points (B, K, 2) and scores (B, K) that the student found; it is called only where needed.
        points, weights: (B, K, 2) view pixels and (B, K), of the labels.
        size: (width, height) of the view.
    """

    decode: Callable[[], tuple[Tensor, Tensor]]
    points: Tensor
    weights: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class StepOutput:
    """What an algorithm returns for one step: the scalar loss to back-propagate and detached scalars to log.

    `labeled` has one entry for each student that took labelled images; nothing is computed from it in most steps.
    """

    loss: Tensor
    logs: dict[str, Tensor]
    labeled: tuple[LabeledOutput, ...] = ()
