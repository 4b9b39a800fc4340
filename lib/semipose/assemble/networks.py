"""Networks, algorithm and recipe of a run."""

import logging

import torch
from torch import nn
from yacs.config import CfgNode

from semipose.algorithms import Algorithm
from semipose.algorithms.mixing import MixPolicy
from semipose.algorithms.recipe import LossWeights, Ramp, Recipe
from semipose.algorithms.worst_case import ReversalSchedule, WorstPolicy
from semipose.assemble.devices import build_device
from semipose.assemble.set_rows import bottom_up
from semipose.assemble.sources_and_sets import algorithm_entry
from semipose.codecs import CODECS, Codec
from semipose.config import default_config
from semipose.errors import ConfigError
from semipose.models.freezing import freeze_all
from semipose.models.pose_files import Start
from semipose.models.pose_network import NetworkPlan, PoseNetwork, build_pose_network
from semipose.pseudo_labels import InstanceLabeler, Multiview, PseudoLabeler
from semipose.pseudo_labels.weights import REWEIGHTINGS
from semipose.runtime.ranks import rank, ranks
from semipose.skeletons import Skeleton, get_skeleton
from semipose.views.affine_draws import AffinePolicy
from semipose.views.box_cutout import BoxPolicy, CutMixPolicy
from semipose.views.hard_operations import check_operations
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.joint_paste import PastePolicy
from semipose.views.occlusion import OcclusionPolicies
from semipose.views.photometric import ColorPolicy
from semipose.views.sampler import ViewPolicies, ViewSampler

log = logging.getLogger(__name__)

NO_SIZE = (0, 0)  # a size that is not given


def build_plan(config: CfgNode, skeleton: Skeleton | None = None, second: bool = False) -> NetworkPlan:
    """What the network is built from; `second`: the second one of co-training, as MODEL.SECOND says."""
    model, joints = config.MODEL, len(skeleton or get_skeleton(config.DATASET.SKELETON))
    size, other = tuple(model.IMAGE_SIZE), model.SECOND
    own = {"backbone": model.BACKBONE, "neck": model.NECK}
    if second:
        own = {"backbone": other.BACKBONE or model.BACKBONE, "neck": other.NECK or model.NECK}
        own["input_size"] = () if tuple(other.INPUT_SIZE) in (NO_SIZE, size) else tuple(other.INPUT_SIZE)
    return NetworkPlan(
        joints=joints, size=size, codec=model.CODEC, sigma=model.SIGMA, bins=model.SIMCC.BINS,
        bin_sigma=model.SIMCC.SIGMA, bins_at_edges=model.SIMCC.AT_EDGES, hidden=model.HIDDEN,
        joint_channels=model.DEKR.JOINT_CHANNELS, offset_weight=model.DEKR.OFFSET_WEIGHT, **own,
    )  # fmt: skip


def build_network(
    config: CfgNode, pretrained: bool = True, skeleton: Skeleton | None = None, second: bool = False
) -> PoseNetwork:
    """One network, nothing frozen; `second`: the second one of co-training.

    Raises:
        ConfigError: keys do not fit each other.
    """
    model, plan = config.MODEL, build_plan(config, skeleton, second)
    weights = (second and model.SECOND.PRETRAINED) or model.PRETRAINED
    start = build_start(config, "" if weights == "none" or not pretrained else weights, skeleton, int(second))
    network = build_pose_network(plan, start, model.CHANNELS_LAST)
    check_heatmap_size(config, network, plan.backbone)
    check_codec(config, network, plan.backbone)
    return network


def build_students(config: CfgNode, pretrained: bool = True, skeleton: Skeleton | None = None) -> list[PoseNetwork]:
    """The networks that learn, with what MODEL.FREEZE says. Raises ConfigError where keys do not fit each other."""
    count = algorithm_entry(config).students
    students = [build_network(config, pretrained, skeleton, second=number > 0) for number in range(count)]
    freeze_all(students, config.MODEL.FREEZE, config.MODEL.FREEZE_BN)
    unequal = any(network.codec != students[0].codec for network in students)
    if unequal and bottom_up(config):
        raise ConfigError(
            f"MODEL.SECOND: with MODEL.CODEC {config.MODEL.CODEC} both networks need maps of the same size, as their mean "
            "is what counts"
        )
    if config.PSEUDO.TARGET == "heatmap" and unequal:
        sizes = " and ".join("{}x{}".format(*network.codec.size) for network in students)
        raise ConfigError(
            f"PSEUDO.TARGET is 'heatmap'; with MODEL.SECOND the heatmaps of both networks differ ({sizes}); "
            "allowed: auto, redrawn"
        )
    return students


def build_start(config: CfgNode, source: str, skeleton: Skeleton | None = None, number: int = 0) -> Start:
    """Where a network starts; `number`: which one of a file with two networks."""
    keypoints = (skeleton or get_skeleton(config.DATASET.SKELETON)).keypoints
    return Start(source, number, config.MODEL.PRETRAINED_COLORS, tuple(keypoints))


def check_heatmap_size(config: CfgNode, network: PoseNetwork, backbone: str) -> None:
    """Raises ConfigError if MODEL.HEATMAP_SIZE is given and the network has maps of another size."""
    model, given = config.MODEL, tuple(config.MODEL.HEATMAP_SIZE)
    made = network.codec.settings.map_size
    if given != NO_SIZE and not network.codec.pools and network.input_size is None and made != given:
        raise ConfigError(
            f"MODEL.HEATMAP_SIZE is {list(given)}; {backbone} makes {list(made)} of MODEL.IMAGE_SIZE "
            f"{list(model.IMAGE_SIZE)}; [0, 0] = what the network makes"
        )


def check_codec(config: CfgNode, network: PoseNetwork, backbone: str) -> None:
    """Raises ConfigError, naming the key, for a part of the method that the codec cannot give what it needs."""
    entry, codec, weights = algorithm_entry(config), network.codec, config.WEIGHT
    learns = entry.takes_unlabeled
    needs_maps = {
        "WEIGHT.LOSS_WORST": learns and weights.LOSS_WORST > 0,
        "PSEUDO.MULTIVIEW_PAIRS": learns and any(config.PSEUDO.MULTIVIEW_PAIRS),
        "PSEUDO.TARGET heatmap": learns and config.PSEUDO.TARGET == "heatmap" and not codec.instances,
    }
    needs_scores = {
        "PSEUDO.MIN_SCORE": learns and config.PSEUDO.MIN_SCORE > 0,
        "REWEIGHT by gmm or soft": learns and config.REWEIGHT and config.PSEUDO.REWEIGHT_BY in ("gmm", "soft"),
    }
    for needs, has, what, others in (
        (needs_maps, codec.has_maps, "maps", with_maps()), (needs_scores, codec.has_scores, "scores", with_scores()),
    ):  # fmt: skip
        lacking = [key for key, active in needs.items() if active and not has]
        if lacking:
            raise ConfigError(
                f"{lacking[0]} needs a codec with {what}; MODEL.CODEC is {config.MODEL.CODEC!r}, which has none; "
                f"allowed: {', '.join(others)}"
            )
    if learns and weights.LOSS_MIX > 0 and config.MIX.WHERE == "manifold" and not network.early_stages:
        raise ConfigError(
            f"MIX.WHERE is manifold; {backbone} has no early stages whose outputs can be mixed; allowed: input"
        )


def with_maps() -> list[str]:
    return [name for name, codec in CODECS.items() if codec.has_maps]


def with_scores() -> list[str]:
    return [name for name, codec in CODECS.items() if codec.has_scores]


def build_algorithm(
    config: CfgNode, epoch_steps: int = 0, unlabeled_size: int = 0, pretrained: bool = True,
    multiview: Multiview | None = None, skeleton: Skeleton | None = None,
) -> Algorithm:  # fmt: skip
    """Networks and algorithm on the configured device, from the seed in the configuration.

    Args:
        epoch_steps: steps of an epoch over all phases, for the ramp of the unlabelled losses.
        unlabeled_size: number of unlabelled persons.
        multiview: constraint of PSEUDO.MULTIVIEW_PAIRS. These three are needed for training only.
        pretrained: load MODEL.PRETRAINED; not needed where a checkpoint is loaded afterwards.
        skeleton: None = that of DATASET.SKELETON, which may be a file that is not here any more.
    """
    entry, device = algorithm_entry(config), build_device(config.GPUS)
    if entry.students == 1 and config.MODEL.SECOND != default_config().MODEL.SECOND:
        log.warning("MODEL.SECOND is not used: ALGORITHM %s has one network", config.ALGORITHM)
    torch.manual_seed(config.SEED)
    students = build_students(config, pretrained, skeleton)
    recipe = build_recipe(config, students[0], epoch_steps, unlabeled_size, multiview, skeleton)
    algorithm = entry.make(students, recipe).to(device)
    if config.TRAIN.SYNC_BN and ranks() > 1:
        if device.type == "cpu":
            raise ConfigError("TRAIN.SYNC_BN is True; BatchNorm over several processes needs GPUs")
        algorithm = nn.SyncBatchNorm.convert_sync_batchnorm(algorithm)
    for record in algorithm.records.values():
        record.to(device)
    return algorithm


def build_recipe(
    config: CfgNode, network: PoseNetwork, epoch_steps: int, unlabeled_size: int = 0,
    multiview: Multiview | None = None, skeleton: Skeleton | None = None,
) -> Recipe:  # fmt: skip
    """Views, weights and schedules; raises ConfigError where nothing would be learned."""
    entry, ramp = algorithm_entry(config), build_ramp(config, epoch_steps)
    views = ViewSampler(
        build_policies(config), skeleton or get_skeleton(config.DATASET.SKELETON), tuple(config.MODEL.IMAGE_SIZE),
        network.mean.flatten(), config.SEED, rank(),
    )  # fmt: skip
    return Recipe(
        views, _labeler(config, network.codec, multiview), build_weights(config), ramp, entry.phases, config.TRAIN.JOINT_FORWARD,
        use_ema=config.USE_EMA if entry.use_ema is None else entry.use_ema, ema_decay=config.EMA_DECAY,
        mix=MixPolicy(config.MIX.WHERE, config.MIX.LAMBDA, config.MIX.BETA), worst=build_worst(config, ramp.start),
        reweight=_reweight(config), agreement_sigma=config.PSEUDO.AGREEMENT_SIGMA, unlabeled_size=unlabeled_size,
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


def _reweight(config: CfgNode) -> str:
    entry = algorithm_entry(config)
    if not config.REWEIGHT or not entry.takes_unlabeled:
        return ""
    chosen = config.PSEUDO.REWEIGHT_BY
    if chosen not in REWEIGHTINGS:
        raise ConfigError(f"PSEUDO.REWEIGHT_BY is {chosen!r}; allowed: {', '.join(REWEIGHTINGS)}")
    if chosen == "agreement" and bottom_up(config):
        raise ConfigError(
            f"PSEUDO.REWEIGHT_BY is 'agreement': {config.MODEL.CODEC} finds instances, which have no partner in another "
            "network; allowed: gmm, soft"
        )
    if chosen == "agreement" and entry.students == 1:
        raise ConfigError(f"PSEUDO.REWEIGHT_BY is 'agreement': {config.ALGORITHM} has one network; allowed: gmm, soft")
    return chosen


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
