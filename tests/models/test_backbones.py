import pytest
import torch

from semipose.errors import ConfigError
from semipose.models.backbones import build_backbone
from semipose.models.resnet import RESNETS
from semipose.models.timm_import import import_timm
from semipose.models.torchvision_import import import_torchvision

SIZE = (64, 96)  # width, height
LITE = "timm/tf_efficientnet_lite0"


def on_meta(name, levels, size=SIZE):
    with torch.device("meta"):
        return build_backbone(name, levels, size)


def strides(backbone):
    return [level.stride for level in backbone.levels]


@pytest.mark.parametrize("name", RESNETS)
def test_resnet_keeps_torchvision_names(name):
    with torch.device("meta"):
        ours = build_backbone(name, "deepest", SIZE).state_dict()
        theirs = import_torchvision().models.get_model(name, weights=None).state_dict()
    expected = {key: value.shape for key, value in theirs.items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in ours.items()} == expected


def test_resnet_computes_what_torchvision_computes():
    reference = import_torchvision().models.resnet18(weights=None).eval()
    backbone = build_backbone("resnet18", "pyramid", SIZE).eval()
    backbone.load_state_dict(reference.state_dict(), strict=False)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pooled = backbone(images)[-1].mean(dim=(2, 3))
        assert torch.allclose(reference.fc(pooled), reference(images), atol=1e-5)


def test_every_light_unet_parameter_reaches_the_output():
    backbone = build_backbone("light_unet_deep", "finest", SIZE)
    backbone(torch.rand(2, 3, 64, 64))[0].square().mean().backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_a_light_unet_without_its_way_up_has_no_layers_for_it():
    whole, half = (build_backbone("light_unet", levels, SIZE) for levels in ("finest", "deepest"))
    assert half.state_dict().keys() == {key for key in whole.state_dict() if key.split(".")[0] in ("stem", "down")}
    assert strides(whole) == [4] and strides(half) == [16]


def test_light_unet_takes_sizes_that_are_no_multiple():
    (features,) = build_backbone("light_unet", "finest", SIZE)(torch.zeros(1, 3, 52, 36))
    assert features.shape == (1, 32, 13, 9)


def test_a_size_whose_coarsest_map_is_one_pixel_is_taken():
    backbone = build_backbone("timm/mobilenetv3_small_050", "deepest", (32, 32))
    assert backbone.train()(torch.rand(2, 3, 32, 32))[0].shape[-2:] == (1, 1)


@pytest.mark.parametrize(("name", "width", "count"), [("hrnet_w32", 32, 28_536_113), ("hrnet_w48", 48, 63_595_745)])
def test_hrnet_has_the_parameters_of_the_paper(name, width, count):
    """28.5 M and 63.6 M with a 1x1 convolution to COCO's 17 keypoints (Sun et al., CVPR 2019)."""
    backbone = on_meta(name, "finest")
    assert [(level.channels, level.stride) for level in backbone.levels] == [(width, 4)]
    assert sum(p.numel() for p in backbone.parameters()) + 17 * (width + 1) == count


def test_hrnet_has_the_names_of_its_authors():
    names = on_meta("timm/hrnet_w18_small", "finest").state_dict().keys()
    first = ("conv1", "bn1", "conv2", "bn2", "layer1", "transition1", "stage2", "transition2", "stage3")
    assert {name.split(".")[0] for name in names} == {*first, "transition3", "stage4"}
    assert "stage4.0.fuse_layers.0.1.0.weight" in names and "stage4.0.branches.3.0.conv1.weight" in names
    assert not any(name.startswith("stage4.0.fuse_layers.1") for name in names)


@pytest.mark.parametrize("levels, branches", [("deepest", [3]), ("pyramid", [0, 1, 2, 3]), ("finest", [0])])
def test_hrnet_computes_what_timm_computes(levels, branches):
    reference = import_timm().create_model(
        "hrnet_w18_small", features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    )
    backbone = build_backbone("timm/hrnet_w18_small", levels, SIZE)
    state = reference.state_dict()
    assert levels != "pyramid" or state.keys() == backbone.state_dict().keys()
    last = "stage4.0.fuse_layers."
    kept = {f"{last}{new}.": f"{last}{old}." for new, old in enumerate(branches)}
    source = {key: key for key in backbone.state_dict()}
    source |= {key: kept[p] + key.removeprefix(p) for key in source for p in kept if key.startswith(p)}
    backbone.load_state_dict({key: state[old] for key, old in source.items()})
    images = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        theirs, ours = reference.eval()(images), backbone.eval()(images)
    assert all(torch.equal(x, theirs[branch]) for x, branch in zip(ours, branches, strict=True))


def test_timm_network_is_cut_after_its_last_map():
    names = {name.split(".")[1] for name in on_meta(LITE, "deepest").state_dict()}
    assert names == {"conv_stem", "bn1", "blocks"}
    backbone = on_meta(LITE, "pyramid")
    assert strides(backbone) == [4, 8, 16, 32] and backbone.mean == backbone.std == (0.5, 0.5, 0.5)


def test_vit_has_one_map_and_takes_other_sizes():
    backbone = build_backbone("timm/test_vit", "pyramid", SIZE).eval()
    assert strides(backbone) == [16] and backbone.size_multiple == 16
    assert backbone.net.pos_embed.shape[1] == 6 * 4 + 1  # of the image size: nothing is resized in training
    with torch.no_grad():
        assert backbone(torch.rand(1, 3, 64, 64))[0].shape == (1, 64, 4, 4)


def test_layers_rise_from_the_stem_to_the_last_block():
    cases = {
        "resnet18": ("conv1.weight", "layer4.0.conv1.weight", 4),
        "light_unet": ("stem.0.weight", "up.0.conv1.weight", 3),
        "timm/hrnet_w18_small": ("conv2.weight", "stage4.0.branches.0.0.conv1.weight", 4),
        "timm/test_vit": ("net.pos_embed", "net.norm.weight", 6),
        LITE: ("net.conv_stem.weight", "net.blocks.6.0.conv_pw.weight", 7),
    }
    for name, (first, last, depth) in cases.items():
        backbone = on_meta(name, "pyramid")
        layers = [backbone.layer_of(parameter) for parameter, _ in backbone.named_parameters()]
        assert (backbone.layer_of(first), backbone.layer_of(last), backbone.depth) == (0, depth, depth), name
        assert set(layers) == set(range(depth + 1)), name
    assert on_meta("timm/test_vit", "deepest").layer_of("net.blocks.2.attn.qkv.weight") == 3
    assert on_meta("timm/hrnet_w18_small", "finest").layer_of("transition2.2.0.0.weight") == 3


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet19", "resnet18"), ("convnext_tiny", "timm/convnext_tiny"), ("timm/hrnet_w33", "timm/hrnet_w32")],
)
def test_an_unknown_name_is_answered_with_names_near_it(name, near):
    with pytest.raises(ConfigError, match=f"{name!r}.*light_unet.*near it.*{near}"):
        build_backbone(name, "deepest", SIZE)


def test_levels_that_a_backbone_does_not_have():
    with pytest.raises(ConfigError, match="'resnet18'.*MODEL.NECK"):
        build_backbone("resnet18", "finest", SIZE)
    with pytest.raises(ConfigError, match="'all'.*pyramid"):
        build_backbone("resnet18", "all", SIZE)


@pytest.mark.parametrize("name", ["timm/efficientformer_l1", "timm/inception_v3"])
def test_a_network_that_does_not_take_the_size_is_refused_by_name(name):
    """Attention of a fixed size; convolutions without padding."""
    with pytest.raises(ConfigError, match=name):
        on_meta(name, "pyramid", (192, 256))
