import pytest
import torch
from small_codecs import make_codec

from semipose.codecs import TOP_DOWN
from semipose.errors import ConfigError
from semipose.geometry import affine
from semipose.pseudo_labels import PSEUDO_TARGETS, PseudoLabeler
from semipose.skeletons import COCO
from semipose.structures import PoseBatch
from semipose.views.affine_draws import AffinePolicy
from semipose.views.sampler import ViewPolicies, ViewSampler
from semipose.views.view import ViewMap

BASE, SIZE, HEATMAP = (120, 160), (96, 128), (24, 32)
CODEC = make_codec(SIZE, HEATMAP, 2.0)
ORDER = torch.tensor(COCO.flip_order)


def label(labeler, output, view_map, trust=None, codec=CODEC):
    return labeler(labeler.read(output, None, codec), codec, view_map, trust)


def unmoved(count=1):
    return ViewMap(affine.identity(count), torch.zeros(count, dtype=torch.bool), ORDER)


def real_views(count=8, seed=0):
    """An easy and a hard view as training makes them, and joints in base-crop pixels near the middle."""
    generator = torch.Generator().manual_seed(seed)
    joints = torch.rand(count, 17, 2, generator=generator) * torch.tensor([30.0, 40.0]) + torch.tensor([45.0, 60.0])
    batch = PoseBatch(
        torch.zeros(count, 3, BASE[1], BASE[0], dtype=torch.uint8), joints, torch.ones(count, 17),
        affine.identity(count), torch.arange(count),
    )  # fmt: skip
    policies = ViewPolicies(easy=AffinePolicy(scale=0.0), hard=AffinePolicy(scale=0.0, rotation_prob=1.0))
    draws = ViewSampler(policies, COCO, SIZE, torch.zeros(3), seed).at_step(0)
    easy = draws.easy(batch)
    return easy, draws.hard(batch, easy), joints


@pytest.mark.parametrize("target", PSEUDO_TARGETS)
def test_labels_are_where_the_hard_view_shows_the_joints(target):
    easy, hard, joints = real_views()
    assert (easy.flipped != hard.flipped).any() and (easy.flipped == hard.flipped).any()
    taught, _ = CODEC.encode(easy.from_base().points(joints), torch.ones(8, 17))
    labels = label(PseudoLabeler(target), taught, easy.map_to(hard))
    truth = hard.from_base().points(joints)
    assert (labels.keypoints - truth).norm(dim=-1).max() < 0.1 * CODEC.stride
    assert (CODEC.decode(labels.target)[0] - truth).norm(dim=-1).max() < 0.15 * CODEC.stride
    assert (labels.weights == 1).all()
    expected, _ = CODEC.encode(truth, torch.ones(8, 17))
    # a warped heatmap is a little blunter than a new one
    assert (labels.target - expected).abs().max() < (0.04 if target == "redrawn" else 0.07)


def test_heatmap_target_is_the_warped_heatmap():
    easy, hard, _ = real_views()
    taught = torch.rand(8, 17, 32, 24)
    view_map = easy.map_to(hard)
    labels = label(PseudoLabeler("heatmap", min_score=0.9995), taught, view_map)
    # a joint that is not trusted loses its weight, not its heatmap
    assert 0 < labels.weights.sum() < 8 * 17
    assert torch.equal(labels.target, CODEC.warp(taught, view_map))


def test_unmoved_heatmap_target_is_the_teachers_own():
    taught = torch.randn(1, 17, 32, 24)
    labels = label(PseudoLabeler("heatmap"), taught, unmoved())
    # cut off, so that a network that teaches itself cannot raise its heatmaps without end
    assert taught.abs().max() > 2 and torch.allclose(labels.target, taught.clamp(-1, 1), atol=1e-3)
    assert torch.equal(labels.scores, taught.amax((2, 3)))


def test_redrawn_target_is_a_clean_gaussian():
    points = torch.full((1, 17, 2), 41.5)
    clean, _ = CODEC.encode(points, torch.ones(1, 17))
    labels = label(PseudoLabeler("redrawn"), 0.4 * clean, unmoved())
    assert torch.allclose(labels.target, clean, atol=1e-2)
    assert labels.scores.tolist() == [pytest.approx([0.4] * 17)]


@pytest.mark.parametrize("target", PSEUDO_TARGETS)
def test_low_scores_get_weight_zero(target):
    points = torch.full((1, 17, 2), 41.5)
    height = torch.linspace(0.1, 0.9, 17)
    taught = CODEC.encode(points, torch.ones(1, 17))[0] * height.view(1, 17, 1, 1)
    labels = label(PseudoLabeler(target, min_score=0.5), taught, unmoved())
    assert labels.weights.tolist() == [[float(h >= 0.5) for h in labels.scores[0].tolist()]]
    assert 0 < labels.weights.sum() < 17
    assert (label(PseudoLabeler(target), taught, unmoved()).weights == 1).all()


@pytest.mark.parametrize("target", PSEUDO_TARGETS)
def test_scores_weights_and_channels_follow_a_mirror(target):
    # one sure left wrist; in a mirrored hard view it is the right wrist
    left, right = COCO.index("left_wrist"), COCO.index("right_wrist")
    points = torch.full((1, 17, 2), 25.5)
    taught = CODEC.encode(points, torch.nn.functional.one_hot(torch.tensor([left]), 17).float())[0]
    mirror = torch.tensor([[[-1.0, 0.0, SIZE[0] - 1.0], [0.0, 1.0, 0.0]]])
    labels = label(PseudoLabeler(target, min_score=0.5), taught, ViewMap(mirror, torch.tensor([True]), ORDER))
    assert labels.weights.nonzero().tolist() == [[0, right]]
    assert labels.scores.argmax().item() == right
    assert labels.keypoints[0, right].tolist() == pytest.approx([SIZE[0] - 1 - 25.5, 25.5], abs=0.1)
    assert labels.target[0].amax((1, 2)).argmax().item() == right


def test_redrawn_joints_outside_the_hard_view_are_ignored():
    points = torch.full((1, 17, 2), 41.5)
    taught, _ = CODEC.encode(points, torch.ones(1, 17))
    away = affine.scaling((1.0, 1.0), (500.0, 0.0))
    labels = label(PseudoLabeler("redrawn"), taught, ViewMap(away, torch.tensor([False]), ORDER))
    assert (labels.weights == 0).all() and (labels.target == 0).all()


@pytest.mark.parametrize("kind", TOP_DOWN)
@pytest.mark.parametrize("target", ["auto", "redrawn"])
def test_every_codec_and_target(kind, target):
    codec = make_codec(SIZE, HEATMAP, 2.0, kind)
    easy, hard, joints = real_views()
    said = codec.perfect(codec.encode(easy.from_base().points(joints), torch.ones(8, 17))[0])
    before, truth = said.clone(), hard.from_base().points(joints)
    labels = label(PseudoLabeler(target), said, easy.map_to(hard), codec=codec)
    right, _ = codec.encode(truth, torch.ones(8, 17))
    assert labels.target.shape == right.shape and labels.weights.shape == labels.scores.shape == (8, 17)
    assert (labels.keypoints - truth).norm(dim=-1).max() < 0.75 * codec.stride
    assert (codec.decode(codec.perfect(labels.target))[0] - truth).norm(dim=-1).max() < 1.5 * codec.stride
    assert torch.equal(said, before)


@pytest.mark.parametrize("kind", TOP_DOWN)
def test_only_maps_are_warped(kind):
    codec, other = make_codec(SIZE, HEATMAP, 2.0, kind), make_codec(SIZE, (12, 16), 2.0, kind)
    assert PseudoLabeler().warps(codec, codec) == codec.has_maps
    assert not PseudoLabeler().warps(codec, other) and not PseudoLabeler("redrawn").warps(codec, codec)
    with pytest.raises(ConfigError, match="PSEUDO.TARGET"):
        PseudoLabeler("heatmap").warps(codec, other)


def test_a_student_with_other_maps_is_taught_at_the_same_place():
    easy, hard, joints = real_views()
    said, other = CODEC.encode(easy.from_base().points(joints), torch.ones(8, 17))[0], make_codec(SIZE, (48, 64), 3.0)
    labeler = PseudoLabeler()
    labels = labeler(labeler.read(said, None, CODEC), other, easy.map_to(hard))
    assert labels.target.shape[-2:] == (64, 48)
    assert (other.decode(labels.target)[0] - hard.from_base().points(joints)).norm(dim=-1).max() < 0.1 * CODEC.stride


def test_unknown_target_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'sharp'.*auto, heatmap, redrawn"):
        PseudoLabeler("sharp")


@pytest.mark.parametrize("target", PSEUDO_TARGETS)
def test_trust_multiplies_the_weights_in_the_teachers_order(target):
    easy, hard, joints = real_views()
    taught, _ = CODEC.encode(easy.from_base().points(joints), torch.ones(8, 17))
    trust, view_map = torch.rand(8, 17), easy.map_to(hard)
    labels = label(PseudoLabeler(target), taught, view_map, trust)
    assert torch.equal(labels.weights, view_map.swap(trust))
    assert not torch.equal(labels.weights, trust)


@pytest.mark.parametrize("target", PSEUDO_TARGETS)
def test_the_same_view_needs_no_map(target):
    taught = torch.rand(2, 17, 32, 24)
    labeler = PseudoLabeler(target, min_score=0.9995)
    same, mapped = label(labeler, taught, None), label(labeler, taught, unmoved(2))
    assert torch.equal(same.weights, mapped.weights) and 0 < same.weights.sum() < 34
    torch.testing.assert_close(same.keypoints, mapped.keypoints)
    torch.testing.assert_close(same.target, mapped.target, atol=1e-3, rtol=0)
