"""Every experiment loads, its parts can be built, and it takes its first steps on sample data; pieces fit together."""

import re
from functools import cache
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from sample_sets import write_sets

from semipose import assemble
from semipose.algorithms import ALGORITHMS
from semipose.codecs import find_codec
from semipose.config import flat_keys, load_config, to_plain
from semipose.engine.checkpoint import CheckpointFolder
from semipose.errors import ConfigError
from semipose.evaluation import NORMS
from semipose.runtime.signals import Interrupts
from semipose.skeletons import get_skeleton
from semipose.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "experiments"
KINDS = ("data", "method", "network")
PIECES = {kind: [f"{kind}/{path.stem}" for path in sorted((FOLDER / kind).glob("*.yaml"))] for kind in KINDS}
NO_RUNS = ("sweeps", "skeletons", "lift")  # runs that lift: lifting/test_lift_experiments.py
FAMILIES = sorted({path.parent.name for path in FOLDER.glob("*/*.yaml")} - {*KINDS, *NO_RUNS})
LEAVES = [f"{path.parent.name}/{path.stem}" for family in FAMILIES for path in sorted((FOLDER / family).glob("*.yaml"))]
# what is trained here: the leaves, and each method that they do not have
RUNS = LEAVES + [f"data/coco_1k {method} network/res18_256x192" for method in PIECES["method"]]
OF_THE_METHOD = ("ALGORITHM", "USE_EMA", "WEIGHT.", "WORST.", "AUGMENT.HARD_VIEWS", "AUGMENT.PASTE.", "AUGMENT.CUTMIX.")


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def load(run: str):
    """From scratch: weights are not downloaded here."""
    return load_config([FOLDER / f"{name}.yaml" for name in run.split()], pairs=["MODEL.PRETRAINED", "", "GPUS", "cpu"])


@pytest.fixture(params=LEAVES)
def config(request):
    return load(request.param)


def changed(config, **values):
    """A copy with some keys changed; a key is written with __ for its dots."""
    copy = config.clone()
    copy.defrost()
    for key, value in values.items():
        copy.merge_from_list([key.replace("__", "."), value])
    return copy


# How files are put together


def test_a_leaf_joins_pieces_and_a_piece_builds_on_nothing():
    for name in LEAVES:
        bases = yaml.safe_load(text_of(name))["_BASE_"]
        assert all(base.removeprefix("../").removesuffix(".yaml") in sum(PIECES.values(), []) for base in bases), name
    assert not any("_BASE_" in text_of(name) for kind in KINDS for name in PIECES[kind])


@pytest.mark.parametrize("one, two", [*combinations(KINDS, 2)])
def test_pieces_of_two_kinds_set_different_keys(one, two):
    """So their order does not matter, and one of them can be changed for another."""
    keys = [{key for name in PIECES[kind] for key in flat_keys(yaml.safe_load(text_of(name)))} for kind in (one, two)]
    assert keys[0] and keys[1] and not keys[0] & keys[1]


def test_files_that_are_named_in_texts_exist():
    texts = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *FOLDER.rglob("*.md")]
    texts += [FOLDER / f"{name}.yaml" for name in [*LEAVES, *sum(PIECES.values(), [])]]
    named = {name for text in texts for name in re.findall(r"experiments/[\w/]+\.ya?ml", text.read_text("utf-8"))}
    assert len(named) > 10 and not [name for name in named if not (ROOT / name).is_file()]


# Networks, views, optimisers


@pytest.mark.parametrize("name", PIECES["network"])
def test_the_network_gives_heatmaps_at_a_quarter_of_the_size(name):
    config = load(name)
    with torch.device("meta"):
        width, height = config.MODEL.IMAGE_SIZE
        heatmaps = assemble.build_network(config)(torch.zeros(2, 3, height, width))
    joints = len(get_skeleton("coco"))
    channels = 3 * joints + 1 if find_codec(config.MODEL.CODEC).instances else joints  # a root, and offsets x and y
    assert heatmaps.shape == (2, channels, height // 4, width // 4)


def test_a_heatmap_size_that_does_not_fit_is_refused():
    with torch.device("meta"), pytest.raises(ConfigError, match="MODEL.HEATMAP_SIZE"):
        assemble.build_network(changed(load("network/res18_256x192"), MODEL__HEATMAP_SIZE=[96, 128]))


def test_recipe_views_and_optimisers_are_built(config):
    network = SimpleNamespace(mean=torch.full((1, 3, 1, 1), 0.5), codec=find_codec(config.MODEL.CODEC))
    recipe = assemble.build_recipe(config, network, epoch_steps=100, unlabeled_size=50)
    assert 100 * config.TRAIN.WARM_EPOCH <= recipe.ramp.start <= recipe.ramp.end < 100 * config.TRAIN.END_EPOCH
    assert assemble.build_policies(config) == recipe.views.policies
    kind = assemble.algorithm_entry(config)
    assert kind is ALGORITHMS[config.ALGORITHM]
    learner = torch.nn.Linear(2, 2)
    stepper = assemble.build_stepper(config, SimpleNamespace(phases=kind.phases, learners=lambda phase: [learner]), 10)
    for phase in kind.phases:
        assert 0 < stepper.lr(phase) <= config.TRAIN.LR
        stepper.step(phase, learner(torch.ones(1, 2)).sum(), 0)


def test_values_that_fit_together(config):
    assert config.TEST.PCK_NORM in NORMS
    if config.TEST.PCK_NORM in ("head", "torso"):
        assert getattr(get_skeleton(config.DATASET.SKELETON), config.TEST.PCK_NORM)
    if config.TRAIN.SCHEDULE == "step":
        assert sorted(set(config.TRAIN.LR_STEP)) == config.TRAIN.LR_STEP
        assert all(config.TRAIN.WARM_EPOCH < epoch < config.TRAIN.END_EPOCH for epoch in config.TRAIN.LR_STEP)
    assert config.DATASET.CROP_MARGIN > 1, "views zoom out and turn; without a margin they show black borders"


@pytest.mark.parametrize("folder", ["demo", "lsp", "mouse", "scenes"])
def test_compared_runs_differ_in_the_method_only(folder):
    """Same data, network, optimiser and schedule, so that a difference is one of the method."""
    one, two = (flat_keys(to_plain(load(f"{folder}/{name}"))) for name in ("supervised", "cotrain"))
    different = {key for key in one if one[key] != two[key]}
    assert "ALGORITHM" in different and all(key.startswith(OF_THE_METHOD) for key in different)


# Training on sample data


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory):
    """A function from a configuration to a root that has its sets."""
    roots = {}

    def find(data) -> Path:
        key = str([data.SKELETON, data.TRAIN_SET, data.TEST_SET, data.TRAIN_UNSUP_SET])
        if key not in roots:
            roots[key] = tmp_path_factory.mktemp("data") / "set"
            write_sets(roots[key], data)
        return roots[key]

    return find


def on_samples(config, root: Path, **values):
    """The same run on sample data, of which `DATASET.TRAIN_LEN` cannot take more than two persons."""
    return changed(
        config, DATASET__ROOT=str(root), DATASET__CACHE="none", DATASET__TRAIN_LEN=min(2, config.DATASET.TRAIN_LEN),
        TRAIN__BATCH_SIZE=2, TRAIN__BATCH_SIZE_UNSUP=3, TRAIN__STEPS_PER_EPOCH=1, WORKERS=0, **values,
    )  # fmt: skip


def small(config, root: Path):
    """Also with a small network, an epoch or, with a warm-up, two of one step each."""
    width, height = (32, 32) if config.MODEL.IMAGE_SIZE[0] == config.MODEL.IMAGE_SIZE[1] else (48, 64)
    if find_codec(config.MODEL.CODEC).instances:
        width, height = 96, 96  # on smaller ones no person is large enough to have a root
    warm = min(1, config.TRAIN.WARM_EPOCH)
    return on_samples(
        config, root, MODEL__BACKBONE="light_unet", MODEL__SIGMA=1.0, MODEL__IMAGE_SIZE=[width, height],
        MODEL__HEATMAP_SIZE=[width // 4, height // 4], TRAIN__LR_STEP=[9], TRAIN__EVAL_INTERVAL=1,
        TRAIN__END_EPOCH=1 + warm, TRAIN__WARM_EPOCH=warm,
    )  # fmt: skip


def test_a_batch_is_read(config, sample_root):
    config = on_samples(config, sample_root(config.DATASET))
    data = assemble.build_data(config)
    train = config.DATASET.TRAIN_SET
    people = 3 if isinstance(train, str) else sum(entry.get("length", 3) for entry in train)
    assert len(data.labeled) == (config.DATASET.TRAIN_LEN or people)
    assert all(len(persons) == 3 for persons in data.validation.values())
    batch = next(assemble.build_pair_loader(config, data).batches(0))
    width, height = (round(side * config.DATASET.CROP_MARGIN) for side in config.MODEL.IMAGE_SIZE)
    assert batch.labeled.images.shape == (2, 3, height, width) and batch.labeled.weights.any()
    if ALGORITHMS[config.ALGORITHM].takes_unlabeled:
        assert batch.unlabeled.images.shape == (3, 3, height, width) and not batch.unlabeled.weights.any()


@pytest.mark.parametrize("run", RUNS)
def test_the_first_steps_are_taken(run, sample_root, tmp_path):
    config = small(load(run), sample_root(load(run).DATASET))
    data = assemble.build_data(config)
    trainer = assemble.build_trainer(config, data, CheckpointFolder(tmp_path), Tracker([]), Interrupts())
    before = {name: value.clone() for name, value in trainer.algorithm.named_parameters() if value.requires_grad}
    trainer.warm_up(config.TRAIN.WARM_EPOCH)
    metrics = trainer.fit()
    assert trainer.step == config.TRAIN.END_EPOCH * len(trainer.algorithm.phases)
    assert {"PCKh"} <= metrics.keys() if config.DATASET.SKELETON == "mpii" else {"AP", "PCK"} <= metrics.keys()
    assert ("aic/AP" in metrics) == (len(data.validation) > 1)
    after = dict(trainer.algorithm.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    still = [name for name, value in before.items() if torch.equal(value, after[name])]
    assert len(still) < len(before) / 10, still
