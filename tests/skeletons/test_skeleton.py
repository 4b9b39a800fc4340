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


def test_lsp_as_published():
    assert " ".join(LSP.keypoints) == (
        "right_ankle right_knee right_hip left_hip left_knee left_ankle "
        "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist neck head_top"
    )
    assert LSP.sigmas == (
        0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.062, 0.072, 0.079, 0.079, 0.072, 0.062, 0.079, 0.079
    )  # fmt: skip
    assert LSP.flip_order == [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13]
    assert LSP.keypoint_weights == [1.0] * 14
    assert LSP.head == ("neck", "head_top")
    assert LSP.upper_body_mask == [False] * 6 + [True] * 8


def test_mpii_as_published():
    assert " ".join(MPII.keypoints) == (
        "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck head_top "
        "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist"
    )
    assert MPII.sigmas == (
        0.089, 0.083, 0.107, 0.107, 0.083, 0.089, 0.026, 0.026, 0.026, 0.026, 0.062, 0.072, 0.179, 0.179, 0.072, 0.062
    )  # fmt: skip
    assert MPII.keypoint_weights == [1.5, 1.2, 1, 1, 1.2, 1.5, 1, 1, 1, 1, 1.5, 1.2, 1, 1, 1.2, 1.5]
    assert MPII.flip_order == [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
    assert MPII.head == ("upper_neck", "head_top")
    assert MPII.upper_body_mask == [False] * 7 + [True] * 9


def test_aic_as_published():
    assert " ".join(AIC.keypoints) == (
        "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
        "right_hip right_knee right_ankle left_hip left_knee left_ankle head_top neck"
    )
    assert AIC.sigmas == (
        0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642, 0.03686941, 0.01981803,
        0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173,
    )  # fmt: skip
    assert AIC.keypoint_weights == [1, 1.2, 1.5] * 4 + [1, 1]
    assert AIC.flip_order == [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8, 12, 13]
    assert AIC.head == ("neck", "head_top")


def test_crowdpose_as_published():
    sides = [f"{side}_{part}" for part in PAIRED for side in ("left", "right")]
    assert list(CROWDPOSE.keypoints) == sides + ["head_top", "neck"]
    assert CROWDPOSE.sigmas == (
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079
    )  # fmt: skip
    assert CROWDPOSE.keypoint_weights == [0.2, 0.2, 0.2, 1.3, 1.5, 0.2, 1.3, 1.5, 0.2, 0.2, 0.5, 0.2, 0.2, 0.5]
    assert CROWDPOSE.flip_order == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13]
    assert CROWDPOSE.head == ("neck", "head_top")


def test_jhmdb_as_published():
    sides = [
        f"{side}_{part}"
        for part in ("shoulder", "hip", "elbow", "knee", "wrist", "ankle")
        for side in ("right", "left")
    ]
    assert list(JHMDB.keypoints) == ["neck", "belly", "head"] + sides
    assert JHMDB.sigmas == (
        0.025, 0.107, 0.025, 0.079, 0.079, 0.107, 0.107, 0.072, 0.072, 0.087, 0.087, 0.062, 0.062, 0.089, 0.089
    )  # fmt: skip
    assert JHMDB.keypoint_weights == [1.0] * 15
    assert [JHMDB.index(name) for name in JHMDB.torso] == [4, 5]
    assert (
        JHMDB.upper_body_mask
        == [True] * 5 + [False, False] + [True, True] + [False, False] + [True, True] + [False] * 2
    )
    assert JHMDB.head == ()


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


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
class TestCatalogue:
    def test_is_found_by_its_name(self, skeleton):
        assert get_skeleton(skeleton.name) is skeleton

    def test_flip_order_undoes_itself_and_exchanges_sides(self, skeleton):
        order = skeleton.flip_order
        assert [order[k] for k in order] == list(range(len(skeleton)))
        for k, name in enumerate(skeleton.keypoints):
            mirrored = name.replace("left_", "?").replace("right_", "left_").replace("?", "right_")
            assert skeleton.keypoints[order[k]] == mirrored

    def test_links_mirror_to_links(self, skeleton):
        # a limb drawn on one side only would be a slip
        order = skeleton.flip_order
        links = {frozenset(pair) for pair in skeleton.link_indices}
        assert links == {frozenset(order[k] for k in pair) for pair in links}
        assert len(links) == len(skeleton.links)

    def test_every_keypoint_is_linked(self, skeleton):
        assert {k for pair in skeleton.link_indices for k in pair} == set(range(len(skeleton)))

    def test_both_sides_have_the_same_numbers(self, skeleton):
        uneven = {"aic": skeleton.sigmas, "crowdpose": skeleton.keypoint_weights}.get(skeleton.name)  # so published
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
