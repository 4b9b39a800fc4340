import pytest
import torch

from semipose.errors import ConfigError
from semipose.models.body import build_body, choose_neck

SIZE = (64, 96)  # width, height
VIT = "timm/test_vit"
LITE = "timm/tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("resnet50", "deconv"), ("light_unet", "none"), ("hrnet_w32", "none"), ("timm/hrnet_w18_small", "none"),
     (VIT, "deconv"), (LITE, "pyramid"), ("timm/convnext_atto", "pyramid")],
)  # fmt: skip
def test_the_usual_neck(name, kind):
    assert choose_neck(name, "map") == kind
    assert choose_neck(name, "vector") == "none"


@pytest.mark.parametrize(
    ("name", "kind", "wanted", "channels", "stride"),
    [
        ("resnet18", "auto", "map", 256, 4),
        ("resnet18", "pyramid", "map", 64, 4),
        ("resnet18", "auto", "vector", 512, 32),
        ("light_unet", "auto", "map", 32, 4),
        ("light_unet", "deconv", "map", 256, 4),
        ("light_unet_deep", "auto", "vector", 128, 32),
        ("timm/hrnet_w18_small", "auto", "map", 16, 4),
        ("timm/hrnet_w18_small", "pyramid", "map", 64, 4),
        (LITE, "auto", "map", 64, 4),
        (LITE, "deconv", "map", 256, 4),
        (VIT, "auto", "map", 256, 4),
        (VIT, "auto", "vector", 64, 16),
    ],
)
def test_bodies_make_the_map_they_declare_and_every_parameter_learns(name, kind, wanted, channels, stride):
    with torch.device("meta"):
        backbone, neck = build_body(name, kind, wanted, SIZE)
        features = neck(backbone(torch.zeros(2, 3, 96, 64)))
    assert (neck.out_channels, neck.stride) == (channels, stride)
    assert features.shape == (2, channels, 96 // stride, 64 // stride)
    features.sum().backward()
    assert [key for part in (backbone, neck) for key, p in part.named_parameters() if p.grad is None] == []


def test_a_patch_of_14_gives_a_stride_that_is_no_whole_number():
    with torch.device("meta"):
        backbone, neck = build_body("timm/vit_small_patch14_dinov2", "auto", "map", (56, 84))
        assert neck(backbone(torch.zeros(1, 3, 84, 56))).shape == (1, 256, 24, 16) and neck.stride == 3.5


@pytest.mark.parametrize(
    ("name", "kind", "size", "named"),
    [
        ("resnet18", "none", SIZE, "'resnet18'.*stride 4"),
        (VIT, "none", SIZE, VIT),
        ("light_unet", "pyramid", SIZE, "'light_unet'"),
        ("resnet18", "fpn", SIZE, "'fpn'.*pyramid"),
        ("resnet20", "auto", SIZE, "'resnet20'"),
        ("light_unet_deep", "auto", (100, 96), "100x96.* 32 .*nearest: 96x96"),
        ("timm/vit_small_patch14_dinov2", "auto", (192, 256), "192x256.* 14 .*nearest: 196x252"),
    ],
)
def test_what_makes_no_sense_is_refused(name, kind, size, named):
    with pytest.raises(ConfigError, match=named), torch.device("meta"):
        build_body(name, kind, "map", size)
