"""The browse tool as a user calls it: pictures and page of each mode, and how it refuses what is wrong."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from semipose import assemble
from semipose.config import load_config, to_yaml
from semipose.engine.checkpoint import save_atomic
from semipose.jobs.browse_dataset import shares, spread
from semipose.prepare.drawn_people import write_demo_data

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "tools/browse_dataset.py"
CFG = ROOT / "experiments/demo/cotrain.yaml"
SMALL = """MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
PSEUDO.MIN_SCORE 0""".split()
HARD_VIEWS = ["AUGMENT.HARD_VIEWS", "[[joint_cutout],[cutmix,rand_augment]]"]


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=5, unlabeled=6, val=4, size=40, seed=0)
    return root


@pytest.fixture
def call(people, tmp_path, capsys):
    """Run the tool in this process; returns (exit code, stdout, stderr)."""
    main = runpy.run_path(str(TOOL))["main"]

    def run(*arguments, out="out", cfg=CFG):
        where = ["--cfg", str(cfg), "--output-dir", str(tmp_path / out)]
        return main([*where, "DATASET.ROOT", str(people), *SMALL, *map(str, arguments)]), *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def checkpoint(people, tmp_path_factory) -> Path:
    """A last.pth with networks that were never trained, and a split for the first teacher alone."""
    config = load_config(CFG, {}, ["DATASET.ROOT", str(people), *SMALL])
    algorithm = assemble.build_algorithm(config, unlabeled_size=999)
    peaks = torch.cat([torch.full((20, 17), 0.1), torch.full((20, 17), 0.6)]) + 0.02 * torch.rand(40, 17)
    algorithm.records["first"].difficulty.refit(peaks)
    records = {name: record.state_dict() for name, record in algorithm.records.items()}
    path = tmp_path_factory.mktemp("run") / "last.pth"
    save_atomic({"config": to_yaml(config), "algorithm": algorithm.state_dict(), "records": records}, path)
    return path


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """Those that the page shows, in its order; each has to be there."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'<img src="([^"]+)"', page)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "index.html"])
    return {name: cv2.imread(str(folder / name)) for name in names}


def facts(folder: Path, name: str) -> list[str]:
    return re.findall(f"<dt>{name}</dt><dd>([^<]*)</dd>", (folder / "index.html").read_text(encoding="utf-8"))


def refused(result, *parts: str) -> None:
    """Exit code 2 and one line that names everything."""
    code, out, err = result
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1 and not out and "Traceback" not in err, err
    for part in parts:
        assert part in lines[0], lines[0]


@pytest.mark.parametrize(
    "mode, phase, count", [("original", "train", 5), ("original", "val", 4), ("original", "unlabeled", 6),
                           ("transformed", "train", 5), ("transformed", "val", 4), ("easy-hard", "unlabeled", 6),
                           ("easy-hard", "train", 5)],
)  # fmt: skip
def test_each_mode_draws_every_person_once(call, tmp_path, mode, phase, count):
    code, out, err = call("--mode", mode, "--phase", phase, *HARD_VIEWS)
    assert code == 0, err
    found = pictures(tmp_path / "out")
    assert len(found) == count and f"{count} pictures" in out
    panels = {"original": 1, "transformed": 2, "easy-hard": 3}[mode]
    if mode != "original":
        assert {image.shape[1] for image in found.values()} == {panels * 352 + (panels - 1) * 8}
    source = {"train": "labeled"}.get(phase, phase)
    assert set(facts(tmp_path / "out", "source")) == {source}
    assert facts(tmp_path / "out", "labelled") == ["17 of 17 keypoints"] * count
    if mode == "easy-hard":
        assert all("true labels" in text for text in facts(tmp_path / "out", "points"))


def test_the_same_seed_draws_the_same_and_another_does_not(call, tmp_path):
    runs = {}
    for out, seed in (("first", 0), ("again", 0), ("other", 1)):
        assert call("--mode", "easy-hard", *HARD_VIEWS, "SEED", seed, out=out)[0] == 0
        runs[out] = {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()}
    assert runs["first"] == runs["again"]
    assert all(runs["first"][name] != runs["other"][name] for name in runs["first"] if name.endswith(".png"))


def test_several_sources_share_the_pictures_each_in_its_own_skeleton(call, people, tmp_path):
    content = json.loads((people / "annotations/person_keypoints_val.json").read_text())
    for person in content["annotations"]:
        person["keypoints"] = person["keypoints"][:48]
    content["categories"][0]["keypoints"] = [f"joint_{n}" for n in range(16)]
    (people / "annotations/few.json").write_text(json.dumps(content))
    few = "{annotation: annotations/few.json, images: images/val, skeleton: mpii, name: <few>}"
    where = ["--max-items", 5, "DATASET.TEST_SET", f"[val, {few}]", "--phase", "val"]
    for mode in ("original", "transformed"):
        code, _, err = call("--mode", mode, *where, out=mode)
        assert code == 0, err
        assert facts(tmp_path / mode, "source") == ["val"] * 2 + ["&lt;few&gt;"] * 3
        assert facts(tmp_path / mode, "labelled") == ["17 of 17 keypoints"] * 2 + ["16 of 16 keypoints"] * 3


def test_pictures_are_shared_out_and_spread():
    assert shares([100, 2, 50], 32) == [15, 2, 15]
    assert shares([5, 5, 5], 2) == [0, 1, 1] and shares([3, 4], 100) == [3, 4]
    assert spread(range(10, 20), 4) == [10, 12, 15, 17]


def test_pseudo_names_split_and_kept_joints(call, checkpoint, tmp_path):
    code, _, err = call("--mode", "pseudo", "--checkpoint", checkpoint, "PSEUDO.MIN_SCORE", "1e3", "--max-items", 3)
    assert code == 0, err
    first, second = (facts(tmp_path / "out", f"teacher {name}") for name in ("first", "second"))
    assert len(first) == len(second) == len(pictures(tmp_path / "out")) == 3
    assert all(re.match(r"(easy|hard) \(probability of easy [01]\.\d\d\), sum of peaks", text) for text in first)
    assert all(text.startswith("no easy/hard split") and text.endswith("0 of 17 joints kept") for text in second)


def test_easy_hard_with_a_checkpoint_has_a_row_for_each_teacher(call, checkpoint, tmp_path):
    sizes = {}
    for out, arguments in (("labels", []), ("teachers", ["--checkpoint", checkpoint])):
        assert call("--mode", "easy-hard", "--max-items", 2, *arguments, out=out)[0] == 0
        (sizes[out],) = {image.shape[:2] for image in pictures(tmp_path / out).values()}
    height, width = sizes["labels"]
    assert sizes["teachers"] == (2 * height + 8, width)
    assert facts(tmp_path / "teachers", "points") == ["of the teachers: first, second"] * 2


def test_a_broken_image_is_left_out_and_named(call, people, tmp_path):
    path = sorted((people / "images/val").iterdir())[1]
    content = path.read_bytes()
    path.write_bytes(content[:20])
    code, _, err = call("--phase", "val")
    path.write_bytes(content)
    assert code == 0 and f"left out: {path}" in err and len(pictures(tmp_path / "out")) == 3
    assert path.name in (tmp_path / "out/index.html").read_text()


def test_what_is_wrong_is_one_line_and_writes_nothing(call, people, checkpoint, tmp_path):
    refused(call("--mode", "pseudo"), "--mode pseudo needs the --checkpoint")
    refused(call("--mode", "transformed", "--phase", "unlabeled"), "--phase is unlabeled", "train, val")
    refused(call("--max-items", 0), "--max-items is 0")
    refused(call("--checkpoint", checkpoint), "--mode original", "easy-hard, pseudo")
    refused(call("--mode", "pseudo", "--checkpoint", tmp_path / "no.pth"), "no.pth", "no such checkpoint")
    refused(call("--mode", "easy-hard", "ALGORITHM", "supervised"), "ALGORITHM is 'supervised'")
    refused(call("--mode", "easy-hard", "WEIGHT.LOSS_CONS", 0), "easy-hard", "LOSS_CONS 0")
    refused(call("TRAIN.LRR", 1), "TRAIN.LRR", "did you mean")
    refused(call(cfg=tmp_path / "no.yaml"), "no.yaml")
    refused(call("DATASET.TEST_SET", "none"), "none")
    state = torch.load(checkpoint, weights_only=True)
    save_atomic(state | {"records": {"first": {"difficulty.limits": torch.zeros(7)}}}, tmp_path / "bad.pth")
    refused(call("--mode", "pseudo", "--checkpoint", tmp_path / "bad.pth"), "bad.pth", "no easy/hard split")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("in the way")
    refused(call(out="file"), "file", "cannot write")


def test_help_answers_without_loading_torch():
    code = f"import runpy, sys; sys.argv = ['x', '--help']\ntry: runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
    code += "finally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--max-items" in done.stdout and done.stdout.endswith("False\n")
