"""Every YAML under experiments/ loads, and its parts can be built."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from semipose import build
from semipose.algorithms import ALGORITHMS
from semipose.config import default_config, load_config, to_plain
from semipose.data.crop_cache import CACHES
from semipose.errors import ConfigError
from semipose.inference.validate import PCK_NORMS
from semipose.skeletons import get_skeleton

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "experiments"
EXPERIMENTS = sorted(path for path in FOLDER.rglob("*.y*ml") if "_base_" not in str(path.relative_to(FOLDER)))
NAMES = [str(path.relative_to(FOLDER)) for path in EXPERIMENTS]


@pytest.fixture(params=EXPERIMENTS, ids=NAMES)
def config(request):
    """From scratch: weights are not downloaded here."""
    return load_config(request.param, pairs=["MODEL.PRETRAINED", "", "GPUS", "cpu"])


def meta_network(config):
    """The network of a configuration without memory for its weights."""
    with torch.device("meta"):
        return build.build_network(config)


def test_there_are_experiments():
    assert {"demo", "coco", "lsp"} <= {Path(name).parts[0] for name in NAMES}


def test_bases_load_as_well():
    bases = set(FOLDER.rglob("*.y*ml")) - set(EXPERIMENTS)
    assert bases and all(load_config(path) for path in bases)


def test_the_network_gives_heatmaps_of_the_configured_size(config):
    with torch.device("meta"):
        network = build.build_network(config)
        width, height = config.MODEL.IMAGE_SIZE
        heatmaps = network(torch.zeros(2, 3, height, width))
    joints = len(get_skeleton(config.DATASET.SKELETON))
    assert heatmaps.shape == (2, joints, *reversed(config.MODEL.HEATMAP_SIZE))


def test_a_heatmap_size_that_does_not_fit_is_refused(config):
    config = config.clone()
    config.defrost()
    config.MODEL.HEATMAP_SIZE = [n * 2 for n in config.MODEL.HEATMAP_SIZE]
    with pytest.raises(ConfigError, match="MODEL.HEATMAP_SIZE"):
        meta_network(config)


def test_recipe_views_and_optimisers_are_built(config):
    network = SimpleNamespace(mean=torch.full((1, 3, 1, 1), 0.5))
    recipe = build.build_recipe(config, network, total_steps=1000)
    assert recipe.codec.size == tuple(config.MODEL.HEATMAP_SIZE)
    assert 0 <= recipe.ramp.start <= recipe.ramp.end <= 1000
    assert build.build_policies(config) == recipe.views.policies
    kind = build.algorithm_type(config)
    assert kind is ALGORITHMS[config.ALGORITHM]
    learner = torch.nn.Linear(2, 2)
    stepper = build.build_stepper(config, SimpleNamespace(phases=kind.phases, learners=lambda phase: [learner]), 10)
    for phase in kind.phases:
        assert 0 < stepper.lr(phase) <= config.TRAIN.LR
        stepper.step(phase, learner(torch.ones(1, 2)).sum(), 0)


def test_values_that_are_checked_only_when_data_are_read(config):
    assert config.DATASET.CACHE in CACHES and config.TEST.PCK_NORM in PCK_NORMS
    assert config.TEST.OKS_NMS in ("hard", "soft", "none") and config.TRAIN.ALTERNATE in ("epoch", "step")
    assert config.TRACKING.WANDB in ("auto", "online", "offline", "off")
    if config.TEST.PCK_NORM != "box":
        assert getattr(get_skeleton(config.DATASET.SKELETON), config.TEST.PCK_NORM)


def test_the_rate_falls_before_the_run_ends(config):
    if config.TRAIN.SCHEDULE == "step":
        assert sorted(set(config.TRAIN.LR_STEP)) == config.TRAIN.LR_STEP
        assert all(0 < epoch < config.TRAIN.END_EPOCH for epoch in config.TRAIN.LR_STEP)


def test_the_cropped_margin_is_worth_its_name(config):
    """Views zoom out and turn; a crop without margin would show them black borders."""
    assert config.DATASET.CROP_MARGIN > 1


def test_defaults_are_an_experiment_too():
    config = default_config()
    assert meta_network(config).heatmap_size(tuple(config.MODEL.IMAGE_SIZE)) == tuple(config.MODEL.HEATMAP_SIZE)


@pytest.mark.parametrize(
    "pair", [("demo/supervised.yaml", "demo/cotrain.yaml"), ("lsp/supervised.yaml", "lsp/cotrain.yaml")]
)
def test_compared_runs_differ_in_the_method_only(pair):
    """Same data, network, steps and optimiser, so that a difference in AP is one of the method."""
    one, two = (to_plain(load_config(FOLDER / name)) for name in pair)
    different = {key for key in one if one[key] != two[key]}
    assert "ALGORITHM" in different and different <= {"ALGORITHM", "USE_EMA", "WEIGHT"}


def test_the_readme_has_no_placeholder():
    assert "@@" not in (ROOT / "README.md").read_text(encoding="utf-8")
