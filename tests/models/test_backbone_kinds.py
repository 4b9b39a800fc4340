"""What every kind of backbone must keep to, whatever library it comes from. Each is built once for all tests."""

import copy

import pytest
import torch

from semipose.models.backbones import build_backbone
from semipose.models.manifold_mix import mixed_inside

SIZE = (64, 96)  # width, height
KINDS = {
    "resnet18": ("pyramid", SIZE),
    "light_unet": ("finest", SIZE),
    "light_unet_deep": ("deepest", SIZE),
    "timm/hrnet_w18_small": ("finest", SIZE),
    "timm/tf_efficientnet_lite0": ("pyramid", SIZE),
    "timm/mobilenetv3_small_050": ("deepest", SIZE),
    "timm/convnext_atto": ("pyramid", SIZE),
    "timm/regnetx_002": ("pyramid", SIZE),
    "timm/test_resnet": ("pyramid", SIZE),
    "timm/test_byobnet": ("pyramid", SIZE),
    "timm/test_vit": ("deepest", SIZE),
    "timm/eva02_tiny_patch14_224": ("pyramid", (56, 84)),
}
# for what takes long: one chain of convolutions and one transformer
TRACED = ("timm/tf_efficientnet_lite0", "timm/test_vit")
WITHOUT_MIXING = {"timm/test_byobnet"}  # not among those that are known to be one chain
PERMUTATION = torch.tensor([1, 2, 0])


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def backbone(kind):
    torch.manual_seed(0)
    return build_backbone(kind, *KINDS[kind]).eval()


@pytest.fixture(scope="module")
def images(kind):
    width, height = KINDS[kind][1]
    return torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def maps(backbone, images):
    with torch.no_grad():
        return backbone(images)


def close(found, expected):
    """Equal but for the order of additions."""
    return all(torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max())) for a, b in zip(found, expected))


def test_maps_have_the_declared_channels_and_strides(backbone, images, maps):
    assert isinstance(maps, tuple) and len(maps) == len(backbone.levels)
    height, width = images.shape[-2:]
    for x, level in zip(maps, backbone.levels):
        assert x.shape == (3, level.channels, height / level.stride, width / level.stride)
    strides = [level.stride for level in backbone.levels]
    assert strides == sorted(strides) and height % backbone.size_multiple == width % backbone.size_multiple == 0
    assert len(backbone.mean) == len(backbone.std) == 3


def test_every_parameter_gets_a_gradient(backbone, images):
    """DistributedDataParallel waits for each of them."""
    backbone.train()
    state = copy.deepcopy(backbone.state_dict())
    sum(x.square().mean() for x in backbone(images)).backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None]
    backbone.zero_grad()
    backbone.eval().load_state_dict(state)
    assert without == []


def test_a_copy_computes_the_same_and_is_separate(backbone, images, maps):
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        assert all(torch.equal(*pair) for pair in zip(twin(images), maps))
        for parameter in twin.parameters():
            parameter.zero_()
        assert all(torch.equal(*pair) for pair in zip(backbone(images), maps))


def test_weights_travel_in_the_state_dict(kind, backbone, images, maps):
    other = build_backbone(kind, *KINDS[kind]).eval()
    other.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        assert all(torch.equal(*pair) for pair in zip(other(images), maps))


def test_channels_last_computes_the_same(backbone, images, maps):
    last = copy.deepcopy(backbone).to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert close(last(images.contiguous(memory_format=torch.channels_last)), maps)


def test_bfloat16_stays_finite(backbone, images, maps):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = backbone(images)
    for x, expected in zip(found, maps):
        assert x.isfinite().all() and (x - expected).abs().mean() < 0.2 * expected.abs().mean()


def test_no_map_shows_an_image_past_a_stage_that_mixes(kind, backbone, images, maps):
    """A mixture of nothing but the partner is the partner, on every path through the network."""
    assert bool(backbone.early_stages) == (kind not in WITHOUT_MIXING)
    with torch.no_grad():
        for stage in range(len(backbone.early_stages)):
            with mixed_inside(backbone, stage, PERMUTATION, 0.0):
                assert close(backbone(images), [x[PERMUTATION] for x in maps])


def test_every_parameter_has_a_layer(backbone):
    layers = {backbone.layer_of(name) for name, _ in backbone.named_parameters()}
    assert layers == set(range(backbone.depth + 1))


def test_it_compiles_as_one_graph_and_is_exported_with_any_batch(kind, backbone, images, maps):
    if kind not in TRACED:
        return
    torch._dynamo.reset()
    compiled = torch.compile(backbone, backend="eager", fullgraph=True, dynamic=False)
    program = torch.export.export(backbone, (images[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with torch.no_grad():
        assert close(compiled(images), maps) and close(program.module()(images), maps)
    torch._dynamo.reset()
