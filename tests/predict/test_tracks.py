"""Tracks: who is who in a video, when people cross, leave, come back and are missed."""

import numpy as np
import pytest

from semipose.predict.tracks import Tracker
from semipose.skeletons import get_skeleton

SKELETON = get_skeleton("coco")
WIDTH, HEIGHT = 320, 240
# a person of 60 x 120 pixels, from the corner of its box
SHAPE = np.array([
    (30, 8), (33, 5), (27, 5), (37, 8), (23, 8), (42, 28), (18, 28), (50, 50), (10, 50), (55, 70), (5, 70),
    (38, 68), (22, 68), (40, 94), (20, 94), (40, 118), (20, 118),
], float)  # fmt: skip
COLORS = np.array([(250, 60, 60), (60, 60, 250)], np.uint8)


def person(x, y=60, step=0):
    """(17, 2) keypoints of a walker whose arms and legs swing."""
    swing = np.zeros((17, 2))
    swing[[7, 9, 14, 16], 0], swing[[8, 10, 13, 15], 0] = 6 * np.sin(step / 2), -6 * np.sin(step / 2)
    return SHAPE + swing + (x, y)


def box(points):
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    return [*(low - 5), *(high - low + 10)]


def update(tracker, people, frame, scores=None):
    people = np.array(people, float).reshape(-1, 17, 2)
    scores = np.ones(people.shape[:2]) if scores is None else scores
    return tracker.update(people, scores, [box(points) for points in people], frame).tolist()


def draw(walkers):
    """A frame (H, W, 3) with each walker as dots of its own colour; the later ones hide the ones before."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for points, color in zip(walkers, COLORS):
        for x, y in points.round().astype(int):
            frame[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = color
    return frame


def detect(frame, walkers, random):
    """Walkers that the frame shows, with the noise of a detector; those that are mostly hidden are missed."""
    found = []
    for number, (points, color) in enumerate(zip(walkers, COLORS)):
        x, y = points.round().astype(int).T
        seen = (frame[y, x] == color).all(-1)
        if seen.mean() > 0.5:
            found.append((number, points + random.normal(0, 1.5, points.shape)))
    return [found[n] for n in random.permutation(len(found))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("speed", [3, 6])
def test_two_drawn_people_who_cross_keep_their_numbers(seed, speed):
    random, tracker, numbers, missed, swapped = np.random.default_rng(seed), Tracker(SKELETON.sigmas), {}, 0, 0
    for step in range(240 // speed):
        walkers = [person(10 + speed * step, step=step), person(250 - speed * step, 63, step=step + 3)]
        found = detect(draw(walkers), walkers, random)
        ids = update(tracker, [points for _, points in found], step)
        for (who, _), number in zip(found, ids):
            assert numbers.setdefault(who, number) == number, f"walker {who} changes its number in frame {step}"
        missed += len(found) < 2
        swapped += [who for who, _ in found] == [1, 0]
    assert sorted(numbers.values()) == [1, 2]
    assert missed > 0 and swapped > 5, "the video is too easy"


@pytest.mark.parametrize("chance", [0.2, 0.4])
def test_crossing_with_missed_detections(chance):
    random, tracker, owners = np.random.default_rng(1), Tracker(SKELETON.sigmas), {}
    for step in range(60):
        walkers = [person(10 + 4 * step, step=step), person(250 - 4 * step, 70, step=step)]
        shown = [n for n in random.permutation(2) if step < 3 or random.random() > chance]
        ids = update(tracker, [walkers[n] + random.normal(0, 2, (17, 2)) for n in shown], step)
        for who, number in zip(shown, ids):
            assert owners.setdefault(number, who) == who
    assert len(owners) == 2


def test_who_leaves_for_5_frames_comes_back_with_the_same_number():
    tracker = Tracker(SKELETON.sigmas)
    for step in range(20):
        out = 8 <= step < 13
        # fast to the right edge, out, and back in from there
        x = 160 + 15 * (step if step < 8 else 20 - step)
        ids = update(tracker, [person(20)] if out else [person(x), person(20)], step)
        assert ids == ([2] if out else [1, 2])


def test_a_walker_goes_on_behind_a_tree():
    tracker = Tracker(SKELETON.sigmas)
    ids = [update(tracker, [] if 10 <= step < 15 else [person(7 * step)], step) for step in range(30)]
    assert {number for found in ids for number in found} == {1}


@pytest.mark.parametrize(("gap", "number"), [(4, 1), (5, 2)])
def test_a_track_ends_after_the_largest_gap(gap, number):
    tracker = Tracker(SKELETON.sigmas, max_gap=4)
    assert update(tracker, [person(50)], 10) == [1]
    assert update(tracker, [person(50)], 10 + gap + 1) == [number]


def test_one_who_stays_is_preferred_to_one_who_left():
    """A walks over the place where B has vanished, and must not become B, though B would fit a little better."""
    tracker = Tracker(SKELETON.sigmas)
    for step in range(5):
        assert update(tracker, [person(100 + step), person(114)], step) == [1, 2]
    for step in range(5, 20):
        assert update(tracker, [person(100 + step + (step > 12))], step) == [1]


def test_a_new_person_may_be_fast():
    """It moves more than half its width a frame, when nothing is known of its velocity."""
    tracker = Tracker(SKELETON.sigmas)
    assert [update(tracker, [person(42 * step)], step) for step in range(5)] == [[1]] * 5


def test_far_away_is_a_new_person_and_numbers_are_not_used_again():
    tracker = Tracker(SKELETON.sigmas, max_gap=0)
    assert update(tracker, [person(0)], 0) == [1]
    assert update(tracker, [person(200), person(2)], 1) == [2, 1]
    assert update(tracker, [], 2) == []
    assert update(tracker, [person(0)], 3) == [3]


def test_missing_keypoints():
    tracker, ids = Tracker(SKELETON.sigmas), []
    for step in range(6):
        people = np.stack([person(20 + step), person(180 - step)])
        boxes = [box(points) for points in people]
        people[0, step::5] = np.nan
        if step == 3:
            people[0] = np.nan
        ids.append(tracker.update(people, np.ones((2, 17)), boxes, step).tolist())
    assert ids == [[1, 2]] * 6


@pytest.mark.parametrize("doubtful", [0.05, np.nan])
def test_doubtful_keypoints_do_not_make_a_person_another(doubtful):
    tracker = Tracker(SKELETON.sigmas)
    assert update(tracker, [person(100), person(140)], 0) == [1, 2]
    # the first one is hidden, and most joints of the second one jump to it
    points, scores = person(140), np.ones((1, 17))
    points[2:], scores[0, 2:] = person(100)[2:], doubtful
    assert tracker.update(points[None], scores, [box(person(140))], 1).tolist() == [2]


def test_no_person_at_all_and_empty_shapes():
    tracker = Tracker(SKELETON.sigmas)
    for frame in range(3):
        ids = tracker.update(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros((0, 4)), frame)
        assert ids.shape == (0,) and ids.dtype == np.int64


def test_memory_stays_flat_with_people_who_come_and_go():
    random, tracker = np.random.default_rng(0), Tracker(SKELETON.sigmas, max_gap=3)
    for frame in range(500):
        update(tracker, [person(x, y) for x, y in random.uniform(0, 2000, (3, 2))], frame)
    assert len(tracker._tracks) <= 3 * 5


@pytest.mark.parametrize("frame", [3, 2])
def test_a_frame_that_is_not_later_is_refused(frame):
    tracker = Tracker(SKELETON.sigmas)
    update(tracker, [person(0)], 3)
    with pytest.raises(ValueError, match=f"frame {frame} comes after frame 3"):
        update(tracker, [person(0)], frame)
    with pytest.raises(ValueError, match="max_gap is -1"):
        Tracker(SKELETON.sigmas, max_gap=-1)
