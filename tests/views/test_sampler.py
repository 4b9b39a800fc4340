import dataclasses

import pytest
import torch
from small_codecs import make_codec

from semipose.codecs import TOP_DOWN
from semipose.geometry import affine
from semipose.pseudo_labels import PSEUDO_TARGETS, Multiview, PseudoLabeler
from semipose.skeletons import COCO
from semipose.structures import PoseBatch
from semipose.views.affine_draws import AffinePolicy
from semipose.views.occlusion import PredictedJoints
from semipose.views.photometric import ColorPolicy
from semipose.views.sampler import ViewPolicies, ViewSampler, centred_view

BASE, SIZE = (60, 80), (48, 64)
ORDER = torch.tensor(COCO.flip_order)
STILL = AffinePolicy(0, 0, 0, 0, 0, 0)
CALM = ViewPolicies(STILL, STILL, STILL)
FILL = torch.tensor([0.485, 0.456, 0.406])

ALONE = {
    "rotation": AffinePolicy(rotation_prob=1.0, scale=0.0, flip=0.0),
    "scale": AffinePolicy(rotation=0.0, flip=0.0),
    "flip": AffinePolicy(rotation=0.0, scale=0.0, flip=0.5),
    "half_body": AffinePolicy(0, 0, 0, 0, 0, half_body=1.0),
    "composed": AffinePolicy(rotation_prob=1.0, half_body=0.5),
}


def sampler(policies=CALM, seed=0, size=SIZE):
    return ViewSampler(policies, COCO, size, FILL, seed)


def spot_batch(seed=0, people=4):
    """For each of some people 17 crops, each with a soft white spot at one joint; the joints are the same in all 17."""
    generator = torch.Generator().manual_seed(seed)
    joints = torch.rand(people, 17, 2, generator=generator) * torch.tensor([22.0, 32.0]) + torch.tensor([19.0, 24.0])
    spots = joints.flatten(0, 1)
    along_x = torch.exp(-(torch.arange(BASE[0]) - spots[:, :1]).square() / 6)
    along_y = torch.exp(-(torch.arange(BASE[1]) - spots[:, 1:]).square() / 6)
    images = (255 * along_y.unsqueeze(-1) * along_x.unsqueeze(-2)).round().to(torch.uint8)
    count = 17 * people
    return PoseBatch(
        images.unsqueeze(1).repeat(1, 3, 1, 1), joints.repeat_interleave(17, 0), torch.ones(count, 17),
        affine.identity(count), torch.arange(count),
    )  # fmt: skip


def noise_batch(count=5, base=BASE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return PoseBatch(
        torch.randint(0, 256, (count, 3, base[1], base[0]), dtype=torch.uint8, generator=generator),
        torch.rand(count, 17, 2, generator=generator) * torch.tensor(base), torch.ones(count, 17),
        affine.identity(count), torch.arange(count),
    )  # fmt: skip


def spot_places(view):
    """(B, 2) centres of brightness."""
    light = view.images[:, 0]
    xs, ys = torch.arange(SIZE[0]), torch.arange(SIZE[1])
    total = light.sum((1, 2)).clamp_min(1e-6)
    return torch.stack([(light.sum(1) * xs).sum(1) / total, (light.sum(2) * ys).sum(1) / total], -1)


def assert_spots_on_joints(view, points):
    """Each crop's spot is on that crop's joint, found under the name that the joint has in the view."""
    row = torch.arange(17).repeat(len(view) // 17)
    name = torch.where(view.flipped, ORDER[row], row)
    expected = points[torch.arange(len(view)), name]
    # only where the whole spot is in the view
    zoom = view.to_base[:, :, 0].norm(dim=1)
    reach = (7 / zoom)[:, None]
    whole = ((expected > reach) & (expected < torch.tensor(SIZE) - 1 - reach)).all(1)
    assert whole.sum() >= 15
    distance = (spot_places(view) - expected).norm(dim=1)[whole]
    assert distance.max() < 0.15, f"off by {distance.max():.2f} pixels"
    return whole


@pytest.mark.parametrize("name", ALONE)
def test_labelled_spot_lands_on_its_keypoint(name):
    batch = spot_batch()
    view = sampler(dataclasses.replace(CALM, labeled=ALONE[name])).at_step(0).labeled(batch)
    whole = assert_spots_on_joints(view, view.from_base().points(batch.keypoints))
    mirrors = name in ("flip", "composed")
    assert view.flipped[whole].any() == mirrors and not view.flipped[whole].all()
    assert not torch.equal(view.to_base, sampler().at_step(0).labeled(batch).to_base)


@pytest.mark.parametrize("name", [n for n in ALONE if n != "half_body"])
def test_easy_and_hard_spot_lands_on_its_keypoint(name):
    batch = spot_batch()
    policies = dataclasses.replace(CALM, easy=ALONE[name], hard=ALONE[name])
    draws = sampler(policies).at_step(0)
    easy = draws.easy(batch)
    hard = draws.hard(batch, easy)
    on_easy = easy.from_base().points(batch.keypoints)
    assert_spots_on_joints(easy, on_easy)
    # over the base crop, and straight from view to view as pseudo-labels go
    assert_spots_on_joints(hard, hard.from_base().points(batch.keypoints))
    assert_spots_on_joints(hard, easy.map_to(hard).points(on_easy))
    if name in ("flip", "composed"):
        cases = set(zip(easy.flipped.tolist(), hard.flipped.tolist()))
        assert len(cases) == 4, "mirrored and not, in both views"


def test_spots_land_on_other_shapes_too():
    # a landscape view of a square crop
    batch = dataclasses.replace(spot_batch(), images=torch.nn.functional.pad(spot_batch().images, (0, 20)))
    batch = dataclasses.replace(batch, images=batch.images.transpose(-1, -2), keypoints=batch.keypoints.flip(-1))
    draws = sampler(ViewPolicies(ALONE["composed"]), size=(64, 48)).at_step(1)
    view = draws.labeled(batch)
    points = view.from_base().points(batch.keypoints)
    assert view.images.shape[-2:] == (48, 64)
    light = view.images[:, 0].flatten(1)
    peak = light.argmax(1)
    peak = torch.stack([peak % 64, peak // 64], -1)
    row = torch.arange(17).repeat(4)
    expected = points[torch.arange(68), torch.where(view.flipped, ORDER[row], row)]
    inside = ((expected > 2) & (expected < torch.tensor([61.0, 45.0]))).all(1)
    assert inside.sum() > 30
    assert ((peak - expected).abs().amax(1)[inside] <= 1.0).all()


def test_policies_of_zero_give_the_centred_view():
    batch = noise_batch()
    draws, centred = sampler().at_step(0), centred_view(batch, SIZE, ORDER)
    easy = draws.easy(batch)
    for view in (draws.labeled(batch), easy, draws.hard(batch, easy)):
        assert torch.allclose(view.images, centred.images, atol=1e-4)
        assert torch.allclose(view.to_base, centred.to_base, atol=1e-5)
        assert torch.equal(view.flipped, centred.flipped) and not view.flipped.any()
        assert view.images.min() >= 0 and view.images.max() <= 1


@pytest.mark.parametrize(("base", "size"), [((60, 80), (48, 64)), ((80, 60), (64, 48)), ((48, 64), (48, 64))])
def test_centred_view_is_the_middle_of_the_crop_exactly(base, size):
    batch = noise_batch(base=base)
    view = centred_view(batch, size, ORDER)
    left, top = (base[0] - size[0]) // 2, (base[1] - size[1]) // 2
    for x, y in ((0, 0), (5, 17), (size[0] - 1, size[1] - 1)):
        assert torch.equal(view.images[:, :, y, x], batch.images[:, :, y + top, x + left].float() / 255)
        corner = torch.tensor([float(x), float(y)]).expand(5, 1, 2)
        assert torch.equal(affine.apply(view.to_base, corner), corner + torch.tensor([left, top]))
    assert view.images.shape == (5, 3, size[1], size[0])
    assert torch.equal(view.flip_order, ORDER)


def hidden(draws, view, keypoints):
    ones = torch.ones_like(keypoints[..., 0])
    return draws.occlude(view.images, ("joint_cutout",), PredictedJoints(keypoints, ones, ones))


def everything(policies, seed, step, rank=0):
    batch = noise_batch()
    draws = ViewSampler(policies, COCO, SIZE, FILL, seed, rank).at_step(step)
    labeled, easy = draws.labeled(batch), draws.easy(batch)
    hard = draws.hard(batch, easy)
    return [labeled, easy, hard, hard.with_images(hidden(draws, hard, batch.keypoints))]


STRONG = ViewPolicies(
    AffinePolicy(half_body=0.3), labeled_colors=ColorPolicy(0.2), hard_colors=ColorPolicy(0.3, 2, 0.5)
)


def test_draws_are_a_function_of_seed_and_step():
    for one, other in zip(everything(STRONG, 1, 7), everything(STRONG, 1, 7), strict=True):
        for field in ("images", "to_base", "flipped"):
            assert torch.equal(getattr(one, field), getattr(other, field))


@pytest.mark.parametrize(("seed", "step", "rank"), [(1, 8, 0), (2, 7, 0), (2, 6, 0), (0, 8, 0), (1, 0, 0), (1, 7, 1)])
def test_another_seed_step_or_rank_gives_other_views(seed, step, rank):
    for one, other in zip(everything(STRONG, 1, 7), everything(STRONG, seed, step, rank), strict=True):
        assert not torch.equal(one.images, other.images)


def test_steps_do_not_disturb_each_other_or_the_global_generator():
    draws = sampler(STRONG)
    batch = noise_batch()
    expected = draws.at_step(3).easy(batch).to_base
    state = torch.get_rng_state()
    one, other = draws.at_step(3), draws.at_step(4)
    other.easy(batch)
    torch.rand(3)
    torch.set_rng_state(state)
    assert torch.equal(one.easy(batch).to_base, expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_do_not_depend_on_the_pixels_or_labels():
    first, second = noise_batch(seed=0), noise_batch(seed=1)
    views = [sampler(STRONG).at_step(0).easy(batch) for batch in (first, second, first.without_labels())]
    assert torch.equal(views[0].to_base, views[1].to_base)
    assert torch.equal(views[0].images, views[2].images)


def test_each_kind_of_view_follows_its_own_policy():
    batch, turn = noise_batch(), AffinePolicy(rotation_prob=1.0)
    centre = centred_view(batch, SIZE, ORDER).to_base
    for number in range(3):
        policies = [STILL, STILL, STILL]
        policies[number] = turn
        draws = sampler(ViewPolicies(*policies)).at_step(0)
        labeled, easy = draws.labeled(batch), draws.easy(batch)
        hard = draws.hard(batch, easy)
        moved = [not torch.allclose(v.to_base, centre, atol=0.1) for v in (labeled, easy, hard)]
        # the hard view contains the easy one
        assert moved == [number == 0, number == 1, number in (1, 2)]


def test_easy_views_have_no_colour_change():
    colours = dataclasses.replace(CALM, labeled_colors=ColorPolicy(0.5), hard_colors=ColorPolicy(0.5))
    batch = noise_batch()
    draws, centred = sampler(colours).at_step(0), centred_view(batch, SIZE, ORDER)
    easy = draws.easy(batch)
    assert torch.allclose(easy.images, centred.images, atol=1e-4)
    assert (draws.labeled(batch).images - centred.images).abs().max() > 0.1
    assert (draws.hard(batch, easy).images - centred.images).abs().max() > 0.1


def test_half_body_acts_on_labelled_views_only_and_by_weight():
    batch = noise_batch()
    policies = ViewPolicies(*[dataclasses.replace(STILL, half_body=1.0)] * 3)
    draws = sampler(policies).at_step(0)
    centre = centred_view(batch, SIZE, ORDER).to_base
    assert (draws.labeled(batch).to_base != centre).flatten(1).any(1).all()
    assert torch.allclose(draws.easy(batch).to_base, centre, atol=1e-4)
    unlabelled = draws.labeled(batch.without_labels())
    assert torch.allclose(unlabelled.to_base, centre, atol=1e-4)


def test_everything_stays_on_the_device_of_the_batch():
    # fake tensors refuse to mix devices, as CUDA does; "meta" stands for a device that is not the CPU
    fake_tensors = pytest.importorskip("torch._subclasses.fake_tensor")
    views, codec = sampler(ViewPolicies()), make_codec(SIZE, (12, 16), 2.0)
    batch = noise_batch()
    with fake_tensors.FakeTensorMode(allow_non_fake_inputs=True):
        away = batch._map(lambda t: torch.empty(t.shape, dtype=t.dtype, device="meta"))
        draws = views.at_step(0)
        labeled, easy = draws.labeled(away), draws.easy(away)
        hard = draws.hard(away, easy)
        covered = hidden(draws, hard, away.keypoints)
        target, weights = codec.encode(labeled.from_base().points(away.keypoints), away.weights)
        taught = codec.unmirror(target, easy.flip_order)
        twins = Multiview(((0, 1),), (0.6, 0.0, -0.8, 0.0), 3.0, 5.0)
        labelers = [PseudoLabeler(kind, 0.3, twins) for kind in PSEUDO_TARGETS]
        found = [labeler(labeler.read(taught, easy, codec), codec, easy.map_to(hard)) for labeler in labelers]
        made = [labeled.images, covered, centred_view(away, SIZE, ORDER).images]
        made += [weights, labeled.flip_order, hard.to_base] + [
            t for labels in found for t in (labels.target, labels.weights, labels.keypoints)
        ]
        assert {t.device.type for t in made} == {"meta"}


def test_views_of_a_device_are_those_of_the_cpu(device):
    policies = ViewPolicies(AffinePolicy(half_body=0.5), hard_colors=ColorPolicy(0.0, 2, 0.5))
    batch = noise_batch()
    on_cpu, on_device = sampler(policies).at_step(0), sampler(policies).at_step(0)
    for kind in ("labeled", "easy"):
        one, other = getattr(on_cpu, kind)(batch), getattr(on_device, kind)(batch.to(device))
        assert other.images.device.type == other.flip_order.device.type == device.type
        assert torch.allclose(one.to_base, other.to_base.cpu(), atol=1e-4)
        assert torch.allclose(one.images, other.images.cpu(), atol=1e-3)
    hard, hard_there = on_cpu.hard(batch, one), on_device.hard(batch.to(device), other)
    covered, covered_there = (
        hidden(d, v, batch.keypoints.to(v.images.device)) for d, v in ((on_cpu, hard), (on_device, hard_there))
    )
    assert (covered - covered_there.cpu()).abs().mean() < 1e-3


@pytest.mark.parametrize("kind", TOP_DOWN)
@pytest.mark.parametrize("target", ["auto", "redrawn"])
def test_views_and_targets_never_wait_for_the_gpu(kind, target, device, never_waiting):
    codec = make_codec(SIZE, (12, 16), 1.0, kind)
    labeler, views = PseudoLabeler(target, 0.3), sampler(STRONG)
    head = codec.make_head(8).to(device)
    batch = noise_batch().to(device)

    def step(number):
        draws = views.at_step(number)
        labeled, easy = draws.labeled(batch), draws.easy(batch)
        hard, to_view = draws.hard(batch, easy), labeled.from_base()
        made, _ = codec.encode(to_view.points(batch.keypoints), to_view.swap(batch.weights))
        said = codec.unmirror(codec.perfect(made), easy.flip_order)
        taught = labeler(labeler.read(said, easy, codec), codec, easy.map_to(hard))
        return hidden(draws, hard, taught.keypoints), codec.loss(codec.perfect(made), taught.target, head)

    step(0)  # constants are copied once, and libraries are loaded
    with never_waiting():
        step(1)


def test_a_skeleton_without_halves_has_no_half_body():
    whole = dataclasses.replace(COCO, upper_body=())
    policies, plain = (ViewPolicies(dataclasses.replace(STILL, half_body=share)) for share in (1.0, 0.0))
    batch = dataclasses.replace(noise_batch(), weights=torch.ones(5, 17))
    views = [ViewSampler(p, whole, SIZE, FILL, 0).at_step(0).labeled(batch) for p in (policies, plain)]
    assert torch.equal(views[0].to_base, views[1].to_base)
