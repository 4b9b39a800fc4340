"""Converters between skeletons: the published pairs, the mean of two, and loop references."""

import numpy as np
import pytest

from semipose.errors import ConfigError
from semipose.skeletons import SKELETONS, KeypointConverter, Skeleton, converter_between, get_skeleton

AIC_TO_19 = (
    (0, 6), (1, 8), (2, 10), (3, 5), (4, 7), (5, 9), (6, 12), (7, 14), (8, 16), (9, 11), (10, 13), (11, 15), (12, 17),
    (13, 18),
)  # fmt: skip


def random_keypoints(count, joints, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, (640, 480), (count, joints, 2))
    return np.concatenate([points, rng.integers(0, 2, (count, joints, 1))], axis=-1).astype(np.float32)


def test_aic_to_coco_aic_has_the_published_pairs():
    assert converter_between(get_skeleton("aic"), get_skeleton("coco_aic")).pairs == AIC_TO_19


def test_aic_merged_into_coco_leaves_the_face_unlabelled():
    converter = converter_between(get_skeleton("aic"), get_skeleton("coco"))
    assert converter.pairs == AIC_TO_19[:12]
    assert converter.mapped.tolist() == [False] * 5 + [True] * 12
    source = random_keypoints(6, 14)
    source[..., 2] = 1
    merged = converter.convert(source)
    assert merged.shape == (6, 17, 3) and merged.dtype == np.float32
    assert not merged[:, :5].any()
    for k, name in enumerate(get_skeleton("coco").keypoints[5:], start=5):
        assert np.array_equal(merged[:, k], source[:, get_skeleton("aic").index(name)])


def test_every_pair_of_human_skeletons_shares_at_least_the_limbs():
    humans = [s for s in SKELETONS.values() if s.name != "mirror_mouse"]
    for source in humans:
        for target in humans:
            assert converter_between(source, target).mapped.sum() >= 12


@pytest.mark.parametrize("name", SKELETONS)
def test_a_skeleton_to_itself_is_the_identity(name):
    skeleton = get_skeleton(name)
    converter = converter_between(skeleton, skeleton)
    assert converter.is_identity and converter.mapped.all()
    keypoints = random_keypoints(4, len(skeleton))
    assert np.array_equal(converter.convert(keypoints), keypoints)


def test_what_is_not_the_identity():
    assert KeypointConverter(2, 2, ((1, 1), (0, 0))).is_identity
    assert not KeypointConverter(2, 2, ((0, 1), (1, 0))).is_identity
    assert not KeypointConverter(2, 2, ((0, 0),)).is_identity
    assert not KeypointConverter(3, 2, ((0, 0), (1, 1))).is_identity
    assert not KeypointConverter(2, 3, ((0, 0), (1, 1))).is_identity
    assert not KeypointConverter(2, 2, ((0, 0), ((0, 1), 1))).is_identity


def loop_convert(keypoints, joints, pairs):
    out = np.zeros((len(keypoints), joints, 3), np.float32)
    for n, person in enumerate(keypoints):
        for source, target in pairs:
            if not isinstance(source, tuple):
                out[n, target] = person[source]
            elif person[source[0], 2] > 0 and person[source[1], 2] > 0:
                for axis in (0, 1):
                    out[n, target, axis] = (person[source[0], axis] + person[source[1], axis]) / 2
                out[n, target, 2] = min(person[source[0], 2], person[source[1], 2])
    return out


def test_converting_equals_a_loop():
    pairs = (((0, 3), 6), (1, 0), ((4, 1), 2), (1, 5), (4, 4))
    keypoints = random_keypoints(40, 5)
    keypoints[::3, :, 2] *= 2  # COCO's visible and hidden
    converter = KeypointConverter(5, 8, pairs)
    assert np.array_equal(converter.convert(keypoints), loop_convert(keypoints, 8, pairs))
    assert converter.mapped.tolist() == [True, False, True, False, True, True, True, False]


def test_the_mean_of_two_is_visible_only_if_both_are():
    converter = KeypointConverter(2, 1, (((0, 1), 0),))
    both = np.array([[[10, 20, 1], [14, 30, 1]], [[10, 20, 0], [14, 30, 1]], [[10, 20, 1], [14, 30, 0]]], np.float32)
    assert converter.convert(both).tolist() == [[[12, 25, 1]], [[0, 0, 0]], [[0, 0, 0]]]
    assert converter.convert(np.array([[[1, 0, 1], [2, 0, 1]]])).tolist() == [[[1.5, 0, 1]]]  # whole numbers too


def test_predictions_keep_their_points_and_take_the_lower_score():
    converter = KeypointConverter(3, 4, (((0, 2), 1), (1, 3)))
    points = np.array([[[10, 20], [1, 2], [30, 60]]], np.float32)
    new_points, new_scores = converter.convert_predictions(points, np.array([[0.9, 0.5, 0.0]], np.float32))
    assert new_points.tolist() == [[[0, 0], [20, 40], [0, 0], [1, 2]]]
    assert new_scores.tolist() == [[0, 0, 0, 0.5]]
    new_points, new_scores = converter.convert_predictions(points, np.array([[0.75, 0.5, 0.25]], np.float32))
    assert new_scores.tolist() == [[0, 0.25, 0, 0.5]]
    assert new_points.dtype == new_scores.dtype == np.float32


def test_no_person_converts_to_none():
    converter = converter_between(get_skeleton("aic"), get_skeleton("coco_aic"))
    assert converter.convert(np.zeros((0, 14, 3), np.float32)).shape == (0, 19, 3)
    points, scores = converter.convert_predictions(np.zeros((0, 14, 2)), np.zeros((0, 14)))
    assert points.shape == (0, 19, 2) and scores.shape == (0, 19)


def test_the_input_is_not_changed():
    keypoints = random_keypoints(3, 2)
    before = keypoints.copy()
    KeypointConverter(2, 2, ((0, 1), ((0, 1), 0))).convert(keypoints)[:] = -1
    assert np.array_equal(keypoints, before)


def test_pairs_by_names_indices_and_means():
    aic, mpii = get_skeleton("aic"), get_skeleton("mpii")
    pairs = [["neck", "upper_neck"], [["left_hip", "right_hip"], "pelvis"], [[0, "left_shoulder"], 7], [12, "head_top"]]
    converter = converter_between(aic, mpii, pairs)
    assert converter.pairs == ((13, 8), ((9, 6), 6), ((0, 3), 7), (12, 9))


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("tail", "nose")], "'tail'"),
        ([("neck", "tail")], "'tail'"),
        ([("neck", 17)], "target 17 is not a keypoint; 0 to 16"),
        ([(14, "nose")], "source 14 is not a keypoint; 0 to 13"),
        ([((0, 14), "nose")], "source 14"),
        ([(-1, 0)], "source -1"),
        ([(0, -1)], "target -1"),
        ([(0, True)], "target True"),
        ([(0.0, 1)], "source 0.0"),
        ([(None, 1)], "source None"),
        ([(0, 1), (1, 1)], "target 1 is given more than once"),
        ([("neck", "nose"), (1, 0)], "target 0 is given more than once"),
        ([((0, 0), 1)], "two different sources"),
        ([((0, "right_shoulder"), 1)], "two different sources"),
        ([((0, 1, 2), 1)], "is not (source, target)"),
        ([((), 1)], "is not (source, target)"),
        ([(0, 1, 2)], "is not (source, target)"),
        ([7], "is not (source, target)"),
        (["ab"], "is not (source, target)"),
        ([(0, (1, 2))], "target (1, 2)"),
        ([], "no pair"),
    ],
)
def test_wrong_pairs_are_named_with_both_skeletons(pairs, says):
    with pytest.raises(ConfigError) as caught:
        converter_between(get_skeleton("aic"), get_skeleton("coco"), pairs)
    message = str(caught.value)
    assert "'aic' to 'coco'" in message and says in message and "\n" not in message


def test_skeletons_without_a_common_name_are_refused():
    fish = Skeleton(name="fish", keypoints=("fin",), sigmas=(0.1,))
    with pytest.raises(ConfigError, match="'fish'.*'coco'"):
        converter_between(fish, get_skeleton("coco"))
    assert converter_between(fish, get_skeleton("coco"), [("fin", "nose")]).pairs == ((0, 0),)


@pytest.mark.parametrize("shape", [(2, 13, 3), (2, 14, 2), (14, 3), (2, 1, 14, 3)])
def test_arrays_of_another_shape_are_refused(shape):
    converter = converter_between(get_skeleton("aic"), get_skeleton("coco"))
    with pytest.raises(ValueError, match="is needed"):
        converter.convert(np.zeros(shape))


def test_points_and_scores_of_another_shape_are_refused():
    converter = KeypointConverter(3, 2, ((0, 0),))
    for points, scores in (((2, 3, 3), (2, 3)), ((2, 3, 2), (2, 2)), ((2, 3, 2), (2, 3, 1))):
        with pytest.raises(ValueError, match="is needed"):
            converter.convert_predictions(np.zeros(points), np.zeros(scores))
