"""The start of a project: from what lies in a folder to a configuration file. `semipose init` is its command line."""

import os
from dataclasses import replace

import numpy as np
import yaml

from semipose.assemble.sources_and_sets import build_source, source_entries
from semipose.config.load import config_of_text
from semipose.data.exclude import named_images
from semipose.data.formats.layout import first_file_names, locate_coco
from semipose.data.formats.yolo_files import find_files
from semipose.data.source_format import guess_format
from semipose.data.sources import COCO_FILES, read_own, read_pool
from semipose.data.video_frames import header_frames, read_video
from semipose.errors import ConfigError, DataError, SemiposeError
from semipose.prepare.project.contents import Contents, LabelFile, look_at
from semipose.prepare.project.corrected import corrected_pictures, pictures_folder
from semipose.prepare.project.hold_out import LEAST, LEAST_OF_SOME, hold_out
from semipose.prepare.project.keypoints import Keypoints, keypoints_of
from semipose.prepare.project.labelled import Labelled
from semipose.prepare.project.measure import is_grey, lengths, picture_size, several, shown_twice
from semipose.prepare.project.plan import BOXES, FRAMES, Facts, Machine, every_frame
from semipose.prepare.project.sides import (
    held_text,
    pool_sources,
    pool_text,
    skeleton_text,
    summary,
    test_entry,
    train_entry,
)
from semipose.prepare.project.text import Project
from semipose.skeletons import SKELETONS, Skeleton
from semipose.skeletons.sides import find_sides

_FEW_BARE = 0.05  # as a share of the labelled pictures; fewer pictures without labels are no pool
_NEEDED = (
    "labels are needed: 10 to 20 pictures that differ are a start (of a video: ffmpeg -i VIDEO -vf fps=1 %06d.png). "
    "Set points in labelme, one for each keypoint with its name as label, save the files beside the pictures, and run "
    "this again; once a network is trained, semipose label chooses the next pictures and fills the points in"
)


def start_project(data: str, weights: str, machine: Machine) -> tuple[Project, list[str]]:
    """The project for a file or folder, and what was found, a line each.

    Args:
        weights: "imagenet", a file, or "" where none can be had.

    Raises:
        DataError: there are no labels, or they cannot be read.
    """
    contents = look_at(data)
    found, said = _read_all(contents)
    if not found:
        kinds = f"{len(contents.pictures)} pictures and {len(contents.videos)} videos"
        raise DataError(f"{data}: {kinds}, and no keypoint labels; {_NEEDED}")
    train, test, pool_files = _roles(found, said)
    skeleton, train, test = _skeleton(train, test, said)
    bare = _bare(contents, [*train, *test, *pool_files])
    frames = _frames(contents, said)
    if not test:
        enough = len(train) > 1 and sum(len(each.paths) for each in train) >= LEAST
        for each in train:
            least = LEAST_OF_SOME if enough else LEAST
            each.held_out = hold_out(each.paths, each.file.kind == "lightning_pose", least)
    facts = _facts(train, skeleton, len(bare) + sum(frames.values()))
    every = every_frame(sum(frames.values()), machine)
    pool = pool_sources(contents.pictures, frames, bare, facts, train, pool_files, every)
    own = [path for each in [*train, *test] for path in each.paths]
    hidden = _hidden(pool_files, train if facts.view == BOXES else [])
    size = max(facts.bare // every if facts.view != BOXES else 0, facts.individuals) + len(hidden)
    facts = replace(facts, pool=size)
    tests = test or [each for each in train if each.held_out]
    said += summary(train, tests, facts, len(bare) + len(hidden), frames, is_grey(own))
    mirrored = shown_twice(skeleton.keypoints) if facts.view == FRAMES and facts.learned >= 8 else []
    return Project(
        tuple(said), contents.root, skeleton, [train_entry(each, facts) for each in train], pool,
        [test_entry(each, facts) for each in tests], held_text(tests), pool_text(pool, facts), facts, machine, weights,
        mirrored, any(each.held_out is None or each.held_out.in_time for each in tests) or bool(frames),
    ), [*said, skeleton_text(skeleton)]  # fmt: skip


def _read_all(contents: Contents) -> tuple[list[Labelled], list[str]]:
    found, said = [], []
    faults = []
    for file in contents.labels:
        try:
            keypoints = keypoints_of(contents.root, file)
            read = _read(contents, file, keypoints) if keypoints else []
        except SemiposeError as fault:
            faults.append(fault)
            continue
        found += [each for each in read if len(each.persons)]
        said += [] if keypoints else [f"{file.annotation}: left out; it has no keypoints"]
        if keypoints and keypoints.left_out:
            said.append(f"{file.annotation}: left out the rare labels {', '.join(keypoints.left_out)}")
        if keypoints and keypoints.doubtful:
            doubtful = ", ".join(keypoints.doubtful)
            said.append(f"in one file only: {doubtful}; if it is a slip, correct it and make another file by --out")
    if faults and not found:
        raise faults[0]
    return found, said + [f"left out: {fault}" for fault in faults]


def _read(contents: Contents, file: LabelFile, keypoints: Keypoints) -> list[Labelled]:
    """The labels of a file; of a YOLO set also those of its validation images."""
    root = contents.root
    entry = {"annotation": file.annotation} | _format_of(root, file.annotation, keypoints.format)
    entry |= _images_of(contents, file) if keypoints.format in COCO_FILES else {}
    entry |= _labelme_images(os.path.join(root, file.annotation), root) if file.kind == "labelme" else {}
    entry |= {"ignore_unknown": True} if keypoints.left_out else {}
    files = [(file, entry)]
    if file.kind == "yolo" and _has_validation(os.path.join(root, file.annotation), root):
        files.append((replace(file, role="validation", split="val"), entry | {"split": "val"}))
    found = [_labelled(root, own, keypoints, keys) for own, keys in files]
    if file.kind == "labelme" and not any(map(os.path.isfile, found[0].paths)):
        folder = os.path.normpath(os.path.join(root, file.annotation))
        raise DataError(f"{folder}: no picture that its labelme files name is there; name a folder that has both")
    return found


def _images_of(contents: Contents, file: LabelFile) -> dict:
    """The key `images` where a COCO file does not lie as usual, and its pictures are in another folder."""
    try:
        locate_coco(contents.root, file.annotation)
        return {}
    except DataError:
        names = [f"/{name}" for name in first_file_names(os.path.join(contents.root, file.annotation))]
    beside = os.path.dirname(file.annotation)
    for picture in (f"/{name}" for name in sorted(contents.pictures, key=lambda name: not name.startswith(beside))):
        found = next((name for name in names if picture.endswith(name)), "")
        if found:
            return {"images": picture[1:].removesuffix(found[1:]).rstrip("/") or "."}
    return {}


def _labelme_images(folder: str, root: str) -> dict:
    """The key `images` where the pictures of labelme files lie in another folder below the root."""
    images = pictures_folder(folder, corrected_pictures(folder)[0], root)
    return {"images": images} if images and not images.startswith("..") else {}


def _has_validation(path: str, root: str) -> bool:
    """Whether a YOLO set names other images to validate on than to train on."""
    try:
        return find_files(path, "val", "", root).images != find_files(path, "train", "", root).images
    except (DataError, ConfigError):
        return False


def _format_of(root: str, annotation: str, kind: str) -> dict:
    """The key `format` where it is not seen from the path."""
    try:
        return {} if guess_format(root, annotation, False) == kind else {"format": kind}
    except DataError:
        return {"format": kind}


def _labelled(root: str, file: LabelFile, keypoints: Keypoints, entry: dict) -> Labelled:
    data = {"ROOT": root, "SKELETON": _plain(own_skeleton(keypoints)), "TRAIN_SET": [entry]}
    config = config_of_text(yaml.safe_dump({"DATASET": data}), "semipose init")
    source = build_source(config, source_entries(config, "TRAIN_SET")[0])
    persons = read_own(source)
    covered = set()
    if source.format in COCO_FILES:
        everyone = read_pool(source, source.skeleton)
        covered = {os.path.normpath(everyone.path(row)) for row in range(len(everyone))}
    return Labelled(file, keypoints, entry, persons.take(persons.keypoints[..., 2].any(axis=1)), covered)


def own_skeleton(keypoints: Keypoints) -> Skeleton:
    """The skeleton that labels have: the catalogue's, or their names, pairs and links."""
    if keypoints.skeleton:
        return SKELETONS[keypoints.skeleton]
    sides = find_sides(keypoints.names)
    swaps = sides.pairs if keypoints.swaps is None else keypoints.swaps
    mirrors = keypoints.swaps is not None or not sides.unclear
    sigmas = (0.05,) * len(keypoints.names)
    return Skeleton("own", keypoints.names, sigmas, swaps if mirrors else (), keypoints.links, mirrors=mirrors)


def _plain(skeleton: Skeleton) -> str | dict:
    """As a configuration has it."""
    if SKELETONS.get(skeleton.name) == skeleton:
        return skeleton.name
    content = {"keypoints": list(skeleton.keypoints), "sigmas": 0.05, "links": [list(pair) for pair in skeleton.links]}
    return content | ({"swaps": [list(pair) for pair in skeleton.swaps]} if skeleton.mirrors else {})


def _roles(found: list[Labelled], said: list[str]) -> tuple[list[Labelled], list[Labelled], list[Labelled]]:
    """What is learned, validated on, and pool. Of files that label the same pictures the largest one counts."""
    pool = [each for each in found if each.file.role == "unlabelled"]
    train = [each for each in found if each.file.role == "labelled"] or [
        e for e in found if e.file.role == "validation"
    ]
    test = [each for each in found if each.file.role == "validation" and each not in train]
    kept, taken = [], {}
    for each in sorted(train, key=lambda each: -each.points):
        twice = [taken[path] for path in each.paths if path in taken]
        if twice:
            said.append(f"{each.file.annotation}: left out; {len(twice)} of its pictures are labelled in {twice[0]}")
            continue
        kept.append(each)
        taken |= dict.fromkeys(each.paths, each.file.annotation)
    clear = [each for each in test if not taken.keys() & set(each.paths)]
    said += [f"{each.file.annotation}: left out; its pictures are also learned" for each in test if each not in clear]
    return kept, clear, [each for each in pool if not taken.keys() & set(each.paths)]


def _skeleton(
    train: list[Labelled], test: list[Labelled], said: list[str]
) -> tuple[Skeleton, list[Labelled], list[Labelled]]:
    """The skeleton with most labelled points, and the sources that share keypoints with it."""
    counts: dict[tuple, int] = {}
    for each in train:
        counts[each.keypoints.names] = counts.get(each.keypoints.names, 0) + each.points
    names = max(counts, key=counts.get)
    same = [each.keypoints for each in train if each.keypoints.names == names]
    skeleton = own_skeleton(max(same, key=lambda keypoints: len(keypoints.links)))
    fitting = []
    for each in [*train, *test]:
        if not set(each.keypoints.names) & set(names):
            said.append(f"{each.file.annotation}: left out; it has none of the keypoints {', '.join(names[:5])}, ...")
            continue
        if each.keypoints.names != names and each.entry.get("format", each.file.kind) != each.keypoints.skeleton:
            own = _plain(own_skeleton(each.keypoints))
            text = own if isinstance(own, str) else yaml.safe_dump(own, default_flow_style=True, width=2**31).strip()
            each.entry["skeleton"] = text
        fitting.append(each)
    return skeleton, [each for each in train if each in fitting], [each for each in test if each in fitting]


def _bare(contents: Contents, labelled: list[Labelled]) -> list[str]:
    """Pictures in which nobody is labelled or has a box; none if they are few."""
    known = {path for each in labelled for path in (*each.paths, *each.covered)}
    bare = [name for name in contents.pictures if os.path.normpath(os.path.join(contents.root, name)) not in known]
    return bare if len(bare) > _FEW_BARE * len(known) else []


def _frames(contents: Contents, said: list[str]) -> dict[str, int]:
    """How many frames each video has; one that cannot be read is left out."""
    frames = {}
    for name in contents.videos:
        path = os.path.join(contents.root, name)
        try:
            next(read_video(path))
            frames[name] = header_frames(path)
        except DataError as fault:
            said.append(f"left out: {fault}")
    return frames


def _hidden(pool: list[Labelled], train: list[Labelled]) -> set[str]:
    """Pictures of the files whose labels are kept hidden, and those of labelled files that have boxes only."""
    own = {path for each in pool for path in (*each.paths, *each.covered)}
    return own.union(*(each.covered.difference(each.paths) for each in train))


def _facts(train: list[Labelled], skeleton: Skeleton, bare: int) -> Facts:
    paths = [path for each in train for path in each.paths]
    size = picture_size([each.persons for each in train])
    long = np.concatenate([lengths(each.persons, each.keypoints.own_boxes) for each in train])
    return Facts(
        pictures=len(paths), individuals=len(long), points=sum(each.points for each in train),
        learned=sum(map(_learned, train)), several=sum(several(each.persons) for each in train), size=size,
        fill=float(min(1, np.median(long) / max(size))), longest=float(np.median(long)),
        own_boxes=all(each.keypoints.own_boxes for each in train), bare=bare, pool=0,
        pairs=skeleton.mirrors and bool(skeleton.swaps),
    )  # fmt: skip


def _learned(labelled: Labelled) -> int:
    if labelled.held_out is None:
        return len(labelled.persons)
    persons = labelled.persons
    out = named_images(persons.image_paths, labelled.held_out.exclude, "", "")
    return int((~out[persons.image_index]).sum())
