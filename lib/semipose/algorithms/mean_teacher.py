"""Mean Teacher (Tarvainen and Valpola, NeurIPS 2017) on heatmaps: the teacher is the moving average of the student."""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, make_student
from semipose.algorithms.terms import one_network_step
from semipose.models.ema import EmaTeacher
from semipose.structures import PairBatch, StepOutput


class MeanTeacher(Algorithm):
    """`L = w_pose * L_sup + w_cons * MSE(f(H(x_u)), T t(E(x_u)))`, `t` the EMA of `f`."""

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=("ema",))
        (network,) = students
        self.student = make_student(network, recipe)
        self.teacher = EmaTeacher(network, recipe.ema_decay)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        return one_network_step(self.recipe, self.student, self.teacher, self.records["ema"], batch, step)

    def after_step(self, phase: str) -> None:
        self.teacher.update(self.student.network)

    def predictors(self) -> dict[str, nn.Module]:
        return {"student": self.student.network, "ema": self.teacher}
