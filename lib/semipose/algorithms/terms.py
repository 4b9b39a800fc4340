"""The loss terms that the algorithms are put together from. One student is taught at a time."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semipose.algorithms.algorithm import Recipe, scalar_logs
from semipose.algorithms.mixing import Mix, draw_mix, mix_images, mix_targets
from semipose.algorithms.student import Student
from semipose.algorithms.worst_case import LabeledFeatures, PseudoFeatures, worst_terms
from semipose.codecs import HeatmapCodec
from semipose.geometry import affine
from semipose.losses import reduce_keypoints
from semipose.models.manifold_mix import mixed_inside
from semipose.pseudo_labels import Prediction, TeacherRecord
from semipose.pseudo_labels.weights import REWEIGHTINGS, TeacherEvidence
from semipose.structures import LabeledOutput, PairBatch, StepOutput
from semipose.timing import timed
from semipose.views.occlusion import PredictedJoints
from semipose.views.sampler import StepViews
from semipose.views.view import View, swap_rows


@dataclass(frozen=True)
class StepData:
    """The views of one step, shared by all students.

    `labeled` is None when no term takes labelled images; `easy` is None and `hard` empty while no unlabelled term is
    active. `rows` are the places of the unlabelled images in their data set. `said` is filled by `student_terms`: what
    each student says of the labelled images.
    """

    step: int
    draws: StepViews
    labeled: "StudentInput | None"
    easy: View | None
    hard: tuple[View, ...]
    rows: Tensor | None
    ramp: float
    said: list[LabeledOutput] = field(default_factory=list)


@dataclass(frozen=True)
class StudentInput:
    """Images (B, 3, H, W), the heatmaps (B, K, h, w) that a student should give for them, and weights (B, K).

    `keypoints` (B, K, 2), in pixels of the images, are those of the teacher; None for labels.
    """

    term: str
    images: Tensor
    target: Tensor
    weights: Tensor
    factor: float
    keypoints: Tensor | None = None


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher says about the easy view.

    Attributes:
        prediction: in pixels and joint order of the view.
        keypoints, peaks: (B, K, 2) and (B, K), the same in pixels and joint order of the base crop.
        easy: (B,) bool, which images the teacher finds easy; None while that is not known.
    """

    prediction: Prediction
    keypoints: Tensor
    peaks: Tensor
    easy: Tensor | None


@timed("views")
def make_views(recipe: Recipe, batch: PairBatch, step: int) -> StepData:
    """Draw and make the views that the active loss terms need."""
    weights, draws, ramp = recipe.weights, recipe.views.at_step(step), recipe.ramp(step)
    labeled, easy, hard, rows = None, None, (), None
    if weights.pose > 0 or weights.worst > 0:
        view = draws.labeled(batch.labeled)
        to_view = view.from_base()
        target = recipe.codec.encode(to_view.points(batch.labeled.keypoints), to_view.swap(batch.labeled.weights))
        # the worst-case head does without: it needs unlabelled data, and labelled batches beside them are never short
        factor = weights.pose * recipe.views.share(batch.labeled)
        labeled = StudentInput("pose", view.images, *target, factor)
    if batch.unlabeled is not None and weights.unlabeled and ramp > 0:
        easy, rows = draws.easy(batch.unlabeled), batch.unlabeled.index
        ramp *= recipe.views.share(batch.unlabeled)
        if weights.cons > 0 or weights.worst > 0:
            hard = tuple(draws.hard(batch.unlabeled, easy) for _ in recipe.views.policies.hard_views)
    return StepData(step, draws, labeled, easy, hard, rows, ramp)


@torch.no_grad()
@timed("teachers")
def teach(recipe: Recipe, teacher: nn.Module, record: TeacherRecord, data: StepData) -> TeacherOutput | None:
    """What a teacher says about the easy view, kept in its record; None while no unlabelled term is active.

    The teacher is in eval mode (its BatchNorm is not touched) and gets no gradient.
    """
    if data.easy is None:
        return None
    training, view = teacher.training, data.easy
    teacher.eval()
    heatmaps = teacher(view.images)
    teacher.train(training)
    with timed("pseudo-labels"):
        prediction = recipe.labeler.read(heatmaps, view)
        keypoints = swap_rows(affine.apply(view.to_base, prediction.keypoints), view.flip_order, view.flipped)
        peaks = swap_rows(prediction.scores, view.flip_order, view.flipped)
        record.bank.fill(data.rows, keypoints, peaks, data.step)
        return TeacherOutput(prediction, keypoints, peaks, record.easy(peaks))


def trust_in(
    recipe: Recipe,
    data: StepData,
    record: TeacherRecord,
    taught: TeacherOutput | None,
    other: TeacherOutput | None = None,
) -> Tensor | None:
    """Factors (B, K) of a teacher's pseudo-label weights, in the joint order of the easy view; None for ones.

    Args:
        record: of this teacher.
        taught, other: what this teacher and that of the other network say about the same views.
    """
    if taught is None or not recipe.reweight:
        return None
    others = None if other is None else other.keypoints
    evidence = TeacherEvidence(
        record.difficulty, taught.peaks, taught.keypoints, others, recipe.codec.stride, recipe.agreement_sigma
    )
    return data.easy.from_base().swap(REWEIGHTINGS[recipe.reweight](evidence))


@timed("students")
def student_terms(
    recipe: Recipe, student: Student, data: StepData, taught: TeacherOutput | None, trust: Tensor | None = None
) -> dict[str, Tensor]:
    """The weighted loss terms of one student.

    Args:
        taught: by its teacher, on `data.easy`; None if no unlabelled term is active.
        trust: (B, K) factors of the pseudo-label weights, see `trust_in`.

    Returns:
        `pose`, `cons`, `mix`, `worst`, each only where its weight is above 0 and its data are there.
    """
    inputs = [] if data.labeled is None else [data.labeled]
    if taught is not None:
        occlusions = zip(data.hard, recipe.views.policies.hard_views)
        inputs += [hard_input(recipe, data, *pair, taught, trust) for pair in occlusions]
    mix = None
    if taught is not None and recipe.weights.mix > 0:
        stages, device = len(student.network.early_stages), data.easy.images.device
        mix = draw_mix(recipe.mix, len(data.easy), stages, data.draws.generator, device)
        inputs.append(_mixed_input(recipe, data, mix, taught, trust))
    features = _features(student, inputs, mix, recipe.joint_forward)
    terms = {}
    for entry, found in zip(inputs, features, strict=True):
        if entry.factor > 0:
            output = student.heatmaps(found, pseudo=entry.term != "pose")
            if entry.term == "pose":
                data.said.append(LabeledOutput(output.detach(), entry.target, entry.weights))
            loss = entry.factor * keypoint_loss(recipe.codec, output, entry.target, entry.weights)
            terms[entry.term] = terms[entry.term] + loss if entry.term in terms else loss
    if recipe.weights.worst > 0:
        terms["worst"] = recipe.weights.worst * _worst_loss(recipe, student, data, taught, inputs, features)
    return terms


def one_network_step(
    recipe: Recipe, student: Student, teacher: nn.Module, record: TeacherRecord, batch: PairBatch, step: int
) -> StepOutput:
    """A step of an algorithm with one student: `teacher` sees the easy view, the student learns the rest."""
    data = make_views(recipe, batch, step)
    taught = teach(recipe, teacher, record, data)
    terms = student_terms(recipe, student, data, taught, trust_in(recipe, data, record, taught))
    return StepOutput(total(terms), scalar_logs(terms), tuple(data.said))


def hard_input(
    recipe: Recipe, data: StepData, view: View, operations: tuple[str, ...], taught: TeacherOutput, trust: Tensor | None
) -> StudentInput:
    with timed("pseudo-labels"):
        pseudo = recipe.labeler(taught.prediction, data.easy.map_to(view), trust)
    with timed("views"):
        joints = PredictedJoints(pseudo.keypoints, pseudo.scores, pseudo.weights, taught.easy)
        images = data.draws.occlude(view.images, operations, joints)
    factor = recipe.weights.cons * data.ramp
    return StudentInput("cons", images, pseudo.target, pseudo.weights, factor, pseudo.keypoints)


def _mixed_input(recipe: Recipe, data: StepData, mix: Mix, taught: TeacherOutput, trust: Tensor | None) -> StudentInput:
    pseudo = recipe.labeler(taught.prediction, None, trust)
    target = mix_targets(pseudo.target, pseudo.weights, mix)
    return StudentInput("mix", mix_images(data.easy.images, mix), *target, recipe.weights.mix * data.ramp)


def _features(student: Student, inputs: list[StudentInput], mix: Mix | None, together: bool) -> list[Tensor]:
    """A student's features on all inputs; images that are mixed inside the network pass alone."""
    images = [entry.images for entry in inputs]
    if mix is None or mix.stage is None:
        return forward_together(student, images, together)
    features = forward_together(student, images[:-1], together)
    with mixed_inside(student.network, mix.stage, slice(None), mix.permutation, mix.lam):
        return [*features, student.features(images[-1])]


def _worst_loss(
    recipe: Recipe, student: Student, data: StepData, taught: TeacherOutput | None, inputs: list[StudentInput],
    features: list[Tensor],
) -> Tensor:  # fmt: skip
    """Worst-case head on labelled and hard views; by default only images that the split calls easy count.

    In the unit of the heatmap loss, which is per heatmap pixel, so that the weights of both can be compared.
    """
    hard = [pair for pair in zip(inputs, features) if pair[0].term == "cons"]
    terms = worst_terms(
        student.worst_head, LabeledFeatures(features[0], inputs[0].target, inputs[0].weights),
        _trusted(recipe, data, taught, hard) if hard else None, recipe.codec, recipe.worst, data.step,
    )  # fmt: skip
    return total(terms) / math.prod(recipe.codec.size)


def _trusted(
    recipe: Recipe, data: StepData, taught: TeacherOutput, hard: list[tuple[StudentInput, Tensor]]
) -> PseudoFeatures:
    """All hard views, with the weights of the joints that the worst-case head may contradict."""
    share = torch.ones_like(taught.peaks[:, 0])
    if recipe.worst.easy_only:
        share = torch.zeros_like(share) if taught.easy is None else taught.easy.to(share)
    share = data.ramp * share.unsqueeze(1)
    keypoints = torch.cat([entry.keypoints for entry, _ in hard])
    weights = torch.cat([entry.weights * share for entry, _ in hard])
    return PseudoFeatures(torch.cat([found for _, found in hard]), keypoints, weights)


def forward_together(student: Student, images: list[Tensor], together: bool = True) -> list[Tensor]:
    """Features of several batches, in one forward pass (one BatchNorm batch) or in one for each."""
    if len(images) > 1 and together:
        return list(student.features(torch.cat(images)).split([len(x) for x in images]))
    return [student.features(x) for x in images]


def keypoint_loss(codec: HeatmapCodec, output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Scalar loss of heatmaps under (B, K) weights."""
    return reduce_keypoints(codec.loss(output, target), weights)


def total(terms: dict[str, Tensor]) -> Tensor:
    """Sum of the terms of a step."""
    return torch.stack(list(terms.values())).sum()
