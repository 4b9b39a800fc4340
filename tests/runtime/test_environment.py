"""What a log says of where it was made."""

import platform
import shlex

import torch

from semipose.runtime.environment import command_line, environment


def test_a_command_can_be_typed_again():
    words = ["semipose convert lsp", "--root", "my data", "TRAIN.GROUPS", '["a lr=0.1"]']
    assert shlex.split(command_line(words)) == ["semipose", "convert", "lsp", *words[1:]]
    assert command_line(["tools/train.py", "--name", "x"]) == "python tools/train.py --name x"


def test_versions_and_machine():
    text = "\n".join(environment(["semipose train"]))
    for part in ("semipose train", platform.python_version(), f"torch {torch.__version__}", platform.node(), "cores"):
        assert part in text
