"""Loaders, optimisers, validator and trainer of a run."""

import logging
from collections.abc import Callable

import numpy as np
from yacs.config import CfgNode

from semipose.algorithms import Algorithm
from semipose.assemble.constraints import build_constraints
from semipose.assemble.devices import build_device, build_workers
from semipose.assemble.networks import build_algorithm
from semipose.assemble.set_rows import as_rows, bottom_up
from semipose.assemble.sources_and_sets import RunData, algorithm_entry, build_crops, build_dataset
from semipose.assemble.validator import best_metric, build_metric_options, build_validator
from semipose.codecs import Codec
from semipose.config import to_yaml
from semipose.data.faults import FaultLog
from semipose.data.loaders import PairLoader, Side
from semipose.data.summary import training_key
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.parameter_groups import parse_rule
from semipose.engine.precision import Precision
from semipose.engine.stepper import OptimizerSettings, Stepper
from semipose.engine.trainer import RunRecord, Trainer, TrainerOptions
from semipose.errors import ConfigError
from semipose.evaluation import boxes_are_frames, person_norm, sized_by_keypoints
from semipose.models.compiling import check_compiler, compile_networks
from semipose.models.pose_network import PoseNetwork
from semipose.models.single_values import norms_with_one_value
from semipose.pseudo_labels.collapse import CollapseAlarm
from semipose.pseudo_labels.health import PseudoLabelHealth, hidden_annotations
from semipose.pseudo_labels.idle_pool import IdlePool
from semipose.runtime.ranks import ranks, shared
from semipose.runtime.signals import Interrupts
from semipose.skeletons import get_skeleton
from semipose.tracking.tracker import Tracker

log = logging.getLogger(__name__)


def build_pair_loader(
    config: CfgNode, data: RunData, on_faults: Callable[[tuple[str, ...]], None] = lambda lines: None
) -> PairLoader:
    train, unlabeled = config.TRAIN, None
    notes = {"regions": data.regions, "known": data.known}
    dataset = build_dataset(config, data.labeled, on_fault="replace", labeled=True, **notes)
    labeled = Side(dataset, train.BATCH_SIZE, data.labeled_mix)
    if data.unlabeled is not None:
        dataset = build_dataset(config, data.unlabeled, on_fault="replace")
        unlabeled = Side(dataset, train.BATCH_SIZE_UNSUP, data.unlabeled_mix)
    return PairLoader(labeled, unlabeled, train.STEPS_PER_EPOCH, config.SEED, build_workers(config), on_faults)


def build_stepper(config: CfgNode, algorithm: Algorithm, pass_steps: int) -> Stepper:
    """Optimisers for an algorithm whose phases have `pass_steps` steps in each epoch.

    Raises:
        ConfigError: unknown names, parameters that are not there, a precision that the device does not have, or a run
            with too few steps for one update.
    """
    train, device = config.TRAIN, build_device(config.GPUS)
    total = train.END_EPOCH * pass_steps // train.ACCUMULATE
    if not total:
        raise ConfigError(f"TRAIN.ACCUMULATE is {train.ACCUMULATE}; the run has {train.END_EPOCH * pass_steps} steps")
    settings = OptimizerSettings(
        train.OPTIMIZER, train.LR, train.WD, train.MOMENTUM, train.CLIP_NORM, train.SCHEDULE,
        tuple(epoch * pass_steps // train.ACCUMULATE for epoch in train.LR_STEP), train.LR_FACTOR, train.LR_END,
        train.WARMUP_STEPS, groups=tuple(parse_rule(text) for text in train.GROUPS), no_decay_norm=train.NO_DECAY_NORM,
        layer_decay=train.LAYER_DECAY, accumulate=train.ACCUMULATE, max_nonfinite=train.MAX_NONFINITE,
    )  # fmt: skip
    learners = {phase: algorithm.learners(phase) for phase in algorithm.phases}
    return Stepper(learners, settings, total, Precision(train.AMP, device, algorithm))


def check_batch_norm(config: CfgNode, algorithm: Algorithm, loader: PairLoader) -> None:
    """Raises ConfigError where a BatchNorm would have to learn from one value of each channel, as torch cannot."""
    synchronised = config.TRAIN.SYNC_BN and ranks() > 1
    if synchronised or algorithm.recipe.fewest_images(*loader.fewest) != 1:
        return
    size = config.MODEL.IMAGE_SIZE
    for name, network in algorithm.predictors().items():
        norms = norms_with_one_value(network, size) if isinstance(network, PoseNetwork) else []
        if norms:
            raise ConfigError(
                f"MODEL.IMAGE_SIZE {size[0]}x{size[1]} with a batch of one image: BatchNorm {norms[0]!r} of network "
                f"{name!r} gets one value of each channel. Needed: a larger image, a larger batch (TRAIN.BATCH_SIZE is "
                f"{config.TRAIN.BATCH_SIZE}; the last batch of an epoch may have one image left: "
                "TRAIN.STEPS_PER_EPOCH), or MODEL.FREEZE_BN true"
            )


def compile_algorithm(config: CfgNode, algorithm: Algorithm) -> None:
    """Compile the networks if TRAIN.COMPILE is set. All teachers must exist already.

    Raises:
        ConfigError: torch.compile does not work here, or not together with another key.
    """
    if not config.TRAIN.COMPILE:
        return
    if config.TRAIN.SYNC_BN and ranks() > 1:
        raise ConfigError("TRAIN.COMPILE and TRAIN.SYNC_BN are both True; the BatchNorm over all GPUs is not compiled")
    check_compiler(build_device(config.GPUS))
    compile_networks(algorithm)


def build_health(config: CfgNode, data: RunData, codec: Codec) -> PseudoLabelHealth:
    """The report on the pseudo-labels. Hidden annotations of unlabelled persons are used here only.

    Args:
        codec: of the networks; of two unlike ones that of the first.
    """
    hidden = None
    if data.unlabeled is not None and data.unlabeled.keypoints[..., 2].any() and not bottom_up(config):
        crops = build_crops(config, data.unlabeled)
        norm = _hidden_norm(config, data)
        hidden = hidden_annotations(data.unlabeled, crops.to_image, norm, data.labeled)
    names, pseudo = get_skeleton(config.DATASET.SKELETON).keypoints, config.PSEUDO
    weights = {"loss_cons": config.WEIGHT.LOSS_CONS, "loss_mix": config.WEIGHT.LOSS_MIX}
    alarm = CollapseAlarm(config.TRAIN.STOP_ON_COLLAPSE, codec.unsure_score(), weights if codec.log_loss else {})
    idle = IdlePool(pseudo.MIN_SCORE, pseudo.INSTANCE_SCORE)
    return PseudoLabelHealth(names, pseudo.MIN_SCORE, codec.stride, hidden, config.TEST.PCK_THRESHOLD, alarm, idle)


def _hidden_norm(config: CfgNode, data: RunData) -> np.ndarray:
    """The norm of the PCK of pseudo-labels: TEST.PCK_NORM, or the box where the skeleton has no such norm."""
    skeleton, pool = get_skeleton(config.DATASET.SKELETON), data.unlabeled
    pool = sized_by_keypoints(pool) if boxes_are_frames(pool) else pool
    try:
        return person_norm(pool, skeleton, build_metric_options(config).pck_norm)
    except ConfigError:
        return person_norm(pool, skeleton, "box")


def say_what_is_small(config: CfgNode, data: RunData, smallest: float) -> None:
    """Log how many labelled persons teach no root, since their keypoints lie within `smallest` view pixels."""
    crops, persons = build_crops(config, data.labeled), data.labeled
    scale = np.sqrt(np.abs(np.linalg.det(crops.to_image[persons.image_index, :, :2])))
    labelled = persons.keypoints[..., 2:] > 0
    low, high = (np.where(labelled, persons.keypoints[..., :2], bound) for bound in (np.inf, -np.inf))
    there = labelled.any(axis=(1, 2))
    sides = (high.max(axis=1) - low.min(axis=1))[there] / scale[there, None]
    small = int((np.linalg.norm(sides, axis=1) < smallest).sum())
    if small:
        size = "{}x{}".format(*config.MODEL.IMAGE_SIZE)
        log.warning(
            "%d of %d labelled persons are too small to be found: their keypoints lie within %.0f pixels of the input "
            "(MODEL.IMAGE_SIZE %s), or only one is labelled", small, len(sides), smallest, size,
        )  # fmt: skip


def build_trainer(
    config: CfgNode, data: RunData, checkpoints: CheckpointFolder, tracker: Tracker, interrupts: Interrupts,
    pretrained: bool = True,
) -> Trainer:  # fmt: skip
    """Everything put together, at step 0; `pretrained` as in `build_algorithm`."""
    faults = shared(FaultLog(config.DATASET.MAX_BAD))
    loader = build_pair_loader(config, data, faults)
    epoch_steps = len(loader) * len(algorithm_entry(config).phases)
    pool = None if data.unlabeled is None else as_rows(config, data.unlabeled)
    pool_size = 0 if pool is None else len(pool)
    algorithm = build_algorithm(config, epoch_steps, pool_size, pretrained, build_constraints(config, data))
    check_batch_norm(config, algorithm, loader)
    compile_algorithm(config, algorithm)
    validator = build_validator(config, data.validation, faults, interrupts.check)
    record = RunRecord(
        checkpoints, tracker, to_yaml(config), training_key(data.labeled, pool), config.SEED,
        get_skeleton(config.DATASET.SKELETON).to_plain(),
    )  # fmt: skip
    options = TrainerOptions(
        config.TRAIN.END_EPOCH, config.TRAIN.EVAL_INTERVAL, config.TRAIN.PRINT_FREQ, config.CHECKPOINT.INTERVAL_STEPS,
        config.TRAIN.ALTERNATE, best_metric(config, validator), config.TRAIN.PATIENCE, config.TRAIN.PROFILE,
    )  # fmt: skip
    codec = next(iter(algorithm.predictors().values())).codec
    if codec.instances:
        say_what_is_small(config, data, codec.smallest)
    stepper, health = build_stepper(config, algorithm, len(loader)), build_health(config, data, codec)
    return Trainer(algorithm, loader, stepper, validator, health, record, interrupts, options)
