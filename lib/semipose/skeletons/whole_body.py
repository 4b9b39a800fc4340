"""COCO-WholeBody (Jin et al., ECCV 2020): COCO's body, then 6 points of the feet, 68 of the face, 21 of each hand."""

from dataclasses import replace

from semipose.skeletons.skeleton import Skeleton

_SIDES = ("left", "right")
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_FOOT = ("big_toe", "small_toe", "heel")
_HAND = ("hand_root",) + tuple(f"{finger}{number}" for finger in _FINGERS for number in range(1, 5))
# the halves of the face: jaw, brows, nostrils, eyes, and the outer and inner lips; 8, 27-30, 33, 51, 57, 62, 66 lie in
# the middle
_FACE_SWAPS = (
    *((n, 16 - n) for n in range(8)), *((n, 43 - n) for n in range(17, 22)), (31, 35), (32, 34),
    *((n, 81 - n) for n in range(36, 40)), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67),
)  # fmt: skip
# lines of the face: jaw, brows, nose, nostrils (open), eyes and lips (closed)
_OPEN = (range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36))
_CLOSED = (range(36, 42), range(42, 48), range(48, 60), range(60, 68))
# of the set's own evaluation
_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE_SIGMAS = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041,
    0.045, 0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015, 0.009, 0.007, 0.007, 0.007, 0.012,
    0.009, 0.008, 0.016, 0.010, 0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034,
    0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007, 0.007, 0.008, 0.011, 0.008,
    0.008, 0.008, 0.01, 0.008,
)  # fmt: skip
_HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021,
    0.032, 0.02, 0.019, 0.022, 0.031,
)  # fmt: skip


def whole_body(coco: Skeleton) -> Skeleton:
    """The 133 keypoints, after the 17 of `coco`."""
    feet = [f"{side}_{part}" for side in _SIDES for part in _FOOT]
    face = [f"face-{number}" for number in range(68)]
    hands = [f"{side}_{part}" for side in _SIDES for part in _HAND]
    swaps = [(f"left_{part}", f"right_{part}") for part in _FOOT + _HAND]
    swaps += [(face[a], face[b]) for a, b in _FACE_SWAPS]
    links = [(f"{side}_ankle", f"{side}_{part}") for side in _SIDES for part in _FOOT]
    links += [(face[a], face[b]) for line in _OPEN for a, b in zip(line, line[1:])]
    links += [(face[a], face[b]) for line in _CLOSED for a, b in zip(line, (*line[1:], line[0]))]
    links += [(f"{side}_wrist", f"{side}_hand_root") for side in _SIDES]
    links += [link for side in _SIDES for finger in _FINGERS for link in _finger(side, finger)]
    return replace(
        coco,
        name="coco_wholebody",
        keypoints=coco.keypoints + (*feet, *face, *hands),
        sigmas=coco.sigmas + _FOOT_SIGMAS + _FACE_SIGMAS + 2 * _HAND_SIGMAS,
        swaps=coco.swaps + tuple(swaps),
        links=coco.links + tuple(links),
        upper_body=coco.upper_body + (*face, *hands),
        loss_weights=(),
    )


def _finger(side: str, finger: str) -> list[tuple[str, str]]:
    points = [f"{side}_wrist", *(f"{side}_{finger}{number}" for number in range(1, 5))]
    return list(zip(points, points[1:]))
