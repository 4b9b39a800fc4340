"""Labels that were made wrong on purpose are found; unsure networks and single outliers accuse nobody."""

import numpy as np

from semipose.report.suspects import SUSPICIOUS, belongs_to, find_suspects, judge_sides, suspicion, usual_distances

PERSONS, JOINTS, SIZE = 60, 5, 100.0
ALONE, PARTNERS = np.arange(JOINTS), np.array([1, 0, 3, 2, 4])


def scene(networks: int = 2, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (P, N, K, 2) near labels (N, K, 3), scores, and sizes (N,)."""
    draw = np.random.default_rng(0)
    labels = np.concatenate([draw.uniform(0, SIZE, (PERSONS, JOINTS, 2)), np.ones((PERSONS, JOINTS, 1))], -1)
    points = labels[None, ..., :2] + draw.normal(0, noise, (networks, PERSONS, JOINTS, 2))
    return points, draw.uniform(0.6, 0.9, points.shape[:3]), labels, np.full(PERSONS, SIZE)


def test_a_planted_wrong_label_is_found_first():
    points, scores, labels, sizes = scene()
    labels[17, 3, :2] += (40, 0)
    labels[41, [1, 4], :2] += (0, 60)
    suspects = find_suspects(suspicion(points, scores, labels, sizes, ALONE))
    assert [suspect.row for suspect in suspects] == [41, 17]
    assert sorted(suspects[0].keypoints) == [1, 4] and suspects[1].keypoints == [3]


def test_nothing_is_found_where_nothing_is_wrong():
    assert find_suspects(suspicion(*scene(), ALONE)) == []


def test_one_network_that_agrees_clears_a_label():
    points, scores, labels, sizes = scene()
    labels[17, 3, :2] += (40, 0)
    points[1, 17, 3] = labels[17, 3, :2]
    assert find_suspects(suspicion(points, scores, labels, sizes, ALONE)) == []


def test_networks_that_disagree_are_no_witnesses():
    points, scores, labels, sizes = scene()
    points[0, 5, 2] += (50, 0)
    points[1, 5, 2] -= (50, 0)
    assert find_suspects(suspicion(points, scores, labels, sizes, ALONE)) == []


def test_unsure_networks_are_expected_to_be_far():
    """A distance that is usual for so low a score is not suspicious; the same is, for a high one."""
    points, scores, labels, sizes = scene(1)
    scores[0, :30], scores[0, 30:] = 0.1, 0.9
    points[0, :30] += np.random.default_rng(1).choice([-20, 20], (30, JOINTS, 2))
    points[0, 45, 0] = labels[45, 0, :2] + (20, 20)
    (suspect,) = find_suspects(suspicion(points, scores, labels, sizes, ALONE))
    assert suspect.row == 45 and suspect.keypoints == [0]


def test_no_label_and_no_prediction_are_not_suspicious():
    points, scores, labels, sizes = scene()
    labels[3, 0] = 0
    points[:, 4, 1] = np.nan
    found = suspicion(points, scores, labels, sizes, ALONE)
    assert found[3, 0] == 0 and found[4, 1] == 0 and np.isfinite(found).all()
    labels[..., 2] = 0
    assert not suspicion(points, scores, labels, sizes, ALONE).any()


def test_usual_distances_are_medians_of_labels_with_such_scores():
    scores = np.repeat([0.2, 0.8], 30)
    away = np.where(scores < 0.5, 0.3, 0.1)
    away[0] = 9
    assert np.allclose(usual_distances(away, scores), np.where(scores < 0.5, 0.3, 0.1))


def test_the_keypoint_that_a_label_belongs_to():
    predicted = np.array([[0, 0], [50, 0], [np.nan, np.nan]])
    assert belongs_to(np.array([49.0, 1]), 0, predicted, SIZE) == 1
    assert belongs_to(np.array([49.0, 1]), 1, predicted, SIZE) is None
    assert belongs_to(np.array([25.0, 0]), 0, predicted, SIZE) is None


def test_the_order_of_suspects_and_their_keypoints():
    found = np.array([[0, SUSPICIOUS, 9], [1, 1, 1], [20, 20, 20], [SUSPICIOUS - 0.1, 3, 3]])
    assert find_suspects(found) == [(2, [0, 1, 2]), (0, [2, 1])]


def test_exchanged_labels_are_found_by_networks_that_tell_sides_apart():
    points, scores, labels, sizes = scene()
    labels[8, [0, 1]] = labels[8, [1, 0]]
    assert judge_sides(points, labels, sizes, PARTNERS)
    (suspect,) = find_suspects(suspicion(points, scores, labels, sizes, PARTNERS))
    assert suspect.row == 8 and sorted(suspect.keypoints) == [0, 1]
    assert belongs_to(labels[8, 0, :2], 0, points[0, 8], SIZE) == 1


def test_both_keypoints_seen_on_one_side_accuse_no_label():
    points, scores, labels, sizes = scene()
    points[:, 8, 0] = points[:, 8, 1]
    assert find_suspects(suspicion(points, scores, labels, sizes, PARTNERS)) == []
    assert len(find_suspects(suspicion(points, scores, labels, sizes, ALONE))) == 1


def test_networks_that_mix_up_sides_do_not_judge_them():
    points, scores, labels, sizes = scene()
    points[:, ::5] = points[:, ::5][:, :, PARTNERS]
    labels[17, 4, :2] += (40, 0)
    assert not judge_sides(points, labels, sizes, PARTNERS)
    assert len(find_suspects(suspicion(points, scores, labels, sizes, ALONE))) > 1
    assert find_suspects(suspicion(points, scores, labels, sizes, PARTNERS)) == [(17, [4])]


def test_keypoints_without_another_side_tell_nothing_about_sides():
    points, _, labels, sizes = scene()
    assert judge_sides(points + 40, labels, sizes, ALONE)
