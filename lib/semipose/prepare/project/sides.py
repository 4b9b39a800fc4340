"""The sources of the three sides of a project, and what is said of them."""

from collections.abc import Sequence

from semipose.data.exclude import named_images
from semipose.errors import DataError
from semipose.prepare.project.folders import folders_of, pictures_below
from semipose.prepare.project.labelled import Labelled
from semipose.prepare.project.plan import BOXES, FRAMES, Facts
from semipose.skeletons import Skeleton


def train_entry(labelled: Labelled, facts: Facts) -> dict:
    """The keys of a labelled source."""
    held = labelled.held_out
    return labelled.entry | _whole(labelled, facts) | ({"exclude": list(held.exclude)} if held else {})


def test_entry(labelled: Labelled, facts: Facts) -> dict:
    """The keys of a validation source."""
    held = labelled.held_out
    entry = labelled.entry | _whole(labelled, facts) | ({"only": list(held.only)} if held else {})
    without_heads = labelled.file.kind == "mpii" and labelled.file.annotation.endswith(".json")
    return entry | ({"metrics": ["oks", "pck"]} if without_heads else {})


def _whole(labelled: Labelled, facts: Facts) -> dict:
    """Frames of a csv are whole as they are."""
    return {"whole_frames": True} if facts.view == FRAMES and labelled.file.kind != "lightning_pose" else {}


def pool_sources(
    pictures: Sequence[str], videos: dict[str, int], bare: Sequence[str], facts: Facts, train: Sequence[Labelled],
    files: Sequence[Labelled], every: int,
) -> list[dict]:  # fmt: skip
    """The sources of the pool; [] = all that is learned from.

    Where whole pictures are seen, they are the folders of the pictures without labels, and the videos; with boxes they
    are the files that have boxes without keypoints.

    Args:
        pictures: all picture files.
        videos: number of frames of each.
        bare: picture files without labels.
        files: labels that are kept hidden.
        every: take every n-th frame of videos.
    """
    own = [each.entry | _whole(each, facts) for each in files]
    if facts.view == BOXES:
        more = any(len(each.covered) > len(each.paths) for each in train)
        return own + [_without_held(each) for each in train] if own or more else []
    held = [each.held_out for each in train if each.held_out and each.held_out.in_time]
    patterns = [pattern for each in held for pattern in each.exclude]
    own += [
        entry for folder in folders_of(bare) for entry in _folder(folder, pictures_below(folder, pictures), patterns)
    ]
    return own + [{"annotation": name} | ({"every": every} if every > 1 else {}) for name in videos]


def _folder(folder: str, names: Sequence[str], patterns: Sequence[str]) -> list[dict]:
    """The source of a folder of pictures; [] where all of them are held out."""
    out = fitting(patterns, names)
    if out and named_images(names, out["exclude"], "", "").all():
        return []
    return [{"annotation": folder, "format": "images"} | out]


def _without_held(labelled: Labelled) -> dict:
    held = labelled.held_out
    return labelled.entry | ({"exclude": list(held.exclude)} if held else {})


def fitting(patterns: Sequence[str], names: Sequence[str]) -> dict:
    """The patterns that leave out one of these files."""
    found = []
    for pattern in patterns:
        try:
            named_images(names, [pattern], "", "")
        except DataError:
            continue
        found.append(pattern)
    return {"exclude": found} if found else {}


def held_text(tests: Sequence[Labelled]) -> str:
    """How validation was chosen, for a comment."""
    rules = {each.held_out.rule for each in tests if each.held_out}
    if not tests:
        return "too few labelled pictures to spare any; the run keeps the last network"
    return f"held out: {'; '.join(sorted(rules))}" if rules else "its own validation set"


def pool_text(pool: Sequence[dict], facts: Facts) -> str:
    """What the pool is, for a comment."""
    if not pool:
        return "no other pictures are here: the pool is TRAIN_SET; name folders of pictures and videos here"
    return (
        "pictures without labels; held-out ones are left out of it" if facts.view != BOXES else "boxes without labels"
    )


def skeleton_text(skeleton: Skeleton) -> str:
    """Its keypoints, and which of them change places in a mirrored picture."""
    pairs = ", ".join(f"{first} - {second}" for first, second in skeleton.swaps) or "none"
    return f"{len(skeleton)} keypoints: {', '.join(skeleton.keypoints)}; left and right: {pairs}"


def summary(
    train: Sequence[Labelled], tests: Sequence[Labelled], facts: Facts, bare: int, videos: dict[str, int], grey: bool
) -> list[str]:
    """What was found, a line each."""
    lines = [str(each) for each in train]
    width, height = facts.size
    look = {FRAMES: "one in each picture, seen whole", BOXES: "seen in their boxes"}.get(facts.view)
    look = look or f"{facts.several} of {facts.pictures} pictures show several, and no boxes: bottom-up"
    lines.append(
        f"pictures of {width}x{height} in the median, {'grey' if grey else 'colour'}; an individual fills "
        f"{facts.fill:.0%} of the longer side; {look}"
    )
    frames = f"{len(videos)} video{'s' * (len(videos) != 1)} of {sum(videos.values())} frames"
    held = f"validation: {sum(len(named(each)) for each in tests)} pictures"
    if not tests:
        held = f"{facts.pictures} labelled pictures are too few: no validation, the last network is kept"
    return [*lines, f"learned: {facts.learned} individuals; {held}; without labels: {bare} pictures, {frames}"]


def named(labelled: Labelled) -> list[str]:
    """The validation pictures of a source."""
    if labelled.held_out is None:
        return labelled.paths
    fits = named_images(labelled.paths, labelled.held_out.only, "", "")
    return [path for path, is_held in zip(labelled.paths, fits) if is_held]
