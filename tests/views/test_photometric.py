import pytest
import torch

from semipose.views import photometric
from semipose.views.photometric import OPERATIONS, ColorPolicy, change_colors

POLICIES = [ColorPolicy(jitter=0.3), ColorPolicy(0.0, 2, 1.0), ColorPolicy(1.0, 3, 1.0)]
BY_NAME = pytest.mark.parametrize("operation", OPERATIONS, ids=[f.__name__.strip("_") for f in OPERATIONS])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photos(count=64, seed=1):
    """Random images with pure black and white pixels in them."""
    images = torch.rand(count, 3, 12, 10, generator=generator(seed))
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 1
    return images


def levels(value, count=64):
    return torch.full((count, 1, 1, 1), float(value))


@pytest.mark.parametrize("policy", POLICIES)
def test_range_shape_and_input(policy):
    images = photos()
    before = images.clone()
    changed = change_colors(images, policy, generator())
    assert changed.shape == images.shape and changed.dtype == images.dtype
    assert changed.min() >= 0 and changed.max() <= 1
    assert torch.equal(images, before)
    assert not torch.equal(changed, images)


def test_off_is_the_same_image_and_draws_nothing():
    images, stream = photos(), generator()
    before = stream.get_state()
    assert torch.equal(change_colors(images, ColorPolicy(), stream), images)
    assert torch.equal(stream.get_state(), before)


def test_magnitude_zero_changes_at_most_the_eighth_bit():
    images = photos(256)
    changed = change_colors(images, ColorPolicy(rand_augment=3, magnitude=0.0), generator())
    assert (changed - images).abs().max() <= 0.5 / 255 + 1e-6


def test_jitter_is_gain_bias_and_noise():
    # mid grey is not moved by the gain, so its mean shows the bias and its spread the noise
    images = torch.full((400, 3, 24, 24), 0.5)
    changed = change_colors(images, ColorPolicy(jitter=0.3), generator())
    bias, noise = changed.mean((1, 2, 3)) - 0.5, changed.std((1, 2, 3))
    assert bias.abs().max() <= 0.15 + 0.01 and bias.std().item() == pytest.approx(0.15 / 3**0.5, rel=0.1)
    assert noise.max() <= 0.075 * 1.1 and noise.mean().item() == pytest.approx(0.0375, rel=0.1)


def test_gain_is_drawn_for_each_channel():
    images = torch.full((400, 3, 24, 24), 0.5)
    images[..., :12] += 0.05
    changed = change_colors(images, ColorPolicy(jitter=0.3), generator())
    gain = (changed[..., :12].mean((2, 3)) - changed[..., 12:].mean((2, 3))) / 0.05
    # unclipped images only; noise of 0.0375 averaged over 288 pixels on each side
    assert gain.mean().item() == pytest.approx(1, abs=0.03)
    assert gain.std().item() == pytest.approx(0.3 / 3**0.5, rel=0.2)
    assert torch.corrcoef(gain.T)[0, 1].abs() < 0.2


@BY_NAME
def test_level_zero_is_the_identity(operation):
    images = photos()
    assert (operation(images, levels(0)) - images).abs().max() <= 0.5 / 255 + 1e-6


@BY_NAME
def test_every_operation_acts(operation):
    images = 0.3 + 0.4 * photos()
    change = (operation(images, levels(0.5)).clamp(0, 1) - images).abs().amax((1, 2, 3))
    if operation is photometric._identity:
        assert change.max() == 0
    else:
        assert change.min() > 0.005


@BY_NAME
@pytest.mark.parametrize("level", [-1.0, -0.5, 0.5, 1.0])
def test_a_constant_image_stays_constant(operation, level):
    for value in (0.0, 0.2, 0.6, 1.0):
        changed = operation(torch.full((1, 3, 9, 7), value), levels(level, 1)).clamp(0, 1)
        assert (changed - changed[..., :1, :1]).abs().max() < 1e-6


@BY_NAME
@pytest.mark.parametrize("level", [-0.7, 0.7])
def test_no_pixel_moves(operation, level):
    # a soft spot off the centre stays where it is, whatever its colour becomes
    ys, xs = torch.meshgrid(torch.arange(31.0), torch.arange(23.0), indexing="ij")
    spot = 0.2 + 0.5 * torch.exp(-((xs - 8) ** 2 + (ys - 20) ** 2) / 6)
    changed = operation(spot.expand(1, 3, 31, 23), levels(level, 1)).clamp(0, 1)[0, 0]
    weight = (changed - changed[0, -1]).abs()
    assert weight.max() > 0.01
    place = [(weight * axis).sum() / weight.sum() for axis in (xs, ys)]
    assert [p.item() for p in place] == pytest.approx([8, 20], abs=0.02)


@BY_NAME
def test_rows_do_not_touch_each_other(operation):
    images, level = photos(4), torch.tensor([-0.8, -0.2, 0.3, 0.9]).view(4, 1, 1, 1)
    together = operation(images, level)
    for row in range(4):
        assert torch.allclose(operation(images[row : row + 1], level[row : row + 1])[0], together[row], atol=1e-6)


def test_operations_by_hand():
    image = torch.tensor([0.2, 0.4, 0.8]).view(1, 3, 1, 1).repeat(1, 1, 1, 2)
    image[..., 1] = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1)
    half = levels(0.5, 1)
    assert photometric._brightness(image, half)[0, 0, 0].tolist() == pytest.approx([0.29, 0.87])
    assert photometric._solarize(image, half)[0, :, 0, 0].tolist() == pytest.approx([0.2, 0.4, 0.2])
    # 8 - 2.5 rounds to 6 bits
    assert photometric._posterize(image, half)[0, 0, 0, 0].item() == pytest.approx(round(0.2 * 63) / 63)
    # half way to the full stretch: red 0.2..0.6 to 0..1, green is flat and stays
    stretched = photometric._autocontrast(image, half)[0, :, 0]
    assert stretched[0].tolist() == pytest.approx([0.1, 0.8])
    assert stretched[1].tolist() == pytest.approx([0.4, 0.4])
    grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.8
    assert photometric._saturation(image, levels(-1, 1))[0, 0, 0, 0].item() == pytest.approx(grey + 0.1 * (0.2 - grey))


def test_operations_are_drawn_equally_often():
    # with a sentinel in place of each operation the result tells which one was drawn
    images = torch.zeros(8000, 3, 1, 1)
    stream = generator()
    table = [lambda x, level, value=i: torch.full_like(x, value / 10) for i in range(len(OPERATIONS))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photometric, "OPERATIONS", table)
        drawn = (change_colors(images, ColorPolicy(rand_augment=1), stream)[:, 0, 0, 0] * 10).round().long()
    share = torch.bincount(drawn, minlength=len(OPERATIONS)) / 8000
    assert torch.allclose(share, torch.tensor(1 / len(OPERATIONS)), atol=0.02)
