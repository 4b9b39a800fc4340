"""The algorithms. A new one is a file beside these and an entry in the table."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from semipose.algorithms.algorithm import Algorithm
from semipose.algorithms.cotraining import SEQUENTIAL, CoTraining
from semipose.algorithms.mean_teacher import MeanTeacher
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.supervised import Supervised


@dataclass(frozen=True)
class AlgorithmEntry:
    """What is known of an algorithm before it is built.

    Attributes:
        make: takes the students and the recipe.
        students: how many networks it is made from.
        takes_unlabeled: whether it uses unlabelled images.
        use_ema: whether EMAs teach; None = the key USE_EMA decides.
        phases: see `Recipe.phases`.
        pose_share: factor of the supervised loss.
    """

    make: Callable[[list[nn.Module], Recipe], Algorithm]
    students: int = 1
    takes_unlabeled: bool = True
    use_ema: bool | None = None
    phases: tuple[str, ...] = ("all",)
    pose_share: float = 1.0


ALGORITHMS = {
    "supervised": AlgorithmEntry(Supervised, takes_unlabeled=False),
    "pose_cons": AlgorithmEntry(MeanTeacher, use_ema=False),
    "mean_teacher": AlgorithmEntry(MeanTeacher, use_ema=True),
    "train_2p": AlgorithmEntry(MeanTeacher),
    # the paper takes the mean of both supervised losses, and the sum of the others
    "pose_dual": AlgorithmEntry(CoTraining, students=2, use_ema=False, pose_share=0.5),
    "cotrain": AlgorithmEntry(CoTraining, students=2, phases=SEQUENTIAL),
    "cotrain1": AlgorithmEntry(CoTraining, students=2),
}

__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmEntry"]
