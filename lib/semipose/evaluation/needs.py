"""What a metric needs from a validation set: functions that return what is missing, or ""."""

from collections.abc import Callable, Mapping

from semipose.errors import ConfigError
from semipose.evaluation.crowdpose import images_without_crowd_index
from semipose.evaluation.labelled_set import LabelledSet, MetricOptions, person_norm


def needs_ground_truth(labels: LabelledSet, options: MetricOptions) -> str:
    return _needs_sizes(labels) if labels.ground_truth is not None else "needs a ground truth for OKS"


def needs_labels(labels: LabelledSet, options: MetricOptions) -> str:
    labelled = not len(labels.persons) or (labels.persons.keypoints[..., 2] > 0).any()
    return "" if labelled else "needs labelled persons; detector boxes have no labels"


def needs_head_sizes(labels: LabelledSet, options: MetricOptions) -> str:
    known = not len(labels.persons) or (labels.persons.head_sizes > 0).any()
    return "" if known else "needs head sizes; the annotation has no head boxes"


def needs_crowd_index(labels: LabelledSet, options: MetricOptions) -> str:
    lacking = images_without_crowd_index(labels.ground_truth)
    return f"needs the crowdIndex of every image; image {lacking[0]} has none" if lacking else ""


def needs_parts(parts: Mapping[str, tuple[str, ...]]) -> Callable[[LabelledSet, MetricOptions], str]:
    """The keypoints of all these parts."""

    def lacking(labels: LabelledSet, options: MetricOptions) -> str:
        names = [n for part in parts.values() for n in part if n not in labels.skeleton.keypoints]
        return f"needs the keypoint {names[0]!r}; skeleton {labels.skeleton.name!r} has none" if names else ""

    return lacking


def needs_norm(option: str) -> Callable[[LabelledSet, MetricOptions], str]:
    """The norm that this option names."""

    def lacking(labels: LabelledSet, options: MetricOptions) -> str:
        norm = getattr(options, option)
        try:
            person_norm(labels.persons.take([]), labels.skeleton, norm)
        except ConfigError as error:
            return str(error)
        if norm == "box":
            return _needs_sizes(labels)
        return needs_head_sizes(labels, options) if norm == "head_size" else ""

    return lacking


def _needs_sizes(labels: LabelledSet) -> str:
    known = not labels.framed or not len(labels.persons) or labels.persons.boxes[:, 2:].any()
    return "" if known else "needs the size of the persons; all boxes are whole frames, and nobody shows two keypoints"
