"""Exported files give the keypoints of the checkpoint, in any batch, and say what they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semipose import assemble, load_model
from semipose.config import load_config, to_yaml
from semipose.engine.checkpoint import load_checkpoint, save_atomic
from semipose.errors import ConfigError, ModelError, SemiposeError
from semipose.jobs import export, predict
from semipose.predict.export import difference, export_onnx, export_weights
from semipose.skeletons import get_skeleton

KINDS = (
    ("keypoints", "ensemble", True, "fp32"),
    ("heatmaps", "first", False, "fp32"),
    ("half", "first", False, "fp16"),
)
NAMES = ("left_hand", "right_hand", "head")
SKELETON = "keypoints: [left_hand, right_hand, head]\nsigmas: 0.05\nswaps: [[left_hand, right_hand]]\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of co-training with a skeleton of its own, whose file is gone, and networks that say something."""
    folder = tmp_path_factory.mktemp("run")
    skeleton = folder / "hands.yaml"
    skeleton.write_text(SKELETON)
    pairs = ["DATASET.SKELETON", str(skeleton), "MODEL.IMAGE_SIZE", "[32, 48]", "MODEL.HEATMAP_SIZE", "[8, 12]"]
    config = load_config("experiments/demo/cotrain.yaml", {"GPUS": "cpu"}, pairs)
    algorithm = assemble.build_algorithm(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in algorithm.parameters():  # different peaks for different pictures
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    plain = get_skeleton(str(skeleton)).to_plain()
    save_atomic(
        {"algorithm": algorithm.state_dict(), "config": to_yaml(config), "skeleton": plain}, folder / "best.pth"
    )
    skeleton.unlink()
    return folder


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """Exporting takes seconds, so each kind is made once."""
    folder, made = tmp_path_factory.mktemp("exported"), {}
    for name, which, decode, precision in KINDS:
        model = load_model(run, which=which)
        made[name] = export_onnx(model.predictor, model.description, folder / f"{name}.onnx", decode, precision)
    return made


def pictures(count=5) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (60 + 10 * n, 50, 3), dtype=np.uint8) for n in range(count)]


def crops(count=4) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 3, 60, 40), dtype=np.uint8)


def same(first, second, tolerance=1e-3) -> None:
    for one, two in zip(first, second, strict=True):
        np.testing.assert_allclose(one.keypoints, two.keypoints, atol=tolerance)
        np.testing.assert_allclose(one.scores, two.scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["heatmaps", "keypoints"])
def test_onnx_gives_the_keypoints_of_the_checkpoint(run, files, kind):
    """One file for batches of any size; from pictures of mixed sizes."""
    exported = load_model(files[kind])
    model = load_model(run, which=exported.which)
    found = model(pictures())
    assert np.ptp([person.keypoints for person in found], axis=0).max() > 1  # else the comparison says nothing
    for count in (1, 3, 5):
        same(exported(pictures(count)), found[:count], 2e-3)
    assert exported.skeleton == model.skeleton and exported.which in ("ensemble", "first") and found[0].names == NAMES
    keypoints, scores = difference(model.predictor, exported.predictor, crops())
    assert keypoints < 1e-3 and scores < 1e-2


def test_flip_test_of_an_onnx_file(run, files):
    same(
        load_model(files["heatmaps"], flip_test=True)(pictures()),
        load_model(run, which="first", flip_test=True)(pictures()), 2e-3,
    )  # fmt: skip


def test_the_metadata_is_read_by_others(files):
    onnx = pytest.importorskip("onnx")
    (entry,) = onnx.load(files["heatmaps"]).metadata_props
    found = json.loads(entry.value)
    assert found["names"] == list(NAMES) and found["size"] == [32, 48] and found["padding"] == 1.25
    assert (found["which"], found["outputs"], found["skeleton"]["swaps"]) == ("first", "output", [list(NAMES[:2])])


def test_half_precision_is_half_the_file_and_nearly_the_same(files):
    assert files["half"].stat().st_size < 0.6 * files["heatmaps"].stat().st_size
    scores = [np.stack([p.scores for p in load_model(files[kind])(pictures())]) for kind in ("heatmaps", "half")]
    assert 0 < np.abs(scores[0] - scores[1]).max() < 0.02 * np.abs(scores[0]).max()


def test_weights_alone_give_the_same_network(run, tmp_path):
    for which in ("ensemble", "second"):
        model = load_model(run, which=which)
        file = export_weights(model.predictor, model.description, tmp_path / "m.safetensors")
        same(load_model(file)(pictures()), model(pictures()))
        same(load_model(file, flip_test=True)(pictures()), load_model(run, which=which, flip_test=True)(pictures()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.write_bytes(b"no model"), "m.onnx"),
        (lambda file: file.unlink(), "m.onnx"),
        (lambda file: _without_metadata(file), "metadata"),
    ],
)
def test_other_files_are_refused_in_one_line(files, tmp_path, change, words):
    file = Path(shutil.copy(files["heatmaps"], tmp_path / "m.onnx"))
    change(file)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(file)
    assert len(str(caught.value).splitlines()) == 1


def _without_metadata(file) -> None:
    import onnx

    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.save(model, file)


def test_the_csv_names_the_exported_file_and_not_its_folder(files, tmp_path):
    Image.fromarray(pictures(1)[0]).save(tmp_path / "a.png")
    for kind in ("heatmaps", "half"):
        assert predict.main([str(files[kind]), str(tmp_path / "a.png"), "--out", str(tmp_path), "--device", "cpu"]) == 0
        assert (tmp_path / "a.csv").read_text().startswith(f"scorer,semipose_{kind}_first,")


def test_what_cannot_be_done_is_refused(run, files, tmp_path):
    model = load_model(run)
    with pytest.raises(ConfigError, match="flip"):
        load_model(files["keypoints"], flip_test=True)
    with pytest.raises(ConfigError, match="second"):
        load_model(files["keypoints"], which="second")
    with pytest.raises(ConfigError, match="int4"):
        export_onnx(model.predictor, model.description, tmp_path / "m.onnx", precision="int4")
    with pytest.raises(SemiposeError, match="nowhere"):
        export_weights(model.predictor, model.description, tmp_path / "nowhere/m.safetensors")


def test_the_job_compares_what_it_wrote(run, tmp_path, capsys):
    assert export.main([str(run), "--out", str(tmp_path / "m.safetensors"), "--which", "first"]) == 0
    printed = capsys.readouterr()
    assert "m.safetensors: first" in printed.out and "noise" in printed.out  # its validation set is not here
    difference = float(printed.out.split(": ")[-1].split()[0])
    assert difference < 1e-3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--out", "m.txt"], "m.txt"), (["--out", "m.safetensors", "--decode"], "--decode"),
        (["--out", "m.onnx", "--which", "nobody"], "nobody"), (["--out", "."], "--out"),
    ],
)  # fmt: skip
def test_the_job_refuses_in_one_line(run, tmp_path, monkeypatch, capsys, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert export.main([str(run), *arguments]) == 2
    assert word in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.onnx", "m.safetensors"])
def test_an_onnx_file_is_not_exported_again(files, tmp_path, capsys, name):
    """Its weights are not in reach: a traceback of torch, or a file without weights, would come out."""
    assert export.main([str(files["heatmaps"]), "--out", str(tmp_path / name)]) == 2
    assert "heatmaps.onnx" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_file_that_computes_something_else_is_removed(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("semipose.predict.export.difference", lambda *_: (float("nan"), 0.0))
    assert export.main([str(run), "--out", str(tmp_path / "m.safetensors")]) == 2
    assert "m.safetensors" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_flip_test_of_networks_that_saw_no_mirrored_picture_is_warned_of(run, tmp_path, caplog):
    state = load_checkpoint(run / "best.pth")
    load_model(run, flip_test=True)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    state["config"] = state["config"].replace("FLIP: 0.5", "FLIP: 0.0")
    save_atomic(state, tmp_path / "best.pth")
    load_model(tmp_path, flip_test=True)
    assert any(str(tmp_path) in record.getMessage() for record in caplog.records if record.levelname == "WARNING")
