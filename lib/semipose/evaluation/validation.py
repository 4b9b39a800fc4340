"""Validation: every predictor and the ensemble over each validation set."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

import numpy as np
import torch
from torch import nn

from semipose.data.person_dataset import PersonDataset
from semipose.data.picture_dataset import PictureDataset
from semipose.evaluation import (
    KeypointPredictions,
    LabelledSet,
    MetricOptions,
    check_metrics,
    evaluate_groups,
    group_key,
    score,
    select_detections,
)
from semipose.evaluation.network_outputs import (
    NO_FLIP_TEST,
    decode_scales,
    points_in_image,
    predict_output,
    resized_views,
)
from semipose.evaluation.picture_metrics import FOUND, found_people, score_pictures
from semipose.runtime.ranks import by_first, gather, rank, ranks
from semipose.skeletons import KeypointConverter, Skeleton
from semipose.views.sampler import centred_view

log = logging.getLogger(__name__)
EACH = ("AP", "PCK", "PCKh", "AUC", "NME", "EPE", "PCK_px", FOUND)  # metrics that are given for each predictor
# rows of persons, or of pictures with the instances on them, and their predictions, by predictor
Found = dict[str, tuple[np.ndarray, KeypointPredictions]]


@dataclass(frozen=True)
class ValidationSet:
    """One set to be scored.

    Attributes:
        loader: batches of `dataset`, each row at most once.
        dataset: the persons, with ground-truth or detector boxes; or whole pictures (bottom-up).
        labels: what metrics are computed from, with the persons of `dataset`, or those on its pictures.
        metrics: names in `evaluation.METRICS`.
        outputs: from the network's keypoints to those of `labels`; None = they are the same.
        groups: fields of annotations by whose values AP is given as well: "group_id", "category".
    """

    loader: object
    dataset: PersonDataset | PictureDataset
    labels: LabelledSet
    metrics: tuple[str, ...]
    outputs: KeypointConverter | None = None
    groups: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether whole pictures are looked at, on which networks find any number of instances."""
        return isinstance(self.dataset, PictureDataset)


class Validator:
    """Scores predictors on one or more validation sets. With several ranks each predicts a part of the batches.

    Args:
        sets: by name; the first one gives the main metrics.
        skeleton: of the networks.
        size: (width, height) of the views.
        flip_test: average with the mirrored image, where the skeleton `mirrors`.
        scales: of the views; several only for whole pictures.
        options: of the metrics.
        on_faults: called with the fault lines of each batch.
        poll: called before each batch; may raise to stop.

    Raises:
        ConfigError: a metric that a set cannot give.
    """

    def __init__(
        self, sets: dict[str, ValidationSet], skeleton: Skeleton, size: tuple[int, int],
        flip_test: bool = False, options: MetricOptions | None = None, scales: tuple[float, ...] = (1.0,),
        on_faults: Callable[[tuple[str, ...]], None] = lambda lines: None, poll: Callable[[], None] = lambda: None,
    ):  # fmt: skip
        options = options or MetricOptions()
        for entry in sets.values():
            check_metrics(entry.metrics, entry.labels, options)
        self.sets, self.skeleton, self.size, self.scales = sets, skeleton, size, scales
        self.flip_test = flip_test and skeleton.mirrors
        if flip_test and not skeleton.mirrors:
            log.warning(NO_FLIP_TEST, skeleton.name)
        self.options, self.on_faults, self.poll = options, on_faults, poll
        self.flip_order = torch.tensor(skeleton.flip_order)

    def __call__(self, predictors: dict[str, nn.Module], main: tuple[str, ...]) -> dict[str, float]:
        """Shares in 0..1, and EPE in image pixels.

        `AP_<name>` (and PCK, EPE, ...) for each predictor, `AP_ensemble` for the mean output of the `main` ones if
        they are several, and `AP`, `AP50`, ..., `AR`, `PCK` of the main result, all on the first set. Where there are
        several sets, also all metrics of the main result on each, as `<set>/AP` ....
        """
        metrics, results = {}, {}
        for name, entry in self.sets.items():
            found = self.predict(entry, predictors, main)
            scores = by_first(partial(self.score_each, entry, found))
            results[name] = scores[list(scores)[-1]]
            if not metrics:
                metrics = {f"{key}_{who}": each[key] for who, each in scores.items() for key in each if key in EACH}
                metrics |= results[name]
        if len(self.sets) > 1:
            metrics |= {f"{name}/{key}": value for name, found in results.items() for key, value in found.items()}
        return metrics

    def predict(self, entry: ValidationSet, predictors: dict[str, nn.Module], main: tuple[str, ...]) -> Found:
        """Rows of a set and what is predicted for them, by predictor; the main result comes last.

        The predictions have the keypoints of the network.
        """
        result = "ensemble" if len(main) > 1 else main[0]
        order = [name for name in predictors if name != result] + [result]
        parts = {name: [] for name in order}
        device = next(next(iter(predictors.values())).parameters()).device
        for turn, batch in enumerate(entry.loader):
            self.poll()
            self.on_faults(batch.faults)
            if not len(batch):
                continue
            # a copy: what a worker sends is in shared memory, and holds an open file for each batch
            number, rows = turn * ranks() + rank(), batch.index.clone()
            batch = batch.to(device)
            view = centred_view(batch, self.size, self.flip_order)
            views = resized_views(view, self.scales, predictors.values())
            outputs = {
                name: [predict_output(network, one, self.flip_test) for one in views]
                for name, network in predictors.items()
            }
            for name in order:
                members = main if name not in predictors else (name,)
                points, scores = decode_scales([predictors[n] for n in members], [outputs[n] for n in members])
                parts[name].append((number, rows, points_in_image(points, view, batch), scores))
        # fetched only now: each fetch waits until the GPU has finished all its work
        found = {name: [(*key, points.cpu(), scores.cpu()) for *key, points, scores in parts[name]] for name in order}
        parts = {name: sorted(sum(gather(pieces), []), key=itemgetter(0)) for name, pieces in found.items()}
        join = self._joined_pictures if entry.whole else self._joined
        return {name: join(entry.dataset, pieces) for name, pieces in parts.items()}

    def score_each(self, entry: ValidationSet, found: Found) -> dict[str, dict[str, float]]:
        """`score` of each predictor."""
        return {who: self.score(entry, *predicted) for who, predicted in found.items()}

    def score(self, entry: ValidationSet, rows: np.ndarray, people: KeypointPredictions) -> dict[str, float]:
        """All metrics of a set, for what was predicted for its `rows`."""
        people = of_set(entry, people)
        if entry.whole:
            metrics = score_pictures(entry.metrics, entry.labels, people, self.options)
        else:
            metrics = score(entry.metrics, entry.labels.take(rows), people, self.options)
        for field in entry.groups:
            found = self.score_groups(entry, people, field)
            metrics |= {group_key(field, group): scores["AP"] for group, scores in found.items()}
        return metrics

    def score_groups(
        self, entry: ValidationSet, people: KeypointPredictions, field: str = "group_id"
    ) -> dict[int | str, dict[str, float]]:
        """OKS metrics by group id (-1 = persons without one) or category; `people` in the keypoints of the set."""
        return evaluate_groups(entry.labels.ground_truth, self._selected(entry, people), field)

    def selected(self, entry: ValidationSet, people: KeypointPredictions) -> KeypointPredictions:
        """What OKS metrics are computed from: without duplicates, with person scores, in the keypoints of the set."""
        return self._selected(entry, of_set(entry, people))

    def _selected(self, entry: ValidationSet, people: KeypointPredictions) -> KeypointPredictions:
        options = self.options
        if entry.whole:
            return people
        return select_detections(people, entry.labels.ground_truth.sigmas, options.nms, options.nms_threshold)

    def _joined(self, dataset: PersonDataset, pieces: list) -> tuple[np.ndarray, KeypointPredictions]:
        columns = zip(*pieces) if pieces else self._nothing()
        rows, points, scores = (torch.cat(list(column)).numpy() for column in list(columns)[1:])
        persons = dataset.persons
        return rows, KeypointPredictions(
            image_ids=persons.image_ids[persons.image_index[rows]],
            keypoints=points.astype(np.float64),
            keypoint_scores=scores.astype(np.float64),
            box_scores=persons.scores[rows].astype(np.float64),
            areas=self._crop_areas(dataset, rows),
        )

    def _joined_pictures(self, dataset: PictureDataset, pieces: list) -> tuple[np.ndarray, KeypointPredictions]:
        image_ids = dataset.persons.image_ids[dataset.persons.image_index]
        nothing = torch.empty(0, 1, len(self.skeleton), 2)
        parts = [
            found_people(points, scores, rows, image_ids)
            for _, rows, points, scores in pieces or [(0, torch.empty(0, dtype=torch.int64), nothing, nothing[..., 0])]
        ]
        rows, people = zip(*parts)
        return np.concatenate(rows), KeypointPredictions.concatenate(people)

    def _crop_areas(self, dataset: PersonDataset, rows: np.ndarray) -> np.ndarray:
        """The region that a crop shows without its margin: the scale of a person in OKS-NMS, as in HRNet."""
        linear = dataset.source.crops.to_image[rows, :, :2].astype(np.float64)
        return np.abs(np.linalg.det(linear)) * self.size[0] * self.size[1]

    def _nothing(self) -> list:
        joints = len(self.skeleton)
        return [[], [torch.empty(0, dtype=torch.int64)], [torch.empty(0, joints, 2)], [torch.empty(0, joints)]]


def of_set(entry: ValidationSet, people: KeypointPredictions) -> KeypointPredictions:
    """Predictions of the network in the keypoints of a set.

    Keypoints that the network lacks are not labelled there and have score 0. They are put in the middle of the person.
    At one place for all persons, they would make any two persons similar for OKS-NMS.
    """
    if entry.outputs is None:
        return people
    points, scores = entry.outputs.convert_predictions(people.keypoints, people.keypoint_scores)
    mapped = entry.outputs.mapped
    points[:, ~mapped] = points[:, mapped].mean(axis=1, keepdims=True)
    return replace(people, keypoints=points, keypoint_scores=scores)
