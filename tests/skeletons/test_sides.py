"""Left and right in keypoint names: pairs where they are clear, names that are not, and no flips for those."""

import logging

import pytest
import torch

from semipose.skeletons import load_skeleton
from semipose.skeletons.sides import find_sides
from semipose.views.affine_draws import AffinePolicy
from semipose.views.sampler import ViewPolicies, ViewSampler


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_ear", "right_ear"),
        ("Left Shoulder", "Right Shoulder"),
        ("LEFT-EAR", "RIGHT-EAR"),
        ("leftEar", "rightEar"),
        ("earLeft", "earRight"),
        ("leftear", "rightear"),
        ("ear_left", "right_ear"),
        ("l_ear", "r_ear"),
        ("ear.L", "ear.R"),
        ("LEye", "REye"),
        ("eyeL1", "eyeR1"),
        ("paw_LF", "paw_RF"),
        ("L_F_Paw", "R_F_Paw"),
        ("L1", "R1"),
        ("Lpaw", "Rpaw"),
        ("lear_tip", "rear_tip"),
        ("corner_tl", "corner_tr"),
        ("LM1", "RM1"),
        ("左耳", "右耳"),
    ],
)
def test_pairs_of_names(left, right):
    found = find_sides(["nose", right, "upright", left, "tail_base"])
    assert found.pairs == ((left, right),) and found.unclear == ()


@pytest.mark.parametrize(
    ("names", "unclear"),
    [
        (["nose", "left_ear"], ("left_ear",)),
        (["nose", "l_ear"], ("l_ear",)),
        (["left_ear", "right_ear", "Right_ear"], ("left_ear", "right_ear", "Right_ear")),
        (["paw1LH_top", "nose", "paw4RH_top"], ("paw1LH_top", "paw4RH_top")),
    ],
)
def test_names_without_a_clear_partner(names, unclear):
    assert find_sides(names) == find_sides(names).__class__((), unclear)


def test_names_without_a_side():
    assert find_sides(["L1", "L2", "T12", "LM1", "upright", "cleft", "leg", "tail"]).unclear == ()


def test_both_sides_of_one_name_change():
    names = ["left_eye_left", "left_eye_right", "right_eye_left", "right_eye_right"]
    assert find_sides(names).pairs == (("left_eye_left", "right_eye_right"), ("left_eye_right", "right_eye_left"))


@pytest.fixture
def skeleton(tmp_path, caplog):
    def _skeleton(names: str, swaps: str = ""):
        (tmp_path / "s.yaml").write_text(f"keypoints: [{names}]\nsigmas: 0.05\n{swaps}\n")
        with caplog.at_level(logging.WARNING):
            return load_skeleton(tmp_path / "s.yaml"), caplog.text

    return _skeleton


def test_pairs_are_derived_and_said(skeleton):
    found, said = skeleton("nose, left_ear, right_ear")
    assert found.swaps == (("left_ear", "right_ear"),) and found.mirrors and found.flip_order == [0, 2, 1]
    assert "s.yaml" in said and "left_ear" in said


def test_no_flips_where_a_partner_is_missing(skeleton):
    found, said = skeleton("nose, left_ear, right_ear, left_eye")
    assert not found.mirrors and found.swaps == () and "left_eye" in said
    assert found == found.from_plain(found.to_plain())
    policies = ViewPolicies(*[AffinePolicy(flip=1.0)] * 3)
    used = ViewSampler(policies, found, (8, 8), torch.zeros(3), 0).policies
    assert [used.labeled.flip, used.easy.flip, used.hard.flip] == [0, 0, 0]


def test_swaps_that_are_given_count(skeleton):
    found, said = skeleton("nose, left_ear, right_ear", "swaps: []")
    assert found.swaps == () and found.mirrors and "left_ear" in said


def test_swaps_that_leave_a_pair_out_are_noted(skeleton):
    names = "left_ear, right_ear, left_eye, right_eye"
    found, said = skeleton(names, "swaps: [[left_ear, right_ear]]")
    assert found.swaps == (("left_ear", "right_ear"),) and "left_eye, right_eye" in said and "left_ear" not in said


def test_nothing_is_said_of_complete_swaps(skeleton):
    assert skeleton("nose, l_ear, r_ear", "swaps: [[l_ear, r_ear]]")[1] == ""
    assert skeleton("nose, tail")[1] == ""


def test_metainfo_without_swaps(tmp_path):
    points = {k: {"name": name, "id": k} for k, name in enumerate(("nose", "left_ear", "right_ear"))}
    info = {"dataset_name": "a", "keypoint_info": points, "skeleton_info": {}, "joint_weights": [1.0] * 3}
    (tmp_path / "a.py").write_text(f"dataset_info = {info | {'sigmas': [0.1] * 3}}\n")
    assert load_skeleton(tmp_path / "a.py").swaps == (("left_ear", "right_ear"),)
