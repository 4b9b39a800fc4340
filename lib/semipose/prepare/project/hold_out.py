"""Which labelled pictures are kept for validation, as patterns that a source can name them by."""

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from semipose.data.exclude import named_images
from semipose.data.thumbnails import read_thumbnails

LEAST, LEAST_OF_SOME = 10, 4  # labelled pictures, of one source or some; of fewer a validation set says nothing
GUARD = 5  # frames of a video on each side of a held-out one that are not learned from either
_SHARE, _OF_FEW, _FEW = 0.2, 0.25, 40
_MOST_NAMES = 40  # held-out pictures that are named one by one
_ALIKE = 0.6  # neighbours differ by less than this part of what any two pictures do: the numbers are time
_PAIRS = 30
_FRAME = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)  # the last number of a path


@dataclass(frozen=True)
class HeldOut:
    """The validation pictures of one source.

    Attributes:
        only: patterns of the validation pictures.
        exclude: patterns of what is not learned from: the same pictures, and frames of a video right beside them.
        rule: how they were chosen, for a comment.
        in_time: the patterns are parts of videos, which the pool goes without too.
    """

    only: tuple[str, ...]
    exclude: tuple[str, ...]
    rule: str
    in_time: bool = False


def hold_out(paths: list[str], video: bool = False, least: int = LEAST) -> HeldOut | None:
    """The validation pictures out of labelled ones; None for fewer than `least`.

    Frames of a video, which are numbered, are cut in time: the last fifth of each video, or, of five videos and more,
    whole ones. Other pictures are chosen by the last letter of their names, so that those that are added later find
    their side by themselves.

    Args:
        paths: of the labelled pictures.
        video: they are frames of videos, whatever they look like. If neighbours by number do not look alike, the
            numbers are no time, and none is left out beside the cut.
    """
    if len(paths) < least:
        return None
    paths = sorted(paths)
    count = int(np.ceil(len(paths) * (_OF_FEW if len(paths) < _FEW else _SHARE)))
    videos = _sequences(paths)
    is_time = bool(videos) and _looks_like_time(list(videos.values()))
    if is_time or (videos and video):
        return _by_video(paths, videos, count) or _by_time(paths, videos, count, GUARD if is_time else 0)
    return _by_letter(paths, count) or _by_name(paths, count)


def _sequences(paths: list[str]) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """Numbered pictures by what is around the number; {} unless nearly all are in a sequence of three or more."""
    found = defaultdict(list)
    for path in paths:
        match = _FRAME.fullmatch(path)
        if match:
            found[match[1], match[3]].append((int(match[2]), path))
    found = {place: sorted(frames) for place, frames in found.items() if len(frames) >= 3}
    return found if sum(map(len, found.values())) >= 0.9 * len(paths) else {}


def _looks_like_time(videos: list[list[tuple[int, str]]]) -> bool:
    """Whether neighbours by number look more alike than any two pictures do; some pairs are looked at."""
    pairs = [(a[1], b[1]) for frames in videos for a, b in zip(frames, frames[1:])]
    pairs = [pairs[row] for row in np.unique(np.linspace(0, len(pairs) - 1, _PAIRS).astype(int))]
    first, second = (read_thumbnails(list(side), "").astype(np.float32) for side in zip(*pairs))
    near = np.abs(first - second).mean()
    far = np.mean([np.abs(first - np.roll(second, step, axis=0)).mean() for step in (len(pairs) // 3, len(pairs) // 2)])
    return bool(len(pairs) > 3 and near < _ALIKE * far)


def _by_video(paths: list[str], videos: dict, count: int) -> HeldOut | None:
    """Whole videos, if there are five and more in folders of their own, and some of them are about `count` frames."""
    folders = Counter(os.path.dirname(path) for path in paths)
    names = Counter(map(os.path.basename, folders))
    if len(folders) < 5 or len(videos) < 5 or max(names.values()) > 1:
        return None
    chosen, held = [], 0
    for folder, frames in sorted(folders.items(), key=lambda item: item[1]):
        if held < count and held + frames <= 1.5 * count:
            chosen.append(f"{os.path.basename(folder)}/*")
            held += frames
    fits = chosen and held >= count / 2 and named_images(paths, chosen, "", "").sum() == held
    rule = f"{len(chosen)} of {len(folders)} videos, whole"
    return HeldOut(tuple(chosen), tuple(chosen), rule, True) if fits else None


def _by_time(paths: list[str], videos: dict, count: int, guard: int) -> HeldOut:
    """The end of each video, from the largest gap near the cut on; before it frames that are too near are left out."""
    only, exclude, share = [], [], count / len(paths)
    for (start, end), frames in videos.items():
        numbers = [number for number, _ in frames]
        cut = _cut(numbers, share)
        name = _unique_end(start, end, videos)
        only.append(f"{name[0]}{{{numbers[cut]}..{numbers[-1]}}}{name[1]}")
        apart = _guard(numbers, cut, guard)
        exclude.append(f"{name[0]}{{{max(0, numbers[cut] - apart)}..{numbers[-1] + apart}}}{name[1]}")
    return HeldOut(tuple(only), tuple(exclude), f"the end of {'each video' if len(only) > 1 else 'the video'}", True)


def _cut(numbers: list[int], share: float) -> int:
    """The first held-out frame: that after the largest gap among the cuts near the wanted one."""
    wanted = len(numbers) - max(1, round(share * len(numbers)))
    slack = max(1, len(numbers) // 20)
    cuts = range(max(1, wanted - slack), min(len(numbers) - 1, wanted + slack) + 1)
    return max(cuts, key=lambda cut: (numbers[cut] - numbers[cut - 1], -abs(cut - wanted)))


def _guard(numbers: list[int], cut: int, guard: int) -> int:
    """The guard, or as much of it as leaves four of five frames to learn from."""
    lost = [sum(numbers[cut] - number <= apart for number in numbers[:cut]) for apart in range(guard + 1)]
    return max(apart for apart, count in enumerate(lost) if count <= max(0.2 * cut, lost[0]))


def _unique_end(start: str, end: str, videos: dict) -> tuple[str, str]:
    """What is around the number, with as many folders as tell it from other videos."""
    parts = start.split("/")
    for count in range(1, len(parts) + 1):
        own = "/".join(parts[-count:])
        if sum(other[1] == end and f"/{other[0]}".endswith(f"/{own}") for other in videos) == 1:
            break
    return _escaped(own), _escaped(end)


def _by_letter(paths: list[str], count: int) -> HeldOut | None:
    """The letters or digits that about `count` names end in; else those one or two places before the end."""
    stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    for place in (1, 2, 3):
        chosen = _letters([stem[-place : len(stem) - place + 1] for stem in stems], count)
        pattern = f"*{chosen if len(chosen) == 1 else f'[{chosen}]'}{'?' * (place - 1)}.*"
        held = sum(stem[-place : len(stem) - place + 1] in chosen for stem in stems if len(stem) >= place)
        if chosen and 0.6 * count <= held <= 1.4 * count and named_images(paths, [pattern], "", "").sum() == held:
            where = ("", " one place before its end", " two places before its end")[place - 1]
            verb = "has" if where else "ends in"
            return HeldOut((pattern,), (pattern,), f"those whose name {verb} {' or '.join(chosen)}{where}")
    return None


def _letters(found: list[str], count: int) -> str:
    """The letters that together are nearest to `count` of those found, some digits first; "" if there are none."""
    counts, chosen, held = Counter(filter(str.isalnum, found)), [], 0
    for letter in sorted(counts, key=lambda letter: (letter not in "2749", letter)):
        if abs(held + counts[letter] - count) < abs(held - count):
            chosen.append(letter)
            held += counts[letter]
    return "".join(sorted(chosen))


def _by_name(paths: list[str], count: int) -> HeldOut:
    count = min(count, _MOST_NAMES)
    chosen = [paths[row] for row in ((np.arange(count) + 0.5) * len(paths) / count).astype(int)]
    names = tuple(_shortest(path, paths) for path in chosen)
    return HeldOut(names, names, "spread over the names")


def _shortest(path: str, paths: list[str]) -> str:
    """The end of a path, of whole folders, that no other path has."""
    parts = path.replace("@", "/").split("/")
    for count in range(1, len(parts) + 1):
        own = "/".join(parts[-count:])
        if sum(f"/{other}".replace("@", "/").endswith(f"/{own}") for other in paths) == 1:
            break
    return _escaped(own)


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[{])", r"[\1]", text)
