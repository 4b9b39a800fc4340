"""The command lines, called in this process: what they write, and how they refuse what is wrong."""

import json
import logging
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
import yaml

from semipose import cli
from semipose.assemble.resumed import refuse_changes
from semipose.config import default_config, flat_keys, to_plain
from semipose.errors import ConfigError, DivergedError
from semipose.evaluation import KeypointPredictions, load_ground_truth
from semipose.evaluation.coco_protocol import evaluate_selected
from semipose.prepare.drawn_people import write_demo_data
from semipose.skeletons import COCO

ROOT = Path(__file__).resolve().parent.parent
CFG = str(ROOT / "experiments/demo/cotrain.yaml")
SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 1 PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false""".split()


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=5, unlabeled=12, val=6, size=40, seed=0)
    return root


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, data_root):
    """Run a script with arguments; returns (exit code, stdout, stderr)."""

    def run(script: str, *arguments: str, root=None, cfg: str = CFG):
        where = [] if script == "valid" else ["--output-dir", str(tmp_path / "out")]
        command = [script, "--cfg", cfg, *where, "DATASET.ROOT", str(root or data_root), *SMALL, *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            getattr(cli, script)()
        for handler in list(logging.getLogger("semipose").handlers):
            logging.getLogger("semipose").removeHandler(handler)
        return stop.value.code, *capsys.readouterr()

    return run


def refused(result, *parts: str) -> None:
    """Exit code 2 and one line that names everything."""
    code, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1 and "Traceback" not in err, err
    for part in parts:
        assert part in lines[0], lines[0]


@pytest.mark.parametrize("script", ["train", "cotrain", "cotrain1"])
def test_training_leaves_the_promised_files(call, tmp_path, script):
    code, _, err = call(script, "--name", "x")
    assert code == 0, err
    folder = tmp_path / "out/x"
    for name in ("last.pth", "best.pth", "config.yaml", "metrics.jsonl", "run.log", "labeled.json"):
        assert (folder / name).stat().st_size > 0
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["ALGORITHM"] == {"train": "cotrain1"}.get(script, script)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {"AP", "AP_first", "AP_second", "AP_ema_first", "AP_ema_second", "AP_ensemble"} <= rows[-1].keys()
    assert len(json.loads((folder / "labeled.json").read_text())["annotation_ids"]) == 5


def test_a_run_without_validation(call, tmp_path, capsys):
    code, out, err = call("train", "--name", "x", "DATASET.TEST_SET", "[]")
    assert code == 0, err
    folder = tmp_path / "out/x"
    assert (folder / "last.pth").exists() and not (folder / "best.pth").exists()
    assert (folder / "run.log").read_text().count("best.pth") == 1 and "in training" not in out
    assert call("train", "--name", "x", "--resume", "auto", "DATASET.TEST_SET", "[]", "TRAIN.END_EPOCH", "2")[0] == 0
    refused(call("valid", "--checkpoint", str(folder), "DATASET.TEST_SET", "[]"), "DATASET.TEST_SET is empty")
    assert call("valid", "--checkpoint", str(folder), "DATASET.TEST_SET", "val")[0] == 0  # last.pth, on another set
    for key, value in (("TRAIN.PATIENCE", "3"), ("TEST.BEST", "AP")):
        refused(call("train", "--dry-run", "DATASET.TEST_SET", "[]", key, value), key, "DATASET.TEST_SET")


def test_a_start_from_ones_own_best_network(call, tmp_path):
    assert call("cotrain1", "--name", "x")[0] == 0
    best = str(tmp_path / "out/x/best.pth")
    code, out, err = call("train", "--name", "y", "ALGORITHM", "supervised", "MODEL.PRETRAINED", best, "TRAIN.LR", "0")
    assert code == 0, err
    lines = [line for line in out.splitlines() if "starts from" in line]
    assert len(lines) == 1 and "network 1 of 2 (ema_first)" in lines[0] and "left out" not in lines[0]
    taken = torch.load(best, weights_only=True)["algorithm"]["teachers.first.module.head.final.weight"]
    started = torch.load(tmp_path / "out/y/last.pth", weights_only=True)["algorithm"][
        "student.network.head.final.weight"
    ]
    assert torch.equal(taken, started)  # the rate is 0


def test_flags_reach_the_configuration(call, tmp_path):
    flags = "--name f --ema 0 --pose 0.25 --cons 0 --seed 7 --workers 0 --gpus cpu".split()
    assert call("cotrain1", *flags)[0] == 0
    saved = yaml.safe_load((tmp_path / "out/f/config.yaml").read_text())
    assert saved["USE_EMA"] is False and saved["SEED"] == 7 and saved["GPUS"] == "cpu" and saved["WORKERS"] == 0
    expected = {"LOSS_POSE": 0.25, "LOSS_CONS": 0.0, "LOSS_MIX": 0.0, "LOSS_WORST": 0.0}
    assert saved["WEIGHT"].items() >= expected.items()
    rows = (tmp_path / "out/f/metrics.jsonl").read_text()
    assert "loss_cons" not in rows and "ema" not in rows  # a weight of 0 is 0, and without EMA there is none


@pytest.mark.parametrize("script", ["cotrain", "cotrain1", "train_2p"])
def test_every_term_can_be_switched_on_and_off_by_its_flag(call, tmp_path, script):
    switched_on = "--ema 1 --reweight 1 --pose 0.5 --cons 0.5 --mix 0.5 --worst 0.5".split()
    assert call(script, "--name", "on", *switched_on, "TRAIN.UNSUP_START", "0")[0] == 0
    off = "--ema 0 --reweight 0 --pose 0.5 --cons 0 --mix 0 --worst 0".split()
    assert call(script, "--name", "off", *off, "TRAIN.UNSUP_START", "0")[0] == 0
    rows = {name: (tmp_path / "out" / name / "metrics.jsonl").read_text() for name in ("on", "off")}
    saved = {name: yaml.safe_load((tmp_path / "out" / name / "config.yaml").read_text()) for name in rows}
    assert saved["on"]["REWEIGHT"] is True and saved["off"]["REWEIGHT"] is False
    for term in ("mix", "cons", "worst"):
        assert f"loss_{term}" in rows["on"] and f"loss_{term}" not in rows["off"]
    assert "loss_pose" in rows["off"] and "AP_ema" in rows["on"] and "AP_ema" not in rows["off"]


def test_a_run_with_worst_case_head_is_scored_from_its_checkpoint(call, tmp_path):
    assert call("cotrain1", "--name", "x", "--worst", "0.5", "WORST.PSEUDO_HEAD", "1")[0] == 0
    show = ("--show-dir", str(tmp_path / "show"), "--show-boxes", "--show-min-score", "0.1")
    code, out, err = call("valid", "--checkpoint", str(tmp_path / "out/x/best.pth"), *show)
    assert code == 0, err
    assert "ensemble" in out
    page = (tmp_path / "show/val/index.html").read_text()
    pictures = [path.name for path in (tmp_path / "show/val").glob("*.png")]
    assert len(pictures) == 6 and all(f'src="{name}"' in page for name in pictures)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (["AUGMENT.HARD_VIEWS", "[[blur]]"], ["blur", "joint_cutout"]),
        (["AUGMENT.HARD_VIEWS", "[]"], ["AUGMENT.HARD_VIEWS", "[[]]"]),
        (["REWEIGHT", "1", "PSEUDO.REWEIGHT_BY", "luck"], ["luck", "agreement"]),
        (["REWEIGHT", "1", "PSEUDO.REWEIGHT_BY", "agreement", "PSEUDO.ENSEMBLE", "1"], ["PSEUDO.ENSEMBLE", "soft"]),
        (["PSEUDO.ENSEMBLE", "1", "MODEL.SECOND.INPUT_SIZE", "[64,64]"], ["PSEUDO.ENSEMBLE", "MODEL.SECOND"]),
        (["MIX.WHERE", "head"], ["head", "manifold"]),
        (["WORST.FORM", "C"], ["'C'", "ground_false"]),
        (["AUGMENT.MASK_JOINTS", "[5,4]"], ["[5, 4]"]),
        (["LABELS.TRIM", "0.1", "LABELS.TRIM_EPOCH", "1000"], ["LABELS.TRIM_EPOCH", "1000"]),
    ],
)
def test_unknown_parts_of_the_method_are_named(call, pair, words):
    refused(call("cotrain1", *pair), *words)


def test_a_finished_run_is_not_overwritten_and_resumes_to_nothing(call, tmp_path):
    assert call("train", "--name", "x")[0] == 0
    before = (tmp_path / "out/x/last.pth").read_bytes()
    refused(call("train", "--name", "x"), "--resume auto")
    assert call("train", "--name", "x", "--resume", "auto")[0] == 0
    assert (tmp_path / "out/x/last.pth").read_bytes() == before


def test_best_cannot_be_resumed_from(call, tmp_path):
    assert call("train", "--name", "x")[0] == 0
    refused(call("train", "--name", "y", "--resume", str(tmp_path / "out/x/best.pth")), "best.pth", "last.pth")


def test_dry_run_tells_what_differs_time_and_memory_and_writes_nothing(call, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # where data/cache would be
    code, out, err = call("cotrain1", "--dry-run", "DATASET.CACHE", "disk")
    assert code == 0, err
    assert not (tmp_path / "out").exists() and list((tmp_path / "here").iterdir()) == []
    assert "5 persons" in out and "12 persons" in out and "6 persons" in out
    assert "ALGORITHM: 'cotrain1'  (default 'supervised')" in out and "EVAL_INTERVAL" not in out
    assert "2 steps: 1 epochs of 2" in out and re.search(r"\d\.\d\d s a step", out) and re.search(r"\d+ MB", out)


@pytest.mark.parametrize(
    "pairs", [["DATASET.TRAIN_SET", "nowhere"], ["TEST.BEST", "APP"], ["DATASET.TEST_SET", "labeled"]]
)
@pytest.mark.parametrize("there", [False, True])
def test_a_failed_start_leaves_nothing_and_takes_nothing(call, tmp_path, monkeypatch, pairs, there):
    wandb = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    if there:
        (tmp_path / "out/x").mkdir(parents=True)
        (tmp_path / "out/x/notes.txt").write_text("mine")
    refused(call("train", "--name", "x", "TRACKING.WANDB", "online", "TRACKING.TENSORBOARD", "true", *pairs))
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == (["notes.txt"] if there else [])
    assert (tmp_path / "out").exists() == there and not wandb.init.called


def test_a_refused_resume_leaves_the_run_as_it_was(call, tmp_path):
    assert call("train", "--name", "x")[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out/x").iterdir()}
    refused(call("train", "--name", "x", "--resume", "auto", "DATASET.TRAIN_LEN", "3"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out/x").iterdir()} == before


def test_the_log_names_command_versions_machine_and_what_ended_the_run(call, tmp_path, monkeypatch):
    def diverge(trainer):
        raise DivergedError("the loss is nan at step 3")

    monkeypatch.setattr("semipose.engine.trainer.Trainer.fit", diverge)
    assert call("train", "--name", "x")[0] == 3
    log = (tmp_path / "out/x/run.log").read_text()
    assert "command: train --cfg" in log and f"torch {torch.__version__}" in log and "machine: " in log
    assert log.splitlines()[-1].endswith("ERROR error: the loss is nan at step 3") and "finished" not in log
    monkeypatch.setattr("semipose.engine.trainer.Trainer.fit", lambda trainer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("train", "--name", "y")
    log = (tmp_path / "out/y/run.log").read_text()
    assert "Traceback" in log and log.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_run_ends_with_its_result_by_name(call, tmp_path):
    code, out, err = call("cotrain1", "--name", "x")
    assert code == 0, err
    result, following = out.splitlines()[-2:]
    assert result.startswith("finished: ensemble: AP ") and "PCK@0.1" in result
    assert "epoch 1" in result and result.endswith(str(tmp_path / "out/x/best.pth"))
    assert re.findall("semipose ([a-z]+)", following) == ["predict", "report", "label"]


def test_what_does_not_fit_the_run_is_said_once_at_its_start(call, tmp_path):
    pairs = "PSEUDO.MIN_SCORE 5 TRAIN.END_EPOCH 3 TRAIN.UNSUP_START 0 TRAIN.UNSUP_RAMP 0 TRAIN.WARMUP_STEPS 0".split()
    assert call("cotrain1", "--name", "x", *pairs)[0] == 0
    log = (tmp_path / "out/x/run.log").read_text()
    warned = [line.split("WARNING ")[1] for line in log.splitlines() if " WARNING " in line]
    assert sum("TRAIN.STEPS_PER_EPOCH is 2" in line for line in warned) == 1 and "STEPS_PER_EPOCH" in warned[0]
    assert sum("epoch 1" in line and "PSEUDO.MIN_SCORE is 5" in line for line in warned) == 1
    assert sum("PSEUDO.MIN_SCORE is 5" in line for line in warned) == 1


def test_valid_scores_a_checkpoint_as_training_did(call, tmp_path, data_root):
    assert call("cotrain1", "--name", "x")[0] == 0
    report = tmp_path / "scores.json"
    code, out, err = call("valid", "--checkpoint", str(tmp_path / "out/x/last.pth"), "--out", str(report))
    assert code == 0, err
    last = json.loads((tmp_path / "out/x/metrics.jsonl").read_text().splitlines()[-1])
    scores = json.loads(report.read_text())
    assert scores["val"]["ensemble"]["AP"] == last["AP_ensemble"] and scores["val"]["first"]["PCK"] == last["PCK_first"]
    results = json.loads((tmp_path / "scores.val.results.json").read_text())
    assert len(results) == 6 and len(results[0]["keypoints"]) == 51
    truth = load_ground_truth(data_root / "annotations/person_keypoints_val.json", COCO.sigmas)
    rows = {key: np.array([row[key] for row in results]) for key in ("image_id", "keypoints", "score")}
    points = rows["keypoints"].reshape(-1, 17, 3)
    written = KeypointPredictions(rows["image_id"], points[..., :2], points[..., 2], rows["score"], rows["score"])
    assert evaluate_selected(truth, written)["AP"] == pytest.approx(scores["val"]["ensemble"]["AP"], abs=1e-12)


def test_detector_boxes(call, tmp_path, data_root):
    truth = json.loads((data_root / "annotations/person_keypoints_val.json").read_text())
    boxes = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.9} for a in truth["annotations"]
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    pairs = ["TEST.USE_GT_BBOX", "false", "TEST.COCO_BBOX_FILE", str(tmp_path / "boxes.json")]
    assert call("cotrain1", "--name", "x", *pairs)[0] == 0
    last = json.loads((tmp_path / "out/x/metrics.jsonl").read_text().splitlines()[-1])
    assert "AP" in last and "PCK" not in last
    refused(call("cotrain1", "--name", "y", "TEST.USE_GT_BBOX", "false"), "TEST.COCO_BBOX_FILE")


def copy_annotations(data_root, tmp_path, change=None, name="labeled") -> Path:
    """A copy of the data's annotations with the real images; `change(document)` spoils one file."""
    root = tmp_path / "spoiled"
    (root / "annotations").mkdir(parents=True)
    (root / "images").symlink_to(data_root / "images")
    for file in (data_root / "annotations").iterdir():
        document = json.loads(file.read_text())
        if change and name in file.name.split("_")[-1].split("."):
            change(document)
        (root / "annotations" / file.name).write_text(json.dumps(document))
    return root


def test_missing_root_and_annotation(call, tmp_path, data_root):
    refused(call("train", root=tmp_path / "nowhere"), "nowhere", "does not exist")
    refused(call("train", "DATASET.TRAIN_SET", "train2099"), "person_keypoints_train2099.json", "does not exist")


def test_annotation_that_is_not_json(call, tmp_path, data_root):
    root = copy_annotations(data_root, tmp_path)
    (root / "annotations/person_keypoints_labeled.json").write_text("{")
    refused(call("train", root=root), "person_keypoints_labeled.json", "JSON")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda d: d["annotations"][1].update(keypoints=[1, 2, 2]), ["keypoints", "annotation id 2"]),
        (lambda d: d["annotations"][1].update(bbox=[0, 0, float("nan"), 5]), ["bbox", "annotation id 2"]),
        (lambda d: d.update(annotations=[]), ["labelled set has no person"]),
        (lambda d: d["images"][0].update(file_name="../../secret.png"), ["secret.png"]),
    ],
    ids=["keypoint length", "NaN box", "empty", "path"],
)
def test_broken_annotations(call, tmp_path, data_root, change, parts):
    refused(call("train", root=copy_annotations(data_root, tmp_path, change)), *parts)


def test_overlap_of_training_and_validation(call):
    refused(call("train", "DATASET.TEST_SET", "labeled"), "5 validation images are also in the labelled set")
    refused(call("train", "DATASET.TEST_SET", "unlabeled"), "12 validation images are also in the pool 'unlabeled'")


@pytest.mark.parametrize(
    ("pairs", "parts"),
    [
        (["TRAIN.LRR", "1"], ["TRAIN.LRR", "did you mean TRAIN.LR"]),
        (["TRAIN.LR", "fast"], ["TRAIN.LR", "'fast'", "number"]),
        (["DATASET.SKELETON", "robot"], ["robot", "coco_aic, coco_wholebody"]),
        (["ALGORITHM", "magic"], ["magic", "pose_dual"]),
        (["MODEL.BACKBONE", "vgg"], ["vgg", "resnet18"]),
        (["MODEL.HEATMAP_SIZE", "[16,16]"], ["MODEL.HEATMAP_SIZE", "[8, 8]"]),
        (["MODEL.CODEC", "upd"], ["upd", "gaussian, msra"]),
        (["DATASET.CACHE", "tape"], ["tape", "none, ram, disk"]),
        (["TRAIN.OPTIMIZER", "lion"], ["lion", "adam, adamw, sgd"]),
        (["TRAIN.SCHEDULE", "poly"], ["poly", "step, cosine, constant"]),
        (["TRAIN.ALTERNATE", "day"], ["day", "epoch, step"]),
        (["PSEUDO.TARGET", "magic"], ["magic", "heatmap, redrawn"]),
        (["TEST.PCK_NORM", "foot"], ["foot", "box, torso, head"]),
        (["TEST.OKS_NMS", "firm"], ["firm", "hard, soft, soft_rescored, none"]),
        (["WEIGHT.LOSS_POSE", "0"], ["LOSS_POSE"]),
        (["MODEL.PRETRAINED", "nowhere.pth"], ["nowhere.pth"]),
        (["TRACKING.WANDB", "maybe"], ["maybe", "offline"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_wrong_values_are_refused_by_name(call, pairs, parts):
    refused(call("train", "ALGORITHM", "mean_teacher", *pairs), *parts)


def test_missing_gpus_are_refused(call):
    refused(call("train", "--gpus", "98,99"), "98,99", "CUDA devices")
    refused(call("train", "GPUS", "98,99"), "98,99", "CUDA devices")
    refused(call("valid", "--checkpoint", "x.pth", "--gpus", "cpu,cpu"), "x.pth: no such checkpoint")
    refused(call("train", "--gpus", "99"), "99", "CUDA devices")
    refused(call("train", "--gpus", "red"), "red")


def test_checkpoint_of_another_model(call, tmp_path):
    assert call("train", "--name", "x")[0] == 0
    checkpoint = str(tmp_path / "out/x/best.pth")
    refused(call("valid", "--checkpoint", checkpoint, "MODEL.BACKBONE", "light_unet_deep"), "another model")
    refused(call("valid", "--checkpoint", str(tmp_path / "none.pth")), "none.pth")


def bomb(png: bytes) -> bytes:
    """A picture that says it has 50,000 x 50,000 pixels (PNG specification, 5.3 and 11.2.2)."""
    header = b"IHDR" + struct.pack(">II", 50_000, 50_000) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


DAMAGES = {
    "missing": None,
    "empty": lambda png: b"",
    "truncated": lambda png: png[:-200],
    "header only": lambda png: png[:40],
    "a web page": lambda png: b"<html>404</html>",
    "zeros": lambda png: bytes(len(png)),
    "noise": lambda png: np.random.default_rng(0).bytes(len(png)),
    "bomb": bomb,
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.promise("R9")
def test_bad_images_are_counted_named_and_skipped_up_to_a_limit(call, tmp_path, data_root, kind):
    root = tmp_path / "damaged"
    (root / "annotations").mkdir(parents=True)
    for file in (data_root / "annotations").iterdir():
        (root / "annotations" / file.name).write_bytes(file.read_bytes())
    for file in (data_root / "images").rglob("*.png"):
        target = root / file.relative_to(data_root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    spoiled = [root / "images/labeled/000002.png", root / "images/val/000003.png"]
    for path in spoiled:
        path.unlink() if kind == "missing" else path.write_bytes(DAMAGES[kind](path.read_bytes()))
    code, _, err = call("train", "--name", "x", "TRAIN.STEPS_PER_EPOCH", "6", root=root)
    log = (tmp_path / "out/x/run.log").read_text()
    assert code == 0, err
    assert log.count("skipped: ") == 2 and all(str(path) in log for path in spoiled)
    refused(call("train", "--name", "y", "DATASET.MAX_BAD", "0", root=root), "MAX_BAD is 0", ".png")


def test_help_and_usage_errors_do_not_load_torch():
    code = "import sys, semipose.cli; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'yaml', 'wandb')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("script", ["train", "cotrain", "cotrain1", "valid"])
def test_scripts_answer_help_and_usage_errors(script):
    path = str(ROOT / f"pose_estimation/{script}.py")
    answer = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert answer.returncode == 0 and "--cfg" in answer.stdout
    wrong = subprocess.run([sys.executable, path, "--nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2 and len(wrong.stderr.splitlines()) == 1


@pytest.mark.parametrize("pair", ["SEED -1", "TRAIN.BATCH_SIZE 0", "TRAIN.END_EPOCH 0", "WEIGHT.LOSS_CONS -0.5"])
def test_numbers_that_are_too_small(call, pair):
    key, value = pair.split()
    refused(call("train", key, value), key, value, "expected")


@pytest.mark.parametrize(
    ("pair", "parts"),
    [
        ("SEED 5", ["SEED is 5", "has 0"]),
        ("TRAIN.OPTIMIZER sgd", ["TRAIN.OPTIMIZER is 'sgd'", "has 'adamw'"]),
        ("TRAIN.STEPS_PER_EPOCH 1", ["TRAIN.STEPS_PER_EPOCH is 1", "has 2"]),
    ],
)
def test_a_run_cannot_go_on_as_another_one(call, tmp_path, pair, parts):
    assert call("train", "--name", "x")[0] == 0
    refused(call("train", "--name", "x", "--resume", "auto", *pair.split()), *parts)
    refused(call("cotrain", "--name", "x", "--resume", "auto"), "ALGORITHM is 'cotrain'", "'cotrain1'")


def test_a_run_that_is_older_than_a_key_goes_on_with_its_default():
    before = flat_keys(to_plain(default_config()))
    del before["MODEL.FREEZE_BN"]
    config = default_config()
    refuse_changes(before, config, "last.pth")
    config.MODEL.FREEZE_BN = True
    with pytest.raises(ConfigError, match="MODEL.FREEZE_BN is True, but the run in last.pth has False"):
        refuse_changes(before, config, "last.pth")


def test_a_resumed_run_goes_on_in_the_same_wandb_run(call, monkeypatch):
    wandb = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    assert call("train", "--name", "x", "TRACKING.WANDB", "online")[0] == 0
    assert call("train", "--name", "x", "--resume", "auto", "TRAIN.END_EPOCH", "2", "TRACKING.WANDB", "online")[0] == 0
    first, second = (options.kwargs for options in wandb.init.call_args_list)
    assert first["id"] == second["id"] and second["resume"] == "allow" and second["name"] == "x"


def test_a_run_that_goes_on_under_another_name_has_its_own_record(call, tmp_path, monkeypatch):
    wandb = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    assert call("train", "--name", "x", "TRACKING.WANDB", "online")[0] == 0
    more = "TRAIN.END_EPOCH 2 TRACKING.WANDB online".split()
    assert call("train", "--name", "y", "--resume", str(tmp_path / "out/x/last.pth"), *more)[0] == 0
    assert "cosine" in (tmp_path / "out/y/run.log").read_text()
    first, second = (options.kwargs for options in wandb.init.call_args_list)
    assert first["id"] != second["id"] and second["name"] == "y"
    best = torch.load(tmp_path / "out/y/best.pth", weights_only=True)
    assert best["epoch"] == best["best_epoch"] == 2


def test_every_key_of_this_kind_reaches_the_run(call, tmp_path):
    """DETERMINISTIC is of the whole process, so it has a process of its own: tests/engine/test_determinism.py."""
    pairs = "TRAIN.END_EPOCH 3 CHECKPOINT.KEEP 3 TRAIN.PATIENCE 1 CHECKPOINT.INTERVAL_STEPS 1".split()
    code, _, err = call("train", "--name", "x", *pairs)
    assert code == 0, err
    names = {path.name for path in (tmp_path / "out/x").iterdir()}
    assert {"last.pth", "last.previous.pth", "last.previous_2.pth", "learning_curve.png"} <= names
    assert len([name for name in names if name.startswith("best_AP_epoch_")]) == 1
    assert "stopped early after epoch 2" in (tmp_path / "out/x/run.log").read_text()


def test_a_finished_run_can_be_made_longer(call, tmp_path):
    assert call("train", "--name", "x")[0] == 0
    assert call("train", "--name", "x", "--resume", "auto", "TRAIN.END_EPOCH", "2")[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "out/x/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "epoch" in row] == [2, 4]


def test_resume_after_the_data_changed(call, tmp_path, data_root):
    root = copy_annotations(data_root, tmp_path)
    whole = ["TRAIN.STEPS_PER_EPOCH", "0"]
    assert call("train", "--name", "x", *whole, root=root)[0] == 0
    file = root / "annotations/person_keypoints_unlabeled.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"annotations": document["annotations"][:4]}))
    longer = ["TRAIN.END_EPOCH", "2"]
    refused(call("train", "--name", "x", "--resume", "auto", *whole, *longer, root=root), "an epoch had 3 steps")


def test_another_runs_checkpoint_does_not_overwrite_this_run(call, tmp_path):
    for name in ("a", "b"):
        assert call("train", "--name", name)[0] == 0
    other = str(tmp_path / "out/a/last.pth")
    refused(call("train", "--name", "b", "--resume", other), "out/b holds a run")
    assert call("train", "--name", "c", "--resume", other, "TRAIN.END_EPOCH", "2")[0] == 0


def test_valid_takes_what_the_networks_depend_on_from_the_checkpoint(call, tmp_path):
    pairs = ["MODEL.CODEC", "msra", "MODEL.PRETRAINED", ""]
    assert call("cotrain1", "--name", "x", "--ema", "0", *pairs)[0] == 0
    plain = tmp_path / "plain.yaml"
    plain.write_text(f"_BASE_: {CFG}\nMODEL:\n  PRETRAINED: /nowhere.pth\n")
    report = tmp_path / "scores.json"
    checkpoint = str(tmp_path / "out/x/last.pth")
    code, _, err = call("valid", "--checkpoint", checkpoint, "--out", str(report), cfg=str(plain))
    assert code == 0, err
    last = json.loads((tmp_path / "out/x/metrics.jsonl").read_text().splitlines()[-1])
    assert json.loads(report.read_text())["val"]["ensemble"]["PCK"] == last["PCK_ensemble"]


def test_the_cotraining_scripts_keep_their_algorithm(call):
    refused(call("cotrain1", "ALGORITHM", "supervised"), "ALGORITHM: 'supervised'", "it is 'cotrain1'")


@pytest.mark.parametrize("name", ["", "a/b", "..", "/x"])
def test_names_that_are_not_one_folder(call, name):
    refused(call("train", "--name", name), "NAME", "one folder")


def test_output_that_cannot_be_written(call, tmp_path):
    (tmp_path / "out").write_text("a file")
    refused(call("train", "--name", "x"), "out", "cannot write")


def test_more_labels_than_there_are(call):
    refused(call("train", "DATASET.TRAIN_LEN", "6"), "TRAIN_LEN) is 6", "5 persons")


def test_dry_run_finds_wrong_values_too(call):
    refused(call("train", "--dry-run", "TRAIN.OPTIMIZER", "lion"), "lion")


def test_no_unlabeled_source_means_the_training_set(call):
    for empty in ("", "[]"):
        code, out, _ = call("train", "--dry-run", "DATASET.TRAIN_UNSUP_SET", empty)
        assert code == 0 and "5 of them are also labelled" in " ".join(out.split())


def test_unlabeled_sources_without_keypoints_or_annotations(call, tmp_path, data_root, caplog):
    def only_boxes(document):
        for annotation in document["annotations"]:
            del annotation["keypoints"]

    root = copy_annotations(data_root, tmp_path, only_boxes, name="unlabeled")
    code, out, err = call("train", "--dry-run", root=root)
    assert code == 0 and "unlabelled       12 persons" in out, err
    # a set with an annotation is not taken for a folder of images, though one of that name is there
    (root / "unlabeled").symlink_to(data_root / "images/unlabeled")
    caplog.set_level(logging.INFO, "semipose")
    assert call("train", "--dry-run", root=root)[0] == 0
    assert "person_keypoints_unlabeled.json: 12" in caplog.text
    code, out, err = call("train", "--dry-run", "DATASET.TRAIN_UNSUP_SET", "[images/unlabeled]", root=root)
    assert code == 0 and "unlabelled       12 persons" in out, err


def test_resume_on_other_data_of_the_same_size(call, tmp_path, data_root):
    root = copy_annotations(data_root, tmp_path)
    assert call("train", "--name", "x", root=root)[0] == 0
    file = root / "annotations/person_keypoints_labeled.json"
    document = json.loads(file.read_text())
    document["annotations"][0]["keypoints"][0] += 1
    file.write_text(json.dumps(document))
    refused(call("train", "--name", "x", "--resume", "auto", root=root), "last.pth", "training data have changed")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"config": "a: [b"}, "holds no configuration"),
        ({"config": 5}, "holds no configuration"),
        ({"config": "MODEL: {FOO: 1}"}, "another version"),
    ],
)
def test_checkpoints_with_a_strange_configuration(call, tmp_path, change, part):
    assert call("train", "--name", "x")[0] == 0
    path = tmp_path / "out/x/last.pth"
    torch.save(torch.load(path, weights_only=True) | change, path)
    refused(call("valid", "--checkpoint", str(path)), "last.pth", part)


def test_a_checkpoint_without_what_a_resume_needs(call, tmp_path):
    assert call("train", "--name", "x")[0] == 0
    path = tmp_path / "out/x/last.pth"
    state = torch.load(path, weights_only=True)
    del state["epoch_steps"]
    torch.save(state, path)
    refused(call("train", "--name", "x", "--resume", "auto"), "last.pth", "not a checkpoint to resume from")
