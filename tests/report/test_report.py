"""`semipose report` on runs that were really trained, for two steps."""

import json
import logging
import shutil

import pytest
from test_page import Page

from semipose import runs
from semipose.config import load_config
from semipose.jobs.report import main
from semipose.report.charts import pseudo_curve
from semipose.report.records import read_record

SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 2 PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false TRAIN.UNSUP_START 0""".split()
COTRAINED = ("first", "second", "ema_first", "ema_second", "ensemble")


def train(folder, root, name: str, algorithm: str, *pairs: str):
    """The run folder; logging is left as it was."""
    cfg = f"experiments/demo/{'cotrain' if algorithm.startswith('cotrain') else 'supervised'}.yaml"
    flags = {"NAME": name, "OUTPUT_DIR": str(folder), "DATASET.ROOT": str(root), "ALGORITHM": algorithm}
    assert runs.train(load_config(cfg, flags, [*SMALL, *pairs]), None) == 0
    for handler in list(logging.getLogger("semipose").handlers):
        logging.getLogger("semipose").removeHandler(handler)
    return folder / name


@pytest.fixture(scope="module")
def trained(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        train(folder, data_root, "sup_0", "supervised"),
        train(folder, data_root, "sup_1", "supervised", "SEED", "1"),
        train(folder, data_root, "cot", "cotrain1", "TRAIN.LR", "0.001"),
    ]


def report(out, *words) -> tuple[Page, str]:
    assert main([*map(str, words), "--out", str(out)]) == 0
    html = out.read_text(encoding="utf-8")
    page = Page(html)
    return page, "\n".join(page.text)


def figures(page: Page) -> list[str]:
    return [attrs["alt"] for tag, attrs in page.tags if tag == "img"]


def test_a_report_of_several_runs(trained, tmp_path):
    out = tmp_path / "report.html"
    page, text = report(out, *trained, "--examples", 3)
    assert out.stat().st_size < 5_000_000
    links = page.links()
    assert links and all(link.startswith("data:") for link in links)
    html = out.read_text()
    assert not any(word in html for word in ("http:", "https:", "<script", "@import", "url("))
    for name in ("student", *COTRAINED, "TRAIN.LR", "ALGORITHM", "left_ankle"):
        assert name in page.text, name
    assert "±" in text and "sup_0 (seed 0), sup_1 (seed 1)" in text
    assert "SEED" not in page.text and "NAME" not in page.text
    shown = [alt for alt in figures(page) if ".png, id " in alt and "," not in alt.partition(", id ")[2]]
    assert len(shown) == len(set(shown)) == 6, "three of the largest errors and three others, each once"
    persons = json.loads((trained_root(trained) / "annotations/person_keypoints_val.json").read_text())
    names = {f"{image['file_name']}, id {person['id']}" for person in persons["annotations"]
             for image in persons["images"] if image["id"] == person["image_id"]}  # fmt: skip
    assert set(shown) <= names and all(alt in text for alt in shown)


def trained_root(trained):
    from pathlib import Path

    return Path(str(read_record(trained[0], "x").settings["DATASET.ROOT"]))


def test_a_run_that_is_named_twice_is_one(trained, tmp_path):
    page, text = report(tmp_path / "r.html", trained[0], trained[0].parent / "cot/.." / trained[0].name)
    assert "Run sup_0" in text and "±" not in text


def test_pseudo_labels_and_their_pictures(trained, tmp_path):
    page, text = report(tmp_path / "r.html", trained[2], "--examples", 4)
    pool = {attrs["alt"] for tag, attrs in page.tags if tag == "img" and attrs["alt"].endswith(".png")}
    assert len(pool) == 4 and all(f"{name}:" in text for name in pool)
    run = read_record(trained[2], "cot")
    rows = [row for row in run.epochs if "health_kept_first" in row]
    means = [50 * (row["health_kept_first"] + row["health_kept_second"]) for row in rows]
    assert [y for _, y in pseudo_curve(run, "health_kept")] == pytest.approx(means) and means


def test_fewer_persons_are_looked_at_if_asked(trained, tmp_path):
    _, text = report(tmp_path / "r.html", trained[0], "--persons", 2)
    assert "2 of 6 persons" in text and "2 labelled persons (drawn from 5)" in text


def test_without_data_and_networks_the_rest_is_there(trained, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("metrics.jsonl", "config.yaml"):
        shutil.copy(trained[2] / name, bare / name)
    page, text = report(tmp_path / "r.html", bare)
    assert all(name in page.text for name in COTRAINED) and "best.pth" in text
    assert len(figures(page)) == 4  # curves, and those of pseudo-labels
    moved = tmp_path / "moved"
    shutil.copytree(trained[2], moved)
    nowhere = tmp_path / "nowhere"
    page, text = report(tmp_path / "r.html", moved, "--root", nowhere)
    assert str(nowhere) in text and len(figures(page)) == 4
    (moved / "config.yaml").unlink()
    assert "config.yaml" in report(tmp_path / "r.html", moved)[1]


def test_whole_pictures(data_root, tmp_path):
    run = train(tmp_path, data_root, "whole", "mean_teacher", "MODEL.CODEC", "dekr", "MODEL.HEATMAP_SIZE", "[0,0]",
                "MODEL.IMAGE_SIZE", "[64,64]")  # fmt: skip
    page, text = report(tmp_path / "r.html", run, "--examples", 2)
    assert "6 persons" in text and len([alt for alt in figures(page) if ".png, id" in alt]) >= 4
    assert len([alt for alt in figures(page) if alt.endswith(".png")]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere"), (["--persons", "0"], "--persons"), (["--examples", "0"], "--examples"),
        (["--megabytes", "0"], "--megabytes"), (["--out", "nowhere/r.html"], "nowhere/r.html"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(trained, tmp_path, monkeypatch, capsys, words, told):
    runs = [str(trained[0])]
    monkeypatch.chdir(tmp_path)
    assert main(["--out", "r.html", *runs, *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and told in lines[0]
    assert not (tmp_path / "r.html").exists()
