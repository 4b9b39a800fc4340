"""The size of a person, by every norm that a configuration may name."""

import numpy as np
import pytest

from semipose.errors import ConfigError
from semipose.evaluation import NORMS, LabelledSet, person_norm
from semipose.skeletons import get_skeleton
from semipose.structures import Persons

MPII = get_skeleton("mpii")


def two_persons():
    keypoints = np.zeros((2, 16, 3), np.float32)
    for name, point in {"left_shoulder": (0, 0), "right_hip": (6, 8), "upper_neck": (3, 0), "head_top": (3, 4)}.items():
        keypoints[:, MPII.index(name)] = *point, 1
    keypoints[1, MPII.index("head_top"), 2] = 0
    names = np.array(["a.jpg", "b.jpg"])
    boxes = np.array([[0, 0, 30, 40], [1, 2, 9, 5]], np.float32)
    return Persons(
        names, np.arange(2), np.arange(2, dtype=np.int32), np.arange(2), boxes, keypoints, np.ones(2, np.float32),
        np.ones(2, np.float32), head_sizes=np.array([12, 0], np.float32),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("box", [40, 9]),
        ("torso", [10, 10]),
        ("head", [4, 0]),
        ("head_size", [12, 0]),
        (["left_shoulder", "head_top"], [5, 0]),
    ],
)
def test_norms(norm, expected):
    assert person_norm(two_persons(), MPII, norm).tolist() == expected
    assert isinstance(norm, list) or norm in NORMS


@pytest.mark.parametrize("norm", ["foot", ("nose",), ("left_hip", "left_knee", "left_ankle")])
def test_unknown_norms(norm):
    with pytest.raises(ConfigError, match="head_size"):
        person_norm(two_persons(), MPII, norm)


def test_keypoints_that_the_skeleton_lacks():
    with pytest.raises(ConfigError, match="'nose'"):
        person_norm(two_persons(), MPII, ("nose", "head_top"))


def test_rows_of_a_set():
    part = LabelledSet("val", None, two_persons(), MPII).take(np.array([1]))
    assert (part.name, part.persons.head_sizes.tolist()) == ("val", [0])
