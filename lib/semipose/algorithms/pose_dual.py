"""PoseDual: two networks, each learning from the other's easy-view heatmaps (Xie et al., ICCV 2021)."""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, make_student, scalar_logs
from semipose.algorithms.terms import make_views, student_terms, teach, total, trust_in
from semipose.structures import PairBatch, StepOutput


class PoseDual(Algorithm):
    """`L = 0.5 w_pose (L_a + L_b)_sup + w_cons (MSE(f_a(H), T h_b) + MSE(f_b(H), T h_a))`."""

    num_students = 2
    compares_teachers = True

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=("first", "second"))
        self.first, self.second = (make_student(network, recipe) for network in students)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.first, self.second]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        recipe, data = self.recipe, make_views(self.recipe, batch, step)
        taught = {name: teach(recipe, getattr(self, name).network, self.records[name], data) for name in self.records}
        terms = {}
        for name, other in (("first", "second"), ("second", "first")):
            trust = trust_in(recipe, data, self.records[other], taught[other], taught[name])
            own = student_terms(recipe, getattr(self, name), data, taught[other], trust)
            if "pose" in own:
                own["pose"] = 0.5 * own["pose"]
            terms |= {f"{key}_{name}": value for key, value in own.items()}
        return StepOutput(total(terms), scalar_logs(terms), tuple(data.said))

    def predictors(self) -> dict[str, nn.Module]:
        return {"first": self.first.network, "second": self.second.network}

    def main_predictors(self) -> tuple[str, ...]:
        return ("first", "second")
