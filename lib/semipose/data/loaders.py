"""Loaders: labelled and unlabelled batches side by side, and batches in order for evaluation."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch.utils.data import DataLoader

from semipose.data.crop_cache import CachedCrops
from semipose.data.person_dataset import CachedRows, FoundRows, PersonDataset
from semipose.data.samplers import PassSampler, ReplacementSampler
from semipose.data.source_mix import SourceMix
from semipose.errors import DataError
from semipose.structures import PairBatch, PoseBatch

WORKER_TIMEOUT_S = 300


def _unchanged(batch: PoseBatch) -> PoseBatch:
    return batch


class _Loader(DataLoader):
    """Completes the batches of which the workers only say who is in them."""

    def __iter__(self) -> Iterator[PoseBatch]:
        pin_memory = self.pin_memory and torch.cuda.is_available()
        for found in super().__iter__():
            yield self.dataset.dataset.batch(found, pin_memory) if isinstance(found, FoundRows) else found


def _make_loader(
    dataset: PersonDataset, sampler, workers: int, worker_init: Callable[[int], None] | None, pin_memory: bool
) -> DataLoader:
    shared = workers > 0 and isinstance(dataset.source, CachedCrops)
    return _Loader(
        CachedRows(dataset) if shared else dataset, batch_sampler=sampler, collate_fn=_unchanged,
        num_workers=workers, worker_init_fn=worker_init, persistent_workers=workers > 0, pin_memory=pin_memory,
        timeout=WORKER_TIMEOUT_S if workers else 0,
        # each pass draws one number that nothing here uses; from the global generator, a resumed run would draw more
        generator=torch.Generator(),
    )  # fmt: skip


class PairLoader:
    """Training batches. One pass over the unlabelled set is an epoch; labelled rows are drawn with replacement.

    Without an unlabelled set an epoch is one pass over the labelled set. The coordinates of the unlabelled side are
    zeroed here, before any algorithm sees them.

    Args:
        labeled, unlabeled: the data sets; `unlabeled` may be None.
        batch_sizes: (labelled, unlabelled).
        steps: batches of an epoch; 0 = one pass.
        seed: 0 or more.
        workers: worker processes of each side.
        worker_init: called in each worker.
        pin_memory: put batches into page-locked memory, for a GPU.
        labeled_mix, unlabeled_mix: the sources that the data sets are made of; None = one.
        rank, ranks: which process this is, and of how many; the batch sizes are those of each.

    Raises:
        ConfigError: as for the samplers.
        DataError: a mix is of another number of persons than its data set.
    """

    def __init__(
        self, labeled: PersonDataset, unlabeled: PersonDataset | None, batch_sizes: tuple[int, int], steps: int,
        seed: int, workers: int = 0, worker_init: Callable[[int], None] | None = None, pin_memory: bool = False,
        labeled_mix: SourceMix | None = None, unlabeled_mix: SourceMix | None = None, rank: int = 0, ranks: int = 1,
    ):  # fmt: skip
        labeled_mix = _mix_of(labeled, labeled_mix)
        if unlabeled is None:
            self._samplers = [PassSampler(labeled_mix, batch_sizes[0], steps, seed, rank, ranks)]
            self._loaders = [_make_loader(labeled, self._samplers[0], workers, worker_init, pin_memory)]
            return
        passes = PassSampler(_mix_of(unlabeled, unlabeled_mix), batch_sizes[1], steps, seed, rank, ranks)
        draws = ReplacementSampler(labeled_mix, batch_sizes[0], len(passes), seed + 1, rank, ranks)
        self._samplers = [draws, passes]
        sides = zip((labeled, unlabeled), self._samplers)
        self._loaders = [_make_loader(dataset, sampler, workers, worker_init, pin_memory) for dataset, sampler in sides]

    def __len__(self) -> int:
        return len(self._samplers[-1])

    def ids(self, batch: PairBatch) -> dict[str, list[int]]:
        """Annotation ids of the persons of a batch, by side ("labeled", "unlabeled")."""
        sides = zip(("labeled", "unlabeled"), self._loaders, (batch.labeled, batch.unlabeled))
        return {
            side: loader.dataset.persons.ids[part.index.cpu().numpy()].tolist()
            for side, loader, part in sides if part is not None
        }  # fmt: skip

    def batches(self, number: int, start: int = 0, unlabeled: bool = True) -> Iterator[PairBatch]:
        """The batches of pass `number`, from batch `start` on; without `unlabeled` no unlabelled image is read.

        Raises:
            DataError: no image can be read.
        """
        for sampler in self._samplers:
            sampler.set_pass(number, start)
        if len(self._loaders) == 1 or not unlabeled:
            for labeled in self._filled(0, start):
                yield PairBatch(labeled)
            return
        for labeled, pool in zip(self._filled(0, start), self._filled(1, start), strict=True):
            yield PairBatch(labeled, pool.without_labels())

    def _filled(self, side: int, start: int) -> Iterator[PoseBatch]:
        sampler = self._samplers[side]
        for position, batch in enumerate(self._loaders[side], start):
            # raised here, as an error from a worker comes with its whole traceback in the message
            if not len(batch):
                raise DataError(f"no image of the training set can be read; the last fault: {batch.faults[-1]}")
            yield batch if sampler.ranks == 1 else replace(batch, joined=sampler.joined(position))


def _mix_of(dataset: PersonDataset, mix: SourceMix | None) -> SourceMix:
    mix = mix or SourceMix((len(dataset),))
    if sum(mix.lengths) != len(dataset):
        raise DataError(f"the mixed sources have {list(mix.lengths)} persons, their data set has {len(dataset)}")
    return mix


def evaluation_loader(
    dataset: PersonDataset,
    batch_size: int,
    workers: int = 0,
    worker_init: Callable[[int], None] | None = None,
    pin_memory: bool = False,
    rank: int = 0,
    ranks: int = 1,
) -> DataLoader:
    """All persons once, in order; rank r of R has the batches r, r + R, ..., the last of which may be empty."""
    batches = [list(range(i, min(i + batch_size, len(dataset)))) for i in range(0, len(dataset), batch_size)]
    batches += [[]] * (-len(batches) % ranks)  # every rank has as many
    return _make_loader(dataset, batches[rank::ranks], workers, worker_init, pin_memory)
