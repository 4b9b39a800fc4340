"""Persons as batches of context crops."""

import numpy as np
import torch

from semipose.data.crop_cache import CachedCrops, DirectCrops
from semipose.errors import DataError
from semipose.geometry import affine
from semipose.structures import PoseBatch


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
        """The persons of `rows`; with "replace" as many, or none if no image of the source can be read."""
        width, height = self.source.crops.size
        images = torch.empty((len(rows), 3, height, width), dtype=torch.uint8)
        kept, faults = [], []
        for row in rows:
            found = self._fetch(row, images[len(kept)], faults)
            if found is not None:
                kept.append(found)
            elif self.on_fault == "replace":
                break
        index = torch.tensor(kept, dtype=torch.int64)
        return PoseBatch(
            images[: len(kept)], self._keypoints[index], self._weights[index], self._to_image[index], index,
            tuple(faults),
        )  # fmt: skip

    def _fetch(self, row: int, out: torch.Tensor, faults: list[str]) -> int | None:
        attempts = len(self) if self.on_fault == "replace" else 1
        for candidate in ((row + attempt) % len(self) for attempt in range(attempts)):
            try:
                self.source.fetch(candidate, out)
                return candidate
            except DataError as error:
                faults.append(str(error))
        return None
