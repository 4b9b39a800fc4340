"""One training step. `training_step` shows it from top to bottom.

Make the views; let the teachers predict on the easy view; give each student its tasks (images and targets); compute the
losses. All random numbers come from one generator of the step, in this order.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from semipose.algorithms.label_noise import trust_in_labels
from semipose.algorithms.learning import Task, learn
from semipose.algorithms.mixing import draw_mix, mix_images
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.student import Student
from semipose.codecs import Codec
from semipose.pseudo_labels import Prediction, PseudoLabels, TeacherRecord
from semipose.pseudo_labels.weights import REWEIGHTINGS, TeacherEvidence
from semipose.structures import PairBatch, StepOutput
from semipose.timing import timed
from semipose.views.sampler import StepViews
from semipose.views.view import View


@dataclass(frozen=True)
class Teacher:
    """A network that makes pseudo-labels, and the record of its predictions."""

    network: nn.Module
    record: TeacherRecord


@dataclass(frozen=True)
class Views:
    """The views of one step, shared by all students.

    Attributes:
        draws: makes views and holds the random numbers of the step.
        ramp: factor of the unlabelled losses.
        labeled: view of the labelled images; None if no term takes them.
        easy: view of the unlabelled images for teachers; None while no unlabelled term is active.
        hard: views of the unlabelled images for students; () while neither `cons` nor `worst` is active.
    """

    batch: PairBatch
    step: int
    draws: StepViews
    ramp: float
    labeled: View | None = None
    easy: View | None = None
    hard: tuple[View, ...] = ()


@dataclass(frozen=True)
class TeacherAnswer:
    """What a teacher predicts on the easy view.

    Attributes:
        prediction: in pixels and joint order of the view.
        keypoints, peaks: (B, K, 2) and (B, K), what is recorded of it, in pixels and joint order of the base crop.
        easy: (B,) bool, images that are easy for the teacher; None while there is no split.
        plausible: (B, K) factors of the pseudo-label weights, in the joint order of the base crop; None = all ones.
    """

    prediction: Prediction
    keypoints: Tensor
    peaks: Tensor
    easy: Tensor | None
    plausible: Tensor | None = None


def training_step(
    recipe: Recipe, batch: PairBatch, step: int, students: dict[str, Student], teachers: dict[str, Teacher],
    taught_by: dict[str, str],
) -> StepOutput:  # fmt: skip
    """The loss of one step.

    Args:
        students: those that learn in this step, by name. The name is added to the names of their losses ("" adds
            nothing).
        teachers: those that predict in this step, by name.
        taught_by: for each student the name of its teacher; {} without teachers.
    """
    views = make_views(recipe, batch, step)
    answers = ask_teachers(recipe, teachers, views)
    trusts = {name: trust_in(recipe, name, teachers, answers, views) for name in answers}
    label_trust = ask_about_labels(recipe, teachers, views)
    tasks = {}
    for name, student in students.items():
        tasks[name] = labeled_tasks(recipe, views, student.codec, label_trust)
        if answers:
            teacher = taught_by[name]
            tasks[name] += unlabeled_tasks(recipe, student, views, answers[teacher], trusts[teacher])
    terms, outputs = {}, []
    for name, student in students.items():
        losses, labeled = learn(recipe, student, tasks[name], step)
        terms |= {f"{term}_{name}" if name else term: loss for term, loss in losses.items()}
        outputs += labeled
    logs = {f"loss_{term}": loss.detach() for term, loss in terms.items()}
    return StepOutput(torch.stack(list(terms.values())).sum(), logs, tuple(outputs))


@timed("views")
def make_views(recipe: Recipe, batch: PairBatch, step: int) -> Views:
    """The views that the active loss terms need."""
    weights, draws, ramp = recipe.weights, recipe.views.at_step(step), recipe.ramp(step)
    labeled, easy, hard = None, None, ()
    if weights.labeled:
        labeled = draws.labeled(batch.labeled)
    if batch.unlabeled is not None and weights.unlabeled and ramp > 0:
        easy = draws.easy(batch.unlabeled)
        if weights.cons > 0 or weights.worst > 0:
            hard = tuple(draws.hard(batch.unlabeled, easy) for _ in recipe.views.policies.hard_views)
    return Views(batch, step, draws, ramp, labeled, easy, hard)


@torch.no_grad()
@timed("teachers")
def ask_teachers(recipe: Recipe, teachers: dict[str, Teacher], views: Views) -> dict[str, TeacherAnswer]:
    """Predictions of each teacher on the easy view, also kept in its record; {} while no unlabelled term is active.

    Teachers are in eval mode (their BatchNorm is not touched) and get no gradient.
    """
    if views.easy is None:
        return {}
    outputs = {name: _output(recipe, teacher.network, views.easy) for name, teacher in teachers.items()}
    if recipe.ensemble:
        mean = next(iter(teachers.values())).network.codec.average(list(outputs.values()))
        outputs = dict.fromkeys(outputs, mean)
    return {name: _answer(recipe, teacher, outputs[name], views) for name, teacher in teachers.items()}


def _output(recipe: Recipe, network: nn.Module, view: View) -> Tensor:
    training = network.training
    network.eval()
    output = network(view.images)
    if recipe.flip:
        mirrored = network.codec.unmirror(network(view.images.flip(-1)), view.flip_order)
        output = network.codec.average([output, mirrored])
    network.train(training)
    return output


@timed("pseudo-labels")
def _answer(recipe: Recipe, teacher: Teacher, output: Tensor, views: Views) -> TeacherAnswer:
    view = views.easy
    prediction = recipe.labeler.read(output, view, teacher.network.codec)
    kept = recipe.labeler.summary(prediction)
    keypoints, peaks = view.points_in_base(kept.keypoints), view.values_in_base(kept.scores)
    teacher.record.fill(views.batch.unlabeled.index, keypoints, peaks, views.step, kept.counts)
    answer = TeacherAnswer(prediction, keypoints, peaks, teacher.record.easy(peaks))
    return _judged(recipe, answer, teacher.record, views) if recipe.constraints.judges else answer


def _judged(recipe: Recipe, answer: TeacherAnswer, record: TeacherRecord, views: Views) -> TeacherAnswer:
    """The answer after what is known about tracks and poses; the record keeps what the teacher said itself."""
    index, known, view, least = views.batch.unlabeled.index, recipe.constraints, views.easy, recipe.labeler.min_score
    prediction, weights = answer.prediction, torch.ones_like(answer.peaks)
    if known.tracks is not None:
        weights = known.tracks(index, answer.keypoints, record, least)
    if known.peak_tracks is not None:
        codec = prediction.codec
        candidates = known.peak_tracks.candidates(prediction.output, view, codec)
        record.fill_candidates(index, candidates)
        output, weights = known.peak_tracks(prediction.output, candidates, index, view, record)
        prediction = Prediction(output, *codec.decode(output), codec)
    if known.poses is not None:
        keypoints, scores = view.points_in_base(prediction.keypoints), view.values_in_base(prediction.scores)
        weights = weights * known.poses(keypoints, scores >= least)
    return replace(answer, prediction=prediction, plausible=weights)


def trust_in(
    recipe: Recipe, name: str, teachers: dict[str, Teacher], answers: dict[str, TeacherAnswer], views: Views
) -> Tensor | None:
    """Factors (B, K) of the pseudo-label weights of teacher `name`, in the joint order of the easy view.

    None means all ones. "agreement" compares this teacher with the other one.
    """
    answer, to_view = answers[name], views.easy.from_base()
    trust = answer.plausible
    if recipe.reweight:
        factors = _reweighting(recipe, name, teachers[name].record, answers)
        trust = factors if trust is None else trust * factors
    return None if trust is None else to_view.swap(trust)


def _reweighting(recipe: Recipe, name: str, record: TeacherRecord, answers: dict[str, TeacherAnswer]) -> Tensor:
    answer = answers[name]
    other = next((found.keypoints for key, found in answers.items() if key != name), None)
    evidence = TeacherEvidence(
        record.difficulty, answer.peaks, answer.keypoints, other, answer.prediction.codec.stride, recipe.agreement_sigma
    )
    return REWEIGHTINGS[recipe.reweight](evidence)


@torch.no_grad()
@timed("teachers")
def ask_about_labels(recipe: Recipe, teachers: dict[str, Teacher], views: Views) -> Tensor | None:
    """Factors (B, K) of the labels' weights, in the joint order of the base crop, by what all teachers predict there.

    None means all ones. It rises with the unlabelled losses: before, teachers know less than labels.
    """
    view, labels = views.labeled, views.batch.labeled.keypoints
    if not recipe.labels.agreement or view is None or views.ramp == 0:
        return None
    networks = [teacher.network for teacher in teachers.values()]
    found = [network.codec.decode(_output(recipe, network, view)) for network in networks]
    points = torch.stack([view.points_in_base(points) for points, _ in found])
    scores = torch.stack([view.values_in_base(scores) for _, scores in found])
    sigma = recipe.labels.agreement * max(view.images.shape[-2:])
    return 1 - views.ramp * (1 - trust_in_labels(labels, points, scores, sigma))


def labeled_tasks(recipe: Recipe, views: Views, codec: Codec, trust: Tensor | None = None) -> list[Task]:
    """The labelled view with its labels, their weights times `trust`; [] if no term takes labelled images."""
    if views.labeled is None:
        return []
    batch, to_view = views.batch.labeled, views.labeled.from_base()
    weights = batch.weights if trust is None else batch.weights * trust
    points, weights = to_view.points(batch.keypoints), to_view.swap(weights, axis=-1)
    unlearned = ()
    if codec.instances:
        unlearned = views.labeled.mask, None if batch.known is None else to_view.swap(batch.known)
    target, weights = codec.encode(points, weights, *unlearned)
    return [Task("pose", views.labeled.images, target, weights, points, recipe.weights.pose)]


def unlabeled_tasks(
    recipe: Recipe, student: Student, views: Views, answer: TeacherAnswer, trust: Tensor | None
) -> list[Task]:
    """A task for each hard view, then one for the mixed images."""
    operations = recipe.views.policies.hard_views
    tasks = [hard_task(recipe, student.codec, views, *pair, answer, trust) for pair in zip(views.hard, operations)]
    if recipe.weights.mix > 0:
        tasks.append(_mixed_task(recipe, student, views, answer, trust))
    return tasks


def hard_task(
    recipe: Recipe, codec: Codec, views: Views, view: View, operations: tuple[str, ...], answer: TeacherAnswer,
    trust: Tensor | None,
) -> Task:  # fmt: skip
    """A hard view after its operations; the target, for a student with `codec`, is the teacher's prediction on it."""
    with timed("pseudo-labels"):
        pseudo = recipe.labeler(answer.prediction, codec, views.easy.map_to(view), trust)
    with timed("views"):
        joints = recipe.labeler.joints(pseudo, answer.easy)
        images = views.draws.occlude(view.images, operations, joints)
    contestable = _contestable(recipe, views, answer, pseudo) if recipe.weights.worst > 0 else None
    factor = recipe.weights.cons * views.ramp
    return Task("cons", images, pseudo.target, pseudo.weights, pseudo.keypoints, factor, contestable)


def _contestable(recipe: Recipe, views: Views, answer: TeacherAnswer, pseudo: PseudoLabels) -> Tensor:
    """(B, K) weights of the pseudo-labels in the worst-case term; by default 0 for images that are not easy."""
    share = torch.ones_like(answer.peaks[:, 0])
    if recipe.worst.easy_only:
        share = torch.zeros_like(share) if answer.easy is None else answer.easy.to(share)
    return pseudo.weights * (views.ramp * share.unsqueeze(1))


def _mixed_task(recipe: Recipe, student: Student, views: Views, answer: TeacherAnswer, trust: Tensor | None) -> Task:
    stages, device = len(student.network.early_stages), views.easy.images.device
    mix = draw_mix(recipe.mix, len(views.easy), stages, views.draws.generator, device)
    pseudo = recipe.labeler(answer.prediction, student.codec, None, trust)
    # a joint that is unknown in one of the two images is ignored
    weights = pseudo.weights * pseudo.weights[mix.permutation]
    images, factor = mix_images(views.easy.images, mix), recipe.weights.mix * views.ramp
    return Task("mix", images, pseudo.target, weights, pseudo.keypoints, factor, mix=mix)
