"""Labelled frames and videos -> COCO files for few-label experiments: one held-out set, many labelled subsets."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from semipose.data.archives import is_archive
from semipose.data.formats.json_rows import load_json
from semipose.data.formats.lightning_pose import read_lightning_pose
from semipose.data.images import read_image
from semipose.data.json_file import write_json
from semipose.data.video_frames import near_frames, picture_distances, thumbnail, video_distances, write_frames
from semipose.errors import DataError, write_error
from semipose.skeletons import Skeleton
from semipose.structures import Persons

VAL_SEED = 2024  # fixed, so that every label count and seed is judged on the same frames


@dataclass(frozen=True)
class SplitOptions:
    """Which frames go where.

    Attributes:
        labels: label counts; the larger subsets of a seed contain the smaller ones.
        seeds: seeds of the labelled subsets.
        val: held-out frames.
        every: every so many-th video frame joins the unlabelled pool.
        guard: video frames so near to one that shows a held-out frame are left out, as is that one.
        same: mean grey difference (levels of 255, pictures reduced to 64x64) up to which two pictures show the same.
    """

    labels: tuple[int, ...] = (8,)
    seeds: tuple[int, ...] = (0,)
    val: int = 40
    every: int = 2
    guard: int = 5
    same: float = 3.0

    def __post_init__(self):
        smallest = {"labels": 1, "seeds": 0, "val": 1, "every": 1, "guard": 0, "same": 0}
        for name, limit in smallest.items():
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            if not values or any(not number >= limit for number in values):
                raise DataError(f"{name} is {value}; allowed: {limit} or more")


def convert_lightning_pose(
    csv_file: str, image_root: str, videos: Sequence[str], out: str, skeleton: Skeleton, options: SplitOptions
) -> dict[str, object]:
    """Writes `images/` once and, under `annotations/`, `val` and a labelled and an unlabelled set of each subset.

    `person_keypoints_labeled_n8_seed0.json` holds 8 frames. `person_keypoints_unlabeled_n8_seed0.json` holds all other
    labelled frames, with their annotations, so that pseudo-labels can be judged (training never reads them), and the
    video frames, without. Video frames that look the same as a held-out frame are in neither, and so are their
    neighbours in the video. `split.json` records the frames of every set. A later call may add subsets if its other
    options are the same.

    Args:
        csv_file, image_root, skeleton: as for `read_lightning_pose`.
        videos: video files; their frames should have the size and the views of the labelled ones.
        out: folder to write into.

    Returns:
        What was done, by name: counts, and the distance of the nearest video frame to a held-out one.

    Raises:
        DataError: a file is missing or wrong, there are too few frames for the split, or `out` holds another one.
        SemiposeError: a file cannot be written; NoSpaceError where the disk or quota is full.
    """
    if is_archive(image_root):
        raise DataError(f"{image_root}: the images to copy must be in a folder, not in a zip archive")
    persons = read_lightning_pose(csv_file, image_root, skeleton)
    _check_stems(videos)
    held_out, pool, pictures = _hold_out(csv_file, persons, options)
    try:
        entries = _labeled_entries(persons, image_root)
        earlier = _earlier_sets(out, options, videos, [entries[row][0]["file_name"] for row in held_out])
        _copy_images(persons, entries, out)
        frames, video_counts = _video_entries(videos, pictures[held_out], out, len(persons), options)
        sets = {"val": [entries[row] for row in held_out]} | _subsets(pool, entries, frames, options)
        # first, so that a call that is cut short leaves no set without its options on record
        _write_split(out, options, videos, earlier, sets)
        _write_sets(out, sets, skeleton)
    except OSError as error:
        raise write_error(error, error.filename2 or error.filename or out) from error
    counts = {"labelled frames": len(persons), "held out": len(held_out)}
    counts["other frames left out, same as a held-out one"] = len(persons) - len(held_out) - len(pool)
    return counts | video_counts | {name: len(members) for name, members in sets.items()}


def _hold_out(source: str, persons: Persons, options: SplitOptions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows held out, rows to draw labels from, and (N, 64, 64) thumbnails of all."""
    most = len(persons) - max(options.labels)
    if options.val > most:
        raise DataError(
            f"{source}: has {len(persons)} labelled frames, not enough for {max(options.labels)} labels and "
            f"{options.val} held-out frames"
        )
    order = np.random.default_rng(VAL_SEED).permutation(len(persons))
    held_out, others = np.sort(order[: options.val]), np.sort(order[options.val :])
    pictures = np.stack([thumbnail(read_image(persons.path(row))) for row in range(len(persons))])
    pool = others[picture_distances(pictures[others], pictures[held_out]).min(axis=1) > options.same]
    if len(pool) < max(options.labels):
        raise DataError(
            f"{source}: only {len(pool)} labelled frames differ from all held-out ones, not enough for "
            f"{max(options.labels)} labels"
        )
    return held_out, pool, pictures


def _subsets(
    pool: np.ndarray, entries: list[tuple[dict, dict]], frames: list[tuple[dict, dict]], options: SplitOptions
) -> dict[str, list[tuple[dict, dict]]]:
    """A labelled and an unlabelled set for each seed and label count."""
    sets = {}
    for seed in options.seeds:
        order = np.random.default_rng(seed).permutation(pool)
        for count in options.labels:
            chosen, others = np.sort(order[:count]), np.sort(order[count:])
            sets[f"labeled_n{count}_seed{seed}"] = [entries[row] for row in chosen]
            sets[f"unlabeled_n{count}_seed{seed}"] = [entries[row] for row in others] + frames
    return sets


def _labeled_entries(persons: Persons, image_root: str) -> list[tuple[dict, dict]]:
    """COCO's image and annotation of each labelled frame."""
    entries = []
    for row in range(len(persons)):
        name = os.path.relpath(persons.path(row), image_root).replace(os.sep, "/")
        size = tuple(int(side) for side in persons.boxes[row, 2:])
        entries.append(_entry(row + 1, name, size, persons.keypoints[row]))
    return entries


def _copy_images(persons: Persons, entries: list[tuple[dict, dict]], out: str) -> None:
    for row, (image, _) in enumerate(entries):
        target = os.path.join(out, "images", image["file_name"])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with suppress(shutil.SameFileError):
            shutil.copyfile(persons.path(row), target)


def _video_entries(
    videos: Sequence[str], held_out: np.ndarray, out: str, labeled: int, options: SplitOptions
) -> tuple[list[tuple[dict, dict]], dict[str, object]]:
    """COCO's image and annotation of the video frames that join the pool, and the counts."""
    entries, total, left_out, lost, nearest, shown = [], 0, 0, 0, [], np.zeros(len(held_out), bool)
    for video in videos:
        distances = video_distances(video, held_out)
        wanted = np.arange(len(distances)) % options.every == 0
        near = near_frames((distances <= options.same).any(axis=1), options.guard)
        folder = f"videos/{_stem(video)}"
        frames = write_frames(video, wanted & ~near, os.path.join(out, "images", folder))
        entries += [
            _entry(labeled + len(entries) + number, f"{folder}/{name}", frames.size, None)
            for number, name in enumerate(frames.names, 1)
        ]
        lost += frames.total - frames.read
        total, left_out = total + len(distances), left_out + int((wanted & near).sum())
        shown |= (distances <= options.same).any(axis=0)
        nearest.append(distances.min())
    counts = {"video frames": total, "in the pool": len(entries), "left out near a held-out one": left_out}
    counts["held-out frames that a video shows"] = int(shown.sum())
    if lost:
        counts["video frames that are damaged or missing"] = lost
    if nearest:
        counts["nearest video frame to a held-out one (grey levels of 255)"] = round(float(min(nearest)), 1)
    return entries, counts


def _check_stems(videos: Sequence[str]) -> None:
    stems = [_stem(video) for video in videos]
    for number, stem in enumerate(stems):
        if stem in stems[:number]:
            raise DataError(f"{videos[number]}: another video is named {stem!a} too; their frames need different names")


def _stem(video: str) -> str:
    return os.path.splitext(os.path.basename(video))[0]


def _entry(number: int, name: str, size: tuple[int, int], keypoints: np.ndarray | None) -> tuple[dict, dict]:
    """COCO's image and annotation of a frame, with the whole frame as box; without keypoints if there are none."""
    width, height = size
    image = {"id": number, "file_name": name, "width": width, "height": height}
    person = {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, width, height]}
    person["area"] = width * height
    if keypoints is not None:
        person["keypoints"] = (keypoints * [1, 1, 2]).round(3).ravel().tolist()
        person["num_keypoints"] = int((keypoints[:, 2] > 0).sum())
    return image, person


def _write_sets(out: str, sets: dict[str, list[tuple[dict, dict]]], skeleton: Skeleton) -> None:
    links = [[a + 1, b + 1] for a, b in skeleton.link_indices]
    category = {"id": 1, "name": skeleton.name, "keypoints": list(skeleton.keypoints), "skeleton": links}
    os.makedirs(os.path.join(out, "annotations"), exist_ok=True)
    for name, members in sets.items():
        images, people = [image for image, _ in members], [person for _, person in members]
        document = {"images": images, "annotations": people, "categories": [category]}
        write_json(os.path.join(out, "annotations", f"person_keypoints_{name}.json"), document)


def _record(options: SplitOptions, videos: Sequence[str]) -> dict:
    """What all subsets of a folder share, besides the held-out frames."""
    shared = {name: getattr(options, name) for name in ("val", "every", "guard", "same")}
    return shared | {"val_seed": VAL_SEED, "videos": sorted(map(_stem, videos))}


def _earlier_sets(out: str, options: SplitOptions, videos: Sequence[str], held_out: list[str]) -> dict[str, list[str]]:
    """The sets of an earlier call; raises DataError for those of another split, which could hold held-out frames."""
    path = os.path.join(out, "split.json")
    if not os.path.exists(path):
        return {}
    earlier = load_json(path)
    sets = earlier.get("sets") if isinstance(earlier, dict) else None
    if not isinstance(sets, dict) or earlier.get("options") != _record(options, videos) or sets.get("val") != held_out:
        raise DataError(f"{path}: is of another split (frames or options); remove its folder or choose another --out")
    return sets


def _write_split(out: str, options: SplitOptions, videos: Sequence[str], earlier: dict, sets: dict) -> None:
    names = {name: [image["file_name"] for image, _ in members] for name, members in sets.items()}
    write_json(os.path.join(out, "split.json"), {"options": _record(options, videos), "sets": earlier | names})
