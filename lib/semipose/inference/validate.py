"""Validation: every predictor and the ensemble over one pass of the validation loader."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from semipose.augment.views import centred_view
from semipose.codecs import HeatmapCodec
from semipose.data.person_dataset import PersonDataset
from semipose.errors import ConfigError
from semipose.evaluation import (
    CocoGroundTruth,
    KeypointPredictions,
    box_norm,
    evaluate_oks,
    pck,
    pixel_errors,
    segment_norm,
)
from semipose.inference.predictor import keypoints_in_image, predict_heatmaps
from semipose.skeletons import Skeleton
from semipose.structures import Persons

PCK_NORMS = ("box", "torso", "head")
EACH = ("AP", "PCK", "EPE", "PCK_px")  # metrics that are given for each predictor


@dataclass(frozen=True)
class ValidationOptions:
    """How predictions are made and scored; see the TEST section of the configuration."""

    flip_test: bool = False
    oks_nms: str = "hard"
    oks_threshold: float = 0.9
    pck_threshold: float = 0.1
    pck_norm: str = "box"
    pixels: float = 0.0


class Validator:
    """Scores predictors on one validation set.

    Args:
        loader: batches of `dataset`, each person at most once.
        dataset: the persons, with ground-truth or detector boxes.
        ground_truth: for OKS AP.
        codec, size: of the networks; size = (width, height) of their input.
        on_faults: called with the fault lines of each batch.
        poll: called before each batch; may raise to stop.
    """

    def __init__(
        self, loader, dataset: PersonDataset, ground_truth: CocoGroundTruth, skeleton: Skeleton, codec: HeatmapCodec,
        size: tuple[int, int], options: ValidationOptions,
        on_faults: Callable[[tuple[str, ...]], None] = lambda lines: None, poll: Callable[[], None] = lambda: None,
    ):  # fmt: skip
        if options.pck_norm not in PCK_NORMS:
            raise ConfigError(f"TEST.PCK_NORM is {options.pck_norm!r}; allowed: {', '.join(PCK_NORMS)}")
        self.loader, self.persons, self.ground_truth, self.skeleton = loader, dataset.persons, ground_truth, skeleton
        self.codec, self.size, self.options, self.on_faults, self.poll = codec, size, options, on_faults, poll
        self.flip_order = torch.tensor(skeleton.flip_order)
        # the region that a crop shows without its margin: the scale of a person in OKS-NMS, as in HRNet
        linear = dataset.source.crops.to_image[:, :, :2].astype(np.float64)
        self._crop_areas = np.abs(np.linalg.det(linear)) * size[0] * size[1]

    def __call__(self, predictors: dict[str, nn.Module], main: tuple[str, ...]) -> dict[str, float]:
        """Metrics in 0..1, and EPE in image pixels.

        `AP_<name>` (and PCK, EPE, PCK_px) for each predictor, `AP_ensemble` for the mean heatmap of the `main` ones if
        they are several, and `AP`, `AP50`, ..., `AR`, `PCK` of the main result.
        """
        scores = {name: self.score(*found) for name, found in self.predict(predictors, main).items()}
        metrics = {f"{key}_{name}": values[key] for name, values in scores.items() for key in EACH if key in values}
        return metrics | scores[list(scores)[-1]]

    def predict(
        self, predictors: dict[str, nn.Module], main: tuple[str, ...]
    ) -> dict[str, tuple[np.ndarray, KeypointPredictions]]:
        """Rows of the persons and what is predicted for them, by predictor; the main result comes last."""
        result = "ensemble" if len(main) > 1 else main[0]
        order = [name for name in predictors if name != result] + [result]
        parts = {name: [] for name in order}
        device = next(next(iter(predictors.values())).parameters()).device
        for batch in self.loader:
            self.poll()
            self.on_faults(batch.faults)
            if not len(batch):
                continue
            batch = batch.to(device)
            view = centred_view(batch, self.size, self.flip_order)
            maps = {n: predict_heatmaps(net, view, self.codec, self.options.flip_test) for n, net in predictors.items()}
            if len(main) > 1:
                maps[result] = torch.stack([maps[name] for name in main]).mean(0)
            for name in order:
                points, scores = keypoints_in_image(maps[name], view, batch, self.codec)
                parts[name].append((batch.index.cpu(), points.cpu(), scores.cpu()))
        return {name: self._joined(pieces) for name, pieces in parts.items()}

    def score(self, rows: np.ndarray, people: KeypointPredictions) -> dict[str, float]:
        """OKS metrics; where the persons have labels (ground-truth boxes) PCK, and with `pixels` EPE and PCK_px."""
        options = self.options
        scores = evaluate_oks(self.ground_truth, people, options.oks_nms, options.oks_threshold)
        labels = self.persons.keypoints[rows]
        if len(rows) and labels[..., 2].any():
            norm = person_norm(self.persons.take(rows), self.skeleton, options.pck_norm)
            targets = labels[..., :2], labels[..., 2]
            scores["PCK"] = pck(people.keypoints, *targets, norm, options.pck_threshold).mean
            if options.pixels > 0:
                errors = pixel_errors(people.keypoints, *targets, options.pixels)
                scores |= {"EPE": errors.mean, "PCK_px": errors.within}
        return scores

    def _joined(self, pieces: list) -> tuple[np.ndarray, KeypointPredictions]:
        columns = zip(*pieces) if pieces else self._nothing()
        rows, points, scores = (torch.cat(list(column)).numpy() for column in columns)
        persons = self.persons
        return rows, KeypointPredictions(
            image_ids=persons.image_ids[persons.image_index[rows]],
            keypoints=points.astype(np.float64),
            keypoint_scores=scores.astype(np.float64),
            box_scores=persons.scores[rows].astype(np.float64),
            areas=self._crop_areas[rows],
        )

    def _nothing(self) -> list:
        joints = len(self.skeleton)
        return [[torch.empty(0, dtype=torch.int64)], [torch.empty(0, joints, 2)], [torch.empty(0, joints)]]


def person_norm(persons: Persons, skeleton: Skeleton, norm: str) -> np.ndarray:
    """(N,) size of each person in image pixels, for PCK; `norm` is one of `PCK_NORMS`."""
    return box_norm(persons.boxes) if norm == "box" else segment_norm(persons.keypoints, skeleton, norm)
