"""Colours of keypoints, limbs and persons, RGB."""

from functools import lru_cache

from semipose.skeletons import Skeleton

Color = tuple[int, int, int]

# blue against orange stays apart in all common kinds of colour blindness
SIDE_COLORS = {"left": (38, 150, 255), "right": (255, 138, 0), "middle": (245, 245, 240)}
OUTLINE = (20, 22, 28)
# Each is as far as can be from those before it, in CIELAB and with blindness to red or green (Machado et al., 2009),
# and bright enough for a dark picture. The first 17 are at least 26 apart, 16 for who does not see green.
PALETTE = (
    (38, 150, 255), (255, 138, 0), (0, 255, 210), (255, 0, 90), (180, 75, 150), (255, 240, 135),
    (120, 225, 255), (255, 240, 0), (225, 30, 0), (90, 165, 135), (210, 0, 195), (105, 90, 255),
    (180, 240, 165), (210, 150, 195), (225, 165, 90), (165, 165, 240), (0, 135, 15), (0, 135, 75),
    (195, 225, 75), (90, 210, 150), (105, 255, 255), (225, 90, 255), (240, 150, 120), (105, 195, 30),
)  # fmt: skip


@lru_cache(maxsize=32)
def keypoint_colors(skeleton: Skeleton) -> tuple[Color, ...]:
    """K colours: by side where most keypoints are left or right, else all different (up to the 24 of PALETTE)."""
    if has_sides(skeleton):
        return tuple(SIDE_COLORS[side] for side in keypoint_sides(skeleton))
    return tuple(PALETTE[k % len(PALETTE)] for k in range(len(skeleton)))


def color_key(skeleton: Skeleton) -> dict[str, Color]:
    """What a legend says: the colours of the sides, or that of each keypoint."""
    if has_sides(skeleton):
        return SIDE_COLORS
    return dict(zip(skeleton.keypoints, keypoint_colors(skeleton)))


def link_colors(skeleton: Skeleton, link: tuple[int, int]) -> tuple[Color, Color]:
    """Colours of the two halves of a limb, given as two indices of keypoints.

    A limb between the middle and a side belongs to the side, one from left to right to the middle.
    """
    first, second = (keypoint_colors(skeleton)[k] for k in link)
    if not has_sides(skeleton):
        return first, second
    sides = {first, second} - {SIDE_COLORS["middle"]}
    color = sides.pop() if len(sides) == 1 else SIDE_COLORS["middle"]
    return color, color


def person_color(number: int) -> Color:
    """Of the box and the plate of a person, by its number; the first persons do not have the colours of the sides."""
    return PALETTE[(number + 1) % len(PALETTE)]


def is_dark(color: Color) -> bool:
    """Whether text on this colour should be light."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 110


def lighter(color: Color) -> Color:
    """For text on a dark ground: half-way to white where the colour is dark."""
    return tuple((value + 255) // 2 for value in color) if is_dark(color) else color


@lru_cache(maxsize=32)
def has_sides(skeleton: Skeleton) -> bool:
    """Whether left and right can tell most keypoints apart."""
    sides = keypoint_sides(skeleton)
    return 2 * sides.count("middle") < len(sides)


def keypoint_sides(skeleton: Skeleton) -> list[str]:
    """K times "left", "right" or "middle": from the name, or else from the place in its swap pair."""
    sides = {name: side for pair in skeleton.swaps for name, side in zip(pair, ("left", "right"))}
    named = {n: s for n in skeleton.keypoints for s in ("left", "right") if s in n.lower()}
    return [(sides | named).get(name, "middle") for name in skeleton.keypoints]
