"""How lifters learn: labels, projections of unlabelled tracks, and teachers.

One class is all algorithms: students, each of which may have a teacher. A step reads from top to bottom in `_student`.
The contract with the trainer is that of `algorithms/algorithm.py`.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from semipose.algorithms.recipe import Ramp
from semipose.lifting import losses
from semipose.lifting.cameras import INTRINSICS
from semipose.lifting.codec import LiftCodec
from semipose.lifting.motion import LiftBatch
from semipose.lifting.networks import Lifted, Lifter
from semipose.models.ema import EmaTeacher
from semipose.structures import PairBatch, StepOutput

OTHER = {"first": "second", "second": "first"}
ALONE = "student"  # name of the only one
LABELED = ("pose", "trajectory")  # losses that do not wait for the ramp


@dataclass(frozen=True)
class LiftEntry:
    """What is known of an algorithm before it is built.

    Attributes:
        students: how many lifters learn; two are taught by each other's EMA, one by its own.
        takes_unlabeled: whether it uses unlabelled tracks.
        teaches: whether there are EMA teachers.
        phases: names of the optimisation phases; each is a pass of one student, "all" of all.
    """

    students: int = 1
    takes_unlabeled: bool = True
    teaches: bool = True
    phases: tuple[str, ...] = ("all",)


LIFT_ALGORITHMS = {
    "supervised": LiftEntry(takes_unlabeled=False, teaches=False),
    "back_projection": LiftEntry(teaches=False),
    "mean_teacher": LiftEntry(),
    "train_2p": LiftEntry(),
    "cotrain": LiftEntry(students=2, phases=tuple(OTHER)),
    "cotrain1": LiftEntry(students=2),
}


@dataclass(frozen=True)
class LiftWeights:
    """Factors of the losses; a loss of weight 0 is not computed. All but the first two are of unlabelled tracks."""

    pose: float = 1.0
    trajectory: float = 1.0
    projection: float = 1.0
    bones: float = 1.0
    sides: float = 1.0
    cons: float = 1.0

    @property
    def unlabeled(self) -> bool:
        return max(self.projection, self.bones, self.sides, self.cons) > 0


@dataclass(frozen=True)
class LiftRecipe:
    """Weights, views and schedules of a run.

    Attributes:
        joint_weights: (K,) of the supervised loss.
        bones: (L, 2) pairs of joints; partners: (L,) see `losses.bone_partners`.
        flip: share of labelled windows that are mirrored; hard_flip: of unlabelled ones, for students.
        noise: standard deviation of what is added to the 2D input of students on unlabelled tracks, half widths.
        seed, rank: of the views.
    """

    codec: LiftCodec
    weights: LiftWeights
    joint_weights: tuple[float, ...]
    bones: Tensor
    partners: Tensor
    ramp: Ramp = Ramp()
    ema_decay: float = 0.999
    flip: float = 0.5
    hard_flip: float = 0.5
    noise: float = 0.0
    seed: int = 0
    rank: int = 0


class Lifting(nn.Module):
    """`L = pose + trajectory + ramp * (projection + bones + sides + cons)`, each with its weight.

    Labelled and unlabelled windows go through a student together. All losses of unlabelled ones are of the hard view.

    Attributes:
        records: empty; a teacher's answer on a track is not kept.
    """

    has_idle_parameters = False

    def __init__(self, entry: LiftEntry, students: list[Lifter], recipe: LiftRecipe):
        super().__init__()
        self.entry, self.recipe, self.records = entry, recipe, {}
        names = (ALONE,) if len(students) == 1 else tuple(OTHER)
        self.students = nn.ModuleDict(dict(zip(names, students, strict=True)))
        self.teachers = nn.ModuleDict()
        if entry.teaches:
            self.teachers.update({name: EmaTeacher(net, recipe.ema_decay) for name, net in self.students.items()})
        weights = torch.tensor(recipe.joint_weights)
        for name, value in (("joint_weights", weights), ("bones", recipe.bones), ("partners", recipe.partners)):
            self.register_buffer(name, value, persistent=False)

    @property
    def phases(self) -> tuple[str, ...]:
        return self.entry.phases

    @property
    def takes_unlabeled(self) -> bool:
        return self.entry.takes_unlabeled and self.recipe.weights.unlabeled

    def unlabeled_factor(self, step: int) -> float:
        return self.recipe.ramp(step)

    def learners(self, phase: str) -> list[nn.Module]:
        return [self.students[name] for name in self._learning(phase)]

    def predictors(self) -> dict[str, nn.Module]:
        """Networks to evaluate: student and ema; or first, second, ema_first and ema_second."""
        teachers = {"ema" if name == ALONE else f"ema_{name}": net for name, net in self.teachers.items()}
        return dict(self.students.items()) | teachers

    def main_predictors(self) -> tuple[str, ...]:
        """Those whose mean is the result: the teachers, or the students without teachers."""
        return tuple(self.predictors())[-len(self.students) :]

    def after_step(self, phase: str) -> None:
        for name in self._learning(phase):
            if name in self.teachers:
                self.teachers[name].update(self.students[name])

    def keep_ramp(self, start: int, end: int) -> None:
        self.recipe = replace(self.recipe, ramp=Ramp(start, end))

    def after_epoch(self, first_step: int = 0) -> dict:
        return {}

    def forward(self, batch: PairBatch, step: int, phase: str) -> StepOutput:
        """Loss of one step: a function of the networks, the batch and `step`, which seeds all views."""
        recipe, terms = self.recipe, {}
        draws = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step + recipe.rank * 2_654_435_761)
        ramp = recipe.ramp(step)
        labeled = recipe.codec.flip(batch.labeled, _draw(draws, batch.labeled, recipe.flip))
        pool = batch.unlabeled if self.takes_unlabeled and ramp > 0 else None
        for name in self._learning(phase):
            own = self._student(name, labeled, pool, draws)
            suffix = "" if name == ALONE else f"_{name}"
            terms |= {f"loss_{term}{suffix}": loss * (1 if term in LABELED else ramp) for term, loss in own.items()}
        return StepOutput(torch.stack(list(terms.values())).sum(), {key: loss.detach() for key, loss in terms.items()})

    def _learning(self, phase: str) -> tuple[str, ...]:
        return tuple(self.students) if phase == "all" else (phase,)

    def _student(
        self, name: str, labeled: LiftBatch, pool: LiftBatch | None, draws: torch.Generator
    ) -> dict[str, Tensor]:
        """The weighted losses of one student."""
        codec, inputs = self.recipe.codec, [self.recipe.codec.encode_input(labeled)]
        if pool is not None:
            flipped = _draw(draws, pool, self.recipe.hard_flip)
            hard = codec.flip(pool, flipped)
            inputs.append(codec.encode_input(replace(hard, keypoints=hard.keypoints + self._noise(hard, draws))))
        lifted, count = self.students[name](torch.cat(inputs)), len(labeled)
        terms = self._supervised(_part(lifted, slice(None, count)), labeled)
        if pool is None:
            return terms
        unlabeled = _part(lifted, slice(count, None))
        terms |= self._geometry(unlabeled, hard, labeled)
        if self.recipe.weights.cons > 0 and self.teachers:
            taught = self._teacher(name)(codec.encode_input(pool)).poses
            taught = torch.where(flipped.view(-1, 1, 1), codec.flip_poses(taught), taught)
            off = losses.mean_distance(unlabeled.poses, taught, torch.ones_like(hard.seen))
            terms["cons"] = self.recipe.weights.cons * off
        return terms

    def _supervised(self, lifted: Lifted, batch: LiftBatch) -> dict[str, Tensor]:
        codec, weights = self.recipe.codec, self.recipe.weights
        rooted = codec.root_weight(batch.weights)
        joints = batch.weights * rooted.unsqueeze(-1) * self.joint_weights
        terms = {"pose": weights.pose * losses.mean_distance(lifted.poses, codec.relative(batch.poses), joints)}
        if lifted.roots is not None:
            roots = codec.root_of(batch.poses).squeeze(-2)
            terms["trajectory"] = weights.trajectory * losses.trajectory_loss(lifted.roots, roots, rooted)
        return terms

    def _geometry(self, lifted: Lifted, batch: LiftBatch, labeled: LiftBatch) -> dict[str, Tensor]:
        """What unlabelled tracks must fulfil without a teacher."""
        weights, terms = self.recipe.weights, {}
        if weights.projection > 0:
            terms["projection"] = weights.projection * losses.projection_loss(lifted, batch)
        if weights.bones > 0:
            lengths = losses.mean_lengths(labeled.poses, labeled.weights, self.bones)
            terms["bones"] = weights.bones * losses.bone_loss(lifted.poses, self.bones, *lengths)
        if weights.sides > 0:
            terms["sides"] = weights.sides * losses.side_loss(lifted.poses, self.bones, self.partners)
        return terms

    def _noise(self, batch: LiftBatch, draws: torch.Generator) -> Tensor:
        """(B, T, K, 2) pixels."""
        noise = torch.randn(batch.keypoints.shape, generator=draws).to(batch.keypoints)
        widths = batch.intrinsics[:, INTRINSICS.index("w")].view(-1, 1, 1, 1)
        return noise * self.recipe.noise * widths / 2

    def _teacher(self, name: str) -> nn.Module:
        return self.teachers[OTHER.get(name, name)]


def _draw(draws: torch.Generator, batch: LiftBatch, share: float) -> Tensor:
    """(B,) bool, True for about this share."""
    return (torch.rand(len(batch), generator=draws) < share).to(batch.keypoints.device)


def _part(lifted: Lifted, rows: slice) -> Lifted:
    return Lifted(lifted.poses[rows], None if lifted.roots is None else lifted.roots[rows])
