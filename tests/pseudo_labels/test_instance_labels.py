"""Pseudo-labels of whole pictures."""

import pytest
import torch

from semipose.codecs import CodecSettings, find_codec
from semipose.codecs.dekr_targets import BACKGROUND, DekrTarget
from semipose.errors import ConfigError
from semipose.geometry import affine
from semipose.pseudo_labels import InstanceLabeler, TeacherRecord, statistics
from semipose.pseudo_labels.instance_labels import NOWHERE
from semipose.pseudo_labels.labeler import PseudoLabels
from semipose.structures import IGNORED
from semipose.views.view import ViewMap

JOINTS = 5
ORDER = torch.tensor([0, 2, 1, 4, 3])
SHAPE = torch.tensor([[0.0, -30], [20, -10], [-20, -12], [16, 30], [-14, 28]])
CODEC = find_codec("dekr")(CodecSettings((192, 128), JOINTS))
PLACES = torch.tensor([[50.0, 60.0], [140.0, 64.0]])
POINTS = (SHAPE + PLACES[:, None])[None]  # (1, 2, K, 2)


def output_with(second_height=1.0):
    """The output of a teacher that is sure of the first instance, and has maps of this height for the second."""
    output = CODEC.perfect(CODEC.encode(POINTS, torch.ones(1, 2, JOINTS))[0])
    output[:, : JOINTS + 1, :, 24:] *= second_height  # the right half of the picture
    return output


def label(labeler, output, view_map=None, trust=None):
    prediction = labeler.read(output, None, CODEC)
    return prediction, labeler(prediction, CODEC, view_map, trust)


def test_sure_instances_are_taught_where_they_are():
    _, pseudo = label(InstanceLabeler(), output_with())
    wanted, _ = CODEC.encode(POINTS, torch.ones(1, 2, JOINTS))
    assert (DekrTarget.of(pseudo.target).heat - DekrTarget.of(wanted).heat).abs().max() < 0.02
    assert (pseudo.weights == 1).all()


def test_an_unsure_instance_is_neither_taught_nor_background():
    _, pseudo = label(InstanceLabeler(instance_score=0.5, ignore_score=0.05), output_with(0.5))
    target = DekrTarget.of(pseudo.target)
    own = DekrTarget.of(CODEC.encode(POINTS[:, 1:], torch.ones(1, 1, JOINTS))[0]).heat > 0.3
    assert (target.heat_weights[own] == 0).all()
    assert (target.offset_weights[..., 30:] == 0).all()


def test_a_faint_instance_is_background():
    _, pseudo = label(InstanceLabeler(instance_score=0.5, ignore_score=0.3), output_with(0.4))
    target = DekrTarget.of(pseudo.target)
    assert (target.heat[..., 36:] == 0).all() and (target.heat_weights[..., 36:] == BACKGROUND).all()


def test_weights_of_scores():
    scores = torch.tensor([[[0.9, 0.9, 0.2], [0.3, 0.3, 0.3], [0.01, 0, 0], [0, 0, 0]]])
    weights = InstanceLabeler(min_score=0.5, instance_score=0.6, ignore_score=0.1).weights(scores)
    assert weights.tolist() == [[[1, 1, IGNORED], [IGNORED] * 3, [0] * 3, [0] * 3]]


def test_labels_follow_the_map_to_the_students_view():
    to_source = torch.tensor([[[-1.0, 0, 191.0], [0, 1.0, 3.0]]])  # mirrored, and moved up by three pixels
    view_map = ViewMap(to_source, torch.tensor([True]), ORDER)
    _, pseudo = label(InstanceLabeler(), output_with(), view_map)
    found, scores = CODEC.decode(CODEC.perfect(pseudo.target))
    wanted = view_map.points(POINTS)
    nearest = (found[0][:, None] - wanted[0][None]).norm(dim=-1).amax(-1).min(0).values
    assert nearest.max() < 1.0 and (scores.amax(-1) > 0).sum() == 2


def test_trust_counts_for_maps_of_the_teacher_too():
    trust = torch.full((1, JOINTS), 0.5)
    trust[0, 1] = 0
    _, pseudo = label(InstanceLabeler("heatmap"), output_with(), trust=trust)
    assert pseudo.weights.tolist() == [[0.5, 0, *[0.5] * (JOINTS - 2), 1]]
    _, pseudo = label(InstanceLabeler("heatmap"), output_with())
    assert pseudo.weights.tolist() == [[1] * (JOINTS + 1)]


def test_trust_scales_the_weights_and_no_trust_ignores():
    trust = torch.full((1, JOINTS), 0.5)
    trust[0, 0] = 0
    _, pseudo = label(InstanceLabeler(), output_with(), trust=trust)
    weights = DekrTarget.of(pseudo.target).heat_weights
    plain = DekrTarget.of(label(InstanceLabeler(), output_with())[1].target)
    near = plain.heat > 0
    assert (weights[:, 0][near[:, 0]] == 0).all() and (weights[:, 1][near[:, 1]] == 0.5).all()


def test_warped_maps_teach_no_offsets():
    _, pseudo = label(InstanceLabeler("heatmap"), output_with())
    target = DekrTarget.of(pseudo.target)
    assert torch.allclose(target.heat, output_with()[:, : JOINTS + 1], atol=1e-5)
    assert target.offset_weights.amax() == 0 and (target.heat_weights == 1).all()


def test_cutout_is_told_learned_keypoints_only():
    labeler = InstanceLabeler(instance_score=0.5)
    _, pseudo = label(labeler, output_with(0.5))
    joints = labeler.joints(pseudo, None)
    assert joints.keypoints.shape == (1, 2 * JOINTS, 2) and (joints.weights == 1).all()
    away = (joints.keypoints[0][:, None] - POINTS[0, 0][None]).norm(dim=-1).amin(1)
    assert away.max() < 1.0  # both halves of the row show the first instance
    _, nothing = label(InstanceLabeler(instance_score=1.0), output_with(0.5) * 0.5)
    joints = labeler.joints(nothing, None)
    assert (joints.weights == 0).all() and (joints.keypoints == NOWHERE).all()


@pytest.mark.parametrize("target", ["redrawn", "heatmap"])
def test_what_the_teacher_does_not_see_is_no_background(target):
    to_source = torch.tensor([[[1.0, 0, 40.0], [0, 1.0, 0.0]]])  # the last 40 of 192 pixels are new to the student
    view_map = ViewMap(to_source, torch.tensor([False]), ORDER)
    _, pseudo = label(InstanceLabeler(target), output_with(), view_map)
    weights = DekrTarget.of(pseudo.target).heat_weights
    assert (weights[..., 38:] == 0).all() and (weights[..., :38] > 0).all()


def test_each_place_told_to_operations_has_its_keypoint():
    labeler, scores = InstanceLabeler(), torch.ones(1, 2, JOINTS)
    scores[0, 0, 1] = scores[0, :, 3] = 0  # one keypoint of the first instance, and one of both, are not learned
    joints = labeler.joints(PseudoLabels(None, None, POINTS, scores), None)
    points, weights = joints.keypoints.view(2, JOINTS, 2), joints.weights.view(2, JOINTS)
    assert torch.equal(points[:, [0, 2, 4]], POINTS[0][:, [0, 2, 4]])
    assert torch.equal(points[:, 1], POINTS[0, 1, 1].expand(2, 2))
    assert weights.tolist() == [[1, 1, 1, 0, 1]] * 2
    assert (joints.scores == 1).all()  # where nobody has it, another one is hidden


def test_records_count_instances():
    labeler, record = InstanceLabeler(instance_score=0.5), TeacherRecord(4, JOINTS, instances=True)
    prediction, _ = label(labeler, output_with(0.5))
    kept = labeler.summary(prediction)
    record.fill(torch.tensor([2]), kept.keypoints, kept.scores, 7, kept.counts)
    assert record.counts.tolist() == [[0, 0], [0, 0], [1, 2], [0, 0]]
    assert (record.keypoints[2] - POINTS[0, 0]).norm(dim=-1).max() < 1.0
    found = statistics.instance_health(record.counts.numpy(), [False, False, True, False])
    assert found == {"health_instances": 1.0, "health_kept": 0.5}
    assert all(type(value) is float for value in found.values())  # checkpoints keep what alarms have seen


def test_unknown_target_is_refused():
    with pytest.raises(ConfigError, match="warped"):
        InstanceLabeler("warped")


def test_identity_map_changes_nothing():
    same = ViewMap(affine.identity(1), torch.tensor([False]), ORDER)
    _, moved = label(InstanceLabeler(), output_with(), same)
    _, still = label(InstanceLabeler(), output_with())
    assert torch.allclose(moved.target, still.target, atol=1e-4)
