"""Data sets of moving figures, in the layout that mocap is read from: few labelled sequences, many 2D tracks."""

import json
from pathlib import Path

import numpy as np
import torch

from semipose.errors import ConfigError
from semipose.lifting.cameras import project, read_cameras
from semipose.lifting.figures import ACTIONS, JOINTS, draw_figure, moving_figure
from semipose.prepare.drawn_folder import fill_folder
from semipose.skeletons import Skeleton

GENERATOR = "semipose moving figures 1"  # raise the number when the figures change
SETS = ("labeled", "unlabeled", "val")
SIZE = 1000  # width and height of the pictures
CAMERAS = {"labeled": ("cam1", "cam2"), "unlabeled": ("cam1", "cam2", "cam3", "cam4"), "val": ("cam5", "cam6")}


def write_figures(
    root: str | Path, skeleton: Skeleton, labeled: int = 2, unlabeled: int = 50, val: int = 8, frames: int = 300,
    noise: float = 0.0, seed: int = 0, force: bool = False,
) -> bool:  # fmt: skip
    """Write `labeled.npz`, `unlabeled.npz` (2D only), `val.npz` and `cameras.json`.

    Each sequence has a figure of its own. Those of validation are seen by cameras of their own. Everything is written
    into a folder beside `root`, which replaces `root` when it is complete.

    Args:
        skeleton: its keypoints must be joints of the figures, as those of h36m and coco are.
        labeled, unlabeled, val: number of sequences.
        noise: standard deviation of the 2D keypoints in pixels of 1000x1000 pictures, as a detector's have.

    Returns:
        False if `root` already holds the same and nothing was done.

    Raises:
        ConfigError: a number is out of range, or the skeleton has other joints.
        DataError: `root` holds something else.
    """
    root = Path(root).resolve()
    counts = dict(zip(SETS, (labeled, unlabeled, val)))
    for name, value, least in (*((n, c, 1) for n, c in counts.items()), ("frames", frames, 2), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"moving figures: {name} is {value}, must be at least {least}")
    strange = sorted(set(skeleton.keypoints) - JOINTS)
    if strange:
        raise ConfigError(
            f"moving figures: skeleton {skeleton.name!r} has {strange[0]!r}; they have: {', '.join(sorted(JOINTS))}"
        )
    manifest = {"generator": GENERATOR, "seed": seed, "frames": frames, "noise": noise, "counts": counts}
    manifest["skeleton"] = skeleton.to_plain()

    def draw(folder: Path) -> None:
        _write_cameras(folder / "cameras.json", seed)
        for name, count in counts.items():
            _write_set(folder, name, count, frames, noise, seed, skeleton)

    return fill_folder(root, manifest, draw, force)


def _write_cameras(path: Path, seed: int) -> None:
    """Cameras around the room, at different heights, distances, focal lengths and distortions."""
    names = sorted({name for names in CAMERAS.values() for name in names})
    rng = np.random.default_rng([seed, len(SETS)])
    turn = rng.uniform(0, 2 * np.pi)
    cameras = {}
    for number, name in enumerate(names):
        angle = turn + 2 * np.pi * (number + rng.uniform(-0.25, 0.25)) / len(names)
        distance = rng.uniform(4.5, 6.0)
        centre = np.array([distance * np.cos(angle), distance * np.sin(angle), rng.uniform(1.0, 2.4)])
        cameras[name] = {
            "R": _looking_at(centre, np.array([0, 0, 0.9])).tolist(), "T": centre.tolist(),
            "f": [rng.uniform(0.28, 0.32) * distance * SIZE] * 2,
            "c": (SIZE / 2 + rng.uniform(-15, 15, 2)).tolist(),
            "k": [rng.uniform(-0.2, 0.05), rng.uniform(0, 0.1), 0.0], "p": rng.uniform(-2e-3, 2e-3, 2).tolist(),
            "w": SIZE, "h": SIZE,
        }  # fmt: skip
    path.write_text(json.dumps(cameras, indent=1) + "\n")


def _looking_at(centre: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) from world to the axes of a camera that stands upright: right, down, forward."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def _write_set(
    root: Path, name: str, count: int, frames: int, noise: float, seed: int, skeleton: Skeleton
) -> None:  # fmt: skip
    cameras = read_cameras(root / "cameras.json")
    names, poses, points = [], [], []
    for number in range(count):
        rng = np.random.default_rng([seed, SETS.index(name), number])
        action, view = (
            list(ACTIONS)[number % len(ACTIONS)],
            CAMERAS[name][(number + number // len(ACTIONS)) % len(CAMERAS[name])],
        )
        world = moving_figure(rng, draw_figure(rng), action, frames, skeleton.keypoints)
        pose = cameras[view].from_world(world)
        pixels = project(torch.from_numpy(pose), torch.from_numpy(cameras[view].intrinsics).double()).numpy()
        points.append(pixels + noise * rng.normal(size=pixels.shape))
        poses.append(pose)
        subject = f"{name[0].upper()}{number + 1}"
        names += [f"{subject}_{action}.{view}_{frame:06d}.jpg" for frame in range(frames)]
    points, poses = (_with_ones(np.concatenate(part)) for part in (points, poses))
    labels = {} if name == "unlabeled" else {"S": poses}
    size = np.ptp(points[..., :2], axis=1).max(1) / 200  # as MMPose has it: the box in units of 200 pixels
    centre = points[..., :2].mean(1).astype(np.float32)
    np.savez_compressed(root / f"{name}.npz", imgname=np.array(names), part=points, center=centre, scale=size, **labels)


def _with_ones(points: np.ndarray) -> np.ndarray:
    """float32, with a last 1 for visible."""
    return np.concatenate([points, np.ones_like(points[..., :1])], -1).astype(np.float32)
