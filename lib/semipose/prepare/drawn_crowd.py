"""Drawn crowds: pictures of several people, near and far, who may overlap; about a quarter of them are athletes.

Athletes (group 1) wear a red jersey with a white band and are harder: wilder limbs, and the whole body turned further.
"""

from dataclasses import dataclass

import numpy as np

from semipose.geometry.boxes import box_iou
from semipose.prepare import drawn_scene as scene
from semipose.prepare.drawn_figure import DrawnPerson, sample_figure, usual_pose, visible_keypoints, wild_pose

MOST_PEOPLE = 8
ATHLETES = 0.25  # share of the persons
SMALLEST, LARGEST = 0.35, 0.75  # longer side of a person, as a share of the picture
CUT = 0.14  # largest share of a person's width or height that lies outside the picture, on each side
CLOSE = 0.3  # share of the pictures in which two persons overlap by an IoU of their boxes in OVERLAP
APART, OVERLAP = (0.0, 0.1), (0.12, 0.4)
MOST_HIDDEN = 0.6  # of a person, by others and by occluders; else the picture is drawn anew
PLACES = 300  # that are tried for a person
TURN = {"usual": (20, 60), "wild": (45, 110)}  # standard deviation and largest turn of the body, degrees
RED, WHITE = np.array([215.0, 25, 30]), np.full(3, 235.0)


@dataclass
class _Member:
    """A person before it is painted: its figure, scaled, around the origin; see `sample_figure` for the rest."""

    figure: scene.Figure
    turned_away: set[str]
    wear: dict
    group_id: int


def draw_crowd(rng: np.random.Generator, size: int, fewest: int, most: int) -> list[DrawnPerson]:
    """Draw a random scene of `fewest` to `most` persons; all of them have the same `image`.

    The longer side of a person is 35 to 75 % of the picture, less where many share it. Those in front are the larger
    ones in half of the pictures, in the others anybody. The picture is a function of the arguments.
    """
    count = int(rng.integers(fewest, most + 1))
    while True:
        people = _draw(rng, size, count)
        if max(person.hidden for person in people) <= MOST_HIDDEN:
            return people


def _draw(rng: np.random.Generator, size: int, count: int) -> list[DrawnPerson]:
    """One attempt at a picture, in which a person may be hidden too much."""
    canvas = scene.draw_background(rng, size)
    members = [_sample_member(rng, size, count) for _ in range(count)]
    boxes = _place(rng, members, size)
    wear = members[0].wear
    scene.draw_distractors(rng, canvas, size, [wear["skin"], wear["shirt"], wear["trousers"]])
    shown, owner = _paint_all(rng, canvas, members, boxes)
    low, high = boxes[rng.integers(count)]
    owner[scene.draw_occluders(rng, canvas, np.concatenate([low, high - low])) > 0] = count
    image = scene.photograph(rng, canvas)
    covered = [owner[_window(box)] != index for index, box in enumerate(boxes)]
    return [_person(image, *parts) for parts in zip(members, boxes, shown, covered)]


def _sample_member(rng: np.random.Generator, size: int, count: int) -> _Member:
    """A person in its clothes and pose, tilted and scaled to pixels."""
    athlete = rng.uniform() < ATHLETES
    wear = (_in_red if athlete else _not_in_red)(rng, scene.random_wardrobe(rng))
    figure, turned_away = sample_figure(rng, wear, wild_pose if athlete else usual_pose)
    deviation, largest = TURN["wild" if athlete else "usual"]
    figure.move(scene.axes(np.clip(rng.normal(0, deviation), -largest, largest)), np.zeros(2))
    share = rng.uniform(SMALLEST, np.clip(1.05 / np.sqrt(count), SMALLEST, LARGEST))
    figure.move(share * size / np.ptp(figure.extent(), axis=0).max() * np.eye(2), np.zeros(2))
    return _Member(figure, turned_away, wear, int(athlete))


def _in_red(rng: np.random.Generator, wear: dict) -> dict:
    """The wardrobe with a red jersey that has a white band, its sleeves as long as those of the shirt."""
    red = np.clip(RED + rng.normal(0, 8, 3), 0, 255)
    sleeves = tuple(red if cloth is wear["shirt"] else cloth for cloth in wear["arm"])
    return wear | {"shirt": red, "band": WHITE, "arm": sleeves}


def _not_in_red(rng: np.random.Generator, wear: dict) -> dict:
    """The wardrobe; a shirt that could pass for a red jersey becomes blue or green."""
    red, green, blue = wear["shirt"]
    if red > 1.5 * max(green, blue):
        wear["shirt"][:] = (blue, green, red) if rng.uniform() < 0.5 else (blue, red, green)
    return wear


def _place(rng: np.random.Generator, members: list[_Member], size: int) -> np.ndarray:
    """Move the figures to their places, one after another; returns boxes (N, 2, 2), low and high x, y, cut to the
    picture."""
    close, boxes = rng.uniform() < CLOSE, np.empty((0, 2, 2))
    for number, member in enumerate(members):
        low, high = member.figure.extent()
        corners = rng.uniform(-CUT * (high - low), size - 1 - (1 - CUT) * (high - low), (PLACES, 2))
        candidates = np.clip(np.stack([corners, corners + high - low], axis=1), 0, size - 1)
        least, most = (OVERLAP if number == 1 else (0, OVERLAP[1])) if close else APART
        overlap = box_iou(candidates, boxes).max(axis=1, initial=0)
        chosen = np.maximum(least - overlap, overlap - most).clip(0).argmin()  # the first that fits, or the next best
        member.figure.move(np.eye(2), corners[chosen] - low)
        boxes = np.concatenate([boxes, candidates[chosen : chosen + 1]])
    return boxes


def _window(box: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the canvas around a box, by whole pixels of the picture."""
    (left, top), (right, bottom) = np.floor(box[0]).astype(int), np.ceil(box[1]).astype(int) + 1
    scale = scene.SUPERSAMPLING
    return slice(scale * top, scale * bottom), slice(scale * left, scale * right)


def _paint_all(rng: np.random.Generator, canvas: np.ndarray, members: list[_Member], boxes: np.ndarray) -> tuple:
    """Paint all persons, those behind first.

    Returns:
        What `Figure.paint` returned for each of them, and the person that each pixel of the canvas shows: (S, S) uint8,
        N = none.
    """
    count = len(members)
    by_size = np.argsort([np.ptp(member.figure.extent(), axis=0).max() for member in members])
    shown, owner = [None] * count, np.full(canvas.shape[:2], count, np.uint8)
    for index in by_size if rng.uniform() < 0.5 else rng.permutation(count):
        shown[index] = _paint(rng, canvas, members[index], boxes[index])
        owner[_window(boxes[index])][shown[index] > 0] = index
    return shown, owner


def _paint(rng: np.random.Generator, canvas: np.ndarray, member: _Member, box: np.ndarray) -> np.ndarray:
    """Paint a person into its window, which becomes the origin of its figure; returns what `Figure.paint` does."""
    member.figure.move(np.eye(2), -np.floor(box[0]))
    window = canvas[_window(box)]
    shown = member.figure.paint(window)
    scene.draw_folds(rng, window, shown, striped=[part != "head" for part, _, _ in member.figure.shapes])
    return shown


def _person(image: np.ndarray, member: _Member, box: np.ndarray, shown: np.ndarray, covered: np.ndarray) -> DrawnPerson:
    """The labels of a person from what it shows in its window, and from where that is covered or not its own."""
    keypoints = visible_keypoints(member.figure, shown, covered, member.turned_away)
    keypoints[keypoints[:, 2] > 0, :2] += np.floor(box[0])
    pixels = np.count_nonzero(shown)
    hidden = np.count_nonzero((shown > 0) & covered) / pixels
    bbox = np.concatenate([box[0], box[1] - box[0]])
    return DrawnPerson(image, keypoints, bbox, pixels / scene.SUPERSAMPLING**2, member.group_id, hidden)
