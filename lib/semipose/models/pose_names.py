"""Names in the pose checkpoints of others -> the names of our `PoseNetwork`.

A format is recognised by the names in a file, never by the name of the file. To add one: write a test for it and a
function like `mmpose_networks`, and add one entry to `FORMATS`.

Sources of the names: human-pose-estimation.pytorch (SimpleBaseline), deep-high-resolution-net.pytorch (HRNet), MMPose
1.x with its way to read files of 0.x, and Semi_Human_Pose (PoseCons, PoseDual).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

State = dict[str, Tensor]

BODY = re.compile(r"(conv[12]|bn[12]|layer[1-4]|transition[1-3]|stage[2-4])\.")  # of pose_resnet and pose_hrnet
AUTHORS = {"deconv_layers.": "neck.deconv.", "final_layer.": "head.final.", "final_layer_1.": "head.final."}
HEADS = {
    "head.deconv_layers.": "neck.deconv.", "head.deconv_head.deconv_layers.": "neck.deconv.",
    "head.final_layer.": "head.final.", "head.deconv_head.final_layer.": "head.final.", "head.fc.": "head.final.",
    "head.mlp_head_x.": "head.columns.", "head.mlp_head_y.": "head.rows.",
}  # fmt: skip
OLD_HEAD = "keypoint_head."  # of MMPose before 1.0
TWO_NETWORKS = ("resnet.", "resnet2.")  # of Semi_Human_Pose, whatever the backbone
# The main networks of a run, as `valid` calls them and where they are, the better ones first: EMAs, else students; of
# two networks, else of one
RUNS = (
    {"ema_first": "teachers.first.module.", "ema_second": "teachers.second.module."},
    {"first": "students.first.network.", "second": "students.second.network."},
    {"ema": "teacher.module."},
    {"student": "student.network."},
)
# The 24 channels of each network of Semi_Human_Pose, whatever it has learned from (its JointsDataset.union_joints)
UNION = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "belly", "thorax",
    "neck", "upper_neck", "nose", "head", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
    "right_elbow", "right_wrist", "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip


@dataclass(frozen=True)
class Format:
    """A kind of pose checkpoint.

    Attributes:
        title: for reports.
        networks: the tensors of each network, under our names; () if the file is of another kind.
        colors: order of the channels that its authors' code gives to a network: "rgb" or "bgr". "" = ours, where mean
            and std are in the file.
        keypoints: of the channels of its heads, where these do not depend on the data; else ().
        mmpose: whether its coordinates are those of MMPose, see `pose_files`.
    """

    title: str
    networks: Callable[[State], tuple[State, ...]]
    colors: str = ""
    keypoints: tuple[str, ...] = ()
    mmpose: bool = False


@dataclass(frozen=True)
class PoseFile:
    """The networks of a file, under our names; what has no place in ours keeps its name.

    Attributes:
        names: of the networks of a run of ours; else ().
        keypoints: of the channels of its heads; () if the file does not say.
    """

    format: Format
    networks: tuple[State, ...]
    names: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()


def find_format(state: State) -> PoseFile | None:
    """What kind of pose checkpoint the tensors of a file are; None: of no known kind, such as weights of a backbone."""
    for kind in FORMATS:
        networks = kind.networks(state)
        if networks:
            return PoseFile(kind, networks, tuple(_run_places(state)), kind.keypoints)
    return None


def run_networks(state: State) -> tuple[State, ...]:
    """The main networks of a run of ours."""
    return tuple(below(state, place) for place in _run_places(state).values())


def _run_places(state: State) -> dict[str, str]:
    """Names and places of the main networks of a run of ours; {} for another file."""
    return next((places for places in RUNS if all(_has(state, place) for place in places.values())), {})


def own_networks(state: State) -> tuple[State, ...]:
    """The bare weights of one network of ours, or of several, numbered, as `semipose export` writes them."""
    numbers = sorted({name.split(".")[0] for name in state if name.split(".")[0].isdigit()}, key=int)
    found = tuple(below(state, f"{number}.") for number in numbers) or (state,)
    return found if all({"mean", "std"} <= network.keys() and _has(network, "head.") for network in found) else ()


def semi_human_pose_networks(state: State) -> tuple[State, ...]:
    """The one network of PoseCons, or the two of PoseDual."""
    if "final_layer_1.weight" in state:
        return (in_our_names(state),)
    found = tuple(below(state, place) for place in TWO_NETWORKS)
    return tuple(in_our_names(network) for network in found if "conv1.weight" in network)


def mmpose_networks(state: State) -> tuple[State, ...]:
    """The network of MMPose, if its head is one of those we know."""
    state = {name.replace(OLD_HEAD, "head.") if name.startswith(OLD_HEAD) else name: t for name, t in state.items()}
    if not _has(state, "backbone.") or not any(_has(state, start) for start in HEADS):
        return ()
    return ({_renamed(name, HEADS): tensor for name, tensor in state.items()},)


def pose_resnet_networks(state: State) -> tuple[State, ...]:
    """SimpleBaseline's."""
    return (in_our_names(state),) if {"conv1.weight", "deconv_layers.0.weight"} <= state.keys() else ()


def pose_hrnet_networks(state: State) -> tuple[State, ...]:
    """HRNet's for poses. The one for classification has `final_layer.0.weight`, which is no head for poses."""
    is_pose = "final_layer.weight" in state and _has(state, "stage4.")
    return (in_our_names(state),) if is_pose else ()


def in_our_names(state: State) -> State:
    """The authors' names of SimpleBaseline and HRNet -> ours."""
    return {f"backbone.{name}" if BODY.match(name) else _renamed(name, AUTHORS): t for name, t in state.items()}


def below(state: State, prefix: str) -> State:
    """The tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _renamed(name: str, table: dict[str, str]) -> str:
    start = next((old for old in table if name.startswith(old)), "")
    return table.get(start, "") + name.removeprefix(start)


def _has(state: State, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state)


FORMATS = (
    Format("a run of semipose", run_networks),
    Format("a network of semipose", own_networks),
    Format("Semi_Human_Pose", semi_human_pose_networks, "bgr", UNION),
    Format("MMPose", mmpose_networks, "rgb", mmpose=True),
    Format("SimpleBaseline (pose_resnet)", pose_resnet_networks, "bgr"),
    Format("HRNet (pose_hrnet)", pose_hrnet_networks, "rgb"),
)
