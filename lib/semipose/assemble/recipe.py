"""The recipe of a run: views, loss weights, schedules, pseudo-labels."""

from yacs.config import CfgNode

from semipose.algorithms.label_noise import LabelPolicy
from semipose.algorithms.mixing import MixPolicy
from semipose.algorithms.recipe import LossWeights, Ramp, Recipe
from semipose.algorithms.worst_case import ReversalSchedule, WorstPolicy
from semipose.assemble.set_rows import bottom_up
from semipose.assemble.sources_and_sets import algorithm_entry
from semipose.codecs import Codec
from semipose.errors import ConfigError
from semipose.models.pose_network import PoseNetwork
from semipose.pseudo_labels import UNCONSTRAINED, Constraints, InstanceLabeler, Multiview, PseudoLabeler
from semipose.pseudo_labels.weights import REWEIGHTINGS
from semipose.runtime.ranks import rank
from semipose.skeletons import Skeleton, get_skeleton
from semipose.views.affine_draws import AffinePolicy
from semipose.views.box_cutout import BoxPolicy, CutMixPolicy
from semipose.views.hard_operations import check_operations
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.joint_paste import PastePolicy
from semipose.views.occlusion import OcclusionPolicies
from semipose.views.photometric import ColorPolicy
from semipose.views.sampler import ViewPolicies, ViewSampler


def build_recipe(
    config: CfgNode, network: PoseNetwork, epoch_steps: int, unlabeled_size: int = 0,
    constraints: Constraints = UNCONSTRAINED, skeleton: Skeleton | None = None,
) -> Recipe:  # fmt: skip
    """Views, weights and schedules; raises ConfigError where nothing would be learned."""
    entry, ramp = algorithm_entry(config), build_ramp(config, epoch_steps)
    skeleton = skeleton or get_skeleton(config.DATASET.SKELETON)
    views = ViewSampler(
        build_policies(config), skeleton, tuple(config.MODEL.IMAGE_SIZE),
        network.mean.flatten(), config.SEED, rank(),
    )  # fmt: skip
    return Recipe(
        views, _labeler(config, network.codec, constraints.multiview), build_weights(config), ramp, entry.phases,
        config.TRAIN.JOINT_FORWARD,
        use_ema=config.USE_EMA if entry.use_ema is None else entry.use_ema, ema_decay=config.EMA_DECAY,
        mix=MixPolicy(config.MIX.WHERE, config.MIX.LAMBDA, config.MIX.BETA), worst=build_worst(config, ramp.start),
        reweight=_reweight(config), agreement_sigma=config.PSEUDO.AGREEMENT_SIGMA,
        flip=_flip(config, skeleton), ensemble=config.PSEUDO.ENSEMBLE and entry.students > 1,
        labels=build_labels(config, epoch_steps, len(skeleton)), unlabeled_size=unlabeled_size,
        constraints=constraints,
    )  # fmt: skip


def _labeler(config: CfgNode, codec: Codec, multiview: Multiview | None) -> PseudoLabeler | InstanceLabeler:
    pseudo = config.PSEUDO
    if not codec.instances:
        return PseudoLabeler(pseudo.TARGET, pseudo.MIN_SCORE, multiview)
    if pseudo.IGNORE_SCORE > pseudo.INSTANCE_SCORE:
        raise ConfigError(
            f"PSEUDO.IGNORE_SCORE is {pseudo.IGNORE_SCORE:g}; it must not be above PSEUDO.INSTANCE_SCORE "
            f"{pseudo.INSTANCE_SCORE:g}"
        )
    return InstanceLabeler(pseudo.TARGET, pseudo.MIN_SCORE, pseudo.INSTANCE_SCORE, pseudo.IGNORE_SCORE)


def build_weights(config: CfgNode) -> LossWeights:
    """The loss weights; raises ConfigError where nothing would be learned."""
    given, entry = config.WEIGHT, algorithm_entry(config)
    weights = LossWeights(entry.pose_share * given.LOSS_POSE, given.LOSS_CONS, given.LOSS_MIX, given.LOSS_WORST)
    if not entry.takes_unlabeled:
        weights = LossWeights(weights.pose, cons=0)
    late = config.TRAIN.UNSUP_START > 0 or config.TRAIN.WARM_EPOCH > 0
    if weights.pose == 0 and (late or not (weights.cons or weights.mix)):
        raise ConfigError("WEIGHT.LOSS_POSE is 0 and no other loss is active from the first step on")
    return weights


def build_ramp(config: CfgNode, epoch_steps: int) -> Ramp:
    """When the unlabelled losses start: after the warm-up epochs, by shares of the steps that are left."""
    train = config.TRAIN
    warm = min(train.WARM_EPOCH, train.END_EPOCH) * epoch_steps
    left = train.END_EPOCH * epoch_steps - warm
    start = warm + round(train.UNSUP_START * left)
    return Ramp(start, start + round(train.UNSUP_RAMP * left))


def build_worst(config: CfgNode, start: int) -> WorstPolicy:
    """The worst-case head, whose gradient reversal begins at step `start`."""
    worst = config.WORST
    schedule = ReversalSchedule(worst.LAMBDA_LOW, worst.LAMBDA_HIGH, worst.ALPHA, worst.STEPS, start)
    return WorstPolicy(worst.FORM, worst.ETA, schedule, worst.EASY_ONLY, worst.PSEUDO_HEAD)


def build_labels(config: CfgNode, epoch_steps: int, joints: int) -> LabelPolicy:
    """How far labels are trusted; raises ConfigError where that would do nothing."""
    labels, epochs = config.LABELS, config.TRAIN.END_EPOCH
    for key in ("TRIM", "AGREEMENT"):
        if labels[key] and bottom_up(config):
            raise ConfigError(f"LABELS.{key} is {labels[key]:g}; {config.MODEL.CODEC} finds instances: 0 expected")
    if labels.TRIM and epochs <= labels.TRIM_EPOCH:
        raise ConfigError(f"LABELS.TRIM_EPOCH is {labels.TRIM_EPOCH}: TRIM never begins in {epochs} epochs")
    most = config.TRAIN.BATCH_SIZE * joints
    if labels.TRIM and labels.TRIM * most < 1:
        raise ConfigError(f"LABELS.TRIM is {labels.TRIM:g}: less than one of the {most} keypoints of a batch")
    if labels.AGREEMENT and not algorithm_entry(config).takes_unlabeled:
        raise ConfigError(f"LABELS.AGREEMENT is {labels.AGREEMENT:g}: {config.ALGORITHM} has no teacher; 0 expected")
    return LabelPolicy(labels.TRIM, labels.TRIM_EPOCH * epoch_steps, labels.AGREEMENT)


def _reweight(config: CfgNode) -> str:
    entry = algorithm_entry(config)
    if not config.REWEIGHT or not entry.takes_unlabeled:
        return ""
    chosen = config.PSEUDO.REWEIGHT_BY
    if chosen not in REWEIGHTINGS:
        raise ConfigError(f"PSEUDO.REWEIGHT_BY is {chosen!r}; allowed: {', '.join(REWEIGHTINGS)}")
    if chosen == "agreement" and bottom_up(config):
        raise ConfigError(
            f"PSEUDO.REWEIGHT_BY is 'agreement': {config.MODEL.CODEC} finds instances, which have no partner in "
            "another network; allowed: gmm, soft"
        )
    if chosen == "agreement" and config.PSEUDO.ENSEMBLE:
        raise ConfigError("PSEUDO.ENSEMBLE teaches the mean of both networks; PSEUDO.REWEIGHT_BY: gmm, soft")
    if chosen == "agreement" and entry.students == 1:
        raise ConfigError(f"PSEUDO.REWEIGHT_BY is 'agreement': {config.ALGORITHM} has one network; allowed: gmm, soft")
    return chosen


def _flip(config: CfgNode, skeleton: Skeleton) -> bool:
    if config.PSEUDO.FLIP and not skeleton.mirrors:
        raise ConfigError(f"PSEUDO.FLIP: left and right of skeleton {skeleton.name!r} are not clear; allowed: false")
    return config.PSEUDO.FLIP


def build_policies(config: CfgNode) -> ViewPolicies:
    """What is done to images; raises ConfigError for an operation that is not known."""
    augment = config.AUGMENT
    hard_views = tuple(tuple(operations) for operations in augment.HARD_VIEWS)
    if not hard_views:
        raise ConfigError("AUGMENT.HARD_VIEWS is empty; a hard view without operations is [[]]")
    for operations in hard_views:
        check_operations(operations)
    return ViewPolicies(
        labeled=_affine_policy(augment.LABELED, 0.0 if bottom_up(config) else augment.LABELED.HALF_BODY),
        easy=_affine_policy(augment.EASY),
        hard=_affine_policy(augment.HARD),
        labeled_colors=ColorPolicy(augment.LABELED.COLOR),
        hard_colors=ColorPolicy(augment.HARD.COLOR, augment.HARD.RAND_AUGMENT, augment.HARD.MAGNITUDE),
        occlusion=_occlusion_policies(augment),
        hard_views=hard_views,
    )


def _occlusion_policies(augment: CfgNode) -> OcclusionPolicies:
    cutout, paste, boxes = augment.CUTOUT, augment.PASTE, augment.BOXES
    return OcclusionPolicies(
        cutout=CutoutPolicy(cutout.JOINTS, tuple(cutout.HALF_SIZE), cutout.JITTER),
        mask_joints=tuple(augment.MASK_JOINTS),
        paste=PastePolicy(paste.JOINTS, tuple(paste.HALF_SIZE)),
        boxes=BoxPolicy(boxes.COUNT, tuple(boxes.HALF_SIZE)),
        cutmix=CutMixPolicy(tuple(augment.CUTMIX.AREA), augment.CUTMIX.COUNT),
        easy_mask=augment.EASY_MASK,
        colors=ColorPolicy(0.0, augment.RAND_AUGMENT.OPERATIONS, augment.RAND_AUGMENT.MAGNITUDE),
    )


def _affine_policy(node: CfgNode, half_body: float = 0.0) -> AffinePolicy:
    return AffinePolicy(
        node.ROTATION, node.ROTATION_PROB, node.SCALE, node.SCALE_CLIP, node.FLIP, half_body, node.TRANSLATE
    )
