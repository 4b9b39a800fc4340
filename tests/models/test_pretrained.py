import os
import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from refusals import refused
from torch import nn

from semipose.errors import ModelError
from semipose.models.backbones import build_backbone
from semipose.models.pretrained import MatchReport, load_pretrained
from semipose.models.torchvision_import import import_torchvision


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1))


NAMES = ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "2.weight", "2.bias")


def save(content, path: Path) -> str:
    torch.save(content, path)
    return str(path)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone.", "backbone.module."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "teacher"])
def test_wrapped_and_prefixed_files_match_fully(tmp_path, prefix, wrapper):
    source, target = small_net(), small_net()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    path = save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "weights.pth")
    assert not same(source, target)
    report = load_pretrained(target, path, "small")
    assert same(source, target)
    assert report == MatchReport(NAMES, (), (), ())


def test_partial_file_is_reported_by_name(tmp_path):
    source, target = small_net(), small_net()
    state = source.state_dict()
    del state["1.running_mean"], state["1.num_batches_tracked"]
    state["2.weight"] = torch.zeros(9, 4, 1, 1)
    state["fc.weight"] = torch.zeros(2, 2)
    kept = target[2].weight.clone()
    report = load_pretrained(target, save(state, tmp_path / "weights.pth"), "small")
    matched = tuple(n for n in NAMES if n not in ("1.running_mean", "2.weight"))
    assert report == MatchReport(matched, ("1.running_mean",), ("fc.weight",), ("2.weight",))
    assert all(word in str(report) for word in ("6 of 8", "fc.weight", "1.running_mean", "2.weight"))
    assert torch.equal(target[2].weight, kept)
    assert torch.equal(target[0].weight, source[0].weight)


def test_nothing_matches(tmp_path):
    path = save({"encoder.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth.*'small'.*encoder\.weight"):
        load_pretrained(small_net(), path, "small")


class Hostile:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("save_with", [torch.save, lambda c, p: p.write_bytes(pickle.dumps(c, protocol=2))])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, save_with):
    marker, path = tmp_path / "marker", tmp_path / "hostile.pth"
    save_with({**small_net().state_dict(), "x": Hostile(marker)}, path)
    with pytest.raises(ModelError, match="hostile.pth"):
        load_pretrained(small_net(), str(path), "small")
    assert not marker.exists()


@pytest.mark.parametrize("content", [None, b"", b"<!DOCTYPE html><html></html>"], ids=["half", "empty", "html"])
def test_damaged_file(tmp_path, content):
    path = tmp_path / "weights.pth"
    save(small_net().state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(ModelError, match="weights.pth") as caught:
        load_pretrained(small_net(), str(path), "small")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3), {"state_dict": {}}])
def test_file_without_state_dict(tmp_path, content):
    with pytest.raises(ModelError, match="weights.pth"):
        load_pretrained(small_net(), save(content, tmp_path / "weights.pth"), "small")


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        refused(lambda: load_pretrained(small_net(), str(path), "small"), str(path))  # noqa: B023  called at once


def test_imagenet_weights_load_by_name(monkeypatch, tmp_path):
    """The download is replaced by a file made here; old files lack BatchNorm's counters, as this one does."""
    state = import_torchvision().models.resnet18(weights=None).state_dict()
    state = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    asked = []

    def download(url, filename, hash_prefix=None, progress=True):
        asked.append((url, hash_prefix))
        torch.save(state, filename)

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    backbone = build_backbone("resnet18", "deepest", (64, 96))
    report = load_pretrained(backbone, "imagenet", "resnet18")
    assert len(report.matched) == 100 and report.unexpected == ("fc.weight", "fc.bias") and not report.missing
    assert torch.equal(backbone.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])
    assert asked == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd")]


def test_imagenet_weights_without_network(monkeypatch, tmp_path):
    def download(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(ModelError) as caught:
        load_pretrained(build_backbone("resnet18", "deepest", (64, 96)), "imagenet", "resnet18")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("resnet18", "Name or service", "resnet18-f37072fd.pth", str(tmp_path), "MODEL.PRETRAINED"):
        assert part in message
