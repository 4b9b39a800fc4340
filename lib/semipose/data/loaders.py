"""Loaders: labelled and unlabelled batches side by side, and batches in order for evaluation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Workers:
    """How batches are loaded.

    Attributes:
        count: worker processes of each side; 0 = none, the process that trains loads.
        init: called in each worker.
        pin_memory: put batches into page-locked memory, for a GPU.
        rank, ranks: which process of the run this is, and of how many.
    """

    count: int = 0
    init: Callable[[int], None] | None = None
    pin_memory: bool = False
    rank: int = 0
    ranks: int = 1


@dataclass(frozen=True)
class Side:
    """The labelled or the unlabelled side of a training batch.

    Attributes:
        batch_size: of each rank.
        mix: the sources that the data set is made of; None = one.

    Raises:
        DataError: the mix is of another number of persons than the data set.
    """

    dataset: PersonDataset
    batch_size: int
    mix: SourceMix | None = None

    def __post_init__(self):
        if sum(self.sources.lengths) != len(self.dataset):
            raise DataError(
                f"the mixed sources have {list(self.sources.lengths)} persons, their data set has {len(self.dataset)}"
            )

    @property
    def sources(self) -> SourceMix:
        return self.mix or SourceMix((len(self.dataset),))


def _make_loader(dataset: PersonDataset, sampler, workers: Workers) -> DataLoader:
    shared = workers.count > 0 and isinstance(dataset.source, CachedCrops)
    return _Loader(
        CachedRows(dataset) if shared else dataset, batch_sampler=sampler, collate_fn=_unchanged,
        num_workers=workers.count, worker_init_fn=workers.init, persistent_workers=workers.count > 0,
        pin_memory=workers.pin_memory, timeout=WORKER_TIMEOUT_S if workers.count else 0,
        # each pass draws one number that nothing here uses; from the global generator, a resumed run would draw more
        generator=torch.Generator(),
    )  # fmt: skip


class PairLoader:
    """Training batches. One pass over the unlabelled set is an epoch; labelled rows are drawn with replacement.

    Without an unlabelled set an epoch is one pass over the labelled set. The coordinates of the unlabelled side are
    zeroed here, before any algorithm sees them.

    Args:
        unlabeled: None for supervised learning.
        steps: batches of an epoch; 0 = one pass.
        seed: 0 or more.
        on_faults: called with the lines of each batch about images that could not be read.

    Raises:
        ConfigError: as for the samplers.
    """

    def __init__(
        self, labeled: Side, unlabeled: Side | None = None, steps: int = 0, seed: int = 0, workers: Workers = Workers(),
        on_faults: Callable[[tuple[str, ...]], None] = lambda lines: None,
    ):  # fmt: skip
        rank, ranks = workers.rank, workers.ranks
        sides, self._on_faults = [labeled], on_faults
        if unlabeled is None:
            self._samplers = [PassSampler(labeled.sources, labeled.batch_size, steps, seed, rank, ranks)]
        else:
            passes = PassSampler(unlabeled.sources, unlabeled.batch_size, steps, seed, rank, ranks)
            draws = ReplacementSampler(labeled.sources, labeled.batch_size, len(passes), seed + 1, rank, ranks)
            self._samplers, sides = [draws, passes], [labeled, unlabeled]
        self._loaders = [_make_loader(side.dataset, sampler, workers) for side, sampler in zip(sides, self._samplers)]

    def __len__(self) -> int:
        return len(self._samplers[-1])

    @property
    def fewest(self) -> tuple[int, int]:
        """Images in the smallest labelled and in the smallest unlabelled batch; 0 without an unlabelled set."""
        labeled, *unlabeled = (sampler.fewest for sampler in self._samplers)
        return labeled, sum(unlabeled)

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
        loaders = self._loaders if unlabeled else self._loaders[:1]
        for labeled, *pool in zip(*map(_filled, loaders), strict=True):
            self._on_faults(sum((batch.faults for batch in (labeled, *pool)), ()))
            yield PairBatch(labeled, *(batch.without_labels() for batch in pool))


def _filled(loader: DataLoader) -> Iterator[PoseBatch]:
    for batch in loader:
        # raised here, as an error from a worker comes with its whole traceback in the message
        if not len(batch):
            raise DataError(f"no image of the training set can be read; the last fault: {batch.faults[-1]}")
        yield batch


def evaluation_loader(dataset: PersonDataset, batch_size: int, workers: Workers = Workers()) -> DataLoader:
    """All persons once, in order; rank r of R has the batches r, r + R, ..., the last of which may be empty."""
    batches = [list(range(i, min(i + batch_size, len(dataset)))) for i in range(0, len(dataset), batch_size)]
    batches += [[]] * (-len(batches) % workers.ranks)  # every rank has as many
    return _make_loader(dataset, batches[workers.rank :: workers.ranks], workers)
