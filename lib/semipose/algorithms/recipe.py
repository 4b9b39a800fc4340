"""What every algorithm is given besides its networks."""

from dataclasses import dataclass

from semipose.algorithms.label_noise import LabelPolicy
from semipose.algorithms.mixing import MixPolicy
from semipose.algorithms.worst_case import WorstPolicy
from semipose.pseudo_labels import UNCONSTRAINED, Constraints, InstanceLabeler, PseudoLabeler
from semipose.views.sampler import ViewSampler


@dataclass(frozen=True)
class LossWeights:
    """Factors of the loss terms. A term of weight 0 is not computed.

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
    def labeled(self) -> bool:
        """Whether any term takes labelled images."""
        return self.pose > 0 or self.worst > 0

    @property
    def unlabeled(self) -> bool:
        """Whether any term takes unlabelled images."""
        return self.cons > 0 or self.mix > 0 or self.worst > 0


@dataclass(frozen=True)
class Ramp:
    """Factor of all unlabelled terms: 0 until step `start`, then a linear rise to 1 at step `end`."""

    start: int = 0
    end: int = 0

    def __call__(self, step: int) -> float:
        if step < self.start:
            return 0.0
        return 1.0 if step >= self.end else (step + 1 - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class Recipe:
    """Views, weights and schedules of a run.

    Attributes:
        phases: names of the optimisation phases. An epoch is one pass over the data for each phase.
        joint_forward: labelled and unlabelled images go through a student in one pass (one BatchNorm batch).
        use_ema: the EMA of a network is the teacher, instead of the network itself.
        ema_decay: largest decay of EMA teachers.
        mix: how images are mixed, if `weights.mix` is above 0.
        worst: the worst-case head, if `weights.worst` is above 0.
        reweight: "" or one of `REWEIGHTINGS`: what multiplies the pseudo-label weights.
        agreement_sigma: for reweight "agreement", in heatmap pixels.
        flip: teachers look at the mirrored easy view too; the mean of both outputs counts.
        ensemble: two networks: the mean of both teachers teaches both students.
        labels: how far labels are trusted.
        unlabeled_size: number of unlabelled persons or pictures.
        constraints: what else is known about pseudo-labels; `multiview` is a part of the labeler.
    """

    views: ViewSampler
    labeler: PseudoLabeler | InstanceLabeler
    weights: LossWeights = LossWeights()
    ramp: Ramp = Ramp()
    phases: tuple[str, ...] = ("all",)
    joint_forward: bool = True
    use_ema: bool = True
    ema_decay: float = 0.999
    mix: MixPolicy = MixPolicy()
    worst: WorstPolicy = WorstPolicy()
    reweight: str = ""
    agreement_sigma: float = 1.0
    flip: bool = False
    ensemble: bool = False
    labels: LabelPolicy = LabelPolicy()
    unlabeled_size: int = 0
    constraints: Constraints = UNCONSTRAINED

    def fewest_images(self, labeled: int, unlabeled: int) -> int:
        """The fewest images that go through a student in one pass, for batches of these sizes; 0 = there are none."""
        parts = [labeled] if self.weights.labeled else []
        if not (unlabeled and self.weights.unlabeled):
            return sum(parts)
        passes = [sum(parts) + unlabeled] if self.joint_forward else [*parts, unlabeled]
        passes += parts if self.ramp.start > 0 else []
        passes += [unlabeled] if self.weights.mix > 0 and self.mix.where == "manifold" else []
        return min(passes)

    @property
    def instances(self) -> bool:
        """Whether the images are whole pictures with any number of instances."""
        return isinstance(self.labeler, InstanceLabeler)

    @property
    def joints(self) -> int:
        """Keypoints of the skeleton."""
        return len(self.views.flip_order)
