"""Leeds Sports Pose and its extension (Johnson and Everingham, BMVC 2010, CVPR 2011) to COCO keypoint files."""

import os
import re
import shutil

import numpy as np

from semipose.data.archives import is_archive, join_images, member_names
from semipose.data.formats.mat_file import load_mat
from semipose.data.images import image_size
from semipose.data.json_file import write_json
from semipose.data.scenes import scene_groups
from semipose.errors import DataError, write_error
from semipose.geometry.boxes import clip_boxes, keypoint_boxes
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons

_SKELETON = get_skeleton("lsp")
_MIN_JOINTS = 4  # fewer do not show how large a person is
_IMAGE_NAME = re.compile(r"im(\d+)\.(?:jpg|png)", re.IGNORECASE)
_SETS = ("train", "unlabeled", "val")


def read_joints(mat_file: str) -> np.ndarray:
    """Joints of a `joints.mat` of either set.

    In the extended set (14 x 3 x N) the third value is 1 for an annotated joint; the others hold no position and get
    v 0. In the first set (3 x 14 x N) every joint has a position and the third value marks occluded ones, which get
    v 1.

    Returns:
        (N, 14, 3) float64, x, y in image pixels and COCO's v: 0 not labelled, 1 occluded, 2 visible.

    Raises:
        DataError: naming the file and what is wrong.
    """
    joints = load_mat(mat_file, "joints").get("joints")
    if joints is None or joints.dtype.kind not in "iuf":
        raise DataError(f"{mat_file}: has no numeric variable 'joints'")
    if joints.ndim == 2:  # MATLAB drops a last dimension of 1
        joints = joints[:, :, None]
    if joints.shape[:2] not in ((14, 3), (3, 14)) or joints.ndim != 3:
        raise DataError(f"{mat_file}: joints must be 14 x 3 x N or 3 x 14 x N, found {joints.shape}")
    extended = joints.shape[0] == 14
    joints = joints.transpose((2, 0, 1) if extended else (2, 1, 0)).astype(np.float64)
    flags = joints[:, :, 2]
    known = np.isfinite(joints).all(axis=2)
    joints[:, :, 2] = np.where(known, 2 * (flags == 1) if extended else 2 - (flags == 1), 0)
    return joints


def read_lsp(mat_file: str, image_dir: str, skeleton: Skeleton, padding: float = 0.1) -> Persons:
    """One person for each image that has at least 4 labelled joints inside it, in the order of the image numbers.

    Args:
        mat_file: `joints.mat` of either set.
        image_dir: folder or zip archive with im00001.jpg ...; image n belongs to row n of the joints.
        skeleton: must have the 14 keypoints of LSP in their order.
        padding: margin of the box around the labelled joints, in parts of its longer side.

    Raises:
        DataError: a file is missing or wrong, or no person is left.
    """
    if skeleton.keypoints != _SKELETON.keypoints:
        raise DataError(f"{mat_file}: skeleton {skeleton.name!r} has not the 14 keypoints of LSP in their order")
    entries, _ = _entries(image_dir, read_joints(mat_file), padding)
    if not entries:
        raise DataError(f"{mat_file}: no person has {_MIN_JOINTS} labelled joints inside its image")
    ids = np.array([image["id"] for image, _ in entries], np.int64)
    people = [person for _, person in entries]
    keypoints = np.array([person["keypoints"] for person in people], np.float32).reshape(len(ids), -1, 3)
    keypoints[:, :, 2] = np.minimum(keypoints[:, :, 2], 1)
    return Persons(
        image_paths=np.array(join_images(image_dir, [image["file_name"] for image, _ in entries]), str),
        image_ids=ids,
        image_index=np.arange(len(ids), dtype=np.int32),
        ids=ids,
        boxes=np.array([person["bbox"] for person in people], np.float32),
        keypoints=keypoints,
        areas=np.array([person["area"] for person in people], np.float32),
        scores=np.ones(len(ids), np.float32),
    )


def convert_lsp(
    root: str, out: str, train_len: int, val_len: int, seed: int = 0, padding: float = 0.1, copy: bool = False
) -> dict[str, int]:
    """Writes three COCO keypoint files: `train` and `val` of the given lengths, all other persons `unlabeled`.

    Pictures of one scene (`data.scenes`) are never on both sides of validation: the seed shuffles the scenes, and
    whole ones fill `val`. The other pictures are shuffled one by one; the first are `train`. So `val` of a seed is the
    same for every `train_len`, a smaller `train` is part of a larger one, and a label may have neighbours in
    `unlabeled`, as in a pool that was taken together with what was labelled. For all labels train on both: TRAIN_SET
    [train, unlabeled].

    The unlabelled file keeps its annotations, to judge pseudo-labels by; training never reads them. `split.json`
    records the seed, the image files of each set, the number of `scenes`, and those of more than one picture as
    `bursts`.

    Args:
        root: folder with `joints.mat` and `images/im00001.jpg` ...; image n belongs to row n of the joints.
        out: folder to write `annotations/`, `images` and `split.json` into.
        train_len: persons in `train`.
        val_len: persons in `val`.
        seed: seed of the permutations.
        padding: margin of the box around the labelled joints, in parts of its longer side.
        copy: copy the images instead of linking to their folder.

    Returns:
        Number of persons in each set, under `dropped` those with fewer than 4 labelled joints, and the number of
        `scenes`, of `bursts`, and of pictures in the `largest` one.

    Raises:
        DataError: a file is missing or wrong, or there are too few persons for the split.
        SemiposeError: a file cannot be written; NoSpaceError where the disk or quota is full.
    """
    if not 0 <= padding <= 10:
        raise DataError(f"padding is {padding}; allowed: 0 to 10")
    images = os.path.join(root, "images")
    joints = read_joints(os.path.join(root, "joints.mat"))
    entries, dropped = _entries(images, joints, padding)
    if train_len < 1 or val_len < 1 or train_len + val_len > len(entries):
        raise DataError(f"{root}: has {len(entries)} persons, not enough for train {train_len} and val {val_len}")
    names = [image["file_name"] for image, _ in entries]
    scenes = scene_groups(join_images(images, names))
    held_out = _whole_scenes(scenes, val_len, np.random.default_rng(seed))
    if held_out.sum() < val_len:
        raise DataError(f"{root}: its scenes are too large to divide: {held_out.sum()} persons for val {val_len}")
    order = np.random.default_rng(seed).permutation(len(entries))
    rest = order[~held_out[order]]
    parts = {"train": rest[:train_len], "unlabeled": rest[train_len:], "val": order[held_out[order]]}
    bursts = [np.flatnonzero(scenes == scene) for scene in np.flatnonzero(np.bincount(scenes) > 1)]
    record = {"seed": seed, "scenes": int(scenes.max()) + 1}
    record["bursts"] = [[names[row] for row in rows] for rows in bursts]
    try:
        _link_images(images, os.path.join(out, "images"), copy)
        _write_sets(out, {name: [entries[row] for row in parts[name]] for name in _SETS}, record)
    except OSError as error:
        raise write_error(error, error.filename2 or error.filename or out) from error
    sizes = {"scenes": record["scenes"], "bursts": len(bursts), "largest": int(np.bincount(scenes).max())}
    return {name: len(parts[name]) for name in _SETS} | {"dropped": dropped} | sizes


def _whole_scenes(scenes: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(N,) bool: the rows of shuffled scenes (N,) that fill `count` places; one that has no room is passed over."""
    sizes, left, chosen = np.bincount(scenes), count, []
    for scene in random.permutation(len(sizes)).tolist():
        if sizes[scene] <= left:
            chosen.append(scene)
            left -= sizes[scene]
    return np.isin(scenes, chosen)


def _entries(image_dir: str, joints: np.ndarray, padding: float) -> tuple[list[tuple[dict, dict]], int]:
    """COCO's image and annotation of each person, and how many persons had too few joints."""
    entries, dropped = [], 0
    numbered = _numbered_images(image_dir)
    for (number, name), path in zip(numbered, join_images(image_dir, [name for _, name in numbered])):
        if not 1 <= number <= len(joints):
            raise DataError(f"{image_dir}/{name}: there are joints for images 1 to {len(joints)} only")
        width, height = image_size(path)
        person = _annotation(number, joints[number - 1], (width, height), padding)
        if person is None:
            dropped += 1
            continue
        entries.append(({"id": number, "file_name": name, "width": width, "height": height}, person))
    return entries, dropped


def _numbered_images(image_dir: str) -> list[tuple[int, str]]:
    if not os.path.isdir(image_dir) and not is_archive(image_dir):
        raise DataError(f"{image_dir}: image folder does not exist")
    names = member_names(image_dir, below_top=True) if is_archive(image_dir) else os.listdir(image_dir)
    matches = [match for match in map(_IMAGE_NAME.fullmatch, names) if match]
    if not matches:
        raise DataError(f"{image_dir}: has no image named like im00001.jpg")
    return sorted((int(match.group(1)), match.group()) for match in matches)


def _annotation(number: int, joints: np.ndarray, size: tuple[int, int], padding: float) -> dict | None:
    """COCO annotation of one person; None if it has too few labelled joints inside the image."""
    inside = ((joints[:, :2] >= 0) & (joints[:, :2] <= np.array(size) - 1)).all(axis=1)
    joints = np.where((inside & (joints[:, 2] > 0))[:, None], joints, 0)
    labelled = joints[joints[:, 2] > 0, :2]
    if len(labelled) < _MIN_JOINTS:
        return None
    ((x, y, width, height),) = clip_boxes(keypoint_boxes(joints[None], padding), np.array([size]))
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": np.round([x, y, width, height], 2).tolist(),
        "area": round(max(1.0, 0.53 * float(width * height)), 2),
        "keypoints": np.round(joints, 2).ravel().tolist(),
        "num_keypoints": len(labelled),
    }


def _document(entries: list[tuple[dict, dict]]) -> dict:
    links = [[a + 1, b + 1] for a, b in _SKELETON.link_indices]
    category = {"id": 1, "name": "person", "keypoints": list(_SKELETON.keypoints), "skeleton": links}
    images, annotations = [image for image, _ in entries], [person for _, person in entries]
    return {"images": images, "annotations": annotations, "categories": [category]}


def _write_sets(out: str, sets: dict[str, list[tuple[dict, dict]]], record: dict) -> None:
    os.makedirs(os.path.join(out, "annotations"), exist_ok=True)
    for name, entries in sets.items():
        write_json(os.path.join(out, "annotations", f"person_keypoints_{name}.json"), _document(entries))
    names = {name: [image["file_name"] for image, _ in entries] for name, entries in sets.items()}
    write_json(os.path.join(out, "split.json"), record | names)


def _link_images(source: str, target: str, copy: bool) -> None:
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    if os.path.lexists(target):
        if os.path.isdir(target) and (os.path.samefile(source, target) or _same_names(source, target)):
            return
        raise DataError(f"{target}: exists and does not hold the images of {source}; remove it or choose another --out")
    if not copy:
        try:
            os.symlink(os.path.realpath(source), target, target_is_directory=True)
            return
        except (OSError, NotImplementedError):
            pass  # a file system without links: copy
    _copy_images(source, target)


def _same_names(source: str, target: str) -> bool:
    return _image_names(source) == _image_names(target)


def _image_names(folder: str) -> list[str]:
    return sorted(filter(_IMAGE_NAME.fullmatch, os.listdir(folder)))


def _copy_images(source: str, target: str) -> None:
    """Copies under another name first, so that a copy that was cut short is never taken for the images."""
    temporary = f"{target}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        os.mkdir(temporary)
        for name in _image_names(source):  # copytree would go on after an error and lose its number
            shutil.copy2(os.path.join(source, name), temporary)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
