"""The split tool as a user calls it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import semipose
from semipose.skeletons import get_skeleton

TOOL = Path(__file__).parents[1] / "tools/make_split.py"


@pytest.fixture
def source(tmp_path) -> str:
    """Six people of the lsp skeleton, two on each image, the last one a crowd."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 60, "height": 44} for n in range(3)]
    person = {"category_id": 1, "bbox": [1, 2, 30, 35], "keypoints": [20, 20, 2] * 14}
    people = [person | {"id": n, "image_id": n // 2, "iscrowd": int(n == 5)} for n in range(6)]
    categories = [{"id": 1, "name": "person", "keypoints": list(get_skeleton("lsp").keypoints)}]
    path = tmp_path / "person_keypoints_lsp.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))
    return str(path)


def test_it_prints_counts_and_what_is_left_out(source, tmp_path):
    out = str(tmp_path / "out")
    command = [sys.executable, str(TOOL), "--annotation", source, "--out", out, "--skeleton", "lsp"]
    command += ["--first", "1", "3", "--images", "1", "--seed", "4", "--val", "1"]
    library = str(Path(semipose.__file__).parents[1])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": library}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 crowds" in done.stdout and "all: 5 persons on 3 images" in done.stdout
    assert "first3: 3 persons on 2 images" in done.stdout
    names = ["first1", "first3", "images1_seed4", "images1_seed4_unlabeled", "val1", "without_val1"]
    assert sorted(os.listdir(out)) == [*(f"person_keypoints_lsp_{name}.json" for name in names), "split.json"]


def test_an_error_is_one_line(source, tmp_path, capsys):
    main = runpy.run_path(str(TOOL))["main"]
    command = ["--annotation", source, "--out", str(tmp_path / "out"), "--skeleton", "lsp"]
    assert main([*command, "--first", "9"]) == 2
    assert main([*command, "--first", "1", "--val-annotation", source]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert all(word in first for word in ("error: ", source, "9", "1 to 5")) and "3 validation images" in second


def test_help_imports_nothing_that_takes_time():
    code = f"import runpy, sys; main = runpy.run_path({str(TOOL)!r})['main']\ntry: main(['--help'])\n"
    code += "except SystemExit: assert not {'numpy', 'torch'} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--val-annotation" in done.stdout, done.stderr
