"""The networks of a run, each asked in several views, and what their backbones make of a picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from semipose.evaluation.network_outputs import decode_mean, predict_output
from semipose.geometry import affine
from semipose.models.pose_network import PoseNetwork
from semipose.predict.predictor import Predictor
from semipose.structures import PoseBatch
from semipose.views.view import View

TURNS = (-10.0, 10.0)  # degrees
GRID = 2  # features are means over so many parts of a crop each way, so that they show where things are


@dataclass(frozen=True)
class Answers:
    """What is said of P persons; points are in image pixels, float32.

    Attributes:
        points, scores: (P, K, 2) and (P, K), the run's result.
        networks: (P, M, K, 2), each of the M networks whose mean is the result.
        students: (P, S, K, 2), the networks whose moving averages those are; S = M or 0.
        views: (P, V, K, 2), the result for turned and mirrored crops.
        features: (P, F) of the backbones, pooled.
        boxes: (P, 4) x, y, width, height that were looked at.
        to_image: (P, 2, 3) maps from crop pixels to image pixels.
        picture: (P,) int64, which picture a person is on.
    """

    points: np.ndarray
    scores: np.ndarray
    networks: np.ndarray
    students: np.ndarray
    views: np.ndarray
    features: np.ndarray
    boxes: np.ndarray
    to_image: np.ndarray
    picture: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @staticmethod
    def concatenate(parts: "list[Answers]") -> "Answers":
        """All persons of several answers, in order."""
        names = [field.name for field in fields(Answers)]
        return Answers(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class Committee:
    """The networks of a run as a committee (query by committee, Seung et al., COLT 1992).

    Args:
        predictor: of the networks whose mean is the run's result.
        students: of each of these the network that it is the moving average of; [] if they are none.
        mirrored: ask for the mirrored picture too; only for networks that were trained with such.
    """

    def __init__(self, predictor: Predictor, students: list[nn.Module], mirrored: bool):
        self.predictor, self.students = predictor, students
        self.mirrored = mirrored and predictor.skeleton.mirrors

    def ask(self, images: np.ndarray, boxes: np.ndarray, to_image: np.ndarray, picture: np.ndarray) -> Answers:
        """What is said of context crops (B, 3, H, W) uint8; other arguments as in `Answers`."""
        networks = self.predictor.networks
        batch, view = self.predictor.see(images, to_image)
        outputs, features = self._outputs(view)
        points, scores = decode_mean(networks, outputs)
        own = [_decoded(network, output, view, batch) for network, output in zip(networks, outputs)]
        students = [_decoded(network, predict_output(network, view), view, batch) for network in self.students]
        views = [self._result(other, batch) for other in self._other_views(view, batch)]
        return Answers(
            _array(_in_image(points, view, batch)), _array(scores), _stacked(own, points), _stacked(students, points),
            _stacked(views, points), _array(features), boxes.astype(np.float32), to_image, picture,
        )  # fmt: skip

    def features(self, images: np.ndarray, to_image: np.ndarray) -> np.ndarray:
        """(B, F) pooled features of context crops, as in `Answers`."""
        _, view = self.predictor.see(images, to_image)
        return _array(self._outputs(view)[1])

    def _outputs(self, view: View) -> tuple[list[Tensor], Tensor]:
        """Output of each network, and the features (B, F) of all."""
        outputs, features = [], []
        for network in self.predictor.networks:
            with _pooled_features(network) as pooled:
                outputs.append(predict_output(network, view))
            features += pooled
        return outputs, torch.cat(features, dim=1)

    def _result(self, view: View, batch: PoseBatch) -> Tensor:
        networks = self.predictor.networks
        points, _ = decode_mean(networks, [predict_output(network, view) for network in networks])
        return _in_image(points, view, batch)

    def _other_views(self, view: View, batch: PoseBatch) -> Iterator[View]:
        for degrees in TURNS:
            yield _turned(view, batch, degrees)
        if self.mirrored:
            yield _turned(view, batch, 0.0, mirrored=True)


def _turned(view: View, batch: PoseBatch, degrees: float, mirrored: bool = False) -> View:
    """The view turned around its middle; pixels come from the base crops."""
    height, width = view.images.shape[-2:]
    count, device = len(view), view.images.device
    middle = torch.tensor([[(width - 1) / 2, (height - 1) / 2]], device=device).expand(count, 2)
    flags = torch.full((count,), mirrored, device=device)
    angles, scale = torch.full((count,), degrees, device=device), torch.ones(count, device=device)
    to_base = affine.compose(view.to_base, affine.similarity(angles, scale, flags, middle, middle))
    images = affine.warp(batch.images.float() / 255, to_base, (width, height))
    return View(images, to_base, view.flipped ^ flags, view.flip_order)


def _decoded(network: nn.Module, output: Tensor, view: View, batch: PoseBatch) -> Tensor:
    return _in_image(network.codec.decode(output)[0], view, batch)


def _in_image(points: Tensor, view: View, batch: PoseBatch) -> Tensor:
    """Points (B, K, 2) of a view in image pixels, left and right as in the picture."""
    return affine.apply(batch.to_image, view.points_in_base(points))


@contextmanager
def _pooled_features(network: nn.Module) -> Iterator[list[Tensor]]:
    """While it lasts, the list gets the features (B, F) of each pass through the network."""
    backbone, pooled = next(part for part in network.modules() if isinstance(part, PoseNetwork)).backbone, []

    def pool(_, __, maps: tuple[Tensor, ...]) -> None:
        pooled.append(nn.functional.adaptive_avg_pool2d(maps[-1].float(), GRID).flatten(1))

    handle = backbone.register_forward_hook(pool)
    try:
        yield pooled
    finally:
        handle.remove()


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy().astype(np.float32)


def _stacked(answers: list[Tensor], like: Tensor) -> np.ndarray:
    """(B, n, K, 2) of n answers (B, K, 2), also where there is none."""
    if not answers:
        return np.zeros((len(like), 0, *like.shape[1:]), np.float32)
    return _array(torch.stack(answers, dim=1))
