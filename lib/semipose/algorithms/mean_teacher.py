"""One student and its teacher: the student's moving average, or the student itself.

With the moving average it is Mean Teacher (Tarvainen and Valpola, NeurIPS 2017) on heatmaps. Without, it is PoseCons
(Xie et al., An Empirical Study of the Collapsing Problem in Semi-Supervised 2D Human Pose Estimation, ICCV 2021).
`train_2p.py` runs either of them after a warm-up on labelled images, which the trainer does.
"""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, make_student
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.step import Teacher, training_step
from semipose.models.ema import EmaTeacher
from semipose.structures import PairBatch, StepOutput


class MeanTeacher(Algorithm):
    """`L = w_pose * L_sup + w_cons * MSE(f(H(x_u)), T t(E(x_u)))`, `t` the EMA of `f`, or `f` itself, detached."""

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=("ema" if recipe.use_ema else "student",))
        (network,) = students
        self.student = make_student(network, recipe)
        self.teacher = EmaTeacher(network, recipe.ema_decay) if recipe.use_ema else None

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        ((name, record),) = self.records.items()
        teacher = Teacher(self.teacher or self.student.network, record)
        return training_step(self.recipe, batch, step, {"": self.student}, {name: teacher}, {"": name})

    def after_step(self, phase: str) -> None:
        if self.teacher is not None:
            self.teacher.update(self.student.network)

    def predictors(self) -> dict[str, nn.Module]:
        networks = {"student": self.student.network}
        return networks if self.teacher is None else networks | {"ema": self.teacher}
