"""`--cfg` with one file or several, and pairs before, between and after the flags."""

import argparse
import sys

import pytest

from semipose import cli


@pytest.fixture
def parse():
    def run(*words: str):
        parser = argparse.ArgumentParser()
        cli.add_configuration(parser)
        parser.add_argument("--name")
        return cli.files_and_pairs(parser.parse_intermixed_args(words))

    return run


@pytest.mark.parametrize(
    ("words", "files", "pairs"),
    [
        ("--cfg a.yaml", "a.yaml", ""),
        ("--cfg a.yaml b.yml c.yaml --name x SEED 1", "a.yaml b.yml c.yaml", "SEED 1"),
        ("--cfg a.yaml --name x --cfg b.yaml", "a.yaml b.yaml", ""),
        ("--cfg a.yaml b.yaml SEED 1 --name x NAME y", "a.yaml b.yaml", "SEED 1 NAME y"),
        ("--cfg a.yaml DATASET.SKELETON mine.yaml", "a.yaml", "DATASET.SKELETON mine.yaml"),
        ("SEED 1 --cfg a.yaml", "a.yaml", "SEED 1"),
        ("--cfg a.txt SEED 1", "a.txt", "SEED 1"),
    ],
)
def test_files_and_pairs(parse, words, files, pairs):
    assert parse(*words.split()) == (files.split(), pairs.split())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "two.yaml"),
        ("_BASE_: [one.yaml, nowhere.yaml]", "nowhere.yaml"),
        ("_BASE_: two.yaml", "two.yaml"),
        ("TRAIN: {LR: -1}", "two.yaml: TRAIN.LR"),
    ],
)
def test_a_file_that_is_refused_is_named_in_one_line(tmp_path, monkeypatch, capsys, text, named):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("")
    if text:
        two.write_text(text)
    monkeypatch.setattr(sys, "argv", ["train.py", "--cfg", str(one), str(two)])
    with pytest.raises(SystemExit) as stop:
        cli.train()
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and len(lines) == 1 and named in lines[0]
