"""`semipose label`: what is uncertain is found and said in words, and what is chosen is diverse and new."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from untrained_run import picture

from semipose.predict.next_to_label.choice import (
    beside,
    best_apart,
    is_film,
    k_centres,
    known_pictures,
    neighbours,
    numbered_names,
)
from semipose.predict.next_to_label.committee import Answers
from semipose.predict.next_to_label.files import _names
from semipose.predict.next_to_label.labelling_round import Known, choose
from semipose.predict.next_to_label.scores import criteria, person_sizes, reasons, uncertainty
from semipose.predict.next_to_label.shots import Shot
from semipose.pseudo_labels import Multiview

JOINTS = ("head", "hand", "foot", "tail")
NOWHERE = np.full((6, 2), -1)


def agreed(persons: int = 6) -> Answers:
    """Everybody says the same of persons in boxes of 30 x 40, up to a tenth of a pixel; each is alone on a picture."""
    rng = np.random.default_rng(0)
    points = np.array([[10.0, 10], [40, 10], [40, 50], [10, 50]])  # a diagonal of 50

    def said(answers: int) -> np.ndarray:
        return points + rng.uniform(-0.1, 0.1, (persons, answers, 4, 2))

    return Answers(
        said(1)[:, 0], np.full((persons, 4), 0.8), said(2), said(2), said(3), rng.normal(size=(persons, 5)),
        np.tile([5.0, 5, 40, 50], (persons, 1)), np.tile(np.eye(2, 3), (persons, 1, 1)), np.arange(persons),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "place", "words"),
    [("networks", (3, 1, 2), "networks disagree by 30 %"), ("students", (3, 0, 2), "EMA and student"),
     ("views", (3, 1, 2), "turned or mirrored")],
)  # fmt: skip
def test_a_planted_disagreement_ranks_first_and_its_reason_names_the_joint(field, place, words):
    answers = agreed()
    moved = getattr(answers, field).copy()
    moved[place] += (9, 12)  # 15 pixels of 50
    found = criteria(replace(answers, **{field: moved}), NOWHERE, None, peaks=True)
    sure = uncertainty(found, np.ones(4))
    assert sure.persons.argmax() == 3 and sure.joints[3].argmax() == 2
    first = reasons(found, 3, JOINTS)[0]
    assert words in first and "foot" in first


def test_a_joint_that_is_seldom_labelled_counts_little():
    answers = agreed()
    moved = answers.networks.copy()
    moved[3, 1, 2], moved[5, 1, 1] = moved[3, 1, 2] + (9, 12), moved[5, 1, 1] + (6, 8)
    found = criteria(replace(answers, networks=moved), NOWHERE, None, peaks=False)
    assert uncertainty(found, np.ones(4)).persons.argmax() == 3
    assert uncertainty(found, np.array([1, 1, 0.05, 1])).persons.argmax() == 5


def test_low_peaks_count_only_where_scores_are_peaks():
    answers = agreed()
    scores = answers.scores.copy()
    scores[4, 1] = 0.1
    with_peaks, without = (criteria(replace(answers, scores=scores), NOWHERE, None, peaks) for peaks in (True, False))
    assert uncertainty(with_peaks, np.ones(4)).persons.argmax() == 4
    assert "hand" in reasons(with_peaks[-1:], 4, JOINTS)[0] and "0.10" in reasons(with_peaks[-1:], 4, JOINTS)[0]
    assert len(with_peaks) == len(without) + 1


def test_a_jump_is_seen_between_neighbours_only():
    answers = agreed()
    points = answers.points + np.arange(6)[:, None, None] * [2.0, 1.0]  # all of them walk
    points[2, 3] -= (0, 25)
    near = np.array([[-1, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, -1]])
    jumps = criteria(replace(answers, points=points), near, None, peaks=False)[-1]
    assert np.isnan(jumps.values[[0, 5]]).all() and np.nanargmax(jumps.values) == 2 * 4 + 3
    assert jumps.values[2, 3] == pytest.approx(0.5, abs=0.05) and jumps.values[1, 3] == pytest.approx(0.25, abs=0.05)
    assert "tail jumps" in reasons([jumps], 2, JOINTS)[0]
    crowd = replace(answers, points=points, picture=np.array([0, 1, 2, 2, 4, 5]))  # who is who?
    assert len(criteria(crowd, near, None, peaks=False)) == len(criteria(answers, NOWHERE, None, peaks=False))


def test_a_mirror_that_does_not_fit():
    answers = agreed()
    to_image = np.tile([[2.0, 0, 7], [0, 2, 3]], (6, 1, 1))  # crop pixels are two image pixels
    crop = np.zeros((6, 4, 2))
    crop[:, 0], crop[:, 1] = (5, 0), (5, 30)
    crop[1, 1] = (15, 30)
    points = 2 * crop + (7, 3)
    half = 0.5**0.5
    fit = Multiview(((0, 1),), (half, 0.0, -half, 0.0), 0.0, 1.0)  # both have the same x
    moved = replace(answers, points=points, to_image=to_image)
    values = criteria(moved, NOWHERE, fit, peaks=False)[-1].values
    sizes = person_sizes(points, answers.boxes)
    assert values[1, :2] == pytest.approx(2 * 10 * half / sizes[1]) and values[[0, 2, 3, 4, 5], :2].max() < 1e-6
    assert np.isnan(values[:, 2:]).all()


def test_sizes_are_those_of_the_pose_and_no_dot():
    points = np.array([[[0, 0], [30, 40]], [[5, 5], [5, 5]]], float)
    assert person_sizes(points, np.tile([0.0, 0, 60, 80], (2, 1))).tolist() == [50, 25]


def test_k_centres_by_hand():
    line, even, nothing = np.array([[0.0], [1], [10], [4]]), np.ones(4), np.zeros((0, 1))
    assert k_centres(line, even, nothing, 3) == [0, 2, 3]
    assert k_centres(line, even, np.array([[10.0]]), 3) == [0, 3, 1]  # what lies on a labelled one comes last
    assert k_centres(line, np.array([9.0, 5, 0.1, 1]), nothing, 3) == [0, 1, 3]
    assert k_centres(line, even, nothing, 9) == [0, 2, 3, 1] and k_centres(line[:0], even[:0], line, 2) == []


def test_the_best_that_are_not_next_to_each_other():
    places = [("a", 0), ("a", 3), ("a", 9), ("b", 3), None, None]
    scores = np.array([1.0, 5, 2, 4, 3, np.nan])
    assert best_apart(scores, places, 5, 9).tolist() == [1, 3, 4, 2]
    assert best_apart(scores, places, 0, 3).tolist() == [1, 3, 4]


def test_frames_beside_a_labelled_one():
    places = [("a", 10), ("a", 14), ("a", 16), ("b", 12), None]
    marked = np.array([False, False, False, False, True])
    assert beside(places, marked, 5).tolist() == marked.tolist()
    marked[0] = True
    assert beside(places, marked, 5).tolist() == [True, True, False, False, True]
    assert beside(places, marked, 0).tolist() == [True, False, False, False, True]


def film(frames: int) -> np.ndarray:
    """Thumbnails of a bright square that walks over noise."""
    still = np.random.default_rng(1).integers(0, 100, (32, 32))
    pictures = np.tile(still, (frames, 1, 1))
    for number, one in enumerate(pictures):
        one[8:20, number : number + 12] = 220
    return pictures.astype(np.uint8)


def test_numbered_pictures_are_a_film_where_neighbours_look_alike():
    thumbnails = film(20)
    order = np.random.default_rng(2).permutation(20)
    assert is_film(thumbnails) and not is_film(thumbnails[order]) and not is_film(thumbnails[:4])
    names = [f"v1/in_{number:03d}.png" for number in range(20)] + ["other.png"]
    places = numbered_names(names, np.concatenate([thumbnails, thumbnails[:1]]))
    assert [place[1] for place in places[:20]] == list(range(20)) and places[20] is None
    assert len({place[0] for place in places[:20]}) == 1
    assert neighbours(places, 1)[[0, 5, 20]].tolist() == [[-1, 1], [4, 6], [-1, -1]]
    assert neighbours([("a", 4), ("a", 0), ("b", 2)], 3).max() == -1


def test_a_picture_that_is_known_is_found_again():
    known = np.stack([cv2.resize(picture(n)[..., 0], (32, 32), interpolation=cv2.INTER_AREA) for n in range(3)])
    brighter = (known[1].astype(int) + 1).astype(np.uint8)
    assert known_pictures(np.stack([film(1)[0], brighter]), known[:2]).tolist() == [False, True]
    assert known_pictures(known, known[:0]).tolist() == [False] * 3


def test_frames_beside_names_of_validation_are_chosen():
    """Of a film every fifth frame has such a name, and no frame would be left if none beside it were taken."""
    rng, count = np.random.default_rng(0), 20
    shots = [Shot("film", f"film/{n:03}.png") for n in range(count)]
    thumbnails = rng.integers(0, 255, (count, 32, 32), np.uint8)
    seen = SimpleNamespace(
        shots=shots, thumbnails=thumbnails, answers=SimpleNamespace(features=rng.normal(size=(count, 3)))
    )
    places = [("film", n) for n in range(count)]
    weighed = SimpleNamespace(scores=np.ones(count), places=places, worst=np.arange(count))
    known = Known(frozenset(), thumbnails[:0], np.zeros((0, 3)), np.ones(4), held_names=("*[05].*",))
    chosen = choose(seen, weighed, known, 4, gap=3)
    assert len(chosen) == 4 and not any(row % 5 == 0 for row in chosen)


def test_frames_of_held_out_folders_and_films_are_not_chosen():
    shots = [Shot("a", "data/walk0/001.png"), Shot("b", "data/walk1/001.png"), Shot("c", "videos/walk0.mp4", frame=3)]
    known = Known(frozenset(), np.zeros((0, 32, 32), np.uint8), np.zeros((0, 3)), np.ones(4), held_names=("walk0/*",))
    assert known.holds_out(SimpleNamespace(shots=shots)).tolist() == [True, False, True]


def test_pictures_of_one_name_keep_the_end_of_it(tmp_path):
    """By which a validation set knows its own."""
    chosen = [SimpleNamespace(shot=Shot("x", str(tmp_path / folder / "07.png"))) for folder in "abc"]
    names = _names(chosen)
    assert len(set(names)) == 3 and all(name.endswith("07.png") for name in names)
