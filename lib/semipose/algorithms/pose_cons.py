"""PoseCons: one network teaches itself, easy view to hard view.

Xie, Wang, Zeng, Wang: An Empirical Study of the Collapsing Problem in Semi-Supervised 2D Human Pose Estimation,
ICCV 2021.
"""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, scalar_logs
from semipose.algorithms.terms import make_views, student_terms, teach, total
from semipose.structures import PairBatch, StepOutput


class PoseCons(Algorithm):
    """`L = w_pose * L_sup + w_cons * MSE(f(H(x_u)), T h)` with `h = f(E(x_u))` detached."""

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe)
        (self.student,) = students

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        data = make_views(self.recipe, batch, step)
        taught = None if data.easy is None else teach(self.student, data.easy)
        terms = student_terms(self.recipe, self.student, data, taught)
        return StepOutput(total(terms), scalar_logs(terms))

    def predictors(self) -> dict[str, nn.Module]:
        return {"student": self.student}
