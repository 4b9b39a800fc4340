"""RT-DETR as detector: a small one that was never trained, and what is said where it cannot be had."""

import sys

import numpy as np
import pytest
import torch
from refusals import refused
from untrained_run import picture, write_run

from semipose import load_model
from semipose.jobs import predict as job
from semipose.models.torchvision_import import import_torchvision
from semipose.predict.rtdetr import RtDetr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A detector with 80,000 parameters and two classes."""
    import_torchvision()
    transformers = pytest.importorskip("transformers")
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_in_channels=[16, 24, 32], encoder_hidden_dim=16, encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, decoder_in_channels=[16] * 3, num_queries=20, decoder_layers=1,
        decoder_ffn_dim=16, decoder_attention_heads=2, num_denoising=0, feat_strides=[8, 16, 32],
        id2label={0: "person", 1: "dog"}, label2id={"person": 0, "dog": 1},
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.RTDetrForObjectDetection(config)
    for parameter in network.parameters():  # else it says the same of all places
        parameter.data += 0.3 * torch.randn(parameter.shape)
    path = tmp_path_factory.mktemp("detector")
    network.save_pretrained(path)
    return path


def test_boxes_are_those_of_the_library(folder):
    """Its own processor prepares the picture and turns the output into boxes."""
    import transformers

    image = picture(1, (640, 640))  # the size of its input: the two ways of scaling round differently
    processor = transformers.RTDetrImageProcessor()
    network = transformers.RTDetrForObjectDetection.from_pretrained(folder).eval()
    with torch.no_grad():
        output = network(**processor(image, return_tensors="pt"))
    expected = processor.post_process_object_detection(output, threshold=0.0, target_sizes=[(640, 640)])[0]
    kind = int(expected["labels"][0])
    own = expected["labels"] == kind
    count = int(own.sum())
    boxes, scores = RtDetr(network.config.id2label[kind], str(folder), least=0.0)(image)
    found = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    assert count >= 5
    np.testing.assert_allclose(scores[:count], expected["scores"][own].numpy(), atol=1e-5)
    np.testing.assert_allclose(found[:count], expected["boxes"][own].numpy(), atol=0.01)


def test_the_threshold_and_the_class_count(folder):
    image = picture(1)
    dogs, persons = (RtDetr(name, str(folder), 0.0)(image) for name in ("dog", "Person"))
    assert len(dogs[0]) == len(persons[0]) == 20 and not np.allclose(dogs[1], persons[1])
    assert (np.diff(dogs[1]) <= 0).all()
    middle = float(np.median(dogs[1]))
    assert len(RtDetr("dog", str(folder), middle)(image)[0]) == (dogs[1] >= middle).sum()


def test_in_python_and_on_the_command_line(folder, tmp_path):
    run = write_run(tmp_path / "run")
    found = load_model(run)(picture(1), detector=RtDetr("dog", str(folder), 0.0))
    assert found.box_scores.shape == (20,)
    from PIL import Image

    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    words = [str(run), str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    words += ["--detector", "dog", "--detector-model", str(folder), "--detector-score", "0"]
    assert job.main(words) == 0 and (tmp_path / "out/a.json").exists()


def test_an_unknown_class_is_named(folder):
    refused(lambda: RtDetr("dgo", str(folder)), "dgo", "dog")


def test_a_model_of_another_kind_is_refused(folder, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "detr"}')
    refused(lambda: RtDetr("dog", str(tmp_path)), "rt_detr")


def test_a_download_that_fails_is_one_line_with_the_remedy(folder, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    refused(lambda: RtDetr("dog", "nobody/none"), "nobody/none", "hf download", "--detector-model")
    refused(lambda: RtDetr("dog", "no_folder"), "no_folder", "folder")


def test_without_transformers_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    refused(lambda: RtDetr("dog"), "transformers", "semipose[detector]")
