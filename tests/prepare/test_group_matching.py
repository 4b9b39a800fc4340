"""Matching of labelme persons and annotations, against slow loops and by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from semipose.prepare.group_matching import box_overlaps, keypoint_distances, match_groups
from semipose.prepare.group_report import group_details, group_mapping, open_questions, report_lines
from semipose.structures import Persons

JOINTS = 5


@pytest.fixture
def crowd(make_persons):
    """`crowd(N)`: persons on three images, far from each other; each keypoint is labelled or not at random."""

    def make(count: int) -> Persons:
        rng = np.random.default_rng(3)
        boxes = np.concatenate([rng.uniform(0, 500, (count, 2)), rng.uniform(60, 90, (count, 2))], axis=1)
        xy = boxes[:, None, :2] + rng.uniform(size=(count, JOINTS, 2)) * boxes[:, None, 2:]
        labeled = rng.uniform(size=(count, JOINTS, 1)) < 0.7
        labeled[:, 0] = True
        rows = [(f"set/{n % 3}.jpg", box) for n, box in enumerate(boxes)]
        return make_persons(rows, np.concatenate([xy * labeled, labeled], axis=2))

    return make


def as_labelme(persons: Persons, order: np.ndarray, jitter: float = 0.0) -> Persons:
    """The persons in another order, each with its own group, moved by up to `jitter` pixels."""
    moved = persons.keypoints.copy()
    moved[..., :2] += np.random.default_rng(5).uniform(-jitter, jitter, moved[..., :2].shape)
    groups = np.arange(len(persons)) * 10
    drawn = replace(persons, keypoints=moved, group_ids=groups, image_paths=np.char.add("labels/", persons.image_paths))
    return drawn.take(order)


def test_distances_and_overlaps_equal_the_slow_loop(crowd):
    first, second = crowd(4), crowd(9).take([8, 2, 0, 5, 1])
    distances = keypoint_distances(first, second)
    overlaps = box_overlaps(first.boxes, second.boxes + [3, 9, 0, 4])
    assert distances.shape == overlaps.shape == (4, 5)
    for i, j in itertools.product(range(4), range(5)):
        a, b = first.keypoints[i], second.keypoints[j]
        both = [k for k in range(JOINTS) if a[k, 2] and b[k, 2]]
        assert distances[i, j] == pytest.approx(np.mean([np.hypot(*(a[k, :2] - b[k, :2])) for k in both]))
        x, y, w, h = first.boxes[i]
        u, v, s, t = second.boxes[j] + [3, 9, 0, 4]
        shared = max(0, min(x + w, u + s) - max(x, u)) * max(0, min(y + h, v + t) - max(y, v))
        assert overlaps[i, j] == pytest.approx(shared / (w * h + s * t - shared))
    apart = first.keypoints * [[[1, 1, k == 0] for k in range(JOINTS)]]
    other = first.keypoints * [[[1, 1, k > 0] for k in range(JOINTS)]]
    assert np.isinf(keypoint_distances(replace(first, keypoints=apart), replace(first, keypoints=other))).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_any_order_and_dropped_persons(crowd, seed):
    annotated, rng = crowd(20), np.random.default_rng(seed)
    kept = np.sort(rng.permutation(20)[:15])
    order = rng.permutation(20)[:16]
    drawn = as_labelme(annotated, order, jitter=0.5)
    left = annotated.take(kept)
    match = match_groups(drawn, left)
    both = set(order) & set(kept)
    expected = {str(annotated.ids[n]): int(n) * 10 for n in both}
    assert group_mapping(match, drawn, left) == expected and len(both) > 9
    assert set(drawn.group_ids[match.unmatched] // 10) == set(order) - both
    assert set(left.ids[match.left_over] - 1000) == set(kept) - both
    assert not match.ambiguous and not match.by_box.any() and match.covered.all()


def test_tolerance(crowd):
    annotated = crowd(3)
    moved = annotated.keypoints + np.float32([0.6, 0.8, 0])
    far = replace(annotated, keypoints=moved)
    errors = match_groups(far, annotated, tolerance=1.0001).errors
    np.testing.assert_allclose(errors, 1, atol=1e-4)
    assert match_groups(far, annotated, tolerance=0.999).unmatched == [0, 1, 2]


def test_duplicates_are_reported_and_not_decided(crowd):
    persons = crowd(9)
    twice = persons.take([0, 1, 2, 3, 0])  # annotation rows 0 and 4 are the same person
    match = match_groups(as_labelme(persons, np.array([3, 0, 6])), twice)
    assert match.pairs.tolist() == [[0, 3]] and set(match.ambiguous) == {1} and set(match.ambiguous[1]) == {0, 4}
    assert match.unmatched == [2] and match.left_over == [1, 2]
    match = match_groups(as_labelme(persons, np.array([1, 3, 1])), persons.take([0, 1, 3]))  # labelled twice
    assert match.pairs.tolist() == [[1, 2]] and match.ambiguous == {0: [1], 2: [1]} and match.unmatched == []


def test_the_likeliest_candidate_is_that_of_the_cheapest_assignment(make_persons):
    """The nearest one of both labelme persons is annotation 0; one of them has to take the other."""
    at = lambda *xs: np.array([[[x, 0, 1]] for x in xs], np.float32)  # noqa: E731
    box = (0, 0, 10, 10)
    annotated = make_persons([("a.jpg", box)] * 2, at(0.0, 0.6))
    drawn = make_persons([("a.jpg", box)] * 2, at(0.1, -0.2))
    match = match_groups(drawn, annotated)
    assert match.ambiguous == {0: [1, 0], 1: [0, 1]} and not len(match.pairs)


def test_boxes_where_no_keypoint_is_common(crowd):
    annotated = crowd(6)
    bare = annotated.keypoints.copy()
    bare[[1, 4]] = 0
    drawn = as_labelme(
        replace(annotated, keypoints=bare, boxes=annotated.boxes + np.float32([4, 0, 0, 0])), np.arange(6)
    )
    match = match_groups(drawn, annotated)
    assert sorted(match.pairs.tolist()) == [[n, n] for n in range(6)]
    assert match.pairs[match.by_box, 0].tolist() == [1, 4]
    assert match.errors[match.by_box] == pytest.approx([1 - (w - 4) / (w + 4) for w in annotated.boxes[[1, 4], 2]])
    assert match_groups(drawn, annotated, min_iou=0.99).unmatched == [1, 4]
    far = replace(drawn, keypoints=drawn.keypoints + np.float32([50, 0, 0]) * drawn.keypoints[..., 2:])
    assert match_groups(far, annotated).unmatched == [0, 2, 3, 5]  # keypoints that disagree outvote equal boxes
    two = annotated.take([0, 1, 2, 3, 4, 5, 4])
    assert match_groups(drawn, two).ambiguous == {4: [4, 6]}


@pytest.mark.parametrize(
    ("drawn_path", "annotated_paths", "found"),
    [
        ("x/labels/a.jpg", ["coco/b.jpg", "coco/a.jpg"], [1]),
        ("x/labels/a.png", ["coco/a.jpg"], [0]),
        ("x/a.png", ["coco/a.jpg", "coco/a.png"], [1]),
        ("x/day/a.jpg", ["night/a.jpg", "day/a.jpg"], [1]),
        ("x/day/a.png", ["night/a.png", "day/a.jpg"], [1]),
        ("x/noon/a.jpg", ["night/a.jpg", "day/a.jpg"], [0, 1]),
        ("x/1.5.jpg", ["1.jpg", "y/1.5.png"], [1]),
        ("x/a.jpg", ["aa.jpg", "b.jpg"], []),
    ],
)
def test_images_of_the_same_name(make_persons, drawn_path, annotated_paths, found):
    box, keypoints = (0, 0, 10, 10), np.ones((1, 2, 3))
    annotated = make_persons([(path, box) for path in annotated_paths], np.ones((len(annotated_paths), 2, 3)))
    match = match_groups(make_persons([(drawn_path, box)], keypoints), annotated)
    assert np.flatnonzero(match.covered).tolist() == found
    assert match.left_over == []  # persons on images without a labelme file are not missed
    assert match.pairs.tolist() == ([[0, found[0]]] if len(found) == 1 else [])
    assert match.ambiguous == ({0: found} if len(found) > 1 else {})


def test_same_names_in_two_folders_are_told_apart_by_geometry_at_need(crowd):
    annotated = crowd(9)  # images 0, 1, 2
    flat = replace(annotated, image_paths=np.array(["day/a.jpg", "night/a.jpg", "noon/b.jpg"]))
    drawn = replace(as_labelme(flat, np.arange(9)[::-1]), image_paths=np.array(["l/1/a.jpg", "l/2/a.jpg", "l/b.jpg"]))
    match = match_groups(drawn, flat)
    assert sorted(match.pairs.tolist()) == [[n, 8 - n] for n in range(9)]


def test_report(crowd):
    annotated = crowd(9)
    bare = replace(annotated, keypoints=annotated.keypoints * (np.arange(9) != 8)[:, None, None])
    drawn = as_labelme(annotated, np.array([4, 0, 3]))
    drawn = replace(drawn, group_ids=np.array([7, -1, 7]))
    match = match_groups(drawn, bare.take([0, 1, 3, 4, 6, 8]))
    details = group_details(match, drawn, bare.take([0, 1, 3, 4, 6, 8]))
    assert details["mapping"] == {"1003": 7, "1004": 7} and details["persons_per_group"] == {"none": 1, "7": 2}
    assert [p["annotation_id"] for p in details["unmatched_coco"]] == [1001, 1006, 1008]
    assert details["images_without_labelme_file"] == 0 and open_questions(details) == 2
    lines = "\n".join(report_lines(details))
    assert "matched 3 persons, 0 of them by their boxes\n  group none: 1\n  group 7: 2" in lines
    assert "unmatched COCO annotations: 2 (and 1 without keypoints)\n  set/1.jpg: annotation 1001" in lines


def test_report_counts_annotations_without_keypoints_apart_and_shortens_lists(crowd):
    annotated = crowd(60)
    bare = replace(annotated, keypoints=annotated.keypoints * (np.arange(60) % 4 > 0)[:, None, None])
    drawn = as_labelme(annotated, np.array([1, 2, 3]))
    details = group_details(match_groups(drawn, bare), drawn, bare)
    lines = report_lines(details)
    assert "unmatched COCO annotations: 42 (and 15 without keypoints)" in lines and "  ... and 32 more" in lines
    assert open_questions(details) == 42
    nothing = match_groups(drawn.take([]), bare)
    assert nothing.pairs.shape == (0, 2) and nothing.left_over == list(range(60))
