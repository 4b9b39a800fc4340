"""Labelled frames and videos -> COCO files for few-label experiments: one held-out set, many labelled subsets."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.archives import is_archive
from semipose.data.formats.json_rows import load_json
from semipose.data.formats.lightning_pose import frames_as_persons, read_frames
from semipose.data.images import image_size, read_image
from semipose.data.json_file import write_json
from semipose.data.video_frames import near_frames, picture_distances, thumbnail, video_distances, write_frames
from semipose.errors import DataError, write_error
from semipose.skeletons import Skeleton
from semipose.structures import Persons

Entry = tuple[dict, list[dict]]  # COCO's image and annotations of one frame
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
    annotation: str,
    image_root: str,
    videos: Sequence[str],
    out: str,
    skeleton: Skeleton,
    options: SplitOptions,
    ignore_unknown: bool = False,
) -> dict[str, object]:
    """Writes `images/` once and, under `annotations/`, `val` and a labelled and an unlabelled set of each subset.

    `person_keypoints_labeled_n8_seed0.json` holds 8 frames. `person_keypoints_unlabeled_n8_seed0.json` holds all other
    labelled frames, with their annotations, so that pseudo-labels can be judged (training never reads them), and the
    video frames, without. Video frames that look the same as a held-out frame are in neither, and so are their
    neighbours in the video. `split.json` records the frames of every set. A later call may add subsets if its other
    options are the same.

    Args:
        annotation, image_root, skeleton, ignore_unknown: as for `read_lightning_pose`.
        videos: video files; their frames should have the size and the views of the labelled ones.
        out: folder to write into.

    Returns:
        What was done, by name: counts, and the distance of the nearest video frame to a held-out one.

    Raises:
        DataError: a file is missing or wrong, there are too few frames for the split, or `out` holds another one.
        SemiposeError: a file cannot be written; NoSpaceError where the disk or quota is full.
    """
    parts = read_frames(annotation, image_root, skeleton, ignore_unknown=ignore_unknown)
    folder = _common_folder([part.folder for part in parts])
    persons = _on_labeled_frames(frames_as_persons(parts))
    _check_stems(videos)
    held_out, pool, pictures = _hold_out(annotation, persons.image_paths, options)
    try:
        entries = _labeled_entries(persons, folder)
        earlier = _earlier_sets(out, options, videos, [entries[row][0]["file_name"] for row in held_out])
        _copy_images(persons, entries, out)
        frames, video_counts = _video_entries(videos, pictures[held_out], out, len(persons), options)
        sets = {"val": [entries[row] for row in held_out]} | _subsets(pool, entries, frames, options)
        # first, so that a call that is cut short leaves no set without its options on record
        _write_split(out, options, videos, earlier, sets)
        _write_sets(out, sets, skeleton)
    except OSError as error:
        raise write_error(error, error.filename2 or error.filename or out) from error
    counts = {"labelled frames": len(entries), "held out": len(held_out)}
    counts["other frames left out, same as a held-out one"] = len(entries) - len(held_out) - len(pool)
    return counts | video_counts | {name: len(members) for name, members in sets.items()}


def _common_folder(folders: list[str]) -> str:
    """The folder that all of the image folders are in; raises DataError for an archive."""
    for folder in filter(is_archive, folders):
        raise DataError(f"{folder}: the images to copy must be in a folder, not in a zip archive")
    return os.path.commonpath(list(map(os.path.abspath, folders)))


def _on_labeled_frames(persons: Persons) -> Persons:
    """The same persons, on the images that have one."""
    rows, image_index = np.unique(persons.image_index, return_inverse=True)
    paths, ids = persons.image_paths[rows], persons.image_ids[rows]
    return replace(persons, image_paths=paths, image_ids=ids, image_index=image_index.astype(np.int32))


def _hold_out(source: str, paths: np.ndarray, options: SplitOptions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames held out, frames to draw labels from, and (N, 64, 64) thumbnails of all N."""
    most = len(paths) - max(options.labels)
    if options.val > most:
        raise DataError(
            f"{source}: has {len(paths)} labelled frames, not enough for {max(options.labels)} labels and "
            f"{options.val} held-out frames"
        )
    order = np.random.default_rng(VAL_SEED).permutation(len(paths))
    held_out, others = np.sort(order[: options.val]), np.sort(order[options.val :])
    pictures = np.stack([thumbnail(read_image(path)) for path in paths.tolist()])
    pool = others[picture_distances(pictures[others], pictures[held_out]).min(axis=1) > options.same]
    if len(pool) < max(options.labels):
        raise DataError(
            f"{source}: only {len(pool)} labelled frames differ from all held-out ones, not enough for "
            f"{max(options.labels)} labels"
        )
    return held_out, pool, pictures


def _subsets(
    pool: np.ndarray, entries: list[Entry], frames: list[Entry], options: SplitOptions
) -> dict[str, list[Entry]]:
    """A labelled and an unlabelled set for each seed and label count."""
    sets = {}
    for seed in options.seeds:
        order = np.random.default_rng(seed).permutation(pool)
        for count in options.labels:
            chosen, others = np.sort(order[:count]), np.sort(order[count:])
            sets[f"labeled_n{count}_seed{seed}"] = [entries[row] for row in chosen]
            sets[f"unlabeled_n{count}_seed{seed}"] = [entries[row] for row in others] + frames
    return sets


def _labeled_entries(persons: Persons, folder: str) -> list[Entry]:
    entries = []
    for number, path in enumerate(persons.image_paths.tolist(), 1):
        name = os.path.relpath(os.path.abspath(path), folder).replace(os.sep, "/")
        entries.append((_image(number, name, image_size(path)), []))
    for row, number in enumerate(persons.image_index.tolist()):
        person = _person(row + 1, number + 1, persons.boxes[row].tolist(), float(persons.areas[row]))
        keypoints = persons.keypoints[row]
        person["keypoints"] = (keypoints * [1, 1, 2]).round(3).ravel().tolist()
        person["num_keypoints"] = int((keypoints[:, 2] > 0).sum())
        entries[number][1].append(person)
    return entries


def _copy_images(persons: Persons, entries: list[Entry], out: str) -> None:
    for path, (image, _) in zip(persons.image_paths.tolist(), entries):
        target = os.path.join(out, "images", image["file_name"])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with suppress(shutil.SameFileError):
            shutil.copyfile(path, target)


def _video_entries(
    videos: Sequence[str], held_out: np.ndarray, out: str, labeled: int, options: SplitOptions
) -> tuple[list[Entry], dict[str, object]]:
    """The video frames that join the pool, with ids above `labeled`, and the counts."""
    entries, total, left_out, lost, nearest, shown = [], 0, 0, 0, [], np.zeros(len(held_out), bool)
    for video in videos:
        distances = video_distances(video, held_out)
        wanted = np.arange(len(distances)) % options.every == 0
        near = near_frames((distances <= options.same).any(axis=1), options.guard)
        folder = f"videos/{_stem(video)}"
        frames = write_frames(video, wanted & ~near, os.path.join(out, "images", folder))
        first = labeled + len(entries) + 1
        entries += [_frame(first + n, f"{folder}/{name}", frames.size) for n, name in enumerate(frames.names)]
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


def _frame(number: int, name: str, size: tuple[int, int]) -> Entry:
    """A frame without labels, as a box of its own size."""
    width, height = size
    return _image(number, name, size), [_person(number, number, [0, 0, width, height], width * height)]


def _image(number: int, name: str, size: tuple[int, int]) -> dict:
    return {"id": number, "file_name": name, "width": int(size[0]), "height": int(size[1])}


def _person(number: int, image: int, box: list[float], area: float) -> dict:
    return {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box, "area": area}


def _write_sets(out: str, sets: dict[str, list[Entry]], skeleton: Skeleton) -> None:
    links = [[a + 1, b + 1] for a, b in skeleton.link_indices]
    category = {"id": 1, "name": skeleton.name, "keypoints": list(skeleton.keypoints), "skeleton": links}
    os.makedirs(os.path.join(out, "annotations"), exist_ok=True)
    for name, members in sets.items():
        images, people = [image for image, _ in members], [person for _, found in members for person in found]
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
