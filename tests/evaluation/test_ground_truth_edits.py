"""Changed copies of a ground truth: what changes, and that the original does not."""

import copy

import numpy as np
import pytest

from semipose.errors import DataError
from semipose.evaluation import KeypointPredictions, with_groups, with_keypoints, with_visible
from semipose.evaluation.coco_protocol import evaluate_oks
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.evaluation.ground_truth_edits import restrict, with_box_areas

SIGMAS = (0.05, 0.1, 0.2)


def truth():
    """Images 1 to 3: a person with all three keypoints, one with the third only, a crowd, one that does not count."""
    rows = [
        (1, 11, [10, 10, 2, 30, 50, 1, 60, 70, 2], {}),
        (2, 12, [0, 0, 0, 0, 0, 0, 60, 70, 1], {"group_id": 8}),
        (2, 13, [5, 5, 2, 5, 6, 2, 0, 0, 0], {"iscrowd": 1}),
        (3, 14, [10, 10, 2, 30, 50, 1, 60, 70, 2], {"num_keypoints": 0}),
    ]
    person = {"category_id": 1, "bbox": [0, 0, 100, 60], "area": 2000.0}
    persons = [person | {"image_id": i, "id": n, "keypoints": k} | more for i, n, k, more in rows]
    return prepare_ground_truth(
        {"images": [{"id": i, "crowdIndex": i / 4} for i in (1, 2, 3)], "annotations": persons}, SIGMAS
    )


def column(ground_truth, key):
    return [a[key] for a in ground_truth.dataset["annotations"]]


@pytest.fixture
def original():
    """The ground truth, which no edit may change."""
    made = truth()
    before = copy.deepcopy(made.dataset)
    yield made
    assert made.dataset == before


def test_restrict(original):
    part = restrict(original, np.array([3, 2, 9]))
    assert part.image_ids == [2, 3] and part.dataset["images"][0]["crowdIndex"] == 0.5
    assert column(part, "annotation_id") == [12, 13, 14]
    assert len({*column(part, "id")}) == 3 and 0 not in column(part, "id")


def test_with_box_areas(original):
    assert column(with_box_areas(original), "area") == [0.53 * 100 * 60] * 4


def test_own_groups_win_over_the_mapping(original):
    grouped = with_groups(original, {11: 5, 12: 6, 99: 7})
    assert column(grouped, "group_id") == [5, 8, -1, -1]
    assert column(with_groups(original, {}), "group_id") == [-1, 8, -1, -1]


def test_with_keypoints(original):
    """Target: the mean of the first two, then the third. The second person keeps one, crowd and ignored stay so."""
    seen = []

    def convert(keypoints):
        seen.append(keypoints)
        both = (keypoints[:, 0, 2] * keypoints[:, 1, 2])[:, None]
        return np.stack([np.hstack([keypoints[:, :2, :2].mean(1), both]), keypoints[:, 2]], axis=1)

    changed = with_keypoints(original, convert, (0.3, 0.4))
    assert column(changed, "keypoints")[:2] == [[20, 30, 1, 60, 70, 1], [0, 0, 0, 60, 70, 1]]
    assert column(changed, "num_keypoints") == [2, 1, 1, 0]
    assert column(changed, "iscrowd") == [0, 0, 1, 0]
    assert (changed.sigmas.tolist(), changed.image_ids) == ([0.3, 0.4], [1, 2, 3])
    assert set(seen[0][..., 2].ravel()) == {0, 1}


def test_keypoints_that_the_network_lacks_do_not_count(original):
    """Without the third keypoint, person 2 is a region to ignore, and an error there is none."""
    masked = with_visible(original, [True, True, False])
    assert column(masked, "num_keypoints") == [2, 0, 2, 0]
    assert column(masked, "keypoints")[0] == [10, 10, 1, 30, 50, 1, 0, 0, 0]
    pose = np.array([[[10.0, 10], [30, 50], [900, 900]]])
    prediction = KeypointPredictions(np.array([1]), pose, np.ones((1, 3)), np.ones(1), np.ones(1))
    assert evaluate_oks(masked, prediction)["AP"] == pytest.approx(1)
    assert evaluate_oks(original, prediction)["AP"] < 0.5


def test_nobody_is_converted():
    nobody = restrict(truth(), [])
    assert with_keypoints(nobody, lambda k: k[:, :2], (0.1, 0.1)).dataset["annotations"] == []


@pytest.mark.parametrize("convert", [lambda k: k[:, :1], lambda k: k[:1, :2], lambda k: k[:, :2] + np.nan])
def test_a_wrong_converter_is_refused(original, convert):
    with pytest.raises(DataError, match=r"keypoints.*4.*2.*3"):
        with_keypoints(original, convert, (0.1, 0.1))
