"""Moving figures: people made of joint angles with limits, smooth over time, seen by a few cameras.

The world has z up, in metres; a figure looks along x of its own axes, its left is y. All is a function of a seed.
"""

from dataclasses import dataclass

import numpy as np

RATE = 25.0  # frames per second
SIDES = {"left": 1.0, "right": -1.0}

# Limits of each angle in degrees. Bend: forward (knee: back), side: away from the body, twist: about the limb.
LIMITS = {
    "spine bend": (-15, 50), "spine side": (-20, 20), "spine twist": (-30, 30),
    "neck bend": (-30, 40), "neck twist": (-50, 50),
    "hip bend": (-20, 95), "hip side": (-8, 35), "hip twist": (-20, 25), "knee bend": (0, 125),
    "shoulder bend": (-45, 160), "shoulder side": (2, 110), "shoulder twist": (-40, 60), "elbow bend": (2, 140),
}  # fmt: skip
# What an action moves: share of the limits that an angle wanders through, from the low end.
REST = dict.fromkeys(LIMITS, (0.4, 0.6)) | {
    "spine bend": (0.2, 0.4), "hip bend": (0.15, 0.3), "hip side": (0.15, 0.35), "knee bend": (0.02, 0.15),
    "shoulder bend": (0.15, 0.35), "shoulder side": (0.02, 0.15), "elbow bend": (0.05, 0.35),
}  # fmt: skip
ACTIONS = {
    "walk": {"hip bend": (0.02, 0.5), "knee bend": (0.03, 0.5), "shoulder bend": (0.08, 0.4), "elbow bend": (0.1, 0.4)},
    "reach": {"shoulder bend": (0.2, 1), "shoulder side": (0, 0.9), "shoulder twist": (0, 1), "elbow bend": (0, 1)},
    "crouch": {"hip bend": (0.15, 1), "knee bend": (0.02, 1), "spine bend": (0.1, 1), "shoulder bend": (0.1, 0.7)},
    "dance": dict.fromkeys(LIMITS, (0.05, 0.95)) | {"hip bend": (0.05, 0.7), "knee bend": (0.0, 0.6)},
}  # fmt: skip
GAIT = {"hip bend": 0.0, "knee bend": 0.25, "shoulder bend": 0.5, "elbow bend": 0.5}  # phase of a step, of one side

# Lengths as shares of a person's height, and how far they vary between persons
_LENGTHS = {
    "hip": 0.055, "thigh": 0.245, "shin": 0.235, "trunk": 0.29, "shoulder": 0.105, "upper arm": 0.165,
    "forearm": 0.15, "neck": 0.07, "head": 0.12,
}  # fmt: skip
_VARIES = 0.08
_FACE = {  # forward, left and up from the middle of the head, in head lengths
    "nose": (0.55, 0, 0), "left_eye": (0.45, 0.2, 0.15), "right_eye": (0.45, -0.2, 0.15),
    "left_ear": (0.0, 0.38, 0.05), "right_ear": (0.0, -0.38, 0.05),
}  # fmt: skip
# what a skeleton may ask for
JOINTS = {"pelvis", "spine", "thorax", "neck_base", "head_top", *_FACE}
JOINTS |= {f"{side}_{joint}" for side in SIDES for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")}


@dataclass(frozen=True)
class Figure:
    """One person: `lengths` of its bones in metres, by name."""

    lengths: dict[str, float]


def draw_figure(rng: np.random.Generator) -> Figure:
    """A person of 1.45 to 2 m, whose bones vary on their own too; both sides are equal."""
    height = rng.uniform(1.45, 2.0)
    return Figure({name: height * share * (1 + _VARIES * rng.uniform(-1, 1)) for name, share in _LENGTHS.items()})


def draw_angles(rng: np.random.Generator, action: str, frames: int) -> dict[str, np.ndarray]:
    """Degrees (frames,) of each angle, within `LIMITS`; those of limbs as `left hip bend`."""
    ranges, pace = REST | ACTIONS[action], rng.uniform(0.7, 1.2)
    steps = np.arange(frames) / RATE * pace + rng.uniform()
    angles = {}
    for name, (low, high) in LIMITS.items():
        paired = name.split()[0] in ("hip", "knee", "shoulder", "elbow")
        for number, key in enumerate([f"{side} {name}" for side in SIDES] if paired else [name]):
            wave = _wander(rng, frames)
            if action == "walk" and name in GAIT:
                wave = 0.5 + 0.45 * np.sin(2 * np.pi * (steps + GAIT[name] + 0.5 * number)) + 0.1 * (wave - 0.5)
            first, last = ranges[name]
            angles[key] = low + (high - low) * (first + (last - first) * wave.clip(0, 1))
    return angles


def joints(figure: Figure, angles: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Joints (N, 3) by name, in the figure's own axes, with its pelvis at 0."""
    lengths, up = figure.lengths, np.array([0.0, 0.0, 1.0])
    count = len(angles["spine bend"])
    found = {"pelvis": np.zeros((count, 3))}
    trunk = _turns(angles["spine bend"], angles["spine side"], angles["spine twist"])
    bow = _turns(angles["spine bend"] / 2, angles["spine side"] / 2, angles["spine twist"] / 2)
    found["spine"] = bow @ (0.5 * lengths["trunk"] * up)
    found["thorax"] = found["spine"] + trunk @ (0.5 * lengths["trunk"] * up)
    head = trunk @ _turns(angles["neck bend"], np.zeros(count), angles["neck twist"])
    found["neck_base"] = found["thorax"] + trunk @ (lengths["neck"] * up)
    found["head_top"] = found["neck_base"] + head @ (lengths["head"] * up)
    middle = found["neck_base"] + head @ (0.55 * lengths["head"] * up)
    found |= {name: middle + head @ (lengths["head"] * np.array(place)) for name, place in _FACE.items()}
    for side, sign in SIDES.items():
        _add_limb(found, side, sign, ("hip", "knee", "ankle"), found["pelvis"], np.eye(3), figure, angles)
        _add_limb(found, side, sign, ("shoulder", "elbow", "wrist"), found["thorax"], trunk, figure, angles)
    return found


def _add_limb(found, side, sign, names, start, frame, figure, angles) -> None:
    """Add the three joints of an arm or a leg, that hangs down from where `frame` has its sideways axis."""
    first, middle, last = names
    upper, lower = ("thigh", "shin") if first == "hip" else ("upper arm", "forearm")
    down, lengths = np.array([0.0, 0.0, -1.0]), figure.lengths
    place = start + frame @ np.array([0.0, sign * lengths[first], 0.0])
    turn = frame @ _turns(
        -angles[f"{side} {first} bend"], sign * angles[f"{side} {first} side"], sign * angles[f"{side} {first} twist"]
    )  # fmt: skip
    back = 1.0 if first == "hip" else -1.0  # knees bend back, elbows forward
    bent = turn @ _turns(back * angles[f"{side} {middle} bend"], np.zeros(len(turn)), np.zeros(len(turn)))
    found[f"{side}_{first}"] = place
    found[f"{side}_{middle}"] = place + turn @ (lengths[upper] * down)
    found[f"{side}_{last}"] = found[f"{side}_{middle}"] + bent @ (lengths[lower] * down)


def moving_figure(rng: np.random.Generator, figure: Figure, action: str, frames: int, names) -> np.ndarray:
    """(frames, K, 3) of the joints `names` in the world: the figure turns and goes about a room; it stands on z = 0."""
    own = joints(figure, draw_angles(rng, action, frames))
    walking = action == "walk"
    heading = 2 * np.pi * rng.uniform() + np.pi * 2 * (_wander(rng, frames, 0.12) - 0.5) * (1.5 if walking else 0.8)
    turn = _axis_turns(heading, 2)
    floor = np.minimum(own["left_ankle"][:, 2], own["right_ankle"][:, 2])
    reach = 1.2 if walking else 0.5
    path = reach * (2 * np.stack([_wander(rng, frames, 0.1) for _ in "xy"], 1) - 1)
    root = np.column_stack([path, 0.06 - floor])
    return np.stack([(turn @ own[name][..., None])[..., 0] + root for name in names], 1)


def _wander(rng: np.random.Generator, frames: int, fastest: float = 0.7) -> np.ndarray:
    """(frames,) a smooth walk through 0..1; `fastest` in Hz."""
    time = np.arange(frames) / RATE
    rates, phases = rng.uniform(0.05, fastest, 4), rng.uniform(0, 2 * np.pi, 4)
    wave = (np.sin(2 * np.pi * rates * time[:, None] + phases) * rng.uniform(0.3, 1, 4)).sum(1)
    return 0.5 + 0.5 * np.tanh(0.9 * wave)


def _turns(bend: np.ndarray, side: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """(N, 3, 3) of angles in degrees: twist about z, then side about x, then bend about y."""
    bend, side, twist = np.radians(bend), np.radians(side), np.radians(twist)
    return _axis_turns(bend, 1) @ _axis_turns(side, 0) @ _axis_turns(twist, 2)


def _axis_turns(angles: np.ndarray, axis: int) -> np.ndarray:
    """(N, 3, 3) right-handed turns about one axis, by radians."""
    one, two = (axis + 1) % 3, (axis + 2) % 3
    turns = np.zeros((len(angles), 3, 3))
    turns[:, axis, axis] = 1
    turns[:, one, one] = turns[:, two, two] = np.cos(angles)
    turns[:, two, one] = np.sin(angles)
    turns[:, one, two] = -np.sin(angles)
    return turns
