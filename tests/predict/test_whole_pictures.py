"""A bottom-up network finds in whole pictures what validation finds, with boxes around it, and all files hold it."""

import csv
import json

import numpy as np
import pytest
import torch
from refusals import refused
from small_crowds import PLACES, WIDE, crowd_config, write_crowds
from small_videos import write_video
from untrained_run import picture

from semipose import assemble, cli, load_model
from semipose.config import load_config, to_yaml
from semipose.data.formats import read_detections
from semipose.data.images import read_image
from semipose.engine.checkpoint import save_atomic
from semipose.evaluation.oks import person_scores
from semipose.jobs import export, predict
from semipose.predict.boxes import read_boxes
from semipose.predict.instances import found_in_picture
from semipose.skeletons import COCO

NAMES = ("snout", "tail")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_crowds(tmp_path_factory.mktemp("crowds"))


@pytest.fixture(scope="module")
def config(root):
    return crowd_config(root, "ALGORITHM", "supervised")


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """A run folder whose network finds something in all pictures, though nobody."""
    algorithm, folder = assemble.build_algorithm(config), tmp_path_factory.mktemp("run")
    generator = torch.Generator().manual_seed(0)
    for parameter in algorithm.parameters():
        parameter.data += 0.03 * torch.randn(parameter.shape, generator=generator)
    for network in algorithm.predictors().values():
        network.head.heat[-1].bias.data += 0.3
    save_atomic({"config": to_yaml(config), "algorithm": algorithm.state_dict()}, folder / "best.pth")
    return folder


@pytest.fixture(scope="module")
def model(run):
    return load_model(run, instance_score=0)


def same(ours, theirs) -> None:
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours.keypoints, theirs.keypoints, atol=1e-3)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)


@pytest.mark.parametrize("flip, scales", [(False, [1.0]), (True, [1.0]), (False, [0.5, 1.0, 1.5])])
def test_it_finds_what_validation_finds(config, run, flip, scales):
    config = config.clone()
    config.defrost()
    config.TEST.FLIP_TEST, config.TEST.SCALES = flip, scales
    validator = assemble.build_validator(config, assemble.read_validation(config))
    model = load_model(run, flip_test=flip, scales=scales, instance_score=0)
    entry = validator.sets["val"]
    rows, people = validator.predict(entry, {"student": model.predictor.networks[0]}, ("student",))["student"]
    found = model(entry.dataset.persons.image_paths.tolist())
    for row, instances in enumerate(found):
        own = people.take(rows == row)
        np.testing.assert_allclose(instances.keypoints, own.keypoints, atol=1e-3)
        np.testing.assert_allclose(instances.person_scores, own.box_scores, atol=1e-5)
    assert sum(map(len, found)) == len(people) > 0


def test_arrays_batches_and_streams_agree(model, root):
    files = sorted((root / "images/val").iterdir())
    expected = model([str(file) for file in files])
    for file, own in zip(files, expected):
        same(model(read_image(str(file))), own)
    for ours, theirs in zip(model.stream(map(str, files)), expected, strict=True):
        same(ours, theirs)
    same(model([picture(n) for n in range(11)])[10], model(picture(10)))


def test_boxes_lie_around_the_keypoints_and_inside_the_picture():
    keypoints = np.array([[[20.0, 30], [40, 70]], [[-5, 5], [118, 60]], [[50, 50], [50, 50]], [[0, 0], [0, 0]]])
    scores = np.array([[0.9, 0.1], [0.4, 0.4], [0.3, 0.2], [0, 0]])
    found = found_in_picture(keypoints, scores, NAMES, WIDE, 0.0)
    assert found.boxes.tolist() == [[16, 26, 28, 48], [0, 0, 120, 72.3], [49, 49, 2, 2]]
    # not as boxes have it: all keypoints count, those below 0.2 too
    assert found.person_scores.tolist() == pytest.approx([0.5, 0.4, 0.25])
    assert person_scores(np.ones(1), scores[:1])[0] == pytest.approx(0.9)
    assert len(found_in_picture(keypoints, scores, NAMES, WIDE, 0.3)) == 2
    assert len(found_in_picture(keypoints[:0], scores[:0], NAMES, WIDE, 0.3)) == 0
    outside = found_in_picture(keypoints[:1] - 500, scores[:1], NAMES, WIDE, 0.0)
    assert outside.boxes.tolist() == [[0, 0, 1, 1]]


def test_the_best_come_first_and_faint_ones_are_left_out(run, model):
    everyone = model(picture(1))
    scores = everyone.person_scores
    assert (np.diff(scores) <= 0).all() and np.allclose(scores, everyone.scores.mean(1))
    least = float(scores[len(scores) // 2])
    few = load_model(run, instance_score=least)(picture(1))
    same(few, everyone.take(scores >= least))
    nobody = load_model(run, instance_score=1e6)([picture(1), picture(2)])
    assert [len(found) for found in nobody] == [0, 0] and nobody[0].boxes.shape == (0, 4)


def test_boxes_detectors_and_scales_that_are_refused(run, model, tmp_path):
    refused(lambda: model(picture(1), boxes=[[0, 0, 9, 9]]), "boxes")
    refused(lambda: model(picture(1), detector=lambda image: ([], [])), "detector")
    for scales in ([], [0], [1, float("nan")]):
        refused(lambda scales=scales: load_model(run, scales=scales), "scales")


@pytest.fixture
def call(run, tmp_path, capsys):
    def job(*words):
        code = predict.main([str(run), *map(str, words), "--out", str(tmp_path / "out"), "--device", "cpu"])
        return code, *capsys.readouterr()

    return job


def test_files_of_pictures(call, root, model, tmp_path):
    folder = root / "images/val"
    code, *_ = call(folder, "--instance-score", "0", "--format", "csv", "coco", "labelme", "--overlay")
    assert code == 0
    document = json.loads((tmp_path / "out/val.json").read_text())
    expected = {file.name: model(str(file)) for file in sorted(folder.iterdir())}
    for image in document["images"]:
        own = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        found = expected[image["file_name"]]
        np.testing.assert_allclose([a["score"] for a in own], found.person_scores, atol=1e-4)
        np.testing.assert_allclose([a["bbox"] for a in own], found.boxes, atol=0.01)
    most = max(map(len, expected.values()))
    with open(tmp_path / "out/val.csv", newline="") as file:
        header = list(csv.reader(file))[1]
    assert header[-1] == f"individual{most}"
    shapes = json.loads((tmp_path / "out/val.labelme/001.json").read_text())["shapes"]
    assert {shape["group_id"] for shape in shapes} == set(range(len(expected["001.png"])))
    assert len(list((tmp_path / "out/val.overlay").glob("*.png"))) == len(PLACES)


def test_nobody_in_any_picture(call, root, tmp_path):
    code, out, _ = call(
        root / "images/val", "--instance-score", "1e6", "--overlay", "--format", "coco", "csv", "labelme"
    )
    assert code == 0 and "4 frames without an instance" in out
    assert json.loads((tmp_path / "out/val.json").read_text())["annotations"] == []


def test_a_video_with_tracks_needs_no_boxes(call, tmp_path):
    words = write_video(tmp_path / "v.mp4", 4), "--track", "--smooth", "savgol", "--overlay", "--instance-score", "0"
    code, *_ = call(*words)
    document = json.loads((tmp_path / "out/v.json").read_text())
    assert code == 0 and all("track_id" in row for row in document["annotations"])
    assert {"v.csv", "v.smooth.csv", "v.overlay.mp4"} <= {file.name for file in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("words, named", [
    (("--boxes", "boxes.csv"), "--boxes"), (("--scales", "0"), "scales"), (("--scales", "nan"), "scales"),
])  # fmt: skip
def test_flags_that_do_not_fit(call, root, tmp_path, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boxes.csv").write_text("name,x,y,width,height\n001.png,1,1,9,9\n")
    code, _, err = call(root / "images/val", *words)
    assert code == 2 and err.startswith("error:") and named in err and len(err.splitlines()) == 1


def test_onnx_has_the_maps_and_no_decoding(run, root, model, tmp_path):
    file = tmp_path / "net.onnx"
    assert export.main([str(run), "--out", str(file)]) == 0
    first = str(root / "images/val/002.png")
    same(load_model(file, instance_score=0)(first), model(first))
    refused(lambda: load_model(file, scales=[1, 2]), "net.onnx", "scales")
    assert export.main([str(run), "--out", str(tmp_path / "other.onnx"), "--decode"]) == 2
    assert export.main([str(run), "--out", str(tmp_path / "net.safetensors")]) == 0
    same(load_model(tmp_path / "net.safetensors", instance_score=0)(first), model(first))


def test_what_it_finds_are_boxes_for_a_top_down_network(call, root, tmp_path):
    """In a COCO file images are told by their names: ids of the prediction are other ones."""
    code, *_ = call(root / "images/val", "--instance-score", "0", "--format", "coco")
    found, annotation = tmp_path / "out/val.json", root / "annotations/person_keypoints_val.json"
    document = json.loads(found.read_text())
    for row in (*document["images"], *document["annotations"]):
        key = "id" if "file_name" in row else "image_id"
        row[key] = 900 - row[key]
    document["images"].append({"id": 5, "file_name": "another.png"})
    document["annotations"].append(document["annotations"][0] | {"image_id": 5})
    found.write_text(json.dumps(document))
    persons = read_detections(str(found), str(annotation), str(root / "images/val"), COCO)
    inside = [row for row in document["annotations"] if row["bbox"][0] < WIDE[0] - 1 and row["bbox"][1] < WIDE[1] - 1]
    wanted = [row for row in inside if row["image_id"] != 5]
    assert code == 0 and len(persons) == len(wanted)
    assert persons.scores.tolist() == pytest.approx([row["score"] for row in wanted])
    names = {row["id"]: row["file_name"] for row in document["images"]}
    for number, row in enumerate(wanted):
        assert persons.path(number).endswith(names[row["image_id"]])
        assert abs(persons.boxes[number, :2] - row["bbox"][:2]).max() < 1.01  # clipped at the last pixel
    boxes, _ = read_boxes(str(found)).boxes("002.png", WIDE)
    assert len(boxes) == sum(names[row["image_id"]] == "002.png" for row in wanted)
    pairs = ["DATASET.ROOT", str(root), "DATASET.TEST_SET", "[val]", "TEST.USE_GT_BBOX", "false"]
    config = load_config(
        [], {"GPUS": "cpu", "WORKERS": 0}, [*pairs, "TEST.COCO_BBOX_FILE", str(found), "MODEL.CODEC", "gaussian"]
    )
    (entry,) = assemble.build_validator(config, assemble.read_validation(config)).sets.values()
    assert len(entry.dataset) == len(wanted) and len(entry.labels.ground_truth.dataset["annotations"]) == 6


def test_valid_writes_numbers_results_and_pictures(run, root, config, tmp_path, monkeypatch, capsys):
    show = "--show-dir", str(tmp_path / "show"), "--show-boxes"
    words = ["valid", "--checkpoint", str(run), "--out", str(tmp_path / "scores.json"), *show, "TEST.PIXELS", "2"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        cli.valid()
    out = capsys.readouterr().out
    assert not end.value.code and "val: 4 pictures" in out and "group 1" in out
    scores = json.loads((tmp_path / "scores.json").read_text())["val"]["student"]
    assert {"AP", "AP_group_1", "PCK", "EPE", "PCK_px", "found"} <= scores.keys()
    results = json.loads((tmp_path / "scores.val.results.json").read_text())
    assert {row["image_id"] for row in results} <= set(PLACES) and len(results) > 4
    for row in results:
        assert row["score"] == pytest.approx(np.mean(row["keypoints"][2::3]))
    assert len(list((tmp_path / "show/val").glob("*.png"))) >= sum(map(bool, PLACES.values()))


def test_the_mean_of_two_networks(root, tmp_path):
    config = crowd_config(root, "ALGORITHM", "cotrain1", "TRAIN.BATCH_SIZE", "2")
    algorithm = assemble.build_algorithm(config)
    for network in algorithm.predictors().values():
        getattr(network, "module", network).head.heat[-1].bias.data += 0.3
    save_atomic({"config": to_yaml(config), "algorithm": algorithm.state_dict()}, tmp_path / "best.pth")
    first, both = (load_model(tmp_path, which, instance_score=0) for which in ("first", ""))
    assert both.which == "ensemble" and len(both(picture(1))) > 0
    assert not np.array_equal(both(picture(1)).scores[:1], first(picture(1)).scores[:1])
