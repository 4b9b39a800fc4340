"""Persons as batches of context crops."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semipose.data.crop_cache import CachedCrops, DirectCrops
from semipose.errors import DataError
from semipose.geometry import affine
from semipose.structures import PoseBatch


@dataclass(frozen=True)
class FoundRows:
    """The persons of a batch: (B,) int64 rows of the data set, and a line for each image that could not be read."""

    rows: np.ndarray
    faults: tuple[str, ...]


class PersonDataset:
    """Batches of one source; `__getitems__` is what a DataLoader calls with the rows of a batch.

    Args:
        source: of the crops; the `weights` of its persons are factors of their keypoint weights.
        keypoint_weights: (K,) loss weight of each keypoint.
        on_fault: "replace" takes the next readable person instead of one whose image is broken (training);
            "omit" leaves that person out (evaluation). Either way the batch's `faults` name the image.
    """

    def __init__(self, source: DirectCrops | CachedCrops, keypoint_weights: list[float], on_fault: str):
        self.source, self.on_fault = source, on_fault
        self.persons = source.crops.persons
        self._to_image = torch.from_numpy(source.crops.to_image)
        xyv = torch.from_numpy(np.asarray(self.persons.keypoints, dtype=np.float32))
        self._keypoints = affine.apply(affine.invert(self._to_image), xyv[..., :2])
        person_weights = torch.from_numpy(np.asarray(self.persons.weights, np.float32))
        self._weights = xyv[..., 2] * torch.tensor(keypoint_weights) * person_weights[:, None]
        self._keypoints[xyv[..., 2] == 0] = 0

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, row: int) -> PoseBatch:
        """A batch of one."""
        return self.__getitems__([row])

    def __getitems__(self, rows: list[int]) -> PoseBatch:
        """The persons of `rows`. With "replace" their number stays the same, or is 0 if no image can be read."""
        if isinstance(self.source, CachedCrops):
            return self.batch(self.find(rows))
        images = self._empty(len(rows))
        found = self._search(rows, lambda row, position: self.source.fetch(row, images[position]))
        return self._batch(found, images[: len(found.rows)])

    def find(self, rows: list[int]) -> FoundRows:
        """The persons of the batch for `rows`, after their crops were put into the cache."""
        rows = list(rows)
        if self.source.has(torch.tensor(rows, dtype=torch.int64)):
            return FoundRows(np.array(rows, np.int64), ())
        return self._search(rows, lambda row, _: self.source.fill(row))

    def batch(self, found: FoundRows, pin_memory: bool = False) -> PoseBatch:
        """The batch of persons whose crops are in the cache."""
        images = self._empty(len(found.rows), pin_memory)
        self.source.copy(torch.from_numpy(found.rows), images)
        batch = self._batch(found, images)
        return batch.pin_memory() if pin_memory else batch

    def _empty(self, count: int, pin_memory: bool = False) -> Tensor:
        width, height = self.source.crops.size
        return torch.empty((count, 3, height, width), dtype=torch.uint8, pin_memory=pin_memory)

    def _batch(self, found: FoundRows, images: Tensor) -> PoseBatch:
        index = torch.from_numpy(found.rows)
        return PoseBatch(
            images, self._keypoints[index], self._weights[index], self._to_image[index], index, found.faults
        )

    def _search(self, rows: list[int], read: Callable[[int, int], None]) -> FoundRows:
        """`read(row, position in the batch)` raises DataError where an image is broken."""
        kept, faults = [], []
        attempts = len(self) if self.on_fault == "replace" else 1
        for row in rows:
            candidates = ((row + attempt) % len(self) for attempt in range(attempts))
            found = next((c for c in candidates if _succeeds(read, c, len(kept), faults)), None)
            if found is not None:
                kept.append(found)
            elif self.on_fault == "replace":
                break
        return FoundRows(np.array(kept, np.int64), tuple(faults))


class CachedRows:
    """What loader processes use instead of a data set with a cache: they fill the cache and return the rows of the
    batch. The cache is shared, so no crop is sent between processes; the training process copies the crops itself.
    """

    def __init__(self, dataset: PersonDataset):
        self.dataset, self.persons = dataset, dataset.persons

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, rows: list[int]) -> FoundRows:
        found = self.dataset.find(rows)
        self.dataset.source.load(torch.from_numpy(found.rows))
        return found


def _succeeds(read: Callable[[int, int], None], row: int, position: int, faults: list[str]) -> bool:
    try:
        read(row, position)
    except DataError as error:
        faults.append(str(error))
        return False
    return True
