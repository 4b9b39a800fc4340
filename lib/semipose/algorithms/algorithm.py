"""The contract between an algorithm and the trainer.

The trainer does, for each step: `forward` -> backward and optimiser step of the phase -> `after_step`; and at the end
of each epoch: `after_epoch`.

To add an algorithm: write one file like `mean_teacher.py`, add one entry to the table in `algorithms/__init__.py`, and
set `ALGORITHM` in a YAML file.
"""

from dataclasses import replace

from torch import nn

from semipose.algorithms.recipe import Ramp, Recipe
from semipose.algorithms.student import Student
from semipose.errors import ModelError
from semipose.pseudo_labels import SplitReport, TeacherRecord
from semipose.structures import PairBatch, StepOutput


class Algorithm(nn.Module):
    """Owns students and teachers, and turns a batch into a loss.

    Attributes:
        records: by the name of a teacher, its predictions on the unlabelled images. They are not submodules: see
            `TeacherRecord`.

    Args:
        teachers: names of the networks that make pseudo-labels.
    """

    def __init__(self, recipe: Recipe, teachers: tuple[str, ...] = ()):
        super().__init__()
        self.recipe = recipe
        size = recipe.unlabeled_size, recipe.joints, recipe.instances, *recipe.constraints.kept
        self.records = {name: TeacherRecord(*size) for name in teachers}

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the optimisation phases. An epoch is one pass over the data for each phase."""
        return self.recipe.phases

    @property
    def takes_unlabeled(self) -> bool:
        """Whether unlabelled batches are needed: false for supervised learning and where all such weights are 0."""
        return bool(self.records) and self.recipe.weights.unlabeled

    @property
    def has_idle_parameters(self) -> bool:
        """Whether some parameter may get no gradient in some step."""
        return self.recipe.weights.worst > 0 and self.recipe.worst.pseudo_head

    def unlabeled_factor(self, step: int) -> float:
        """Factor of the unlabelled losses at a step, 0 to 1."""
        return self.recipe.ramp(step)

    def keep_ramp(self, start: int, end: int) -> None:
        """Of a run that is resumed and made longer: the unlabelled losses rise where they rose before."""
        worst = replace(self.recipe.worst, schedule=replace(self.recipe.worst.schedule, start=start))
        self.recipe = replace(self.recipe, ramp=Ramp(start, end), worst=worst)

    def learners(self, phase: str) -> list[nn.Module]:
        """The modules that the optimiser of `phase` moves."""
        raise TypeError(f"{type(self).__name__} must define learners()")

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        """Loss of one step. A function of the networks, the splits, the batch and `step` (which seeds all views)."""
        raise TypeError(f"{type(self).__name__} must define forward()")

    def after_step(self, phase: str) -> None:
        """Called after each optimiser step: move EMA teachers here."""

    def after_epoch(self, first_step: int = 0) -> dict[str, SplitReport]:
        """Called after each epoch, which began with `first_step`: fit the easy/hard split of each teacher again, and
        find the tracks."""
        reports = {name: record.refit(first_step) for name, record in self.records.items()}
        if self.recipe.constraints.peak_tracks is not None:
            for record in self.records.values():
                self.recipe.constraints.peak_tracks.settle(record)
        return reports

    def predictors(self) -> dict[str, nn.Module]:
        """Networks to evaluate, by the name that their metrics carry."""
        raise TypeError(f"{type(self).__name__} must define predictors()")

    def main_predictors(self) -> tuple[str, ...]:
        """Names of the predictors whose mean heatmap is the result. It decides which checkpoint is the best."""
        return tuple(self.predictors())[-1:]


def make_student(network: nn.Module, recipe: Recipe) -> Student:
    """The network with the extra heads that the recipe asks for."""
    worst = recipe.weights.worst > 0
    return Student(network, recipe.joints, worst, worst and recipe.worst.pseudo_head)


def load_networks(algorithm: Algorithm, state: dict, source: str) -> None:
    """Put a checkpoint's networks into `algorithm`; raises ModelError if they are of another model or algorithm."""
    try:
        algorithm.load_state_dict(state["algorithm"])
    except (KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{source}: the checkpoint is of another model or algorithm: {reason}") from error
