"""The command `semipose label`: from a run to a folder of predictions to correct."""

import csv
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from untrained_run import picture, write_run

from semipose import load_model
from semipose.assemble.labelling import build_committee
from semipose.data.formats.corrected_labelme import is_corrected
from semipose.data.formats.labelme import read_labelme
from semipose.jobs import label as job
from semipose.predict import sources, videos
from semipose.predict.next_to_label.shots import Shot, look_at
from semipose.prepare.drawn_people import write_demo_data
from semipose.skeletons import COCO


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of drawn people: 4 labelled, 12 unlabelled, 3 held out."""
    folder = tmp_path_factory.mktemp("label")
    write_demo_data(folder / "data", labeled=4, unlabeled=12, val=3, seed=0)
    return write_run(folder / "mine", "DATASET.ROOT", str(folder / "data"))


@pytest.fixture
def call(run, tmp_path, capsys):
    """Choose in this process; returns (exit code, stdout, stderr)."""

    def label(*words, out="next"):
        return job.main(
            [str(run), *map(str, words), "--out", str(tmp_path / out), "--device", "cpu"]
        ), *capsys.readouterr()

    return label


def rows_of(folder) -> list[dict]:
    with open(folder / "chosen.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_from_the_pool_to_labelme_files(call, run, tmp_path):
    code, out, err = call("--count", 5)
    assert code == 0, err
    folder = tmp_path / "next"
    rows = rows_of(folder)
    assert [row["rank"] for row in rows] == list("12345") and len({row["file"] for row in rows}) == 5
    assert all("unlabeled" in row["file"] and row["reasons"] and not row["frame"] for row in rows)
    assert max(rows, key=lambda row: float(row["score"])) == rows[0]
    for row in rows:
        document = json.loads((folder / row["picture"]).with_suffix(".json").read_text())
        assert document["flags"] == {"semipose_predicted": True} and not is_corrected(document)
        kinds = {shape["shape_type"] for shape in document["shapes"]}
        assert kinds == {"point", "rectangle"} and document["imagePath"] == row["picture"]
        marked = [shape for shape in document["shapes"] if shape["flags"].get("uncertain")]
        assert all(shape["description"] == "uncertain" for shape in marked)
        assert (folder / row["picture"]).read_bytes() == Path(row["file"]).read_bytes()
        document["flags"]["semipose_predicted"] = False  # the labeller says: right as it is
        (folder / row["picture"]).with_suffix(".json").write_text(json.dumps(document))
    people = read_labelme(str(folder), COCO)
    assert len(people) == 5 and people.keypoints[..., 2].any(axis=1).all()
    page = (folder / "chosen.overlay/index.html").read_text()
    assert all(f'src="{rank:03d}.png"' in page and rows[rank - 1]["file"] in page for rank in range(1, 6))


def test_labels_of_the_pool_are_not_looked_at(call, run, tmp_path):
    """Hidden labels may be anything."""
    file = run.parent / "data/annotations/person_keypoints_unlabeled.json"
    text = file.read_text()
    document = json.loads(text)
    assert any(any(row.get("keypoints", ())) for row in document["annotations"])
    assert call("--count", 4, out="one")[0] == 0
    for row in document["annotations"]:
        row["keypoints"] = [1.0, 2.0, 2] * 17
    file.write_text(json.dumps(document))
    try:
        assert call("--count", 4, out="two")[0] == 0
    finally:
        file.write_text(text)
    assert rows_of(tmp_path / "one") == rows_of(tmp_path / "two")


def test_what_is_labelled_or_held_out_is_not_chosen_from_a_source(call, run, tmp_path):
    images = run.parent / "data/images"
    source = tmp_path / "photos"
    source.mkdir()
    for part in ("labeled", "val"):
        for name in os.listdir(images / part):
            Image.open(images / part / name).save(source / f"{part}_{name}.jpg", quality=95)
    Image.fromarray(picture(3)).save(source / "new.png")
    code, out, err = call(source, "--count", 3)
    assert code == 0 and "only 1 of 3" in out, err
    (row,) = rows_of(tmp_path / "next")
    assert row["picture"] == "new.png"
    document = json.loads((tmp_path / "next/new.json").read_text())
    assert {shape["shape_type"] for shape in document["shapes"]} == {"point"}  # nobody has given a box


def test_names_of_validation_are_not_chosen(tmp_path, capsys):
    """Such pictures would be left out of training once they are corrected."""
    write_demo_data(tmp_path / "data", labeled=4, unlabeled=12, val=3, seed=0)
    labels = "annotations/person_keypoints_labeled.json"
    names = sorted((tmp_path / "data/images/labeled").iterdir())
    sets = [f'[{{annotation: {labels}, {key}: ["*{names[0].stem[-1]}.*"]}}]' for key in ("exclude", "only")]
    settings = "DATASET.TRAIN_SET", sets[0], "DATASET.TEST_SET", sets[1]
    run = write_run(tmp_path / "mine", "DATASET.ROOT", str(tmp_path / "data"), *settings)
    pool = tmp_path / "data/images/unlabeled"
    held = {file.name for file in pool.iterdir() if file.stem.endswith(names[0].stem[-1])}
    words = [str(run), str(pool), "--count", "12", "--gap", "0", "--out", str(tmp_path / "next"), "--device", "cpu"]
    assert job.main(words) == 0, capsys.readouterr().err
    assert held and {row["picture"] for row in rows_of(tmp_path / "next")} == {f.name for f in pool.iterdir()} - held


def test_several_persons_with_their_boxes(call, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"photos/{number}.png")
    (tmp_path / "b.csv").write_text("name,x,y,width,height\n0.png,5,5,30,40\n0.png,40,5,30,40\n1.png,5,5,60,50\n")
    code, out, err = call(tmp_path / "photos", "--boxes", tmp_path / "b.csv", "--count", 2)
    assert code == 0 and "2 pictures with 3 persons" in out, err
    shapes = json.loads((tmp_path / "next/0.json").read_text())["shapes"]
    boxes = {shape["group_id"]: shape["points"] for shape in shapes if shape["shape_type"] == "rectangle"}
    assert boxes == {0: [[5, 5], [35, 45]], 1: [[40, 5], [70, 45]]} and len(shapes) == 2 * 18


def test_boxes_of_several_categories(call, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "photos/0.png")
    rows = [{"image_id": 7, "category_id": kind, "bbox": [5 * kind, 5, 30, 40]} for kind in (1, 2)]
    document = {"images": [{"id": 7, "file_name": "0.png", "width": 80, "height": 60}], "annotations": rows}
    (tmp_path / "b.json").write_text(json.dumps(document))
    words = (tmp_path / "photos", "--boxes", tmp_path / "b.json")
    code, _, err = call(*words)
    assert code == 2 and "--box-category" in err
    code, out, err = call(*words, "--box-category", 2)
    assert code == 0 and "1 pictures with 1 persons" in out, err


def test_frames_of_a_video_are_not_next_to_each_other(call, tmp_path):
    path = str(tmp_path / "walk.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25, (80, 60))
    for number in range(24):
        writer.write(picture(number)[..., ::-1].copy())
    writer.release()
    code, _, err = call(path, "--count", 4, "--gap", 5, "--every", 2)
    assert code == 0, err
    frames = sorted(int(row["frame"]) for row in rows_of(tmp_path / "next"))
    assert min(np.diff(frames)) > 5 and all(frame % 2 == 0 for frame in frames)
    assert (tmp_path / f"next/walk_{frames[0]:06d}.png").is_file()


def test_mistakes_are_one_line(call, run, tmp_path, monkeypatch):
    def refused(answer, *words):
        code, _, err = answer
        lines = [line for line in err.splitlines() if line.startswith("error:")]
        assert code == 2 and len(lines) == 1 and all(word in lines[0] for word in words), err

    (tmp_path / "full").mkdir()
    (tmp_path / "full/label.json").write_text("{}")
    refused(call(out="full"), "--out", "full")
    assert os.listdir(tmp_path / "full") == ["label.json"]
    refused(call(tmp_path / "gone"), "gone")
    monkeypatch.setattr(sources, "Camera", lambda number: videos.Camera.__new__(videos.Camera))  # as if there were one
    refused(call("0"), "camera0")
    refused(call("--root", tmp_path / "nothing"), "nothing")
    refused(call(run.parent / "data/images/labeled"), "labelled")
    assert not (tmp_path / "next").exists()
    for words in (["--count", "0"], ["--gap", "-1"], ["--boxes", "b.json"]):
        with pytest.raises(SystemExit) as end:
            call(*words)
        assert end.value.code == 2


@pytest.mark.parametrize(
    ("algorithm", "students", "networks"), [("supervised", 0, 1), ("mean_teacher", 1, 1), ("cotrain1", 2, 2)]
)
def test_any_run_for_single_persons_can_be_asked(run, tmp_path, algorithm, students, networks):
    folder = write_run(tmp_path / "run", "ALGORITHM", algorithm, "DATASET.ROOT", str(run.parent / "data"))
    state, source = job.load_run(str(folder))
    committee = build_committee(state, source, torch.device("cpu"))
    assert (len(committee.students), len(committee.predictor.networks)) == (students, networks)
    box = np.array([[0.0, 0, 79, 60]])  # of a mirrored picture the same
    shot = Shot("", str(run.parent / "data/images/unlabeled/000001.png"), boxes=box)
    answers = look_at(committee, iter([(shot, picture(1)), (shot, None), (shot, picture(2))])).answers
    model = load_model(folder, device="cpu")
    one, two = model([picture(1), picture(2)], boxes=[box, box])
    np.testing.assert_allclose(answers.points, [one.keypoints[0], two.keypoints[0]], atol=1e-3)
    flipped = model(picture(1)[:, ::-1], boxes=box).keypoints[0][COCO.flip_order] * (-1, 1) + (79, 0)
    np.testing.assert_allclose(answers.views[0, -1], flipped, atol=1e-2)
    assert answers.picture.tolist() == [0, 1]
    out = str(tmp_path / "next")
    assert job.main([str(folder), "--out", out, "--device", "cpu"]) == (2 if algorithm == "supervised" else 0)


def test_runs_that_cannot_be_asked(tmp_path, capsys):
    exported = tmp_path / "net.onnx"
    exported.write_bytes(b"")
    crowd = write_run(tmp_path / "crowd", "MODEL.CODEC", "dekr", "MODEL.HEATMAP_SIZE", "[0,0]")
    for path, word in ((exported, "net.onnx"), (crowd, "bottom-up"), (tmp_path / "none", "none")):
        assert job.main([str(path), "--out", str(tmp_path / "next")]) == 2
        assert word in capsys.readouterr().err
