"""The browse tool with a bottom-up configuration: whole pictures, a colour for each person, tinted regions."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from small_coco import SIZE, small_coco, write_set

from semipose import assemble
from semipose.config import load_config, to_yaml
from semipose.engine.checkpoint import save_atomic
from semipose.jobs.browse_dataset import main
from semipose.skeletons import COCO
from semipose.visualize import browse_pictures
from semipose.visualize.colors import person_color
from semipose.visualize.instances import LONG_SIDE, REGION_TINT, draw_picture, view_size

LEVEL = "AUGMENT.EASY.ROTATION_PROB 0 AUGMENT.EASY.SCALE 0 AUGMENT.EASY.FLIP 0".split()


@pytest.fixture
def root(tmp_path) -> Path:
    """Three pictures to learn from: two persons each, of group 1 and without one; a crowd on the second picture."""
    train = small_coco(3)
    for row in train["annotations"][::2]:
        row["group_id"] = 1
    crowd = {"id": 99, "image_id": 2, "category_id": 1, "iscrowd": 1, "bbox": [1, 1, 5, 5]}
    train["annotations"].append(crowd | {"segmentation": [[60, 30, 79, 30, 79, 59, 60, 59]]})
    write_set(tmp_path, "train", train)
    write_set(tmp_path, "val", small_coco(2, first=101))
    sets = {
        "ROOT": str(tmp_path),
        "TEST_SET": "val",
        "TRAIN_SET": [{"annotation": "train", "group_id_weight": {1: 2.5}}],
    }
    plan = {
        "ALGORITHM": "pose_dual", "GPUS": "cpu", "WORKERS": 0, "DATASET": sets,
        "MODEL": {"CODEC": "dekr", "BACKBONE": "light_unet", "IMAGE_SIZE": [128, 128]},
        "TRAIN": {"BATCH_SIZE": 2, "BATCH_SIZE_UNSUP": 2}, "AUGMENT": {"HARD_VIEWS": [["joint_cutout"], ["cutmix"]]},
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(plan))
    return tmp_path


@pytest.fixture
def checkpoint(root) -> Path:
    """A last.pth of networks that were never trained."""
    config = load_config(root / "c.yaml", {}, [])
    algorithm = assemble.build_algorithm(config, unlabeled_size=3, pretrained=False)
    records = {name: record.state_dict() for name, record in algorithm.records.items()}
    path = root / "last.pth"
    save_atomic({"config": to_yaml(config), "algorithm": algorithm.state_dict(), "records": records}, path)
    return path


def run(root: Path, *arguments) -> tuple[str, dict[str, np.ndarray]]:
    """The page and its pictures (RGB) by name."""
    out = root / "out"
    assert main(["--cfg", str(root / "c.yaml"), "--output-dir", str(out), *map(str, arguments)]) == 0
    return (out / "index.html").read_text(), {p.name: cv2.imread(str(p))[..., ::-1] for p in sorted(out.glob("*.png"))}


def share(picture: np.ndarray, color) -> float:
    return float((np.abs(picture.astype(int) - color).max(-1) < 12).mean())


def test_original(root):
    page, pictures = run(root)
    assert list(pictures) == ["0001_1.png", "0002_2.png", "0003_3.png"]
    assert "3 of 3 pictures" in page and page.count("<dt>person 2</dt>") == 3
    assert page.count("group 1 x2.5") == 3 and "17 of 17 keypoints, x1" in page
    assert page.count("<dt>masked</dt>") == 1
    document = json.loads((root / "annotations/person_keypoints_train.json").read_text())
    for number, picture in enumerate(pictures.values(), 1):
        assert max(picture.shape) == LONG_SIDE
        assert all(share(picture, person_color(n)) > 0.001 for n in (1, 2))
        scale = LONG_SIDE / SIZE[0]
        last = [row for row in document["annotations"] if row["image_id"] == number][1]
        x, y = ((np.array(last["keypoints"]).reshape(-1, 3)[-1, :2] + 0.5) * scale - 0.5).round().astype(int)
        assert np.abs(picture[y, x].astype(int) - person_color(2)).max() < 40  # its last keypoint is drawn last


@pytest.mark.parametrize("arguments", [(), ("--phase", "val")])
def test_transformed(root, arguments):
    page, pictures = run(root, "--mode", "transformed", *arguments)
    assert len(pictures) == (2 if arguments else 3)
    width, height = view_size(np.zeros((128, 128, 3)))
    assert all(picture.shape[1] > 2 * width and picture.shape[0] > height for picture in pictures.values())
    assert ("group 1 x2.5" in page) == (not arguments)


def test_easy_and_hard_views(root):
    _, pictures = run(root, "--mode", "easy-hard")
    width, _ = view_size(np.zeros((128, 128, 3)))
    assert len(pictures) == 3 and all(picture.shape[1] > 3 * width for picture in pictures.values())
    assert all(share(picture[:, :width], person_color(1)) > 0.0005 for picture in pictures.values())


def test_what_teachers_say(root, checkpoint):
    page, pictures = run(root, "--mode", "pseudo", "--checkpoint", checkpoint, "PSEUDO.INSTANCE_SCORE", "0.2")
    assert len(pictures) == 3 and page.count("instances are learned") == 6  # two teachers
    assert len(run(root, "--mode", "easy-hard", "--checkpoint", checkpoint)[1]) == 3


def test_what_a_teacher_finds_is_drawn(root, checkpoint, monkeypatch):
    """A teacher that puts out the target of the labels; of two small persons who overlap it may find one only."""
    labels_of, said = browse_pictures._labels, []

    def perfect(recipe, views, teachers):
        prediction = recipe.labeler.read(said[-1].prediction.output, views.easy, said[-1].prediction.codec)
        return {"first": (replace(said[-1], prediction=prediction), None)}

    monkeypatch.setattr(browse_pictures, "_labels", lambda *given: said.append(labels_of(*given)) or said[-1])
    monkeypatch.setattr(browse_pictures, "ask", perfect)
    page, pictures = run(root, "--mode", "pseudo", "--checkpoint", checkpoint, *LEVEL)
    assert len(re.findall("[12] instances are learned", page)) == 3
    right = [picture[:, picture.shape[1] // 2 + 4 :] for picture in pictures.values()]
    assert all(share(panel, person_color(1)) > 0.0005 for panel in right)


def test_a_region_is_tinted_and_nothing_else():
    image, hidden = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    hidden[10:20, 30:50] = 1
    points, shown = np.full((1, 17, 2), [5.0, 35.0]), np.ones((1, 17), bool)
    drawn = draw_picture(image, points, shown & False, [""], COCO, hidden, size=(120, 80))
    tinted = drawn.any(-1)
    assert tinted[20:40, 60:100].all() and tinted.sum() == 800
    assert np.abs(drawn[30, 80] - 0.45 * np.array(REGION_TINT)).max() < 1
    plain = draw_picture(image, points, shown, ["x2"], COCO, size=(120, 80))
    assert (plain[71, 11] == person_color(1)).all()
