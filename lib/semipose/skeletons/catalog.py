"""The skeletons that come with semipose. `get_skeleton("coco")` is how the rest of the code asks for one.

A keypoint has the same name in every skeleton, so that data sets can be mixed by name: `head_top` is the top of the
head (CrowdPose and MMPose also write `top_head`), `neck` the point between the shoulders; MPII's `upper_neck` lies
higher and keeps its own name. Torsos run from the left shoulder to the right hip.
"""

from dataclasses import replace
from functools import lru_cache

from semipose.errors import ConfigError
from semipose.skeletons.file import ENDINGS, load_skeleton, skeleton_of_text
from semipose.skeletons.skeleton import Skeleton
from semipose.skeletons.whole_body import whole_body

_LIMB_SWAPS = tuple(
    (f"left_{part}", f"right_{part}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
_LIMB_LINKS = (
    ("left_ankle", "left_knee"), ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
)  # fmt: skip
_NECK_LINKS = (("neck", "head_top"), ("neck", "left_shoulder"), ("neck", "right_shoulder"))
_ARMS = tuple(name for pair in _LIMB_SWAPS[:3] for name in pair)
_TORSO = ("left_shoulder", "right_hip")

# Lin et al., Microsoft COCO; sigmas and order of the COCO keypoint evaluation
COCO = Skeleton(
    name="coco",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062,
        0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    swaps=(("left_eye", "right_eye"), ("left_ear", "right_ear")) + _LIMB_SWAPS,
    links=_LIMB_LINKS + (
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"),
        ("left_eye", "left_ear"), ("right_eye", "right_ear"),
        ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
    ),
    upper_body=("nose", "left_eye", "right_eye", "left_ear", "right_ear") + _ARMS,
    loss_weights=(1, 1, 1, 1, 1, 1, 1, 1.2, 1.2, 1.5, 1.5, 1, 1, 1.2, 1.2, 1.5, 1.5),
    torso=_TORSO,
)  # fmt: skip

# Zhang et al., Pose2Seg, CVPR 2019: COCO's keypoints
OCHUMAN = replace(COCO, name="ochuman")

COCO_WHOLEBODY = whole_body(COCO)

_COCO_SIGMA = dict(zip(COCO.keypoints, COCO.sigmas)) | {"neck": 0.079, "head_top": 0.079}
_LSP_KEYPOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    "neck", "head_top",
)  # fmt: skip

# Johnson and Everingham, BMVC 2010 / CVPR 2011; the set defines no sigmas, COCO's are taken by name
LSP = Skeleton(
    name="lsp",
    keypoints=_LSP_KEYPOINTS,
    sigmas=tuple(_COCO_SIGMA[n] for n in _LSP_KEYPOINTS),
    swaps=_LIMB_SWAPS,
    links=_LIMB_LINKS + _NECK_LINKS,
    upper_body=_ARMS + ("neck", "head_top"),
    head=("neck", "head_top"),
    torso=_TORSO,
)

# The set mirror-mouse of lightning-pose (Biderman et al., Nature Methods 2024): a mouse seen at once from the side (top
# of the frame) and, by a mirror, from below (bottom). No swaps: a mirrored frame never occurs, as both views have their
# fixed place and direction. The set defines no sigmas; one value for all stands in.
_MOUSE_POINTS = (
    "paw1LH_top", "paw2LF_top", "paw3RF_top", "paw4RH_top", "tailBase_top", "tailMid_top", "nose_top", "obs_top",
    "paw1LH_bot", "paw2LF_bot", "paw3RF_bot", "paw4RH_bot", "tailBase_bot", "tailMid_bot", "nose_bot",
    "obsHigh_bot", "obsLow_bot",
)  # fmt: skip
MIRROR_MOUSE = Skeleton(
    name="mirror_mouse",
    keypoints=_MOUSE_POINTS,
    sigmas=(0.05,) * len(_MOUSE_POINTS),
    links=(
        ("paw1LH_top", "tailBase_top"), ("paw4RH_top", "tailBase_top"), ("tailBase_top", "tailMid_top"),
        ("paw2LF_top", "nose_top"), ("paw3RF_top", "nose_top"), ("tailBase_top", "nose_top"),
        ("paw1LH_bot", "tailBase_bot"), ("paw4RH_bot", "tailBase_bot"), ("tailBase_bot", "tailMid_bot"),
        ("paw2LF_bot", "nose_bot"), ("paw3RF_bot", "nose_bot"), ("tailBase_bot", "nose_bot"),
        ("obs_top", "obsHigh_bot"), ("obsHigh_bot", "obsLow_bot"),
    ),
)  # fmt: skip

# Andriluka et al., CVPR 2014; sigmas and weights as in MMPose, the set itself has none (it is scored by PCKh)
MPII = Skeleton(
    name="mpii",
    keypoints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "pelvis", "thorax", "upper_neck", "head_top",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    ),
    sigmas=(
        0.089, 0.083, 0.107, 0.107, 0.083, 0.089, 0.026, 0.026, 0.026, 0.026,
        0.062, 0.072, 0.179, 0.179, 0.072, 0.062,
    ),
    swaps=_LIMB_SWAPS,
    links=_LIMB_LINKS + (
        ("left_hip", "pelvis"), ("right_hip", "pelvis"), ("pelvis", "thorax"), ("thorax", "upper_neck"),
        ("upper_neck", "head_top"), ("thorax", "left_shoulder"), ("thorax", "right_shoulder"),
    ),
    upper_body=_ARMS + ("thorax", "upper_neck", "head_top"),
    loss_weights=(1.5, 1.2, 1, 1, 1.2, 1.5, 1, 1, 1, 1, 1.5, 1.2, 1, 1, 1.2, 1.5),
    head=("upper_neck", "head_top"),
    torso=_TORSO,
)  # fmt: skip

# Wu et al., AI Challenger, 2017; the sigmas of its own evaluation, which differ between left and right
AIC = Skeleton(
    name="aic",
    keypoints=(
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
    ),
    sigmas=(
        0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144,
        0.03909642, 0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173,
    ),
    swaps=_LIMB_SWAPS,
    links=_LIMB_LINKS + _NECK_LINKS,
    upper_body=_ARMS + ("head_top", "neck"),
    loss_weights=(1, 1.2, 1.5, 1, 1.2, 1.5, 1, 1.2, 1.5, 1, 1.2, 1.5, 1, 1),
    head=("neck", "head_top"),
    torso=_TORSO,
)  # fmt: skip

# COCO and AI Challenger in one network. The sigmas of head_top and neck are on COCO's scale, as all others here.
COCO_AIC = replace(
    COCO,
    name="coco_aic",
    keypoints=COCO.keypoints + ("head_top", "neck"),
    sigmas=COCO.sigmas + (_COCO_SIGMA["head_top"], _COCO_SIGMA["neck"]),
    links=COCO.links + _NECK_LINKS,
    upper_body=COCO.upper_body + ("head_top", "neck"),
    loss_weights=COCO.loss_weights + (1, 1),
    head=("neck", "head_top"),
)

# Li et al., CVPR 2019; sigmas of its evaluation. The loss weights are those published, uneven between left and right.
CROWDPOSE = Skeleton(
    name="crowdpose",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head_top", "neck",
    ),
    sigmas=(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
    swaps=_LIMB_SWAPS,
    links=_LIMB_LINKS + _NECK_LINKS,
    upper_body=_ARMS + ("head_top", "neck"),
    loss_weights=(0.2, 0.2, 0.2, 1.3, 1.5, 0.2, 1.3, 1.5, 0.2, 0.2, 0.5, 0.2, 0.2, 0.5),
    head=("neck", "head_top"),
    torso=_TORSO,
)  # fmt: skip

# Jhuang et al., ICCV 2013; sigmas by MMPose. MMPose takes the torso (for tPCK) between its keypoints 4 and 5: the left
# shoulder and the right hip. `head` is the middle of the head, so there is no head segment as in the other sets.
JHMDB = Skeleton(
    name="jhmdb",
    keypoints=(
        "neck", "belly", "head", "right_shoulder", "left_shoulder", "right_hip", "left_hip",
        "right_elbow", "left_elbow", "right_knee", "left_knee", "right_wrist", "left_wrist",
        "right_ankle", "left_ankle",
    ),
    sigmas=(
        0.025, 0.107, 0.025, 0.079, 0.079, 0.107, 0.107, 0.072, 0.072, 0.087, 0.087, 0.062, 0.062, 0.089, 0.089,
    ),
    swaps=_LIMB_SWAPS,
    links=_LIMB_LINKS + (
        ("neck", "left_shoulder"), ("neck", "right_shoulder"), ("neck", "head"),
        ("neck", "belly"), ("belly", "left_hip"), ("belly", "right_hip"),
    ),
    upper_body=_ARMS + ("neck", "belly", "head"),
    torso=_TORSO,
)  # fmt: skip

# Ionescu et al., PAMI 2014: the 17 joints that lifting papers use. `head_top` is the top of the head, `neck_base` lies
# between `thorax` and it. A set of 3D poses has no sigmas; COCO's are taken by name, and a middle one for the others.
_H36M_KEYPOINTS = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "spine", "thorax", "neck_base", "head_top",
    "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
H36M = Skeleton(
    name="h36m",
    keypoints=_H36M_KEYPOINTS,
    sigmas=tuple(_COCO_SIGMA.get(n, 0.079) for n in _H36M_KEYPOINTS),
    swaps=_LIMB_SWAPS,
    links=(
        ("pelvis", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("pelvis", "spine"), ("spine", "thorax"), ("thorax", "neck_base"), ("neck_base", "head_top"),
        ("thorax", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("thorax", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ),
    upper_body=_ARMS + ("spine", "thorax", "neck_base", "head_top"),
    head=("neck_base", "head_top"),
    torso=_TORSO,
)  # fmt: skip

SKELETONS = {
    s.name: s for s in (COCO, OCHUMAN, COCO_WHOLEBODY, LSP, MIRROR_MOUSE, MPII, AIC, COCO_AIC, CROWDPOSE, JHMDB, H36M)
}


def get_skeleton(name: str) -> Skeleton:
    """The skeleton of this name, or the one in this file (.yaml, or MMPose's .py; see `load_skeleton`) or text.

    A file is read once in a process.

    Raises:
        ConfigError: the name is unknown (the message lists the known ones), or the file is wrong.
    """
    name = str(name)
    if name.startswith("{"):
        return _of_text_once(name)
    if name.lower().endswith(ENDINGS):
        return _load_once(name)
    if name not in SKELETONS:
        known = ", ".join(sorted(SKELETONS))
        raise ConfigError(f"unknown skeleton {name!r}; known: {known}, or a file that ends in {', '.join(ENDINGS)}")
    return SKELETONS[name]


@lru_cache(maxsize=32)
def _load_once(path: str) -> Skeleton:
    return load_skeleton(path)


@lru_cache(maxsize=32)
def _of_text_once(text: str) -> Skeleton:
    return skeleton_of_text(text)
