"""PoseCons: one network teaches itself, easy view to hard view.

Xie, Wang, Zeng, Wang: An Empirical Study of the Collapsing Problem in Semi-Supervised 2D Human Pose Estimation,
ICCV 2021.
"""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, make_student
from semipose.algorithms.terms import one_network_step
from semipose.structures import PairBatch, StepOutput


class PoseCons(Algorithm):
    """`L = w_pose * L_sup + w_cons * MSE(f(H(x_u)), T h)` with `h = f(E(x_u))` detached."""

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=("student",))
        (network,) = students
        self.student = make_student(network, recipe)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        return one_network_step(self.recipe, self.student, self.student.network, self.records["student"], batch, step)

    def predictors(self) -> dict[str, nn.Module]:
        return {"student": self.student.network}
