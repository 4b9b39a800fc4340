"""How good are the pseudo-labels of an epoch? This is only reported; no algorithm uses it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from semipose.geometry import affine
from semipose.pseudo_labels import TeacherRecord, statistics
from semipose.pseudo_labels.collapse import CollapseAlarm
from semipose.pseudo_labels.idle_pool import IdlePool
from semipose.structures import Persons


@dataclass(frozen=True)
class HiddenAnnotations:
    """Annotations of the unlabelled persons. Training never sees them.

    Attributes:
        keypoints: (N, K, 2) base-crop pixels.
        visible: (N, K), above 0 where there is an annotation that counts.
        norm: (N,) size of each person in base-crop pixels; a person without a size (0) does not count.
    """

    keypoints: np.ndarray
    visible: np.ndarray
    norm: np.ndarray


@dataclass(frozen=True)
class _Network:
    """A record as arrays: keypoints (N, K, 2), peaks (N, K), fresh (N,), kept (N, K), easy (N,) or None, and of whole
    pictures counts (N, 2), else None."""

    keypoints: np.ndarray
    peaks: np.ndarray
    fresh: np.ndarray
    kept: np.ndarray
    easy: np.ndarray | None
    counts: np.ndarray | None


class PseudoLabelHealth:
    """Numbers on the newest pseudo-labels of each unlabelled person.

    Args:
        names: K joint names.
        min_score: a joint is kept from this peak on.
        stride: base-crop pixels in one heatmap pixel.
        hidden: annotations of the N unlabelled persons, rows as in the records; None where there are none.
        threshold: of the PCK, fraction of the person's norm.
        alarm, idle: look at the numbers of each epoch.
    """

    def __init__(
        self, names: Sequence[str], min_score: float, stride: float, hidden: HiddenAnnotations | None = None,
        threshold: float = 0.1, alarm: CollapseAlarm | None = None, idle: IdlePool | None = None,
    ):  # fmt: skip
        self.names, self.min_score, self.stride = tuple(names), min_score, stride
        self.hidden, self.threshold, self.alarm = hidden, threshold, alarm or CollapseAlarm(stop=False)
        self.idle = idle or IdlePool(min_score)

    def report(self, records: dict[str, TeacherRecord], first_step: int) -> dict[str, float]:
        """The numbers of `pseudo_labels.statistics`; with two networks each with the name of its network.

        `health_kept` becomes `health_kept_first`, `health_kept/nose` becomes `health_kept_first/nose`. The agreement
        belongs to both; of whole pictures there is none, as instances have no partner. A number for which nothing was
        counted is left out.

        Args:
            records: by the name of a network.
            first_step: predictions made before this step do not count.
        """
        networks = {name: self._read(record, first_step) for name, record in records.items()}
        found = {}
        for name, network in networks.items():
            own = self._numbers(network)
            found |= own if len(networks) == 1 else {_named(key, name): value for key, value in own.items()}
        if len(networks) == 2 and all(network.counts is None for network in networks.values()):
            first, second = networks.values()
            found |= statistics.bank_agreement(
                first.keypoints, second.keypoints, first.kept & second.kept, first.fresh & second.fresh, self.stride
            )
        return found

    def check(self, epoch: int, ramp: float, health: dict[str, float], losses: dict[str, float]) -> None:
        """Warn of pseudo-labels that teach nothing; arguments and errors as in `CollapseAlarm.check`."""
        self.idle.check(epoch, health, losses)
        self.alarm.check(epoch, ramp, health, losses)

    def _read(self, record: TeacherRecord, first_step: int) -> _Network:
        easy = record.easy(record.peaks)
        easy = None if easy is None else easy.cpu().numpy()
        keypoints, peaks, stamp = (t.cpu().numpy() for t in (record.keypoints, record.peaks, record.stamp))
        fresh = statistics.fresh_rows(stamp, first_step)
        counts = None if record.counts is None else record.counts.cpu().numpy()
        return _Network(keypoints, peaks, fresh, statistics.kept_joints(peaks, self.min_score), easy, counts)

    def _numbers(self, network: _Network) -> dict[str, float]:
        found = statistics.peak_health(network.peaks, network.fresh, self.min_score, self.names)
        found |= statistics.easy_share(network.easy, network.fresh)
        if network.counts is not None:
            found |= statistics.instance_health(network.counts, network.fresh)
        if self.hidden is not None:
            found |= statistics.pseudo_pck(
                network.keypoints, network.kept, network.fresh, network.easy, self.hidden.keypoints,
                self.hidden.visible, self.hidden.norm, self.threshold,
            )  # fmt: skip
        return found


def hidden_annotations(
    persons: Persons, to_image: np.ndarray, norm: np.ndarray, labeled: Persons
) -> HiddenAnnotations | None:
    """The annotations of unlabelled persons in their base crops; None where there are none.

    Persons that are also labelled do not count: networks have learned their labels, so the result would look too good.

    Args:
        persons: N unlabelled persons.
        to_image: (N, 2, 3) maps from base-crop pixels to image pixels; turning and scaling only.
        norm: (N,) sizes in image pixels.
        labeled: the labelled persons of the run.
    """
    visible = (persons.keypoints[..., 2] > 0) & ~_also_in(persons, labeled)[:, None]
    if not visible.any():
        return None
    points = torch.from_numpy(np.asarray(persons.keypoints[..., :2], np.float32))
    keypoints = affine.apply(affine.invert(torch.from_numpy(np.asarray(to_image, np.float32))), points).numpy()
    scale = np.sqrt(np.abs(np.linalg.det(np.asarray(to_image, np.float64)[:, :, :2])))
    return HiddenAnnotations(keypoints, visible, np.asarray(norm, np.float64) / scale)


def _also_in(persons: Persons, labeled: Persons) -> np.ndarray:
    """(N,) bool: the same annotation of the same image file is labelled. Ids alone may be used again in another set."""
    known = set(zip(labeled.image_paths[labeled.image_index].tolist(), labeled.ids.tolist()))
    own = zip(persons.image_paths[persons.image_index].tolist(), persons.ids.tolist())
    return np.fromiter((person in known for person in own), bool, len(persons))


def _named(key: str, network: str) -> str:
    """`health_kept/nose` of the first network is `health_kept_first/nose`."""
    number, slash, joint = key.partition("/")
    return f"{number}_{network}{slash}{joint}"
