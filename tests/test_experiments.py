"""Every YAML of a run under experiments/ loads, its parts can be built, and it takes its first steps on sample data."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from semipose import assemble
from semipose.algorithms import ALGORITHMS
from semipose.config import default_config, flat_keys, load_config, to_plain
from semipose.data.crop_cache import CACHES
from semipose.data.sources import guess_format
from semipose.engine.checkpoint import CheckpointFolder
from semipose.errors import ConfigError
from semipose.evaluation import NORMS
from semipose.runtime.signals import Interrupts
from semipose.skeletons import COCO, get_skeleton
from semipose.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "experiments"
PLANS = "sweeps"  # plans of tools/sweep.py, not configurations
FILES = {str(path.relative_to(FOLDER)): path for path in sorted(FOLDER.rglob("*.y*ml")) if path.parent.name != PLANS}
EXPERIMENTS = {str(Path(name).with_suffix("")): path for name, path in FILES.items() if "_base_" not in name}
# from scratch: weights are not downloaded here
CONFIGS = {name: load_config(path, pairs=["MODEL.PRETRAINED", "", "GPUS", "cpu"]) for name, path in EXPERIMENTS.items()}
MODELS = {str((to_plain(config.MODEL), config.DATASET.SKELETON)): config for config in CONFIGS.values()}

FAMILIES = [f"coco/res18/256x192_COCO{size}_" for size in ("1K", "5K", "10K")]
FAMILIES += [f"wild/res{depth}_256x192_" for depth in (50, 101, 152)] + ["mpii/res18_256x256_"]
METHODS = {
    "supervised": "supervised", "pose_cons": "pose_cons", "pose_dual": "pose_dual", "mean_teacher": "mean_teacher",
    "cotrain": "cotrain1", "cotrain_sequential": "cotrain", "train_2p": "train_2p",
    "multiaugs_single": "pose_cons", "multiaugs_dual": "pose_dual", "multiaugs_mean_teacher": "mean_teacher",
    "multiaugs_cotrain": "cotrain1",
}  # fmt: skip
OF_THE_METHOD = ("ALGORITHM", "USE_EMA", "WEIGHT.", "WORST.", "AUGMENT.HARD_VIEWS", "AUGMENT.PASTE.", "AUGMENT.CUTMIX.")
# the published schedules are not all of one length; supervised epochs count steps, as they have no pool to pass over
SHORTER = {"TRAIN.END_EPOCH", "TRAIN.LR_STEP"}
ALSO_DIFFERENT = {name: SHORTER for name in METHODS if name.startswith("multiaugs")} | {
    "supervised": {"TRAIN.STEPS_PER_EPOCH", "TRAIN.EVAL_INTERVAL"},
    "train_2p": {"TRAIN.WARM_EPOCH"},
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def config(request):
    return request.param


def changed(config, **values):
    """A copy with some keys changed; a key is written with __ for its dots."""
    copy = config.clone()
    copy.defrost()
    for key, value in values.items():
        copy.merge_from_list([key.replace("__", "."), value])
    return copy


def flat(config) -> dict:
    return flat_keys(to_plain(config))


def differences(one: str, two: str) -> set[str]:
    """The keys in which two experiments differ."""
    one, two = flat(CONFIGS[one]), flat(CONFIGS[two])
    return {key for key in one if one[key] != two[key]}


def test_there_are_experiments():
    assert {"demo", "coco", "lsp", "wild", "mpii", "mixed"} <= {Path(name).parts[0] for name in EXPERIMENTS}


def test_bases_load_as_well():
    bases = set(FILES) - set(EXPERIMENTS)
    assert bases and all(load_config(FILES[name]) for name in bases)


# Networks, views, optimisers


@pytest.mark.parametrize("config", MODELS.values(), ids=range(len(MODELS)))
def test_the_network_gives_heatmaps_of_the_configured_size(config):
    with torch.device("meta"):
        network = assemble.build_network(config)
        width, height = config.MODEL.IMAGE_SIZE
        heatmaps = network(torch.zeros(2, 3, height, width))
    joints = len(get_skeleton(config.DATASET.SKELETON))
    assert heatmaps.shape == (2, joints, *reversed(config.MODEL.HEATMAP_SIZE))


@pytest.mark.parametrize("config", MODELS.values(), ids=range(len(MODELS)))
def test_a_heatmap_size_that_does_not_fit_is_refused(config):
    wrong = changed(config, MODEL__HEATMAP_SIZE=[n * 2 for n in config.MODEL.HEATMAP_SIZE])
    with torch.device("meta"), pytest.raises(ConfigError, match="MODEL.HEATMAP_SIZE"):
        assemble.build_network(wrong)


def test_recipe_views_and_optimisers_are_built(config):
    network = SimpleNamespace(mean=torch.full((1, 3, 1, 1), 0.5))
    recipe = assemble.build_recipe(config, network, epoch_steps=100, unlabeled_size=50)
    assert recipe.codec.size == tuple(config.MODEL.HEATMAP_SIZE)
    assert 100 * config.TRAIN.WARM_EPOCH <= recipe.ramp.start <= recipe.ramp.end < 100 * config.TRAIN.END_EPOCH
    assert assemble.build_policies(config) == recipe.views.policies
    kind = assemble.algorithm_type(config)
    assert kind is ALGORITHMS[config.ALGORITHM]
    learner = torch.nn.Linear(2, 2)
    stepper = assemble.build_stepper(config, SimpleNamespace(phases=kind.phases, learners=lambda phase: [learner]), 10)
    for phase in kind.phases:
        assert 0 < stepper.lr(phase) <= config.TRAIN.LR
        stepper.step(phase, learner(torch.ones(1, 2)).sum(), 0)


def test_values_that_are_checked_only_when_data_are_read(config):
    assert config.DATASET.CACHE in CACHES and config.TEST.PCK_NORM in NORMS
    assert config.TEST.OKS_NMS in ("hard", "soft", "none") and config.TRAIN.ALTERNATE in ("epoch", "step")
    assert config.TRACKING.WANDB in ("auto", "online", "offline", "off")
    if config.TEST.PCK_NORM in ("head", "torso"):
        assert getattr(get_skeleton(config.DATASET.SKELETON), config.TEST.PCK_NORM)


def test_the_rate_falls_before_the_run_ends(config):
    if config.TRAIN.SCHEDULE == "step":
        assert sorted(set(config.TRAIN.LR_STEP)) == config.TRAIN.LR_STEP
        assert all(config.TRAIN.WARM_EPOCH < epoch < config.TRAIN.END_EPOCH for epoch in config.TRAIN.LR_STEP)


def test_the_cropped_margin_is_worth_its_name(config):
    """Views zoom out and turn; a crop without margin would show them black borders."""
    assert config.DATASET.CROP_MARGIN > 1


def test_defaults_are_an_experiment_too():
    config = default_config()
    with torch.device("meta"):
        network = assemble.build_network(config)
    assert network.heatmap_size(tuple(config.MODEL.IMAGE_SIZE)) == tuple(config.MODEL.HEATMAP_SIZE)


# Sample data: three persons on two images for each set, in the layout that the experiments expect


def write_images(folder: Path, name: str) -> list[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(name))
    for number in (1, 2):
        Image.fromarray(noise.integers(0, 256, (64, 96, 3), np.uint8)).save(folder / f"{name}{number}.jpg")
    return [{"id": n, "file_name": f"{name}{n}.jpg", "width": 96, "height": 64} for n in (1, 2)]


def write_persons(file: Path, images: list[dict], keypoints: tuple[str, ...]) -> None:
    joints = [value for k in range(len(keypoints)) for value in (20 + 2 * k, 12 + 2 * k, 2)]
    person = {"category_id": 1, "iscrowd": 0, "bbox": [15, 8, 50, 48], "area": 1200, "keypoints": joints}
    annotations = [{**person, "id": n, "image_id": 1 + n % 2} for n in (1, 2, 3)]
    categories = [{"id": 1, "name": "person", "keypoints": list(keypoints)}]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def write_set(root: Path, name: str, keypoints: tuple[str, ...]) -> None:
    write_persons(
        root / f"annotations/person_keypoints_{name}.json", write_images(root / "images" / name, name), keypoints
    )


def write_pool(root: Path, entry: dict) -> None:
    """An image list and a detector's boxes, as of WILD."""
    folder = root / entry["images"]
    (root / entry["annotation"]).parent.mkdir(parents=True, exist_ok=True)
    (root / entry["annotation"]).write_text(json.dumps({"images": write_images(folder, folder.name)}))
    box = {"category_id": 1, "bbox": [10.5, 8, 40, 50], "score": 0.9}
    (root / entry["boxes"]).parent.mkdir(parents=True, exist_ok=True)
    (root / entry["boxes"]).write_text(json.dumps([{**box, "image_id": 1 + n % 2} for n in (1, 2, 3)]))


def write_coco(root: Path, entry: dict) -> None:
    if "boxes" in entry:
        return write_pool(root, entry)
    file = root / entry["annotation"]
    name = file.stem.removeprefix("person_keypoints_")
    write_persons(file, write_images(file.parents[1] / "images" / name, name), COCO.keypoints)


def write_aic(root: Path, entry: dict) -> None:
    """AIC's own format."""
    images = write_images(root / entry["images"], Path(entry["annotation"]).stem)
    joints = [value for k in range(14) for value in (20 + 2 * k, 12 + 2 * k, 1)]
    names = [image["file_name"].removesuffix(".jpg") for image in images]
    humans = [["human1", "human2"], ["human1"]]
    rows = [
        {
            "image_id": name, "human_annotations": {human: [15, 8, 65, 56] for human in people},
            "keypoint_annotations": dict.fromkeys(people, joints),
        }
        for name, people in zip(names, humans)
    ]  # fmt: skip
    (root / entry["annotation"]).write_text(json.dumps(rows))


def write_mpii(root: Path, entry: dict) -> None:
    images = write_images(root / entry["images"], Path(entry["annotation"]).stem)
    joints = [[20.0 + 2 * k, 12.0 + 2 * k] for k in range(16)]
    person = {"center": [40.0, 30.0], "scale": 0.25, "joints": joints, "joints_vis": [1] * 16}
    (root / entry["annotation"]).parent.mkdir(parents=True, exist_ok=True)
    rows = [person | {"image": images[n % 2]["file_name"]} for n in (1, 2, 3)]
    (root / entry["annotation"]).write_text(json.dumps(rows))
    if "head_boxes" in entry:
        corners = np.array([[10.0, 10.0], [18.0, 18.0]])[:, :, None].repeat(3, 2)
        savemat(root / entry["head_boxes"], {"headboxes_src": corners})


def write_video(root: Path, entry: dict) -> None:
    (root / entry["annotation"]).parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(root / entry["annotation"]), cv2.VideoWriter_fourcc(*"mp4v"), 10, (96, 64))
    for level in range(21):
        writer.write(np.full((64, 96, 3), 10 * level, np.uint8))
    writer.release()


def write_csv(root: Path, entry: dict) -> None:
    """52 frames to learn from and 3 to validate on."""
    parts = get_skeleton("mirror_mouse").keypoints
    header = [["scorer"] + ["me"] * 34, ["bodyparts"] + [p for p in parts for _ in "xy"], ["coords"] + ["x", "y"] * 17]
    root.mkdir(parents=True, exist_ok=True)
    for number in range(55):
        Image.fromarray(np.full((64, 96, 3), number, np.uint8)).save(root / f"{number:02d}.png")
    rows = [[f"{number:02d}.png"] + [str(10 + k) for k in range(34)] for number in range(55)]
    (root / entry["annotation"]).write_text("\n".join(map(",".join, header + rows)))


WRITERS = {"lightning_pose": write_csv, "coco": write_coco, "aic": write_aic, "mpii": write_mpii, "video": write_video}


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory):
    """A function from a configuration to a root that has its sets."""
    roots = {}

    def find(data) -> Path:
        keys = ("TRAIN_SET", "TEST_SET", "TRAIN_UNSUP_SET")
        key = str([data.SKELETON, *(data[key] for key in keys)])
        if key not in roots:
            root = roots[key] = tmp_path_factory.mktemp("data") / "set"
            for entry in [e for key in keys for e in ([data[key]] if isinstance(data[key], str) else data[key])]:
                if isinstance(entry, str):
                    write_set(root, entry, get_skeleton(data.SKELETON).keypoints)
                else:
                    WRITERS[entry.get("format") or guess_format("", entry["annotation"], pool=False)](root, entry)
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
    warm = min(1, config.TRAIN.WARM_EPOCH)
    return on_samples(
        config, root, MODEL__BACKBONE="light_unet", MODEL__SIGMA=1.0, MODEL__IMAGE_SIZE=[width, height],
        MODEL__HEATMAP_SIZE=[width // 4, height // 4], TRAIN__LR_STEP=[9], TRAIN__EVAL_INTERVAL=1,
        TRAIN__END_EPOCH=1 + warm, TRAIN__WARM_EPOCH=warm,
    )  # fmt: skip


# sizes of COCO and depths of WILD are the same run once they are small
SMALL = {str(to_plain(small(config, Path(config.DATASET.ROOT)))): name for name, config in CONFIGS.items()}


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
    if ALGORITHMS[config.ALGORITHM].uses_unlabeled:
        assert batch.unlabeled.images.shape == (3, 3, height, width) and not batch.unlabeled.weights.any()


@pytest.mark.parametrize("name", SMALL.values())
def test_the_first_steps_are_taken(name, sample_root, tmp_path):
    config = small(CONFIGS[name], sample_root(CONFIGS[name].DATASET))
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


# What is compared with what


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
def test_methods_of_a_family_differ_in_the_method_only(family, method):
    """Same data, network, optimiser and schedule, so that a difference in AP is one of the method."""
    assert METHODS[method] == CONFIGS[family + method].ALGORITHM
    found = {key for key in differences(family + "pose_cons", family + method) if not key.startswith(OF_THE_METHOD)}
    assert found <= ALSO_DIFFERENT.get(method, set())


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_the_same_in_all_families(method):
    settings = [
        {key: value for key, value in flat(CONFIGS[family + method]).items() if key.startswith(OF_THE_METHOD)}
        for family in FAMILIES
    ]
    views = [chosen.pop("AUGMENT.HARD_VIEWS") for chosen in settings]
    assert all(chosen == settings[0] for chosen in settings)
    if method.startswith("multiaugs"):  # as its authors: four views on subsets of COCO, the first two of them elsewhere
        assert [len(some) for some in views] == [4, 4, 4, 2, 2, 2, 2]
        assert all(some == views[0][: len(some)] for some in views)
    else:
        assert all(some == views[0] for some in views)


def test_joint_and_sequential_differ_in_the_algorithm_only():
    for family in FAMILIES:
        assert differences(family + "cotrain", family + "cotrain_sequential") == {"ALGORITHM"}


@pytest.mark.parametrize("folder", ["demo", "lsp"])
def test_compared_runs_differ_in_the_method_only(folder):
    different = differences(f"{folder}/supervised", f"{folder}/cotrain")
    assert "ALGORITHM" in different and all(key.startswith(OF_THE_METHOD) for key in different)


def test_a_size_in_a_name_is_the_number_of_labels():
    for size in (1, 5, 10):
        assert {CONFIGS[f"coco/res18/256x192_COCO{size}K_{method}"].DATASET.TRAIN_LEN for method in METHODS} == {
            size * 1000
        }


def test_families_share_their_network_and_pool():
    """Depths of WILD, and sizes of COCO, differ in nothing else."""
    for method in METHODS:
        for depth in (101, 152):
            names = f"wild/res50_256x192_{method}", f"wild/res{depth}_256x192_{method}"
            assert differences(*names) == {"MODEL.BACKBONE"}
        names = f"coco/res18/256x192_COCO5K_{method}", f"coco/res18/256x192_COCO10K_{method}"
        assert differences(*names) == {"DATASET.TRAIN_LEN"}


def test_the_readme_has_no_placeholder():
    assert "" not in (ROOT / "README.md").read_text(encoding="utf-8")
