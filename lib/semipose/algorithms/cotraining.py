"""Co-training: two networks, each taught by the other. With EMA teachers it is the 2D-Pose system.

Each student learns the labels (`pose`) and, on hard views, what the *other* network predicts on easy views (`cons`).
Mix-up consistency (`mix`) and a worst-case head (`worst`) can be added. The teacher is the EMA of the other network,
which is steadier. With EMA off it is the other network itself: that is PoseDual (Xie et al., ICCV 2021).
"""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, make_student
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.step import Teacher, training_step
from semipose.models.ema import EmaTeacher
from semipose.structures import PairBatch, StepOutput

OTHER = {"first": "second", "second": "first"}
SEQUENTIAL = tuple(OTHER)  # phases


class CoTraining(Algorithm):
    """`L_a = w_pose MSE(f_a(E(x_l)), G) + w_cons MSE(f_a(H(x_u)), T t_b(E(x_u))) + ...`, and the same for `b`.

    Joint (phase "all"): one summed loss moves both students in the same step; they share all views, but not the
    occlusions. Sequential (phases "first", "second"): one student makes its whole pass while the other, frozen, is its
    teacher; then they change places.
    """

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=tuple(OTHER))
        self.students = nn.ModuleDict({n: make_student(net, recipe) for n, net in zip(OTHER, students, strict=True)})
        self.teachers = nn.ModuleDict()
        if recipe.use_ema:
            emas = {name: EmaTeacher(net, recipe.ema_decay) for name, net in zip(OTHER, students, strict=True)}
            self.teachers.update(emas)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.students[name] for name in self._learning(phase)]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        learning = self._learning(phase)
        # agreement and ensemble take both teachers; otherwise a student needs only the teacher of the other network
        both = self.recipe.ensemble or self.recipe.reweight == "agreement"
        teaching = tuple(OTHER) if both else [OTHER[name] for name in learning]
        students = {name: self.students[name] for name in learning}
        teachers = {name: Teacher(self._teacher(name), self.records[name]) for name in teaching}
        return training_step(self.recipe, batch, step, students, teachers, OTHER)

    def after_step(self, phase: str) -> None:
        if self.recipe.use_ema:
            for name in self._learning(phase):
                self.teachers[name].update(self.students[name].network)

    def predictors(self) -> dict[str, nn.Module]:
        students = {name: student.network for name, student in self.students.items()}
        return students | {f"ema_{name}": net for name, net in self.teachers.items()}

    def main_predictors(self) -> tuple[str, ...]:
        return ("ema_first", "ema_second") if self.recipe.use_ema else ("first", "second")

    def _learning(self, phase: str) -> tuple[str, ...]:
        return tuple(OTHER) if phase == "all" else (phase,)

    def _teacher(self, name: str) -> nn.Module:
        return self.teachers[name] if self.recipe.use_ema else self.students[name].network
