"""Whole frames as boxes: small animals are as large as their keypoints, and the error in pixels is the main metric."""

import csv
import json
import logging

import numpy as np
import pytest
import torch
from run_folder import rows
from small_persons import _draw_image, _make_persons

from semipose import assemble
from semipose.assemble.check_data import check_dataset
from semipose.assemble.validator import best_metric
from semipose.config import load_config
from semipose.engine.checkpoint import CheckpointFolder
from semipose.errors import ConfigError
from semipose.evaluation import KeypointPredictions, boxes_are_frames, score, sized_by_keypoints
from semipose.runtime.signals import Interrupts
from semipose.tracking.tracker import make_tracker

SIZE = (320, 240)
ANIMAL = np.array([[0, 0], [-8, 12], [8, 12], [0, 40]], float)  # 16 x 40 pixels: with its margin a box of 24 x 48
SKELETON = "name: quad\nkeypoints: [nose, left_ear, right_ear, tail]\nsigmas: 0.05\nswaps: [[left_ear, right_ear]]\n"
SMALL = """ALGORITHM supervised GPUS cpu WORKERS 0 MODEL.BACKBONE light_unet MODEL.IMAGE_SIZE [64,64] MODEL.SIGMA 1.0
TRAIN.BATCH_SIZE 4 TRAIN.END_EPOCH 3 TRAIN.STEPS_PER_EPOCH 2 TRAIN.OPTIMIZER adamw""".split()


def points_of(shown: int, scale: float = 1.0) -> np.ndarray:
    """(4, 3): the first keypoints of an animal at (100, 100)."""
    return np.column_stack([100 + scale * ANIMAL, np.arange(4) < shown])


def persons_of(*keypoints, box=(0, 0, *SIZE), path="a.png"):
    return _make_persons([(path, box)] * len(keypoints), np.stack(keypoints))


def test_sizes_by_hand():
    """A second animal shows its nose only, a third one nose and ear, which are 8 x 12 pixels."""
    sized = sized_by_keypoints(persons_of(points_of(4), points_of(1), points_of(2), points_of(4), points_of(4)))
    np.testing.assert_allclose(sized.boxes[0], [88, 96, 24, 48], atol=1e-4)
    np.testing.assert_allclose(sized.areas[:2], [0.53 * 24 * 48] * 2, rtol=1e-5)
    np.testing.assert_allclose(sized.boxes[1], [88, 76, 24, 48], atol=1e-4)  # the median, around the nose
    # 8 + 2.4 by 12 + 2.4 is made half as high as 48, in its own shape and place
    np.testing.assert_allclose(sized.boxes[2], [96 - 24 * 10.4 / 14.4 / 2, 106 - 12, 24 * 10.4 / 14.4, 24], atol=1e-4)


def test_who_shows_no_keypoint_keeps_its_size_and_a_single_keypoint_gives_none():
    sized = sized_by_keypoints(persons_of(points_of(0), points_of(4)))
    assert (sized.boxes[0].tolist(), sized.areas[0]) == ([0, 0, *SIZE], SIZE[0] * SIZE[1])
    assert not sized_by_keypoints(persons_of(points_of(1))).boxes[:, 2:].any()
    assert len(sized_by_keypoints(persons_of(points_of(1)).take([]))) == 0


@pytest.mark.parametrize(
    ("box", "framed"),
    [
        ((0, 0, *SIZE), True),
        ((0, 0, SIZE[0] - 1, SIZE[1] - 1), True),
        ((1, 1, SIZE[0] - 3, SIZE[1] - 3), True),
        ((0, 0, SIZE[0] / 2, SIZE[1]), False),
        ((0, 0, 250, 200), False),
        ((90, 90, 40, 60), False),
    ],
)
def test_which_boxes_are_frames(tmp_path, box, framed):
    path = str(_draw_image(tmp_path / "a.png", SIZE))
    persons = persons_of(*[points_of(4)] * 9, box=box, path=path)
    assert boxes_are_frames(persons) is framed
    assert not boxes_are_frames(persons_of(points_of(0), box=box, path=path))  # nothing is labelled
    assert not boxes_are_frames(persons_of(points_of(4), box=box, path=str(tmp_path / "gone.png")))


@pytest.mark.parametrize(("others", "framed"), [(1, True), (2, False)])
def test_nearly_all_boxes_are_frames(tmp_path, others, framed):
    path = str(_draw_image(tmp_path / "a.png", SIZE))
    boxes = [(0, 0, *SIZE)] * 10 + [(90, 90, 30, 50)] * others
    assert (
        boxes_are_frames(_make_persons([(path, box) for box in boxes], np.stack([points_of(4)] * len(boxes)))) is framed
    )


@pytest.fixture
def root(tmp_path):
    """Four animals to learn, for validation and in a pool, one in each frame, as a csv and as a COCO file."""
    (tmp_path / "quad.yaml").write_text(SKELETON)
    for name in ("train", "val", "pool"):
        places = np.random.default_rng(ord(name[0])).uniform(40, 180, (4, 2)).round()
        files = [f"images/{name}/{n}.png" for n in range(4)]
        for n, file in enumerate(files):
            _draw_image(tmp_path / file, SIZE, seed=10 * ord(name[0]) + n)
        write_csv(tmp_path / f"{name}.csv", files, places)
        write_coco(tmp_path / f"annotations/person_keypoints_{name}.json", files, places)
    return tmp_path


def write_csv(path, files, places):
    names = ["nose", "left_ear", "right_ear", "tail"]
    head = [["scorer", *["me"] * 8], ["bodyparts", *np.repeat(names, 2)], ["coords", *["x", "y"] * 4]]
    cells = [[file, *(place + ANIMAL).ravel().tolist()] for file, place in zip(files, places)]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(head + cells)


def write_coco(path, files, places):
    images = [{"id": n, "file_name": file.split("/")[-1], "width": 320, "height": 240} for n, file in enumerate(files)]
    common = {"category_id": 1, "iscrowd": 0, "bbox": [0, 0, 320, 240], "area": 320 * 240, "num_keypoints": 4}
    annotations = [
        {"id": n + 1, "image_id": n, "keypoints": np.column_stack([place + ANIMAL, [2] * 4]).ravel().tolist()} | common
        for n, place in enumerate(places)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}))


def config_of(root, kind, *pairs):
    names = [f"{name}.csv" if kind == "csv" else name for name in ("train", "val")]
    data = ["DATASET.ROOT", str(root), "DATASET.SKELETON", "quad.yaml", "DATASET.TRAIN_SET", names[0]]
    (root / "empty.yaml").write_text("")
    return load_config(root / "empty.yaml", {}, [*SMALL, *data, "DATASET.TEST_SET", names[1], *pairs])


def validator_of(config):
    return assemble.build_validator(config, assemble.read_validation(config))


@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_guesses_at_the_middle_of_a_small_animal_are_not_right(root, kind, caplog):
    """With the frame for area and norm, AP and PCK would be 1."""
    caplog.set_level(logging.INFO)
    validator = validator_of(config_of(root, kind))
    (entry,) = validator.sets.values()
    assert entry.metrics == ("epe", "oks", "pck") and entry.dataset.persons.boxes[:, 2].min() >= 319
    assert sum("48.0 px" in message for message in caplog.messages) == 1  # the norm is told
    truth = entry.labels.ground_truth.dataset["annotations"]
    assert [a["area"] for a in truth] == pytest.approx([0.53 * 24 * 48] * 4)
    exact = entry.labels.persons.keypoints[..., :2].astype(float)
    middle = np.repeat(exact.mean(axis=1, keepdims=True), 4, axis=1)
    found = {}
    for name, points in (("exact", exact), ("middle", middle), ("near", exact + [4.7, 0]), ("far", exact + [4.9, 0])):
        people = KeypointPredictions(np.arange(4) + (kind == "csv"), points, np.ones((4, 4)), np.ones(4), np.ones(4))
        found[name] = score(entry.metrics, entry.labels, people, validator.options)
    assert list(found["exact"])[0] == "EPE"
    assert (found["exact"]["EPE"], found["exact"]["AP"], found["exact"]["PCK"]) == (0, 1, 1)
    # the middle is (0, 16): 16 px from the nose, 8.9 px from the ears, 24 px from the tail
    assert found["middle"]["EPE"] == pytest.approx((16 + 2 * np.hypot(8, 4) + 24) / 4)
    assert (found["middle"]["AP"], found["middle"]["PCK"]) == (0, 0)
    assert (found["near"]["PCK"], found["far"]["PCK"]) == (1, 0)  # a tenth of 48 px


def test_metrics_and_best_of_the_user_win(root):
    config = config_of(root, "csv")
    assert best_metric(config, validator_of(config)) == "EPE"
    for key, value, best in (("TEST.METRICS", "[oks, pck]", "AP"), ("TEST.BEST", "PCK", "PCK")):
        config = config_of(root, "csv", key, value)
        assert best_metric(config, validator_of(config)) == best


def test_animals_of_one_keypoint_have_errors_in_pixels_only(root):
    lines = (root / "val.csv").read_text().splitlines()
    cut = [line.split(",")[:3] + [""] * 6 if n > 2 else line.split(",") for n, line in enumerate(lines)]
    (root / "val.csv").write_text("\n".join(map(",".join, cut)))
    (entry,) = validator_of(config_of(root, "csv")).sets.values()
    assert entry.metrics == ("epe",)
    for metric in ("oks", "pck", "nme"):
        with pytest.raises(ConfigError, match="whole frames"):
            validator_of(config_of(root, "csv", "TEST.METRICS", f"[{metric}]"))


@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_the_check_tells_it(root, kind):
    found = [finding for finding in check_dataset(config_of(root, kind)).findings if "whole frames" in finding.text]
    assert [finding.broken for finding in found] == [False]


def test_pseudo_labels_of_a_labelled_pool_are_judged_by_the_same_norm(root):
    config = config_of(root, "csv", "ALGORITHM", "mean_teacher", "DATASET.TRAIN_UNSUP_SET", "[pool.csv]")
    data = assemble.build_data(config)
    health = assemble.training.build_health(config, data, assemble.build_network(config, pretrained=False).codec)
    scale = assemble.sources_and_sets.build_crops(config, data.unlabeled).to_image[:, 0, 0]
    assert health.hidden.norm * scale == pytest.approx([48] * 4, rel=1e-5)


def test_best_checkpoint_and_record_go_by_the_error_in_pixels(root, tmp_path):
    config, folder = config_of(root, "csv"), tmp_path / "run"
    tracker = make_tracker(folder, "run", "off", False, "p", None)
    tracker.start({})
    trainer = assemble.build_trainer(
        config, assemble.build_data(config), CheckpointFolder(folder), tracker, Interrupts()
    )
    trainer.fit()
    tracker.finish(trainer.summary())
    errors = [row["EPE"] for row in rows(folder) if "epoch" in row]
    best = torch.load(folder / "best.pth", weights_only=True)
    assert (best["best"], best["best_metric"], best["best_epoch"]) == (min(errors), "EPE", 1 + int(np.argmin(errors)))
    assert (folder / f"best_EPE_epoch_{best['best_epoch']}.pth").exists() and len(set(errors)) == 3
    assert [key for key in rows(folder)[-1] if key not in ("epoch", "step")][0] == "EPE_student"
    (line,) = [line for line in (folder / "run.log").read_text().splitlines() if "best by EPE" in line]
    assert line.index(f"student: EPE {min(errors):.1f} px") < line.index("AP") and str(folder / "best.pth") in line
