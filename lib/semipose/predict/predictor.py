"""From pictures in memory to keypoints."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from semipose.data.context_crops import ContextCrops
from semipose.errors import ConfigError, DataError
from semipose.evaluation.network_outputs import (
    NO_FLIP_TEST,
    decode_scales,
    points_in_image,
    predict_output,
    resized_views,
)
from semipose.evaluation.picture_metrics import INSTANCE_SCORE
from semipose.geometry.boxes import box_to_region
from semipose.predict.instances import Instances, found_in_picture
from semipose.predict.pictures import as_rgb
from semipose.skeletons import Skeleton
from semipose.structures import Persons, PoseBatch
from semipose.views.sampler import centred_view
from semipose.views.view import View

log = logging.getLogger(__name__)
Boxes = np.ndarray | None
LARGEST = 1e7  # pixels; boxes are kept as float32
PERSONS, PICTURES = 32, 8  # that go through the network at once


@dataclass
class _Waiting:
    """A picture whose boxes are not all predicted yet, with what is known of each; bottom-up it is the only box."""

    boxes: np.ndarray
    box_scores: np.ndarray
    keypoints: list[np.ndarray]
    scores: list[np.ndarray]
    left: int


@dataclass
class _Crops:
    """Crops that go through the network together, and whose they are."""

    images: list[np.ndarray] = field(default_factory=list)
    to_image: list[np.ndarray] = field(default_factory=list)
    owners: list[tuple[_Waiting, int]] = field(default_factory=list)


class Predictor:
    """Keypoints in pictures, by one network or by the mean of several.

    A codec of instances (bottom-up) takes whole pictures and no boxes, and finds any number of instances in each.

    Args:
        networks: their outputs are averaged; all are on one device, and each has a `codec`.
        size: (width, height) of what they take.
        skeleton: names of the keypoints.
        margin, padding: of the crops in the validation of the training, so that both see the same pixels.
        flip_test: average with the mirrored picture, where the skeleton `mirrors`.
        batch_size: persons or whole pictures that go through the network at once; 0 = `PERSONS` or `PICTURES`.
        scales: bottom-up: the sizes in which a picture is looked at, in units of `size`.
        instance_score: bottom-up: smallest score of an instance that is handed out.
    """

    def __init__(
        self, networks: list[nn.Module], skeleton: Skeleton, size: tuple[int, int], margin: float = 1.0,
        padding: float = 1.25, flip_test: bool = False, batch_size: int = 0, scales: tuple[float, ...] = (1.0,),
        instance_score: float = INSTANCE_SCORE,
    ):  # fmt: skip
        self.networks, self.skeleton, self.size = networks, skeleton, size
        self.margin, self.padding = margin, padding
        self.flip_test = flip_test and skeleton.mirrors
        if flip_test and not skeleton.mirrors:
            log.warning(NO_FLIP_TEST, skeleton.name)
        self.bottom_up = networks[0].codec.instances
        self.batch_size = batch_size or (PICTURES if self.bottom_up else PERSONS)
        self.scales, self.instance_score = scales, instance_score
        self.device = next(networks[0].parameters()).device
        self._flip_order = torch.tensor(skeleton.flip_order)

    def __call__(self, pictures: list, boxes: list[Boxes] | None = None) -> list[Instances]:
        """The instances of each picture of a list; `boxes` has (N, 4) or (N, 5) or None for each picture.

        Raises:
            DataError, ConfigError: a picture or its boxes are none that `stream` takes.
        """
        if boxes is not None and len(boxes) != len(pictures):
            raise DataError(f"boxes for {len(boxes)} pictures, but there are {len(pictures)}; one array for each")
        return list(self.stream(zip(pictures, [None] * len(pictures) if boxes is None else boxes)))

    def stream(self, items: Iterable[tuple[object, Boxes]]) -> Iterator[Instances]:
        """The instances of each picture, in order; only as many pictures as fill a batch are taken ahead.

        Args:
            items: a picture as in `as_rgb` (sizes may differ), and its boxes: (N, 4) x, y, width, height in pixels, or
                (N, 5) with a score, or None for the whole picture.

        Raises:
            DataError: a picture or its boxes have another shape or type. ConfigError: boxes for a bottom-up network.
        """
        waiting, crops = deque(), _Crops()
        for picture, boxes in items:
            waiting.append(self._add(as_rgb(picture), boxes, crops))
            while len(crops.images) >= self.batch_size:
                self._run(crops)
            yield from self._finished(waiting)
        while crops.images:
            self._run(crops)
        yield from self._finished(waiting)

    def areas(self, boxes: np.ndarray) -> np.ndarray:
        """(N,) square pixels that the network sees of each box (N, 4): the scale of a person in OKS-NMS."""
        _, sizes = box_to_region(boxes, self.size[0] / self.size[1], self.padding)
        return sizes.prod(axis=1)

    def _add(self, image: np.ndarray, boxes: Boxes, crops: _Crops) -> _Waiting:
        """Cuts the crops of a picture."""
        rows, used, images, to_image = self.cut(image, boxes)
        count, joints = len(rows), len(self.skeleton)
        entry = _Waiting(
            rows[:, :4], rows[:, 4], list(np.full((count, joints, 2), np.nan)), list(np.zeros((count, joints))),
            len(used),
        )  # fmt: skip
        crops.images += list(images)
        crops.to_image += list(to_image)
        crops.owners += [(entry, row) for row in used.tolist()]
        return entry

    def cut(self, image: np.ndarray, boxes: Boxes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the networks see of a picture (H, W, 3) uint8 RGB; boxes as in `stream`.

        Returns:
            boxes (N, 5) with their scores, the rows (n,) of those that can be used, their crops (n, 3, H, W) uint8, and
            maps (n, 2, 3) from crop pixels to image pixels.
        """
        if self.bottom_up and boxes is not None:
            raise ConfigError("boxes are given, but this network finds all instances of a whole picture by itself")
        whole = [[0, 0, image.shape[1], image.shape[0]]]
        rows = checked_boxes(whole if boxes is None else boxes)
        used = np.flatnonzero(usable(rows, (image.shape[1], image.shape[0])))
        cutter = ContextCrops(_persons(rows[used, :4], len(self.skeleton)), self.size, self.margin, self.padding)
        return rows, used, cutter.cut_from(image, range(len(used))), cutter.to_image

    def _run(self, crops: _Crops) -> None:
        """Sends the first crops through the networks, at most `batch_size`."""
        end = self.batch_size
        points, scores = self.predict_crops(np.stack(crops.images[:end]), np.stack(crops.to_image[:end]))
        for (entry, row), keypoints, sure in zip(crops.owners[:end], points, scores):
            entry.keypoints[row], entry.scores[row] = keypoints, sure
            entry.left -= 1
        del crops.images[:end], crops.to_image[:end], crops.owners[:end]

    def predict_crops(self, images: np.ndarray, to_image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (B, K, 2) in image pixels and their scores (B, K), as the validation computes them.

        Bottom-up they are (B, N, K, 2) and (B, N, K); scores of 0 are padding.

        Args:
            images: (B, 3, H, W) uint8 RGB context crops.
            to_image: (B, 2, 3) maps from crop pixels to image pixels.
        """
        batch, view = self.see(images, to_image)
        views = resized_views(view, self.scales, self.networks)
        outputs = [[predict_output(network, one, self.flip_test) for one in views] for network in self.networks]
        points, scores = decode_scales(self.networks, outputs)
        points = points_in_image(points, view, batch)
        return points.cpu().numpy().astype(np.float64), scores.cpu().numpy().astype(np.float64)

    def outputs(self, images: np.ndarray) -> list[Tensor]:
        """What each network puts out for context crops, without the flip test."""
        still = np.tile(np.eye(2, 3, dtype=np.float32), (len(images), 1, 1))
        _, view = self.see(images, still)
        return [predict_output(network, view) for network in self.networks]

    def see(self, images: np.ndarray, to_image: np.ndarray) -> tuple[PoseBatch, View]:
        """Crops and maps, as `predict_crops` takes them, as a batch on the device and its view in evaluation."""
        count, joints = len(images), len(self.skeleton)
        nothing = torch.zeros(count, joints)
        batch = PoseBatch(
            torch.from_numpy(images), nothing[..., None].repeat(1, 1, 2), nothing,
            torch.from_numpy(to_image), torch.arange(count),
        ).to(self.device)  # fmt: skip
        return batch, centred_view(batch, self.size, self._flip_order)

    def _finished(self, waiting: deque) -> Iterator[Instances]:
        while waiting and not waiting[0].left:
            yield self._instances(waiting.popleft())

    def _instances(self, done: _Waiting) -> Instances:
        names = self.skeleton.keypoints
        if self.bottom_up:
            size = tuple(done.boxes[0, 2:].astype(int).tolist())
            return found_in_picture(done.keypoints[0], done.scores[0], names, size, self.instance_score)
        keypoints, scores = np.reshape(done.keypoints, (-1, len(names), 2)), np.reshape(done.scores, (-1, len(names)))
        return Instances(keypoints, scores, done.boxes, done.box_scores, names)


def checked_boxes(boxes) -> np.ndarray:
    """(N, 5) float64 x, y, width, height, score of (N, 4) or (N, 5) boxes; raises DataError for another shape."""
    try:
        rows = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("boxes must be numbers of shape (N, 4): x, y, width, height") from None
    rows = rows.reshape(0, 4) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        raise DataError(f"boxes have the shape {rows.shape}; (N, 4) expected: x, y, width, height")
    return rows if rows.shape[1] == 5 else np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def usable(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool, whether a box (N, 4 or more) is finite, has an area and touches a picture of (width, height)."""
    x, y, width, height = boxes[:, :4].T
    with np.errstate(invalid="ignore"):
        touches = (x < size[0]) & (y < size[1]) & (x + width > 0) & (y + height > 0)
        return (np.abs(boxes[:, :4]) < LARGEST).all(axis=1) & (width > 0) & (height > 0) & touches


def _persons(boxes: np.ndarray, joints: int) -> Persons:
    """Boxes (N, 4) on one picture that is in memory."""
    count = len(boxes)
    return Persons(
        image_paths=np.array([""]), image_ids=np.array([1]), image_index=np.zeros(count, np.int32),
        ids=np.arange(1, count + 1), boxes=boxes.astype(np.float32), keypoints=np.zeros((count, joints, 3), np.float32),
        areas=np.ones(count, np.float32), scores=np.ones(count, np.float32),
    )  # fmt: skip
