"""Supervised learning on the labelled images alone: the baseline."""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, make_student
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.step import training_step
from semipose.structures import PairBatch, StepOutput


class Supervised(Algorithm):
    """`L = w_pose * MSE(f(E(x_l)), G)`."""

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe)
        (network,) = students
        self.student = make_student(network, recipe)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        return training_step(self.recipe, batch, step, {"": self.student}, {}, {})

    def predictors(self) -> dict[str, nn.Module]:
        return {"student": self.student.network}
