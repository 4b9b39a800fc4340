"""Co-training of two networks with EMA cross-teachers: the 2D-Pose system.

Each student learns the labels (`pose`) and, on hard views, what the *other* network says on easy views (`cons`); by
default the hard views are fitted to what that network finds easy. Mix-up consistency (`mix`) and a worst-case head
(`worst`) can be added. The other network speaks through its EMA, which is steadier, or directly when EMA is off.
"""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, make_student, scalar_logs
from semipose.algorithms.terms import make_views, student_terms, teach, total, trust_in
from semipose.models.ema import EmaTeacher
from semipose.structures import PairBatch, StepOutput

OTHER = {"first": "second", "second": "first"}


class CoTraining(Algorithm):
    """`L_a = w_pose MSE(f_a(E(x_l)), G) + w_cons MSE(f_a(H(x_u)), T t_b(E(x_u))) + ...`, and the same for `b`.

    Joint (phase "all"): one summed loss moves both students in the same step; they share all views, but not the
    occlusions. Sequential (phases "first", "second"): one student makes its whole pass while the other, frozen, is its
    teacher; then they change places.
    """

    num_students = 2
    compares_teachers = True

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=tuple(OTHER))
        self.students = nn.ModuleDict({n: make_student(net, recipe) for n, net in zip(OTHER, students, strict=True)})
        self.teachers = nn.ModuleDict()
        if recipe.use_ema:
            emas = {name: EmaTeacher(net, recipe.ema_decay) for name, net in zip(OTHER, students, strict=True)}
            self.teachers.update(emas)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.students[name] for name in self._taught_in(phase)]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        recipe, data, taught_in = self.recipe, make_views(self.recipe, batch, step), self._taught_in(phase)
        asked = tuple(OTHER) if recipe.reweight == "agreement" else [OTHER[name] for name in taught_in]
        taught = {name: teach(recipe, self._teacher(name), self.records[name], data) for name in asked}
        terms = {}
        for name in taught_in:
            other = OTHER[name]
            trust = trust_in(recipe, data, self.records[other], taught[other], taught.get(name))
            own = student_terms(recipe, self.students[name], data, taught[other], trust)
            terms |= {f"{key}_{name}": value for key, value in own.items()}
        return StepOutput(total(terms), scalar_logs(terms), tuple(data.said))

    def after_step(self, phase: str) -> None:
        if self.recipe.use_ema:
            for name in self._taught_in(phase):
                self.teachers[name].update(self.students[name].network)

    def predictors(self) -> dict[str, nn.Module]:
        students = {name: student.network for name, student in self.students.items()}
        return students | {f"ema_{name}": net for name, net in self.teachers.items()}

    def main_predictors(self) -> tuple[str, ...]:
        return ("ema_first", "ema_second") if self.recipe.use_ema else ("first", "second")

    def _taught_in(self, phase: str) -> tuple[str, ...]:
        return tuple(OTHER) if phase == "all" else (phase,)

    def _teacher(self, name: str) -> nn.Module:
        return self.teachers[name] if self.recipe.use_ema else self.students[name].network


class SequentialCoTraining(CoTraining):
    """Co-training in turns, as `cotrain.py` runs it."""

    phases = ("first", "second")
