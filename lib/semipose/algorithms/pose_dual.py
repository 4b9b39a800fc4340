"""PoseDual: two networks, each learning from the other's easy-view heatmaps (Xie et al., ICCV 2021)."""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, scalar_logs
from semipose.algorithms.terms import make_views, student_terms, teach, total
from semipose.structures import PairBatch, StepOutput


class PoseDual(Algorithm):
    """`L = 0.5 w_pose (L_a + L_b)_sup + w_cons (MSE(f_a(H), T h_b) + MSE(f_b(H), T h_a))`."""

    num_students = 2

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe)
        self.first, self.second = students

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.first, self.second]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        data = make_views(self.recipe, batch, step)
        terms = {}
        for name, student, other in (("first", self.first, self.second), ("second", self.second, self.first)):
            taught = None if data.easy is None else teach(other, data.easy)
            own = student_terms(self.recipe, student, data, taught)
            if "pose" in own:
                own["pose"] = 0.5 * own["pose"]
            terms |= {f"{key}_{name}": value for key, value in own.items()}
        return StepOutput(total(terms), scalar_logs(terms))

    def predictors(self) -> dict[str, nn.Module]:
        return {"first": self.first, "second": self.second}

    def main_predictors(self) -> tuple[str, ...]:
        return ("first", "second")
