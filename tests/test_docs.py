"""What the documents say about keys, commands and codecs is so. Nothing here looks at wording."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from semipose import assemble
from semipose.codecs import CODECS
from semipose.config import load_config
from semipose.config.defaults import KEYS
from semipose.engine.parameter_groups import make_groups, parse_rule

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("experiments/**/*.md"))]
NETWORKS = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
FLAGS = ("--dry-run",)
SECTIONS = "|".join(sorted({key.split(".")[0] for key in KEYS if "." in key}))


def commands(text: str) -> list[list[str]]:
    """The words of each command `semipose ... --cfg ...` in a block."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    return [shlex.split(line) for line in blocks.splitlines() if line.startswith("semipose") and "--cfg" in line]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_keys_exist(text):
    named = set(re.findall(rf"\b(?:{SECTIONS})(?:\.[A-Z][A-Z_]+)+\b(?!\.?\*)", text.read_text(encoding="utf-8")))
    known = {".".join(key.split(".")[:count]) for key in KEYS for count in (1, 2, 3)}
    assert named <= known


@pytest.mark.parametrize("words", commands(NETWORKS), ids=" ".join)
def test_networks_of_commands_can_be_built(words):
    words = [word for word in words if word not in FLAGS]
    cfg, *pairs = words[words.index("--cfg") + 1 :]
    pairs += ["MODEL.PRETRAINED", "", "GPUS", "cpu"]  # nothing is downloaded here
    pairs += ["ALGORITHM", words[1]] if words[1] in ("cotrain", "cotrain1") else []
    config = load_config([ROOT / cfg], pairs=pairs)
    with torch.device("meta"):
        for second in (False, True):
            network = assemble.build_network(config, second=second)
            width, height = config.MODEL.IMAGE_SIZE
            assert len(network(torch.zeros(2, 3, height, width))) == 2
            rules = [parse_rule(text) for text in config.TRAIN.GROUPS]
            assert make_groups([network], rules, config.TRAIN.NO_DECAY_NORM, config.TRAIN.LAYER_DECAY)


def test_the_table_of_codecs_has_all_of_them_and_what_they_have():
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in NETWORKS.splitlines() if line[:3] == "| `"]
    table = {name: [maps, scores] for name, *_, maps, scores, _paper in (row for row in rows if len(row) == 7)}
    answers = {True: "yes", False: "no"}
    assert table == {name: [answers[codec.has_maps], answers[codec.has_scores]] for name, codec in CODECS.items()}
