"""Training batches of windows, drawn as those of pictures are."""

from collections.abc import Iterator
from dataclasses import dataclass

from semipose.data.samplers import PassSampler, ReplacementSampler
from semipose.data.source_mix import SourceMix
from semipose.lifting.motion import LiftBatch, Windows
from semipose.structures import PairBatch


@dataclass(frozen=True)
class LiftSide:
    """The labelled or the unlabelled side of a training batch; `batch_size` of each rank."""

    windows: Windows
    batch_size: int

    @property
    def mix(self) -> SourceMix:
        return SourceMix((len(self.windows),))


class LiftLoader:
    """As `data.loaders.PairLoader`: a pass over the unlabelled windows, or without them over the labelled ones.

    Windows are cut from arrays in memory, so there are no workers.
    """

    def __init__(
        self, labeled: LiftSide, unlabeled: LiftSide | None, steps: int, seed: int, rank: int = 0, ranks: int = 1
    ):
        if unlabeled is None:
            self._samplers = [PassSampler(labeled.mix, labeled.batch_size, steps, seed, rank, ranks)]
            self._windows = [labeled.windows]
        else:
            passes = PassSampler(unlabeled.mix, unlabeled.batch_size, steps, seed, rank, ranks)
            draws = ReplacementSampler(labeled.mix, labeled.batch_size, len(passes), seed + 1, rank, ranks)
            self._samplers, self._windows = [draws, passes], [labeled.windows, unlabeled.windows]

    def __len__(self) -> int:
        return len(self._samplers[-1])

    @property
    def fewest_labeled(self) -> int:
        """Windows in the smallest labelled batch."""
        return self._samplers[0].fewest

    def ids(self, batch: PairBatch) -> dict[str, list[int]]:
        """Target frames of the windows of a batch, by side ("labeled", "unlabeled")."""
        sides = zip(("labeled", "unlabeled"), self._windows, (batch.labeled, batch.unlabeled))
        return {
            side: windows.targets[part.index.cpu().numpy()].tolist()
            for side, windows, part in sides if part is not None
        }  # fmt: skip

    def batches(self, number: int, start: int = 0, unlabeled: bool = True) -> Iterator[PairBatch]:
        """The batches of pass `number`, from batch `start` on; poses of the unlabelled side are zero."""
        for sampler in self._samplers:
            sampler.set_pass(number, start)
        pairs = list(zip(self._samplers, self._windows))[: None if unlabeled else 1]
        for rows in zip(*(sampler for sampler, _ in pairs), strict=True):
            labeled, *pool = (windows.batch(own) for own, (_, windows) in zip(rows, pairs))
            yield PairBatch(labeled, *(batch.without_labels() for batch in pool))


@dataclass(frozen=True)
class EvaluationBatches:
    """All windows once, in order, in numbered batches; rank r of R has r, r + R, .... Every rank has as many: where
    there are no more, the last one of a rank is None."""

    windows: Windows
    batch_size: int
    rank: int = 0
    ranks: int = 1

    def __len__(self) -> int:
        return -(-len(self.windows) // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[tuple[int, LiftBatch | None]]:
        for number in range(self.rank, len(self) * self.ranks, self.ranks):
            rows = range(number * self.batch_size, min((number + 1) * self.batch_size, len(self.windows)))
            yield number, self.windows.batch(rows) if rows else None
