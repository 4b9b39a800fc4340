"""One network in two phases: a warm-up on labelled images (TRAIN.WARM_EPOCH), then semi-supervised learning.

The warm-up is a call of its own on the trainer, `Trainer.warm_up`, which hands out no unlabelled images; `Trainer.fit`
is the second phase.
"""

from torch import nn

from semipose.algorithms.algorithm import Algorithm, Recipe, make_student
from semipose.algorithms.terms import one_network_step
from semipose.models.ema import EmaTeacher
from semipose.structures import PairBatch, StepOutput


class TwoPhase(Algorithm):
    """Taught by its EMA (as `MeanTeacher`) or, where EMA is off, by itself (as `PoseCons`)."""

    def __init__(self, students: list[nn.Module], recipe: Recipe):
        super().__init__(recipe, teachers=("ema",) if recipe.use_ema else ("student",))
        (network,) = students
        self.student = make_student(network, recipe)
        self.teacher = EmaTeacher(network, recipe.ema_decay) if recipe.use_ema else None

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.student]

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        (record,) = self.records.values()
        return one_network_step(self.recipe, self.student, self.teacher or self.student.network, record, batch, step)

    def after_step(self, phase: str) -> None:
        if self.teacher is not None:
            self.teacher.update(self.student.network)

    def predictors(self) -> dict[str, nn.Module]:
        networks = {"student": self.student.network}
        return networks if self.teacher is None else networks | {"ema": self.teacher}
