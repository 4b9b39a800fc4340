import re
from dataclasses import replace

import pytest

from semipose.errors import ConfigError
from semipose.skeletons import COCO, LSP, SKELETONS, Skeleton, get_skeleton

MPII, AIC, CROWDPOSE, JHMDB, COCO_AIC = map(get_skeleton, ("mpii", "aic", "crowdpose", "jhmdb", "coco_aic"))
PAIRED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def tiny(**changes):
    fields = {
        "name": "tiny", "keypoints": ("nose", "left_ear", "right_ear"), "sigmas": (0.1, 0.2, 0.3),
        "swaps": (("left_ear", "right_ear"),), "links": (("nose", "left_ear"),), "upper_body": ("nose",),
    }  # fmt: skip
    return Skeleton(**(fields | changes))


def test_coco_as_published():
    sides = [f"{side}_{part}" for part in ("eye", "ear") + PAIRED for side in ("left", "right")]
    assert list(COCO.keypoints) == ["nose"] + sides
    assert COCO.sigmas == (
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
        0.089,
    )  # fmt: skip
    assert COCO.keypoint_weights == [1.0] * 7 + [1.2, 1.2, 1.5, 1.5, 1, 1, 1.2, 1.2, 1.5, 1.5]
    assert COCO.flip_order == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    assert COCO.upper_body_mask == [True] * 11 + [False] * 6


PUBLISHED = {
    "lsp": (
        "089 087 107 107 087 089 062 072 079 079 072 062 079 079",
        [1] * 14,
        "r_ankle r_knee r_hip l_hip l_knee l_ankle r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist neck head_top",
    ),
    "mpii": (
        "089 083 107 107 083 089 026 026 026 026 062 072 179 179 072 062",
        [1.5, 1.2, 1, 1, 1.2, 1.5, 1, 1, 1, 1, 1.5, 1.2, 1, 1, 1.2, 1.5],
        "r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis thorax upper_neck head_top r_wrist r_elbow r_shoulder "
        "l_shoulder l_elbow l_wrist",
    ),
    "aic": (
        "01388152 01515228 01057665 01417709 01497891 01402144 03909642 03686941 01981803 03843971 03412318 02415081 "
        "01291456 01236173",
        [1, 1.2, 1.5] * 4 + [1, 1],
        "r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist r_hip r_knee r_ankle l_hip l_knee l_ankle head_top neck",
    ),
    "crowdpose": (
        "079 079 072 072 062 062 107 107 087 087 089 089 079 079",
        [0.2, 0.2, 0.2, 1.3, 1.5, 0.2, 1.3, 1.5, 0.2, 0.2, 0.5, 0.2, 0.2, 0.5],
        "l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist l_hip r_hip l_knee r_knee l_ankle r_ankle head_top neck",
    ),
    "jhmdb": (
        "025 107 025 079 079 107 107 072 072 087 087 062 062 089 089",
        [1] * 15,
        "neck belly head r_shoulder l_shoulder r_hip l_hip r_elbow l_elbow r_knee l_knee r_wrist l_wrist r_ankle "
        "l_ankle",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_published(name):
    """Sigmas (behind "0."), loss weights and the order of the keypoints."""
    sigmas, weights, names = PUBLISHED[name]
    skeleton = get_skeleton(name)
    assert skeleton.sigmas == tuple(float(f"0.{digits}") for digits in sigmas.split())
    assert skeleton.keypoint_weights == weights
    assert " ".join(skeleton.keypoints) == re.sub(r"\br_", "right_", re.sub(r"\bl_", "left_", names))


def test_ends_of_head_and_torso():
    heads = {s.name: s.head for s in (LSP, MPII, AIC, CROWDPOSE, JHMDB)}
    top = ("neck", "head_top")
    assert heads == {"lsp": top, "mpii": ("upper_neck", "head_top"), "aic": top, "crowdpose": top, "jhmdb": ()}
    assert [JHMDB.index(name) for name in JHMDB.torso] == [4, 5]


def test_coco_aic_is_coco_and_two_more():
    assert COCO_AIC.keypoints == COCO.keypoints + ("head_top", "neck")
    assert COCO_AIC.sigmas == COCO.sigmas + (0.079, 0.079)
    assert COCO_AIC.keypoint_weights == COCO.keypoint_weights + [1, 1]
    assert COCO_AIC.flip_order == COCO.flip_order + [17, 18]
    assert COCO_AIC.upper_body_mask == COCO.upper_body_mask + [True, True]
    assert COCO_AIC.head == ("neck", "head_top")


def test_ochuman_is_coco_under_its_own_name():
    assert replace(get_skeleton("ochuman"), name="coco") == COCO


def test_sigmas_of_both_skeletons_agree_by_name():
    for name in set(COCO.keypoints) & set(LSP.keypoints):
        assert LSP.sigmas[LSP.index(name)] == COCO.sigmas[COCO.index(name)]


WHOLE_BODY = "coco_wholebody"


def test_whole_body():
    skeleton = get_skeleton(WHOLE_BODY)
    assert len(skeleton) == 133 and skeleton.keypoints[:17] == COCO.keypoints
    places = {"left_heel": 19, "face-0": 23, "face-67": 90, "left_hand_root": 91, "right_pinky_finger4": 132}
    assert {name: skeleton.index(name) for name in places} == places
    assert [skeleton.sigmas[k] for k in (17, 20, 39, 70, 91, 132)] == [0.068, 0.092, 0.045, 0.034, 0.029, 0.031]
    pairs = {(0, 16), (17, 26), (31, 35), (36, 45), (40, 47), (48, 54), (60, 64), (65, 67)}
    assert {(f"face-{a}", f"face-{b}") for a, b in pairs} <= set(skeleton.swaps)
    assert len(skeleton.swaps) == 8 + 3 + 21 + 29


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
class TestCatalogue:
    def test_is_found_by_its_name(self, skeleton):
        assert get_skeleton(skeleton.name) is skeleton

    def test_flip_order_undoes_itself_and_exchanges_sides(self, skeleton):
        order = skeleton.flip_order
        assert [order[k] for k in order] == list(range(len(skeleton)))
        for k, name in enumerate(skeleton.keypoints):
            mirrored = name.replace("left_", "?").replace("right_", "left_").replace("?", "right_")
            # the points of a face are numbered, without sides
            assert skeleton.keypoints[order[k]] == mirrored or (
                name.startswith("face-") and skeleton.name == WHOLE_BODY
            )

    def test_links_mirror_to_links(self, skeleton):
        # a limb drawn on one side only would be a slip
        order = skeleton.flip_order
        links = {frozenset(pair) for pair in skeleton.link_indices}
        assert links == {frozenset(order[k] for k in pair) for pair in links}
        assert len(links) == len(skeleton.links)

    def test_every_keypoint_is_linked(self, skeleton):
        assert {k for pair in skeleton.link_indices for k in pair} == set(range(len(skeleton)))

    def test_both_sides_have_the_same_numbers(self, skeleton):
        # so published
        uneven = {"aic": skeleton.sigmas, "crowdpose": skeleton.keypoint_weights, WHOLE_BODY: skeleton.sigmas}
        uneven = uneven.get(skeleton.name)
        for values in (skeleton.sigmas, skeleton.keypoint_weights, skeleton.upper_body_mask):
            assert [values[k] for k in skeleton.flip_order] == list(values) or values == uneven

    def test_torso_is_a_diagonal(self, skeleton):
        is_animal = skeleton.name == "mirror_mouse"  # its PCK is not by torso
        assert skeleton.torso == (() if is_animal else ("left_shoulder", "right_hip"))


def test_unknown_skeleton_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'cocoo'.*coco_aic.*\.yaml"):
        get_skeleton("cocoo")


def test_derived_indices():
    skeleton = tiny()
    assert len(skeleton) == 3
    assert skeleton.index("right_ear") == 2
    assert skeleton.flip_order == [0, 2, 1]
    assert skeleton.link_indices == [(0, 1)]
    assert skeleton.upper_body_mask == [True, False, False]
    assert skeleton.keypoint_weights == [1.0, 1.0, 1.0]
    assert tiny(loss_weights=(1, 2, 0.5)).keypoint_weights == [1, 2, 0.5]
    with pytest.raises(ConfigError, match="tiny.*'tail'"):
        skeleton.index("tail")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("keypoints", (), "no keypoint"),
        ("keypoints", ("nose", "nose", "left_ear"), "nose"),
        ("sigmas", (0.1, 0.2), "2 values for 3"),
        ("sigmas", (0.1, 0.2, 0.3, 0.4), "4 values for 3"),
        ("sigmas", (0.1, 0.0, 0.3), "0.0"),
        ("sigmas", (0.1, -1.0, 0.3), "-1.0"),
        ("sigmas", (0.1, float("nan"), 0.3), "nan"),
        ("sigmas", (0.1, float("inf"), 0.3), "inf"),
        ("sigmas", (0.1, "0.2", 0.3), "'0.2'"),
        ("loss_weights", (1.0,), "1 values for 3"),
        ("loss_weights", (1.0, 1.0, 0.0), "0.0"),
        ("upper_body", ("nose", "tail"), "'tail'"),
        ("swaps", (("left_ear", "tail"),), "'tail'"),
        ("swaps", (("left_ear", "left_ear"),), "two different"),
        ("swaps", (("left_ear", "right_ear", "nose"),), "not a pair"),
        ("swaps", (("left_ear", "right_ear"), ("nose", "left_ear")), "more than one pair"),
        ("swaps", (("left_ear", "right_ear"), ("right_ear", "left_ear")), "more than one pair"),
        ("links", (("nose", "tail"),), "'tail'"),
        ("links", (("nose", "nose"),), "two different"),
        ("head", ("nose",), "exactly two"),
        ("head", ("nose", "tail"), "'tail'"),
        ("torso", ("nose", "left_ear", "right_ear"), "exactly two"),
        ("torso", ("nose", "tail"), "'tail'"),
    ],
)
def test_a_wrong_field_is_named(field, value, says):
    with pytest.raises(ConfigError) as caught:
        tiny(**{field: value})
    message = str(caught.value)
    assert "'tiny'" in message and f"{field}:" in message and says in message
    assert "\n" not in message


def test_replacing_a_field_validates_again():
    with pytest.raises(ConfigError, match="'coco'.*sigmas"):
        replace(COCO, sigmas=COCO.sigmas[:-1])
