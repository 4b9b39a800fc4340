import pytest
import torch
from safetensors.torch import save_file

from semipose.errors import ModelError
from semipose.models.backbones import build_backbone
from semipose.models.pretrained import load_pretrained
from semipose.models.timm_import import import_timm

SIZE = (64, 96)  # width, height
VIT, LITE, CONVNEXT = "timm/test_vit", "timm/tf_efficientnet_lite0", "timm/convnext_atto"


def backbone_of(name, levels="pyramid"):
    return build_backbone(name, levels, SIZE).eval()


def timm_network(name):
    torch.manual_seed(1)
    return import_timm().create_model(name.removeprefix("timm/")).eval()


def saved(state, path):
    torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("name", [LITE, CONVNEXT])
def test_a_file_in_timms_names_loads_and_computes_the_same(tmp_path, name):
    theirs, ours = timm_network(name), backbone_of(name)
    report = load_pretrained(ours, saved(theirs.state_dict(), tmp_path / "weights.pth"), name)
    assert not report.missing and not report.shape_mismatch and report.unexpected
    images = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        expected = theirs.forward_intermediates(images, intermediates_only=True)[-4:]
        assert all(torch.equal(a, b) for a, b in zip(ours(images), expected, strict=True))


def test_safetensors_and_files_of_our_own_networks(tmp_path):
    source, target = backbone_of(CONVNEXT), backbone_of(CONVNEXT)
    state = {f"backbone.{key}": value for key, value in source.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    report = load_pretrained(target, str(tmp_path / "weights.safetensors"), CONVNEXT)
    assert len(report.matched) == len(state) and not report.unexpected
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters()))
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelError, match="half.safetensors"):
        load_pretrained(target, str(tmp_path / "half.safetensors"), CONVNEXT)


def test_position_embeddings_are_resized(tmp_path):
    theirs, ours = timm_network(VIT), backbone_of(VIT)
    assert theirs.pos_embed.shape != ours.net.pos_embed.shape
    report = load_pretrained(ours, saved(theirs.state_dict(), tmp_path / "weights.pth"), VIT)
    assert not report.missing and not report.shape_mismatch
    torch.testing.assert_close(ours.net.pos_embed[0, 0], theirs.pos_embed[0, 0])  # the class token's stays


def test_a_classifier_hrnet_loads_without_its_final_layer(tmp_path):
    theirs = timm_network("hrnet_w18_small")
    ours = backbone_of("timm/hrnet_w18_small", "finest")
    report = load_pretrained(ours, saved(theirs.state_dict(), tmp_path / "cls_hrnet.pth"), "timm/hrnet_w18_small")
    assert not report.missing and not report.shape_mismatch and "final_layer.0.weight" in report.unexpected


def test_downloads_by_tag_set_mean_and_std(monkeypatch):
    """The download is replaced by random weights; timm resizes what must be."""
    timm, asked = import_timm(), []

    def create(name, pretrained, img_size, dynamic_img_size):
        asked.append((name, pretrained, img_size))
        return plain_create(name.split(".")[0], img_size=img_size, dynamic_img_size=dynamic_img_size)

    ours = backbone_of(VIT)
    plain_create = timm.create_model
    monkeypatch.setattr(timm, "create_model", create)
    for source in ("imagenet", "r160_in1k"):
        ours.mean = ours.std = None
        report = load_pretrained(ours, source, VIT)
        assert not report.missing and not report.shape_mismatch
        assert ours.mean == ours.std == (0.5, 0.5, 0.5)
    assert asked == [("test_vit.r160_in1k", True, (96, 64))] * 2


def test_a_download_that_fails_says_what_to_do(monkeypatch):
    def create(name, pretrained):
        raise OSError("Name or service not known\nand more")

    ours = backbone_of(CONVNEXT)
    monkeypatch.setattr(import_timm(), "create_model", create)
    with pytest.raises(ModelError) as caught:
        load_pretrained(ours, "d2_in1k", CONVNEXT)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("convnext_atto.d2_in1k", "service", "huggingface.co", "MODEL.PRETRAINED"))


def test_a_tag_that_is_none_is_answered_with_the_tags():
    with pytest.raises(ModelError, match="'fb_in1k'.*'imagenet', 'd2_in1k'"):
        load_pretrained(backbone_of(CONVNEXT), "fb_in1k", CONVNEXT)
    with pytest.raises(ModelError, match="'seresnet18'.*MODEL.PRETRAINED"):
        load_pretrained(backbone_of("timm/seresnet18"), "imagenet", "timm/seresnet18")
