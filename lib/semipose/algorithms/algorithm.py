"""The contract of an algorithm. To add one: one file like `mean_teacher.py`, one line in `ALGORITHMS`, one YAML.

The trainer does, for each step: `forward` -> backward and optimiser step of the phase -> `after_step`; and at the end
of each epoch: `after_epoch`.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from semipose.algorithms.mixing import MixPolicy
from semipose.algorithms.student import Student
from semipose.algorithms.worst_case import WorstPolicy
from semipose.codecs import HeatmapCodec
from semipose.errors import ModelError
from semipose.pseudo_labels import PseudoLabeler, SplitReport, TeacherRecord
from semipose.structures import PairBatch, StepOutput
from semipose.views.sampler import ViewSampler


@dataclass(frozen=True)
class LossWeights:
    """Factors of the loss terms; a term of weight 0 is not computed.

    Attributes:
        pose: supervised loss on labelled images.
        cons: easy-to-hard consistency on unlabelled images.
        mix: mix-up consistency on unlabelled images.
        worst: worst-case head.
    """

    pose: float = 1.0
    cons: float = 1.0
    mix: float = 0.0
    worst: float = 0.0

    @property
    def unlabeled(self) -> bool:
        """Whether any term takes unlabelled images."""
        return self.cons > 0 or self.mix > 0 or self.worst > 0


@dataclass(frozen=True)
class Ramp:
    """Factor of all unlabelled terms: 0 until `start`, then rising in a line to 1 at `end` (in steps)."""

    start: int = 0
    end: int = 0

    def __call__(self, step: int) -> float:
        if step < self.start:
            return 0.0
        return 1.0 if step >= self.end else (step + 1 - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class Recipe:
    """What every algorithm is given besides its networks.

    Attributes:
        joint_forward: labelled and unlabelled images go through a student in one pass (one BatchNorm batch).
        use_ema: the EMA of a network is the teacher, instead of the network itself (cotrain, cotrain1, train_2p).
        ema_decay: largest decay of EMA teachers.
        mix: how images are mixed, if `weights.mix` is above 0.
        worst: the worst-case head, if `weights.worst` is above 0.
        reweight: "" or one of `REWEIGHTINGS`: what multiplies the pseudo-label weights.
        agreement_sigma: for reweight "agreement", in heatmap pixels.
        unlabeled_size: number of unlabelled persons.
    """

    codec: HeatmapCodec
    views: ViewSampler
    labeler: PseudoLabeler
    weights: LossWeights = LossWeights()
    ramp: Ramp = Ramp()
    joint_forward: bool = True
    use_ema: bool = True
    ema_decay: float = 0.999
    mix: MixPolicy = MixPolicy()
    worst: WorstPolicy = WorstPolicy()
    reweight: str = ""
    agreement_sigma: float = 1.0
    unlabeled_size: int = 0

    @property
    def joints(self) -> int:
        return len(self.views.flip_order)


class Algorithm(nn.Module):
    """Owns students and teachers, and turns a batch into a loss.

    Class attributes:
        num_students: networks it is built from.
        uses_unlabeled: whether it takes unlabelled batches.
        phases: names of its optimisation phases. An epoch is one pass over the data for each phase.
        compares_teachers: whether two networks predict the same image, so that their agreement is known.

    Attributes:
        records: by the name of a teacher, what it said about the unlabelled images. They are no submodules: see
            `TeacherRecord`.

    Args:
        teachers: names of the networks that make pseudo-labels.
    """

    num_students = 1
    uses_unlabeled = True
    phases = ("all",)
    compares_teachers = False

    def __init__(self, recipe: Recipe, teachers: tuple[str, ...] = ()):
        super().__init__()
        self.recipe = recipe
        self.records = {name: TeacherRecord(recipe.unlabeled_size, recipe.joints) for name in teachers}

    def learners(self, phase: str) -> list[nn.Module]:
        """The modules that the optimiser of `phase` moves."""
        raise TypeError(f"{type(self).__name__} must define learners()")

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        """Loss of one step. A function of the networks, the splits, the batch and `step` (which seeds all views)."""
        raise TypeError(f"{type(self).__name__} must define forward()")

    def after_step(self, phase: str) -> None:
        """Called after each optimiser step: move EMA teachers here."""

    def after_epoch(self) -> dict[str, SplitReport]:
        """Called after each epoch: the easy/hard split of each teacher is fitted anew."""
        return {name: record.refit() for name, record in self.records.items()}

    def predictors(self) -> dict[str, nn.Module]:
        """Networks to evaluate, by the name that its metrics carry."""
        raise TypeError(f"{type(self).__name__} must define predictors()")

    def main_predictors(self) -> tuple[str, ...]:
        """Names of the predictors whose mean heatmap is the result: it decides which checkpoint is the best."""
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


def scalar_logs(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Loss terms as detached scalars for the tracker, with a `loss_` prefix."""
    return {f"loss_{name}": value.detach() for name, value in terms.items()}
