"""The experiments on the mirror mouse: comparable, never mirrored, and readable from converted data."""

from pathlib import Path

import pytest

from semipose import build
from semipose.config import load_config, to_plain

FOLDER = Path(__file__).resolve().parent.parent / "experiments/mouse"
METHODS = ("supervised", "supervised_long", "mean_teacher", "cotrain")


def config(name: str):
    return load_config(FOLDER / f"{name}.yaml")


def test_all_are_known_here():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {"_base_", *METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_no_view_is_mirrored(name):
    """Each view of the animal has its fixed side of the frame, and the skeleton has no swaps."""
    policies = build.build_policies(config(name))
    assert policies.labeled.flip == policies.easy.flip == policies.hard.flip == 0
    assert not config(name).TEST.FLIP_TEST


@pytest.mark.parametrize("name", METHODS)
def test_compared_runs_differ_in_the_method_only(name):
    """The unlabelled side of a supervised run is not used, so it may be set for all."""
    one, two = (to_plain(config(n)) for n in ("supervised", name))
    different = {key for key in one if one[key] != two[key]}
    assert different <= ({"TRAIN"} if name == "supervised_long" else {"ALGORITHM", "USE_EMA"})


def test_the_long_run_is_longer_and_nothing_else():
    one, two = (to_plain(config(name))["TRAIN"] for name in ("supervised", "supervised_long"))
    assert {key for key in one if one[key] != two[key]} == {"END_EPOCH", "EVAL_INTERVAL"}
    # the images that co-training passes through networks, against those of a supervised step; see the file
    assert two["END_EPOCH"] == round(3.8 * one["END_EPOCH"])


@pytest.mark.parametrize("name", METHODS)
def test_errors_are_given_in_pixels(name):
    assert config(name).TEST.PIXELS == 20
