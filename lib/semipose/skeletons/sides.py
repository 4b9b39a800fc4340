"""Left and right in the names of keypoints: which keypoints change places in a mirrored picture.

Read are the words left and right (`left_ear`, `ear-Right`, `leftEar`), the letters L and R (`l_ear`, `ear.R`, `LEar`,
`paw_RF`) and the Chinese words. A word in a word (`earleft`), a letter without a word (`L1`) and one that belongs to a
word (`Lpaw`, `corner_tl`) count only where the name has its partner: `upright`, `leg`, and `L1` to `L5` of a spine,
have no side.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SIDES = {"left": "left", "l": "left", "左": "left", "right": "right", "r": "right", "右": "right"}
_OPPOSITE = {"left": "right", "right": "left"}
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|左|右|[^\W\d_A-Za-z左右]+")
_GLUED = re.compile(r"(left|right)(.+)|(.+)(left|right)")
_LEFT_LETTER = re.compile(r"(?<![A-Za-z])[lL](?=[A-Za-z])|(?<=[A-Za-z])[lL](?![A-Za-z])")
_LIMB = re.compile(r"([LR])([FH])")  # LF = left front, as in names of paws


@dataclass(frozen=True)
class Sides:
    """Left and right in K names.

    Attributes:
        pairs: (left, right), in the order of the names.
        unclear: names with a side that have no partner, or more than one.
    """

    pairs: tuple[tuple[str, str], ...]
    unclear: tuple[str, ...]


def find_sides(names: Sequence[str]) -> Sides:
    """The pairs of names that differ in their side only."""
    read = {name: _read(name, loose=True) for name in names}
    counts = Counter(read.values())
    paired = {name for name, key in read.items() if key[1] and counts[_mirrored(key)]}
    sided = [name for name in names if name in paired or _read(name, loose=False)[1]]
    pairs, unclear = [], []
    for name in sided:
        key = read[name]
        if counts[key] != 1 or counts[_mirrored(key)] != 1:
            unclear.append(name)
        elif key[1][0] == "left":
            pairs.append((name, next(other for other in names if read[other] == _mirrored(key))))
    pairs += _by_a_letter([name for name in names if name not in sided])
    return Sides(tuple(pairs), tuple(unclear))


def _by_a_letter(names: list[str]) -> list[tuple[str, str]]:
    """Pairs that differ in an L and an R at the start or end of a word only."""
    found = []
    for name in names:
        for place in (match.start() for match in _LEFT_LETTER.finditer(name)):
            other = name[:place] + {"l": "r", "L": "R"}[name[place]] + name[place + 1 :]
            if other in names:
                found.append((name, other))
    return found


def _read(name: str, loose: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a name says besides its sides, and its sides ("left" or "right") in their order.

    Args:
        loose: whether a word in a word, and a letter without a word, are sides as well.
    """
    parts = [piece for part in _PARTS.findall(name) for piece in _pieces(part, loose)]
    rest = tuple(part for part in parts if part not in SIDES)
    if not loose and not any(part.isalpha() for part in rest):
        parts = [part for part in parts if len(part) > 1 or not part.isascii()]
    return rest, tuple(SIDES[part] for part in parts if part in SIDES)


def _pieces(part: str, loose: bool) -> list[str]:
    limb, glued = _LIMB.fullmatch(part), loose and _GLUED.fullmatch(part.lower())
    found = (limb or glued).groups() if limb or glued else (part,)
    return [piece.lower() for piece in found if piece]


def _mirrored(key: tuple) -> tuple:
    return key[0], tuple(_OPPOSITE[side] for side in key[1])
