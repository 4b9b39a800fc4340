"""Random numbers for the rows of a batch, also where each of several ranks (processes) has a part of the rows."""

from collections.abc import Callable

import torch
from torch import Tensor


class RankGenerator(torch.Generator):
    """A CPU generator for rank r of R, which has the rows r, r + R, r + 2R ... of each joined batch.

    It has the same state on all ranks, as long as they draw the same. So a row gets the numbers that it would get in
    one process with the joined batch, and no two ranks draw the same numbers.

    Attributes:
        joined: rows of the joined batch that is drawn for.
    """

    def __new__(cls, rank: int, ranks: int) -> "RankGenerator":
        return super().__new__(cls)  # torch takes the arguments here

    def __init__(self, rank: int, ranks: int):
        self.rank, self.ranks, self.joined = rank, ranks, 0


def draw_rows(
    draw: Callable[..., Tensor], shape: tuple[int, ...], generator: torch.Generator, rows: int = 0
) -> Tensor:  # fmt: skip
    """`draw(shape, generator=generator)`; with a `RankGenerator` drawn for the joined batch.

    Args:
        draw: such as torch.rand.
        shape: of the result.
        rows: which dimension is that of the rows.
    """
    if not isinstance(generator, RankGenerator):
        return draw(shape, generator=generator)
    whole = (*shape[:rows], generator.joined, *shape[rows + 1 :])
    own = range(generator.rank, generator.joined, generator.ranks) or [generator.rank % generator.joined]
    return draw(whole, generator=generator).index_select(rows, torch.tensor(own))
