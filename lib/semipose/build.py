"""From a configuration to the parts of a run. Nothing below this module reads the configuration."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from yacs.config import CfgNode

from semipose.algorithms import ALGORITHMS, Algorithm
from semipose.algorithms.algorithm import LossWeights, Ramp, Recipe
from semipose.augment.affine import AffinePolicy
from semipose.augment.joint_cutout import CutoutPolicy
from semipose.augment.photometric import ColorPolicy
from semipose.augment.views import ViewPolicies, ViewSampler
from semipose.codecs import HeatmapCodec
from semipose.config import to_yaml
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.faults import FaultLog
from semipose.data.loaders import PairLoader, evaluation_loader
from semipose.data.person_dataset import PersonDataset
from semipose.data.readers import (
    has_annotation,
    locate_coco,
    read_coco,
    read_detections,
    read_folder,
    read_unlabeled_coco,
)
from semipose.data.report import DataReport, report_data, training_key
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.interrupts import Interrupts, worker_init
from semipose.engine.stepper import OptimizerSettings, Stepper
from semipose.engine.tracking import Tracker
from semipose.engine.trainer import Trainer, TrainerOptions
from semipose.errors import ConfigError
from semipose.evaluation import load_ground_truth
from semipose.inference.validate import ValidationOptions, Validator
from semipose.models.pose_network import PoseNetwork, build_pose_network
from semipose.pseudo_labels import PseudoLabeler
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons


@dataclass(frozen=True)
class RunData:
    """The persons of a run; `unlabeled` is None for a supervised algorithm."""

    labeled: Persons
    unlabeled: Persons | None
    validation: Persons
    report: DataReport


def algorithm_type(config: CfgNode) -> type[Algorithm]:
    """The class in the table; raises ConfigError listing the known names."""
    if config.ALGORITHM not in ALGORITHMS:
        raise ConfigError(f"ALGORITHM is {config.ALGORITHM!r}; allowed: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[config.ALGORITHM]


def build_device(gpus: str) -> torch.device:
    """The device for a GPUS value; raises ConfigError if it is not there."""
    if gpus == "cpu" or (gpus == "" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if "," in gpus:
        raise ConfigError(f"GPUS is {gpus!r}; training on several GPUs is not there yet, name one")
    if gpus and not gpus.isdigit():
        raise ConfigError(f"GPUS is {gpus!r}; allowed: the number of a GPU, cpu, or nothing for the first GPU")
    number = int(gpus or 0)
    if number >= torch.cuda.device_count():
        raise ConfigError(f"GPUS is {gpus!r}; this machine shows {torch.cuda.device_count()} CUDA devices to torch")
    torch.cuda.set_device(number)  # else some calls would open a context on GPU 0
    return torch.device("cuda", number)


def build_data(config: CfgNode) -> RunData:
    """Read all sources and check them against each other.

    Raises:
        DataError: a source is missing or broken, a set is empty, or validation images are trained on.
    """
    data, skeleton = config.DATASET, get_skeleton(config.DATASET.SKELETON)
    train = read_coco(*locate_coco(data.ROOT, data.TRAIN_SET, data.TRAIN_IMAGES), skeleton)
    if len(train) < data.TRAIN_LEN:
        raise ConfigError(f"DATASET.TRAIN_LEN is {data.TRAIN_LEN}; {data.TRAIN_SET} has {len(train)} persons")
    labeled = train.take(slice(0, data.TRAIN_LEN)) if data.TRAIN_LEN else train
    unlabeled = None
    if algorithm_type(config).uses_unlabeled:
        sources = [_read_unlabeled(data.ROOT, name, skeleton) for name in data.TRAIN_UNSUP_SET]
        unlabeled = Persons.concatenate(sources) if sources else train
    validation = read_validation(config)
    return RunData(labeled, unlabeled, validation, report_data(labeled, unlabeled, validation))


def read_validation(config: CfgNode) -> Persons:
    """The validation persons, with ground-truth or detector boxes."""
    data, skeleton = config.DATASET, get_skeleton(config.DATASET.SKELETON)
    located = locate_coco(data.ROOT, data.TEST_SET, data.TEST_IMAGES)
    if config.TEST.USE_GT_BBOX:
        return read_coco(*located, skeleton)
    if not config.TEST.COCO_BBOX_FILE:
        raise ConfigError("TEST.USE_GT_BBOX is False but TEST.COCO_BBOX_FILE names no detections")
    boxes = os.path.join(data.ROOT, config.TEST.COCO_BBOX_FILE)
    return read_detections(boxes, *located, skeleton, config.TEST.BBOX_THRESHOLD)


def _read_unlabeled(root: str, name: str, skeleton: Skeleton) -> Persons:
    folder = os.path.join(root, name)
    if os.path.isdir(folder) and not has_annotation(root, name):
        return read_folder(folder, len(skeleton))
    return read_unlabeled_coco(*locate_coco(root, name), skeleton)


def build_dataset(config: CfgNode, persons: Persons, on_fault: str, labeled: bool = False) -> PersonDataset:
    """Context crops of `persons` from the configured cache."""
    skeleton = get_skeleton(config.DATASET.SKELETON)
    crops = ContextCrops(
        persons, tuple(config.MODEL.IMAGE_SIZE), config.DATASET.CROP_MARGIN, config.DATASET.BOX_PADDING
    )
    source = make_crop_source(crops, config.DATASET.CACHE, Path(config.DATASET.CACHE_DIR))
    weighted = labeled and config.LOSS.USE_KEYPOINT_WEIGHTS
    return PersonDataset(source, skeleton.keypoint_weights if weighted else [1.0] * len(skeleton), on_fault)


def build_codec(config: CfgNode) -> HeatmapCodec:
    return HeatmapCodec(
        tuple(config.MODEL.IMAGE_SIZE), tuple(config.MODEL.HEATMAP_SIZE), config.MODEL.SIGMA, config.MODEL.CODEC
    )


def build_network(config: CfgNode, pretrained: bool = True) -> PoseNetwork:
    """One network; raises ConfigError if it does not give heatmaps of MODEL.HEATMAP_SIZE."""
    joints = len(get_skeleton(config.DATASET.SKELETON))
    model = config.MODEL
    weights = model.PRETRAINED if pretrained else ""
    network = build_pose_network(model.BACKBONE, joints, weights, model.CHANNELS_LAST)
    size = network.heatmap_size(tuple(model.IMAGE_SIZE))
    if size != tuple(model.HEATMAP_SIZE):
        raise ConfigError(
            f"MODEL.HEATMAP_SIZE is {list(model.HEATMAP_SIZE)}; {model.BACKBONE} makes {list(size)} "
            f"of MODEL.IMAGE_SIZE {list(model.IMAGE_SIZE)}"
        )
    return network


def build_algorithm(config: CfgNode, total_steps: int = 0, pretrained: bool = True) -> Algorithm:
    """Networks and algorithm on the configured device, from the seed in the configuration.

    Args:
        total_steps: steps of the whole run over all phases, for the ramp of the unlabelled losses.
        pretrained: load MODEL.PRETRAINED; not needed where a checkpoint is loaded afterwards.
    """
    kind = algorithm_type(config)
    torch.manual_seed(config.SEED)
    students = [build_network(config, pretrained) for _ in range(kind.num_students)]
    return kind(students, build_recipe(config, students[0], total_steps)).to(build_device(config.GPUS))


def build_recipe(config: CfgNode, network: PoseNetwork, total_steps: int) -> Recipe:
    """Codec, views, weights and schedules; raises ConfigError where nothing would be learned."""
    weights = LossWeights(pose=config.WEIGHT.LOSS_POSE, cons=config.WEIGHT.LOSS_CONS)
    start = config.TRAIN.UNSUP_START
    if weights.pose == 0 and (weights.cons == 0 or start > 0 or not algorithm_type(config).uses_unlabeled):
        raise ConfigError("WEIGHT.LOSS_POSE is 0 and no other loss is active from the first step on")
    codec = build_codec(config)
    fill = network.mean.flatten()
    views = ViewSampler(
        build_policies(config), get_skeleton(config.DATASET.SKELETON), tuple(config.MODEL.IMAGE_SIZE), fill, config.SEED
    )
    ramp = Ramp(round(start * total_steps), round((start + config.TRAIN.UNSUP_RAMP) * total_steps))
    return Recipe(
        codec, views, PseudoLabeler(codec, config.PSEUDO.TARGET, config.PSEUDO.MIN_SCORE), weights, ramp,
        config.TRAIN.JOINT_FORWARD, config.USE_EMA, config.EMA_DECAY,
    )  # fmt: skip


def build_policies(config: CfgNode) -> ViewPolicies:
    augment = config.AUGMENT
    return ViewPolicies(
        labeled=_affine_policy(augment.LABELED, augment.LABELED.HALF_BODY),
        easy=_affine_policy(augment.EASY),
        hard=_affine_policy(augment.HARD),
        labeled_colors=ColorPolicy(augment.LABELED.COLOR),
        hard_colors=ColorPolicy(augment.HARD.COLOR, augment.HARD.RAND_AUGMENT, augment.HARD.MAGNITUDE),
        cutout=CutoutPolicy(augment.CUTOUT.JOINTS, tuple(augment.CUTOUT.HALF_SIZE), augment.CUTOUT.JITTER),
    )


def _affine_policy(node: CfgNode, half_body: float = 0.0) -> AffinePolicy:
    return AffinePolicy(node.ROTATION, node.ROTATION_PROB, node.SCALE, node.SCALE_CLIP, node.FLIP, half_body)


def build_validator(
    config: CfgNode, persons: Persons, on_faults: Callable = lambda lines: None, poll: Callable = lambda: None
) -> Validator:
    """The validator of DATASET.TEST_SET, whose persons (with their boxes) are given."""
    skeleton, test = get_skeleton(config.DATASET.SKELETON), config.TEST
    annotation, _ = locate_coco(config.DATASET.ROOT, config.DATASET.TEST_SET, config.DATASET.TEST_IMAGES)
    dataset = build_dataset(config, persons, on_fault="omit")
    options = ValidationOptions(test.FLIP_TEST, test.OKS_NMS, test.OKS_THRESHOLD, test.PCK_THRESHOLD, test.PCK_NORM)
    return Validator(
        evaluation_loader(dataset, test.BATCH_SIZE, config.WORKERS, worker_init, _pinned(config)), dataset,
        load_ground_truth(annotation, np.array(skeleton.sigmas)), skeleton, build_codec(config),
        tuple(config.MODEL.IMAGE_SIZE), options, on_faults, poll,
    )  # fmt: skip


def build_pair_loader(config: CfgNode, data: RunData) -> PairLoader:
    train = config.TRAIN
    labeled = build_dataset(config, data.labeled, on_fault="replace", labeled=True)
    unlabeled = None if data.unlabeled is None else build_dataset(config, data.unlabeled, on_fault="replace")
    sizes = (train.BATCH_SIZE, train.BATCH_SIZE_UNSUP)
    return PairLoader(
        labeled, unlabeled, sizes, train.STEPS_PER_EPOCH, config.SEED, config.WORKERS, worker_init, _pinned(config)
    )


def _pinned(config: CfgNode) -> bool:
    """Whether batches go into page-locked memory: only for a GPU, as it would open a context on one."""
    return build_device(config.GPUS).type == "cuda"


def build_stepper(config: CfgNode, algorithm: Algorithm, pass_steps: int) -> Stepper:
    """Optimisers for an algorithm whose phases have `pass_steps` steps in each epoch."""
    train = config.TRAIN
    settings = OptimizerSettings(
        train.OPTIMIZER, train.LR, train.WD, train.MOMENTUM, train.CLIP_NORM, train.SCHEDULE,
        tuple(epoch * pass_steps for epoch in train.LR_STEP), train.LR_FACTOR, train.LR_END, train.WARMUP_STEPS,
    )  # fmt: skip
    learners = {phase: algorithm.learners(phase) for phase in algorithm.phases}
    return Stepper(learners, settings, train.END_EPOCH * pass_steps)


def build_trainer(
    config: CfgNode, data: RunData, checkpoints: CheckpointFolder, tracker: Tracker, interrupts: Interrupts,
    pretrained: bool = True,
) -> Trainer:  # fmt: skip
    """Everything put together, at step 0; `pretrained` as in `build_algorithm`."""
    if config.TRAIN.ALTERNATE not in ("epoch", "step"):
        raise ConfigError(f"TRAIN.ALTERNATE is {config.TRAIN.ALTERNATE!r}; allowed: epoch, step")
    loader = build_pair_loader(config, data)
    total_steps = config.TRAIN.END_EPOCH * len(loader) * len(algorithm_type(config).phases)
    algorithm = build_algorithm(config, total_steps, pretrained)
    faults = FaultLog(config.DATASET.MAX_BAD)
    return Trainer(
        algorithm, loader, build_stepper(config, algorithm, len(loader)),
        validate=build_validator(config, data.validation, faults, interrupts.check),
        checkpoints=checkpoints, tracker=tracker, interrupts=interrupts, on_faults=faults,
        options=TrainerOptions(
            config.TRAIN.END_EPOCH, config.TRAIN.EVAL_INTERVAL, config.TRAIN.PRINT_FREQ,
            config.CHECKPOINT.INTERVAL_STEPS, config.TRAIN.ALTERNATE,
        ),
        config_yaml=to_yaml(config), data_key=training_key(data.labeled, data.unlabeled),
    )  # fmt: skip
