"""A run that lifts (TASK lift): its networks, algorithm and trainer."""

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from semipose.assemble.devices import build_device
from semipose.assemble.lifting_data import LiftData, lift_entry, training_key
from semipose.assemble.recipe import build_ramp
from semipose.assemble.training import build_stepper
from semipose.config import default_config, flat_keys, to_plain, to_yaml
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.trainer import RunRecord, Trainer, TrainerOptions
from semipose.errors import ConfigError, DataError
from semipose.lifting.algorithms import Lifting, LiftRecipe, LiftWeights
from semipose.lifting.codec import LiftCodec
from semipose.lifting.loaders import LiftLoader, LiftSide
from semipose.lifting.losses import as_bones, bone_partners
from semipose.lifting.metrics import score_poses
from semipose.lifting.motion import Motion, WindowPlan, Windows
from semipose.lifting.networks import Lifter, SimpleBaseline3D, VideoPose3D
from semipose.lifting.validator import LiftValidator, make_set
from semipose.pseudo_labels.collapse import CollapseAlarm
from semipose.pseudo_labels.health import PseudoLabelHealth
from semipose.runtime.ranks import rank, ranks
from semipose.runtime.signals import Interrupts
from semipose.skeletons import Skeleton, get_skeleton
from semipose.tracking.tracker import Tracker

BEST = "MPJPE"
# what only networks for pictures can do
IDLE = (
    "WEIGHT.LOSS_MIX", "WEIGHT.LOSS_WORST", "REWEIGHT", "USE_EMA", "TRAIN.AMP", "TRAIN.COMPILE", "TRAIN.SYNC_BN",
    "TRAIN.JOINT_FORWARD",
    "MODEL.PRETRAINED", "MODEL.FREEZE", "MODEL.FREEZE_BN", "LABELS.TRIM", "LABELS.AGREEMENT", "PSEUDO.FLIP",
    "PSEUDO.ENSEMBLE", "PSEUDO.TEMPORAL", "PSEUDO.PCA",
)  # fmt: skip


def build_codec(config: CfgNode, skeleton: Skeleton) -> LiftCodec:
    """Raises ConfigError for a root that the skeleton does not have, or that cannot be removed."""
    names = config.LIFT.ROOT.split()
    unknown = [name for name in names if name not in skeleton.keypoints]
    if len(names) not in (1, 2) or unknown:
        raise ConfigError(
            f"LIFT.ROOT is {config.LIFT.ROOT!r}; one keypoint of skeleton {skeleton.name!r}, or two, expected; it has: "
            f"{', '.join(skeleton.keypoints)}"
        )
    if config.LIFT.REMOVE_ROOT and len(names) == 2:
        raise ConfigError(f"LIFT.REMOVE_ROOT is True; LIFT.ROOT {config.LIFT.ROOT!r} is no joint that can be removed")
    return LiftCodec(
        len(skeleton), tuple(map(skeleton.index, names)), config.LIFT.REMOVE_ROOT, config.LIFT.INPUT == "camera",
        config.LIFT.CENTRED,
        tuple(skeleton.flip_order),
    )  # fmt: skip


def build_window_plan(config: CfgNode) -> WindowPlan:
    """The windows; raises ConfigError for several frames where a network sees one."""
    lift = config.LIFT
    if lift.NETWORK == "simplebaseline3d" and lift.FRAMES != 1:
        raise ConfigError(f"LIFT.FRAMES is {lift.FRAMES}; simplebaseline3d sees one frame: 1 expected")
    return WindowPlan(lift.FRAMES, lift.STEP, lift.CAUSAL, lift.PAD)


def build_windows(motion: Motion, plan: WindowPlan, what: str) -> Windows:
    """The windows of a motion; raises DataError where all its sequences are too short."""
    windows = Windows(motion, plan)
    if not len(windows):
        needed = plan.before + plan.after + 1
        raise DataError(
            f"{what}: no sequence has the {needed} frames that LIFT.FRAMES {plan.frames} needs; LIFT.PAD true"
        )
    return windows


def build_lifter(config: CfgNode, skeleton: Skeleton) -> Lifter:
    """One lifter with fresh weights."""
    codec, plan = build_codec(config, skeleton), build_window_plan(config)
    trajectory = _network(config, codec.inputs, 1, plan) if config.LIFT.TRAJECTORY else None
    return Lifter(codec, _network(config, codec.joints, codec.outputs, plan), trajectory, plan.target)


def _network(config: CfgNode, joints: int, outputs: int, plan: WindowPlan) -> nn.Module:
    lift = config.LIFT
    if lift.NETWORK == "simplebaseline3d":
        return SimpleBaseline3D(joints, outputs, lift.CHANNELS, lift.DROPOUT)
    return VideoPose3D(joints, outputs, plan.frames, plan.causal, lift.CHANNELS, lift.DROPOUT)


def refuse_idle(config: CfgNode) -> None:
    """Raises ConfigError for a key that asks for what lifters do not have."""
    own, usual = (flat_keys(to_plain(tree)) for tree in (config, default_config()))
    idle = next((key for key in IDLE if own[key] != usual[key]), None)
    if idle:
        raise ConfigError(f"{idle} is {own[idle]!r}; with TASK lift only {usual[idle]!r} is allowed")


def build_lifting(config: CfgNode, skeleton: Skeleton, epoch_steps: int = 0) -> Lifting:
    """Lifters and algorithm on the configured device, from the seed in the configuration."""
    entry, given = lift_entry(config), config.WEIGHT
    refuse_idle(config)
    if entry.takes_unlabeled and given.LOSS_PROJECTION > 0 and not config.LIFT.TRAJECTORY:
        raise ConfigError("WEIGHT.LOSS_PROJECTION is above 0, but LIFT.TRAJECTORY is False: nothing can be projected")
    links = skeleton.link_indices
    if entry.takes_unlabeled and not links and (given.LOSS_BONES > 0 or given.LOSS_SIDES > 0):
        raise ConfigError(
            f"WEIGHT.LOSS_BONES and WEIGHT.LOSS_SIDES: skeleton {skeleton.name!r} has no links, so no bones; 0 expected"
        )
    torch.manual_seed(config.SEED)
    students = [build_lifter(config, skeleton) for _ in range(entry.students)]
    recipe = LiftRecipe(
        students[0].codec,
        LiftWeights(
            given.LOSS_POSE, given.LOSS_TRAJECTORY, given.LOSS_PROJECTION, given.LOSS_BONES, given.LOSS_SIDES,
            given.LOSS_CONS,
        ),
        tuple(skeleton.keypoint_weights if config.LOSS.USE_KEYPOINT_WEIGHTS else [1.0] * len(skeleton)),
        as_bones(links), torch.tensor(bone_partners(links, skeleton.flip_order), dtype=torch.int64),
        build_ramp(config, epoch_steps), config.EMA_DECAY, config.AUGMENT.LABELED.FLIP, config.LIFT.HARD_FLIP,
        config.LIFT.HARD_NOISE, config.SEED, rank(),
    )  # fmt: skip
    return Lifting(entry, students, recipe).to(build_device(config.GPUS))


def build_lift_trainer(
    config: CfgNode, data: LiftData, checkpoints: CheckpointFolder, tracker: Tracker, interrupts: Interrupts,
    pretrained: bool = True,
) -> Trainer:  # fmt: skip
    """Everything put together, at step 0."""
    train, skeleton, plan = config.TRAIN, get_skeleton(config.DATASET.SKELETON), build_window_plan(config)
    unlabeled = None
    if data.unlabeled is not None:
        unlabeled = LiftSide(build_windows(data.unlabeled, plan, "the unlabelled set"), train.BATCH_SIZE_UNSUP)
    labeled = LiftSide(build_windows(data.labeled, plan, "the labelled set"), train.BATCH_SIZE)
    loader = LiftLoader(labeled, unlabeled, train.STEPS_PER_EPOCH, config.SEED, rank(), ranks())
    algorithm = build_lifting(config, skeleton, len(loader) * len(lift_entry(config).phases))
    alone = not algorithm.takes_unlabeled or algorithm.recipe.ramp.start > 0
    if alone and loader.fewest_labeled == 1:
        raise ConfigError(
            f"TRAIN.BATCH_SIZE is {train.BATCH_SIZE}, for {len(labeled.windows)} windows with labels: the last batch "
            "would have one, from which BatchNorm cannot learn; another batch size or TRAIN.STEPS_PER_EPOCH expected"
        )
    validator = build_lift_validator(config, data.validation, algorithm.recipe.codec, interrupts)
    record = RunRecord(
        checkpoints, tracker, to_yaml(config), training_key(data), config.SEED, skeleton.to_plain()
    )  # fmt: skip
    options = TrainerOptions(
        train.END_EPOCH, train.EVAL_INTERVAL, train.PRINT_FREQ, config.CHECKPOINT.INTERVAL_STEPS, train.ALTERNATE,
        best_metric(config, validator), train.PATIENCE, train.PROFILE,
    )  # fmt: skip
    health = PseudoLabelHealth(skeleton.keypoints, 0.0, 1.0, alarm=CollapseAlarm(train.STOP_ON_COLLAPSE))
    return Trainer(
        algorithm, loader, build_stepper(config, algorithm, len(loader)), validator, health, record, interrupts, options
    )


def build_lift_validator(
    config: CfgNode, validation: dict[str, Motion], codec: LiftCodec, interrupts: Interrupts | None = None
) -> LiftValidator:
    """The validator of DATASET.TEST_SET."""
    plan = build_window_plan(config)
    windows = {name: build_windows(motion, plan, f"validation set {name!r}") for name, motion in validation.items()}
    sets = {name: make_set(own, config.TEST.BATCH_SIZE) for name, own in windows.items()}
    poll = interrupts.check if interrupts else lambda: None
    return LiftValidator(sets, codec, config.TEST.FLIP_TEST, poll)


def best_metric(config: CfgNode, validator: LiftValidator) -> str:
    """TEST.BEST, or MPJPE; "" without sets. Raises ConfigError for one that is not reported."""
    if not validator.sets:
        if config.TEST.BEST or config.TRAIN.PATIENCE:
            raise ConfigError("TEST.BEST and TRAIN.PATIENCE need a validation set (DATASET.TEST_SET)")
        return ""
    known = list(score_poses(np.ones((1, 2, 3)), np.ones((1, 2, 3)), np.ones((1, 2), bool)))
    known += [f"{name}/{key}" for name in validator.sets for key in known] if len(validator.sets) > 1 else []
    if config.TEST.BEST and config.TEST.BEST not in known:
        raise ConfigError(f"TEST.BEST is {config.TEST.BEST!r}; allowed with TASK lift: {', '.join(known)}")
    return config.TEST.BEST or BEST
