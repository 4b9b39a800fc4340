"""Drawn people: pictures of an articulated, front-facing person whose 17 COCO joints are known, as COCO folders."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from semipose.errors import ConfigError, DataError
from semipose.prepare import drawn_scene as scene
from semipose.skeletons import get_skeleton

COCO = get_skeleton("coco")
GENERATOR = "semipose drawn people 2"  # raise the number when the pictures change
SETS = ("labeled", "unlabeled", "val")

# Lengths of bones and half widths, in units of about a person's height
_PROPORTIONS = {
    "spine": 0.30, "shoulder": 0.135, "hip": 0.085, "neck": 0.04, "head": 0.14,
    "upper arm": 0.165, "forearm": 0.15, "thigh": 0.215, "shin": 0.21,
}  # fmt: skip
_LIMBS = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle")}
_BONES = {"arm": ("upper arm", "forearm"), "leg": ("thigh", "shin")}
_RADII = {"arm": (0.052, 0.046, 0.040), "leg": (0.076, 0.061, 0.050)}
_SIDES = {"left": 1, "right": -1}  # the person faces us: its left is on the right of the picture
# Azimuth in degrees and height in half heads, as on a cylinder
_FACE = {
    "nose": (0, 0.15), "left_eye": (27, -0.18), "right_eye": (-27, -0.18), "left_ear": (88, 0), "right_ear": (-88, 0),
}  # fmt: skip


@dataclass(frozen=True)
class DrawnPerson:
    """A picture of one person.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        keypoints: (17, 3) float64 COCO joints: x, y in pixels and COCO's v: 2 seen, 1 hidden by an occluder or by
            another part of the body, 0 (with x = y = 0) outside the picture.
        bbox: (4,) float64 x, y, width, height around the whole figure, cut to the picture.
        area: square pixels that the figure covers, hidden ones included.
    """

    image: np.ndarray
    keypoints: np.ndarray
    bbox: np.ndarray
    area: float


def _limb_angles(rng: np.random.Generator, limb: str) -> tuple[float, float]:
    """Directions of the two bones, in degrees away from the body; 0 = hanging down."""
    if limb == "arm":
        upper = rng.normal(20, 15) if rng.uniform() < 0.3 else rng.uniform(-15, 170)
        return upper, upper + np.clip(rng.normal(5, 55), -130, 130)
    if rng.uniform() < 0.25:
        upper = rng.uniform(25, 90)
        return upper, upper - rng.uniform(0, 115)
    upper = np.clip(rng.normal(10, 16), -15, 55)
    return upper, upper + np.clip(rng.normal(-6, 22), -70, 45)


def _add_limb(rng: np.random.Generator, figure: scene.Figure, side: str, limb: str, lengths: dict, wear: dict) -> None:
    """Paint a limb from the shoulder or hip outwards: two tapered capsules and a hand or shoe."""
    names = [f"{side}_{joint}" for joint in _LIMBS[limb]]
    for start, end, bone, angle in zip(names, names[1:], _BONES[limb], _limb_angles(rng, limb)):
        foreshortened = lengths[bone] * (1 - 0.5 * rng.beta(1, 3.5))
        figure.joints[end] = figure.joints[start] + foreshortened * scene.direction(_SIDES[side] * angle)
    part, points = f"{side} {limb}", [figure.joints[n] for n in names]
    radii = [wear["stout"] * r for r in _RADII[limb]]
    upper, lower, tip = wear[limb]
    shade = rng.uniform(0.75, 1.2)
    reach = (points[2] - points[1]) / np.linalg.norm(points[2] - points[1])
    toe = points[2] + (0.035 * reach if limb == "arm" else 0.02 * reach + [0.035 * _SIDES[side], 0.01])
    figure.add(part, scene.hull([points[2], toe], [0.95 * radii[2], 1.05 * radii[2]]), shade * tip)
    figure.add(part, scene.hull(points[1:], radii[1:]), shade * lower)
    figure.add(part, scene.hull(points[:2], radii[:2]), 0.97 * shade * upper)


def _add_head(figure: scene.Figure, centre: np.ndarray, axes: np.ndarray, yaw: float, wear: dict) -> set[str]:
    """Paint hair, ears and face, turned by `yaw` degrees; returns the joints on the side that is turned away."""
    right, down = 0.74 * axes[0], axes[1]
    skin, hair, joints = wear["skin"], wear["hair"], figure.joints
    for name, (azimuth, height) in _FACE.items():
        joints[name] = centre + np.sin(np.radians(azimuth + yaw)) * right + height * down
    turned = np.sin(np.radians(yaw)) * right
    figure.add("head", scene.ellipse(centre - 0.12 * down, 1.12 * right, 1.02 * down), hair)
    if wear["long hair"]:
        figure.add("head", scene.ellipse(centre + 0.35 * down, 1.2 * right, 0.95 * down), 0.9 * hair)
    figure.add("head", scene.ellipse(centre + 0.08 * down, right, 0.92 * down), skin)
    for side in _SIDES:
        figure.add("head", scene.ellipse(joints[f"{side}_ear"], 0.2 * right, 0.28 * down), 0.82 * skin)
    figure.add("head", scene.ellipse(centre - 0.62 * down + 0.3 * turned, 0.85 * right, 0.38 * down), hair)
    for eye in (joints[f"{side}_eye"] for side in _SIDES):
        figure.add("head", scene.ellipse(eye, 0.24 * right, 0.15 * down), np.full(3, 240.0))
        figure.add("head", scene.ellipse(eye, 0.13 * right, 0.14 * down), wear["iris"])
    figure.add("head", scene.ellipse(joints["nose"], 0.12 * right, 0.17 * down), 0.68 * skin)
    lips = scene.ellipse(centre + 0.55 * down + 0.8 * turned, 0.3 * right, 0.08 * down)
    figure.add("head", lips, skin * [0.75, 0.4, 0.4])
    return {f"{side}_ear" for side in _SIDES if _SIDES[side] * yaw > 20}


def _sample_figure(rng: np.random.Generator) -> tuple[scene.Figure, set[str], dict]:
    """A person in body units around the pelvis; also the joints turned away from us, and the wardrobe."""
    wear, figure = scene.random_wardrobe(rng), scene.Figure({}, [])
    lengths = {bone: n * np.clip(rng.normal(1, 0.09), 0.75, 1.25) for bone, n in _PROPORTIONS.items()}
    lean = scene.axes(rng.normal(0, 9))
    narrowing = np.cos(np.radians(np.clip(rng.normal(0, 25), -50, 50)))  # the trunk is turned about its own axis
    thorax = -lengths["spine"] * lean[1]
    for side, sign in _SIDES.items():
        figure.joints[f"{side}_shoulder"] = thorax + sign * narrowing * lengths["shoulder"] * lean[0]
        figure.joints[f"{side}_hip"] = np.array([sign * narrowing * lengths["hip"], 0.0])
    arm_behind = {side: rng.uniform() < 0.2 for side in _SIDES}
    for side in rng.permutation(list(_SIDES)):
        _add_limb(rng, figure, side, "leg", lengths, wear)
    for side in (s for s in _SIDES if arm_behind[s]):
        _add_limb(rng, figure, side, "arm", lengths, wear)
    head_axes = scene.axes(rng.normal(0, 9)) @ lean
    chin = thorax - lengths["neck"] * lean[1]
    figure.add("torso", scene.hull([thorax, chin - 0.04 * lean[1]], [0.045, 0.04]), 0.88 * wear["skin"])
    trunk = [figure.joints[f"{side}_{joint}"] for joint in ("shoulder", "hip") for side in _SIDES]
    radii = [wear["stout"] * r for r in (0.058, 0.058, 0.080, 0.080)]
    figure.add("torso", scene.hull(trunk[2:] + [0.15 * thorax], radii[2:] + radii[2:3]), 0.95 * wear["trousers"])
    figure.add("torso", scene.hull(trunk[:2] + [0.85 * p + 0.15 * thorax for p in trunk[2:]], radii), wear["shirt"])
    head = chin - lengths["head"] * head_axes[1]
    hidden = _add_head(figure, head, lengths["head"] * head_axes, np.clip(rng.normal(0, 20), -45, 45), wear)
    for side in (s for s in _SIDES if not arm_behind[s]):
        _add_limb(rng, figure, side, "arm", lengths, wear)
    return figure, hidden, wear


def _place(rng: np.random.Generator, figure: scene.Figure, size: int) -> np.ndarray:
    """Tilt the figure, scale it to 52-68 % of the picture and put it near the middle; returns its bbox xywh."""
    figure.move(scene.axes(np.clip(rng.normal(0, 25), -75, 75)), np.zeros(2))
    low, high = figure.extent()
    scale = rng.uniform(0.52, 0.68) * size / (high - low).max()
    middle = (size - 1) / 2 + np.clip(rng.normal(0, 0.035, 2), -0.1, 0.1) * size
    figure.move(scale * np.eye(2), middle - scale * (low + high) / 2)
    return np.concatenate([middle - scale * (high - low) / 2, scale * (high - low)])


def _keypoints(figure: scene.Figure, seen: np.ndarray, covered: np.ndarray, turned_away: set[str]) -> np.ndarray:
    """(17, 3): a joint is seen if its own limb, trunk or head is what the picture shows at its place."""
    keypoints = np.zeros((len(COCO), 3))
    for row, name in enumerate(COCO.keypoints):
        column, line = np.rint((figure.joints[name] + 0.5) * scene.SUPERSAMPLING - 0.5).astype(int)
        if not (0 <= line < seen.shape[0] and 0 <= column < seen.shape[1]):
            continue
        part = figure.shapes[seen[line, column] - 1][0] if seen[line, column] else None
        hidden = covered[line, column] or part not in _own_parts(name) or name in turned_away
        keypoints[row] = *figure.joints[name], 1 if hidden else 2
    return keypoints


def _own_parts(name: str) -> tuple[str, ...]:
    """Body parts that may show at the place of a joint that is seen."""
    side, _, joint = name.partition("_")
    limb = next((limb for limb, joints in _LIMBS.items() if joint in joints), None)
    return ("head",) if limb is None else (f"{side} {limb}", "torso")[: 2 if joint == _LIMBS[limb][0] else 1]


def draw_person(rng: np.random.Generator, size: int = 80) -> DrawnPerson:
    """Draw a random person in a random scene of size x size pixels; the picture is a function of `rng` and `size`."""
    canvas = scene.draw_background(rng, size)
    figure, turned_away, wear = _sample_figure(rng)
    bbox = _place(rng, figure, size)
    scene.draw_distractors(rng, canvas, size, [wear["skin"], wear["shirt"], wear["trousers"]])
    seen = figure.paint(canvas)
    scene.draw_folds(rng, canvas, seen, striped=[part != "head" for part, _, _ in figure.shapes])
    covered = scene.draw_occluders(rng, canvas, bbox)
    keypoints = _keypoints(figure, seen, covered, turned_away)
    low, high = np.clip([bbox[:2], bbox[:2] + bbox[2:]], 0, size - 1)
    bbox, area = np.concatenate([low, high - low]), np.count_nonzero(seen) / scene.SUPERSAMPLING**2
    return DrawnPerson(scene.photograph(rng, canvas), keypoints, bbox, area)


def write_demo_data(root, labeled=40, unlabeled=1500, val=500, size=80, seed=0, force=False) -> bool:
    """Draw three sets of people as COCO folders: `annotations/person_keypoints_SET.json`, `images/SET/000001.png`.

    Picture i of a set is a function of (seed, set, i, size) only. Everything is drawn into a folder beside `root`,
    which replaces `root` when it is complete; `manifest.json` is written last.

    Args:
        labeled, unlabeled, val: number of pictures in each set, one person each.
        size: width and height of a picture in pixels.
        force: draw also when `root` already holds the same.

    Returns:
        False if `root` was already drawn with these settings and nothing was done.

    Raises:
        ConfigError: a count, the size or the seed is out of range.
        DataError: `root` holds something else than demo data, which is left as it is.
    """
    root = Path(root).resolve()
    counts = dict(zip(SETS, (labeled, unlabeled, val)))
    for name, value, least in (*((n, c, 1) for n, c in counts.items()), ("size", size, 32), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"demo data: {name} is {value}, must be at least {least}")
    manifest = {"generator": GENERATOR, "seed": seed, "size": size, "counts": counts}
    present = _read_manifest(root)
    if present == manifest and not force:
        return False
    if present is None and root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root}: is not a folder of demo data (no valid manifest.json), so it is not overwritten")
    work = root.with_name(f".{root.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    (work / "new" / "annotations").mkdir(parents=True)
    for name, count in counts.items():
        _write_set(work / "new", name, count, size, seed)
    (work / "new" / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    if root.exists():
        os.replace(root, work / "old")  # a rename: a half-deleted folder could still show its manifest
    os.replace(work / "new", root)
    shutil.rmtree(work)
    return True


def _read_manifest(root: Path) -> dict | None:
    """The manifest of a folder of demo data, of any generator version; None for any other folder."""
    try:
        manifest = json.loads((root / "manifest.json").read_text())
        return manifest if manifest["generator"].startswith(GENERATOR.rpartition(" ")[0]) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_set(root: Path, name: str, count: int, size: int, seed: int) -> None:
    """Draw one set. Its image ids start at 1,000,000 times the set's number, so no two sets share an id."""
    (folder := root / "images" / name).mkdir(parents=True)
    images, annotations = [], []
    for index in tqdm(range(count), desc=f"drawing {name}", unit="image", disable=None):
        person = draw_person(np.random.default_rng([seed, SETS.index(name), index]), size)
        image_id, file_name = 1_000_000 * (SETS.index(name) + 1) + index + 1, f"{index + 1:06d}.png"
        (folder / file_name).write_bytes(cv2.imencode(".png", person.image[..., ::-1])[1].tobytes())
        images.append({"id": image_id, "file_name": file_name, "width": size, "height": size})
        annotations.append({"id": index + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0, **_labels(person)})
    links = [[a + 1, b + 1] for a, b in COCO.link_indices]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": links}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (root / "annotations" / f"person_keypoints_{name}.json").write_text(json.dumps(content))


def _labels(person: DrawnPerson) -> dict:
    keypoints = [value for x, y, v in person.keypoints.tolist() for value in (round(x, 2), round(y, 2), int(v))]
    bbox, labeled = np.round(person.bbox, 2).tolist(), int(np.count_nonzero(person.keypoints[:, 2]))
    return {"keypoints": keypoints, "num_keypoints": labeled, "bbox": bbox, "area": round(person.area, 2)}
