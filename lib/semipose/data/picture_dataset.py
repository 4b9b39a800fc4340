"""Whole pictures as batches, each with all persons on it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from semipose.data.crop_cache import CachedCrops, DirectCrops
from semipose.data.person_dataset import FoundRows, PersonDataset
from semipose.data.regions import Region, RunLengths, draw_regions
from semipose.geometry import affine
from semipose.structures import IGNORED, Persons, PoseBatch


class PictureDataset:
    """As `PersonDataset`, with pictures as rows; the images of a batch are found by one.

    A labelled keypoint whose weight is 0 is `IGNORED`.

    Args:
        source: of the base crops of `picture_rows(instances)`.
        instances: the persons on the pictures; their `weights` are factors of their keypoint weights.
        keypoint_weights, on_fault: as for `PersonDataset`.
        regions: where the persons of an image have no labels, by the image's path; without any, batches have no mask.
        known: (I, K) bool, the keypoints that the source of each picture has; None = all.

    Attributes:
        persons: a row for each picture.
        regions: of each picture.
    """

    def __init__(
        self, source: DirectCrops | CachedCrops, instances: Persons, keypoint_weights: list[float], on_fault: str,
        regions: Mapping[str, Sequence[Region]] | None = None, known: np.ndarray | None = None,
    ):  # fmt: skip
        self._pictures = PersonDataset(source, [0.0] * instances.keypoints.shape[1], on_fault)
        self.source, self.on_fault, self.persons, self.instances = source, on_fault, source.crops.persons, instances
        self.regions = [(regions or {}).get(path, ()) for path in instances.image_paths.tolist()]
        self._drawn: dict[int, RunLengths] = {}
        self._known = None if known is None or known.all() else torch.from_numpy(known).float()
        self._by_picture = torch.from_numpy(np.argsort(instances.image_index, kind="stable"))
        counts = np.bincount(instances.image_index, minlength=len(self))
        self._counts, self._starts = torch.from_numpy(counts), torch.from_numpy(np.cumsum(counts) - counts)
        self._keypoints, self._weights = _labels(instances, source.crops.to_image, keypoint_weights)

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, row: int) -> PoseBatch:
        """A batch of one."""
        return self.__getitems__([row])

    def __getitems__(self, rows: list[int]) -> PoseBatch:
        """The pictures of `rows`, as `PersonDataset.__getitems__`."""
        return self._labelled(self._pictures.__getitems__(rows))

    def find(self, rows: list[int]) -> FoundRows:
        """As `PersonDataset.find`."""
        return self._pictures.find(rows)

    def batch(self, found: FoundRows, pin_memory: bool = False) -> PoseBatch:
        """The batch of pictures whose crops are in the cache."""
        batch = self._labelled(self._pictures.batch(found, pin_memory))
        return batch.pin_memory() if pin_memory else batch

    def instance_rows(self, rows: Tensor) -> Tensor:
        """(B, N) int64 rows of `instances` on the pictures `rows` (B,), -1 = none; N is at least 1."""
        counts = self._counts[rows]
        place = torch.arange(max([1, *counts.tolist()]))
        on = place < counts[:, None]
        found = torch.full(on.shape, -1)
        found[on] = self._by_picture[(self._starts[rows][:, None] + place)[on]]
        return found

    def _labelled(self, batch: PoseBatch) -> PoseBatch:
        rows = self.instance_rows(batch.index)
        known = None if self._known is None else self._known[batch.index]
        labels = {"keypoints": self._keypoints[rows], "weights": self._weights[rows]}
        return replace(batch, **labels, mask=self._mask(batch), known=known)

    def _mask(self, batch: PoseBatch) -> Tensor | None:
        if not any(self.regions):
            return None
        mask = torch.ones((len(batch), *batch.images.shape[-2:]), dtype=torch.uint8)
        for own, row in zip(mask, batch.index.tolist()):
            if self.regions[row]:
                own[:] = torch.from_numpy(self._drawn_mask(row))
        return mask

    def _drawn_mask(self, row: int) -> np.ndarray:
        """(H, W) uint8 over the base crop of picture `row`, 0 in its regions; kept, as drawing takes some time."""
        if row not in self._drawn:
            self._drawn[row] = RunLengths.of(self._draw(row))
        return self._drawn[row].draw()

    def _draw(self, row: int) -> np.ndarray:
        """The mask of picture `row`, cut the same way as pixels are."""
        width, height = self.persons.boxes[row, 2:].astype(int).tolist()
        drawn = 255 * draw_regions(self.regions[row], (width, height))
        crop = self.source.crops.cut_from(np.repeat(drawn[..., None], 3, axis=2), [row])[0, 0]
        return (crop < 128).astype(np.uint8)


def _labels(instances: Persons, to_image: np.ndarray, keypoint_weights: list[float]) -> tuple[Tensor, Tensor]:
    """Keypoints (N + 1, K, 2) in base-crop pixels and weights (N + 1, K) of all instances; the last row is padding."""
    xyv = torch.from_numpy(np.asarray(instances.keypoints, dtype=np.float32))
    labelled = xyv[..., 2] > 0
    to_base = affine.invert(torch.from_numpy(to_image[instances.image_index]))
    keypoints = torch.where(labelled[..., None], affine.apply(to_base, xyv[..., :2]), 0)
    factors = torch.from_numpy(np.asarray(instances.weights, np.float32))[:, None]
    weights = xyv[..., 2] * torch.tensor(keypoint_weights) * factors
    weights = torch.where(labelled & (weights == 0), IGNORED, weights)
    return tuple(torch.cat([values, values.new_zeros((1, *values.shape[1:]))]) for values in (keypoints, weights))
