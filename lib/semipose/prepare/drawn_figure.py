"""The figure of a drawn person: an articulated body that faces us, in body units, and the visibility of its joints."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semipose.prepare import drawn_scene as scene
from semipose.skeletons import COCO

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
    """A person and the picture it is in.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        keypoints: (17, 3) float64 COCO joints: x, y in pixels and COCO's v: 2 seen, 1 hidden by an occluder, by another
            person or by another part of the body, 0 (with x = y = 0) outside the picture.
        bbox: (4,) float64 x, y, width, height around the whole figure, cut to the picture.
        area: square pixels that the figure covers, hidden ones included.
        group_id: 1 for an athlete in a crowd, 0 for the others there; None in a picture of one person.
        hidden: share of the figure that other persons and occluders cover; only crowds have it.
    """

    image: np.ndarray
    keypoints: np.ndarray
    bbox: np.ndarray
    area: float
    group_id: int | None = None
    hidden: float = 0.0


def usual_pose(rng: np.random.Generator, limb: str) -> tuple[float, float]:
    """Directions of the two bones of an arm or leg, in degrees away from the body; 0 = hanging down."""
    if limb == "arm":
        upper = rng.normal(20, 15) if rng.uniform() < 0.3 else rng.uniform(-15, 170)
        return upper, upper + np.clip(rng.normal(5, 55), -130, 130)
    if rng.uniform() < 0.25:
        upper = rng.uniform(25, 90)
        return upper, upper - rng.uniform(0, 115)
    upper = np.clip(rng.normal(10, 16), -15, 55)
    return upper, upper + np.clip(rng.normal(-6, 22), -70, 45)


def wild_pose(rng: np.random.Generator, limb: str) -> tuple[float, float]:
    """As `usual_pose`, of somebody who jumps or turns a somersault: limbs far from the body, often strongly bent."""
    if limb == "arm":
        return (upper := rng.uniform(20, 190)), upper + rng.uniform(-120, 120)
    return (upper := rng.uniform(-25, 120)), upper - rng.uniform(-40, 130)


def _add_limb(rng, figure: scene.Figure, side: str, limb: str, lengths: dict, wear: dict, pose: Callable) -> None:
    """Paint a limb from the shoulder or hip outwards: two tapered capsules and a hand or shoe."""
    names = [f"{side}_{joint}" for joint in _LIMBS[limb]]
    for start, end, bone, angle in zip(names, names[1:], _BONES[limb], pose(rng, limb)):
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


def sample_figure(rng: np.random.Generator, wear: dict, pose: Callable = usual_pose) -> tuple[scene.Figure, set[str]]:
    """A person in body units around the pelvis, and the joints that are turned away from us.

    Args:
        wear: colours and build, as of `random_wardrobe`; with a "band", the shirt has a band of this colour.
        pose: `usual_pose` or `wild_pose`, called for each limb.
    """
    figure = scene.Figure({}, [])
    lengths = {bone: n * np.clip(rng.normal(1, 0.09), 0.75, 1.25) for bone, n in _PROPORTIONS.items()}
    lean = scene.axes(rng.normal(0, 9))
    narrowing = np.cos(np.radians(np.clip(rng.normal(0, 25), -50, 50)))  # the trunk is turned about its own axis
    thorax = -lengths["spine"] * lean[1]
    for side, sign in _SIDES.items():
        figure.joints[f"{side}_shoulder"] = thorax + sign * narrowing * lengths["shoulder"] * lean[0]
        figure.joints[f"{side}_hip"] = np.array([sign * narrowing * lengths["hip"], 0.0])
    arm_behind = {side: rng.uniform() < 0.2 for side in _SIDES}
    for side in rng.permutation(list(_SIDES)):
        _add_limb(rng, figure, side, "leg", lengths, wear, pose)
    for side in (s for s in _SIDES if arm_behind[s]):
        _add_limb(rng, figure, side, "arm", lengths, wear, pose)
    head_axes = scene.axes(rng.normal(0, 9)) @ lean
    chin = thorax - lengths["neck"] * lean[1]
    figure.add("torso", scene.hull([thorax, chin - 0.04 * lean[1]], [0.045, 0.04]), 0.88 * wear["skin"])
    trunk = [figure.joints[f"{side}_{joint}"] for joint in ("shoulder", "hip") for side in _SIDES]
    radii = [wear["stout"] * r for r in (0.058, 0.058, 0.080, 0.080)]
    figure.add("torso", scene.hull(trunk[2:] + [0.15 * thorax], radii[2:] + radii[2:3]), 0.95 * wear["trousers"])
    figure.add("torso", scene.hull(trunk[:2] + [0.85 * p + 0.15 * thorax for p in trunk[2:]], radii), wear["shirt"])
    if "band" in wear:
        figure.add("torso", scene.hull([0.6 * p + 0.4 * q for p, q in zip(trunk, trunk[2:])], radii[:2]), wear["band"])
    head = chin - lengths["head"] * head_axes[1]
    hidden = _add_head(figure, head, lengths["head"] * head_axes, np.clip(rng.normal(0, 20), -45, 45), wear)
    for side in (s for s in _SIDES if not arm_behind[s]):
        _add_limb(rng, figure, side, "arm", lengths, wear, pose)
    return figure, hidden


def visible_keypoints(figure: scene.Figure, seen: np.ndarray, covered: np.ndarray, turned_away: set[str]) -> np.ndarray:
    """(17, 3): a joint is seen if its own limb, trunk or head is what the picture shows at its place.

    Args:
        seen, covered: what `Figure.paint` returned, and where something else is in front; of the whole canvas, or of
            the part of it that the figure is painted on.
    """
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
