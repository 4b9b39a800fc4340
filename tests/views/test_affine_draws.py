import math

import pytest
import torch

from semipose.geometry import affine
from semipose.skeletons import COCO
from semipose.views.affine_draws import AffineDraw, AffinePolicy, draw_affine, half_body_maps, view_change
from semipose.views.view import centre_map

BASE, SIZE = (60, 80), (48, 64)
MANY = 10_000
UPPER = torch.tensor(COCO.upper_body_mask)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw_many(policy):
    return draw_affine(policy, MANY, generator())


def one_draw(degrees=0.0, scale=1.0, mirrored=False):
    return AffineDraw(torch.tensor([degrees]), torch.tensor([scale]), torch.tensor([mirrored]), torch.zeros(1, 2))


class TestDraws:
    def test_share_and_width_of_rotations(self):
        degrees = draw_many(AffinePolicy(rotation=30, rotation_prob=0.6)).degrees
        turned = degrees[degrees != 0]
        assert len(turned) / MANY == pytest.approx(0.6, abs=0.02)
        # a normal clipped at two deviations has 0.9594 of its width
        assert turned.std().item() == pytest.approx(30 * 0.9594, rel=0.03)
        assert turned.mean().item() == pytest.approx(0, abs=1.5)

    def test_rotations_are_clipped_at_two_deviations(self):
        degrees = draw_many(AffinePolicy(rotation=20, rotation_prob=1)).degrees
        assert degrees.max() == 40 and degrees.min() == -40
        assert (degrees.abs() == 40).float().mean().item() == pytest.approx(0.0455, abs=0.008)

    def test_scale_is_normal_around_one_and_clipped(self):
        scale = draw_many(AffinePolicy(scale=0.25, scale_clip=0.25)).scale
        assert scale.max() == 1.25 and scale.min() == 0.75
        # 31.7 % of a normal lie beyond one deviation; inside, half of it within 0.6745
        assert ((scale == 1.25) | (scale == 0.75)).float().mean().item() == pytest.approx(0.317, abs=0.02)
        assert ((scale - 1).abs() < 0.6745 * 0.25).float().mean().item() == pytest.approx(0.5, abs=0.02)
        assert scale.mean().item() == pytest.approx(1, abs=0.01)

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_share_of_mirrored_samples(self, share):
        mirrored = draw_many(AffinePolicy(flip=share)).mirrored.float().mean().item()
        assert mirrored == pytest.approx(share, abs=0.02 if 0 < share < 1 else 0)

    def test_draws_do_not_depend_on_each_other(self):
        draw = draw_many(AffinePolicy(rotation_prob=0.5))
        columns = torch.stack([draw.degrees, draw.scale, draw.mirrored.float(), (draw.degrees != 0).float()])
        assert (torch.corrcoef(columns) - torch.eye(4)).abs().max() < 0.04

    def test_nothing_is_drawn_at_strength_zero(self):
        draw = draw_many(AffinePolicy(0, 0, 0, 0, 0))
        assert (draw.degrees == 0).all() and (draw.scale == 1).all() and not draw.mirrored.any()

    def test_strengths_do_not_move_the_stream(self):
        # a run with a weaker policy sees the same later draws
        states = []
        for policy in (AffinePolicy(), AffinePolicy(0, 0, 0, 0, 0)):
            stream = generator()
            draw_affine(policy, 8, stream)
            states.append(stream.get_state())
        assert torch.equal(*states)


class TestViewChange:
    def test_nothing_drawn_changes_nothing(self):
        assert torch.allclose(view_change(one_draw(), SIZE), affine.identity(1), atol=1e-6)

    def test_scale_above_one_makes_the_person_larger(self):
        # (33.5, 31.5) of the old view is 10 from the centre; it goes to 12 from it
        to_new = affine.invert(view_change(one_draw(scale=1.2), SIZE))
        moved = affine.apply(to_new, torch.tensor([[[33.5, 31.5]]]))
        assert moved[0, 0].tolist() == pytest.approx([35.5, 31.5], abs=1e-4)

    def test_positive_degrees_turn_clockwise_on_the_screen(self):
        to_new = affine.invert(view_change(one_draw(degrees=90.0), SIZE))
        moved = affine.apply(to_new, torch.tensor([[[33.5, 31.5]]]))
        assert moved[0, 0].tolist() == pytest.approx([23.5, 41.5], abs=1e-4)

    def test_mirror_is_the_mirror_of_the_view(self):
        moved = affine.apply(view_change(one_draw(mirrored=True), SIZE), torch.tensor([[[0.0, 5.0], [47.0, 5.0]]]))
        assert torch.allclose(moved, torch.tensor([[[47.0, 5.0], [0.0, 5.0]]]), atol=1e-4)

    def test_rotation_is_true_on_a_non_square_view(self):
        draw = draw_affine(AffinePolicy(rotation_prob=1), 50, generator())
        points = torch.rand(50, 17, 2) * torch.tensor(SIZE)
        moved = affine.apply(affine.invert(view_change(draw, SIZE)), points)
        ratio = torch.cdist(moved, moved) / torch.cdist(points, points).clamp_min(1e-6)
        off = ~torch.eye(17, dtype=torch.bool)
        assert torch.allclose(ratio[:, off], draw.scale[:, None].expand(50, 272), rtol=1e-3)


def person(count, seed=0):
    """Joints with an upper and a lower half, in base-crop pixels, all labelled."""
    joints = torch.rand(count, 17, 2, generator=generator(seed)) * torch.tensor([24.0, 20.0])
    joints[:, UPPER] += torch.tensor([18.0, 12.0])
    joints[:, ~UPPER] += torch.tensor([18.0, 45.0])
    return joints, torch.ones(count, 17, dtype=torch.bool)


def half_body(joints, labeled, share=1.0, upper=UPPER, seed=0):
    """View-to-base maps before and after."""
    before = centre_map(BASE, SIZE, len(joints))
    return before, half_body_maps(before, joints, labeled, upper, AffinePolicy(half_body=share), SIZE, generator(seed))


def fits(to_base, joints, part):
    """(B,) bool: all joints of `part` lie in the view."""
    points = affine.apply(affine.invert(to_base), joints)
    inside = (points >= -1e-3) & (points <= torch.tensor(SIZE) - 1 + 1e-3)
    return (inside.all(-1) | ~part).all(1)


def middle(joints, part):
    """(B, 2) centre of the bounding box of the joints of `part`."""
    low = torch.where(part[..., None], joints, math.inf).amin(1)
    high = torch.where(part[..., None], joints, -math.inf).amax(1)
    return (low + high) / 2


def shows(to_base, joints, part):
    """(B,) bool: the view is centred on the joints of `part`."""
    centre = torch.tensor([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]).expand(len(joints), 1, 2)
    return (affine.apply(to_base, centre)[:, 0] - middle(joints, part)).norm(dim=-1) < 1e-3


class TestHalfBody:
    def test_shows_one_half_with_all_its_joints(self):
        joints, labeled = person(200)
        _, to_base = half_body(joints, labeled)
        up, low = shows(to_base, joints, labeled & UPPER), shows(to_base, joints, labeled & ~UPPER)
        assert (up ^ low).all()
        assert fits(to_base, joints, labeled & UPPER)[up].all()
        assert fits(to_base, joints, labeled & ~UPPER)[low].all()

    def test_upper_half_in_seven_of_ten(self):
        joints, labeled = person(MANY)
        _, to_base = half_body(joints, labeled)
        assert shows(to_base, joints, labeled & UPPER).float().mean().item() == pytest.approx(0.7, abs=0.02)

    def test_half_is_enlarged_to_two_thirds_of_the_view(self):
        joints, labeled = person(200)
        _, to_base = half_body(joints, labeled)
        part = torch.where(shows(to_base, joints, labeled & UPPER)[:, None], UPPER, ~UPPER)
        points = affine.apply(affine.invert(to_base), joints)
        low = torch.where(part[..., None], points, math.inf).amin(1)
        high = torch.where(part[..., None], points, -math.inf).amax(1)
        assert torch.allclose(((high - low) / torch.tensor(SIZE)).amax(1), torch.tensor(1 / 1.5), atol=1e-3)

    def test_only_rows_with_nine_labelled_joints_change(self):
        joints, labeled = person(200)
        for row in range(200):
            labeled[row, torch.randperm(17, generator=generator(row))[: row % 17]] = False
        before, to_base = half_body(joints, labeled)
        changed = (before != to_base).flatten(1).any(1)
        assert torch.equal(changed, labeled.sum(1) >= 9)
        assert (labeled.sum(1) == 9).any() and (labeled.sum(1) == 8).any()

    @pytest.mark.parametrize("small_is_upper", [True, False])
    @pytest.mark.parametrize("count", [0, 2, 3])
    def test_a_half_is_chosen_only_with_three_joints(self, small_is_upper, count):
        joints, labeled = person(100)
        small = torch.arange(17) < 5
        labeled[:, count:5] = False
        _, to_base = half_body(joints, labeled, upper=small if small_is_upper else ~small)
        large_shown = shows(to_base, joints, labeled & ~small)
        assert large_shown.all() == (count < 3) and large_shown.any()

    def test_unlabelled_joints_do_not_count_and_do_not_stretch(self):
        joints, labeled = person(50)
        _, expected = half_body(joints, labeled)
        nose = COCO.index("nose")
        labeled[:, nose] = False
        moved = joints.clone()
        moved[:, nose] = 1e6
        _, to_base = half_body(moved, labeled)
        assert torch.isfinite(to_base).all()
        up = shows(expected, joints, torch.ones_like(labeled) & UPPER)
        assert shows(to_base, joints, labeled & UPPER)[up].all()

    def test_joints_on_one_spot_do_not_zoom_without_end(self):
        joints = torch.full((4, 17, 2), 30.0)
        _, to_base = half_body(joints, torch.ones(4, 17, dtype=torch.bool))
        assert torch.allclose(to_base[:, 0, 0], torch.tensor(0.2))

    def test_off_for_share_zero_and_unlabelled_batches(self):
        joints, labeled = person(20)
        for arguments in ((joints, labeled, 0.0), (joints * 0, labeled & False)):
            before, to_base = half_body(*arguments)
            assert torch.equal(before, to_base)

    def test_share_does_not_move_the_stream(self):
        joints, labeled = person(8)
        states = []
        for share in (0.0, 1.0):
            stream = generator()
            half_body_maps(
                centre_map(BASE, SIZE, 8), joints, labeled, UPPER, AffinePolicy(half_body=share), SIZE, stream
            )
            states.append(stream.get_state())
        assert torch.equal(*states)
