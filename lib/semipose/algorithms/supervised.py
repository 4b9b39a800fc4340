"""Supervised learning on the labelled images alone: the baseline."""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, make_student, scalar_logs
from semipose.algorithms.terms import make_views, student_terms, total
from semipose.structures import PairBatch, StepOutput


class Supervised(Algorithm):
    """`L = w_pose * MSE(f(E(x_l)), G)`."""

    uses_unlabeled = False

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe)
        (network,) = students
        self.student = make_student(network, recipe)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        data = make_views(self.recipe, batch, step)
        terms = student_terms(self.recipe, self.student, data, taught=None)
        return StepOutput(total(terms), scalar_logs(terms), tuple(data.said))

    def predictors(self) -> dict[str, nn.Module]:
        return {"student": self.student.network}
