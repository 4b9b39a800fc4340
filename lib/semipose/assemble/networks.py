"""Networks, algorithm and recipe of a run."""

import logging

import torch
from torch import nn
from yacs.config import CfgNode

from semipose.algorithms import Algorithm
from semipose.assemble.devices import build_device
from semipose.assemble.recipe import build_recipe
from semipose.assemble.set_rows import bottom_up
from semipose.assemble.sources_and_sets import algorithm_entry
from semipose.codecs import CODECS
from semipose.config import default_config
from semipose.errors import ConfigError
from semipose.models.freezing import freeze_all
from semipose.models.pose_files import Start
from semipose.models.pose_network import NetworkPlan, PoseNetwork, build_pose_network
from semipose.pseudo_labels import UNCONSTRAINED, Constraints
from semipose.runtime.ranks import ranks
from semipose.skeletons import Skeleton, get_skeleton

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
        joint_channels=model.DEKR.JOINT_CHANNELS, offset_weight=model.DEKR.OFFSET_WEIGHT,
        snap=model.DEKR.SNAP, **own,
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
            f"MODEL.SECOND: with MODEL.CODEC {config.MODEL.CODEC} both networks need maps of the same size, as their "
            "mean is what counts"
        )
    if config.PSEUDO.ENSEMBLE and unequal:
        raise ConfigError("PSEUDO.ENSEMBLE takes the mean of both networks, and with MODEL.SECOND their outputs differ")
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
    if codec.instances and codec.settings.joints < 2:
        raise ConfigError(
            f"MODEL.CODEC {config.MODEL.CODEC} needs two keypoints or more, whose distance is the size of an instance; "
            "the skeleton has one"
        )
    needs_maps = {
        "WEIGHT.LOSS_WORST": learns and weights.LOSS_WORST > 0,
        "PSEUDO.MULTIVIEW_PAIRS": learns and any(config.PSEUDO.MULTIVIEW_PAIRS),
        "PSEUDO.TEMPORAL track": learns and config.PSEUDO.TEMPORAL == "track" and not codec.instances,
        "PSEUDO.TARGET heatmap": learns and config.PSEUDO.TARGET == "heatmap" and not codec.instances,
    }
    needs_scores = {
        "PSEUDO.MIN_SCORE": learns and config.PSEUDO.MIN_SCORE > 0,
        "REWEIGHT by gmm or soft": learns and config.REWEIGHT and config.PSEUDO.REWEIGHT_BY in ("gmm", "soft"),
        "LABELS.AGREEMENT": learns and config.LABELS.AGREEMENT > 0,
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
    constraints: Constraints = UNCONSTRAINED, skeleton: Skeleton | None = None,
) -> Algorithm:  # fmt: skip
    """Networks and algorithm on the configured device, from the seed in the configuration.

    Args:
        epoch_steps: steps of an epoch over all phases, for the ramp of the unlabelled losses.
        unlabeled_size: number of unlabelled persons.
        constraints: of pseudo-labels. These three are needed for training only.
        pretrained: load MODEL.PRETRAINED; not needed where a checkpoint is loaded afterwards.
        skeleton: None = that of DATASET.SKELETON, which may be a file that is not here any more.
    """
    entry, device = algorithm_entry(config), build_device(config.GPUS)
    if entry.students == 1 and config.PSEUDO.ENSEMBLE:
        log.warning("PSEUDO.ENSEMBLE is not used: ALGORITHM %s has one network", config.ALGORITHM)
    if entry.students == 1 and config.MODEL.SECOND != default_config().MODEL.SECOND:
        log.warning("MODEL.SECOND is not used: ALGORITHM %s has one network", config.ALGORITHM)
    torch.manual_seed(config.SEED)
    students = build_students(config, pretrained, skeleton)
    recipe = build_recipe(config, students[0], epoch_steps, unlabeled_size, constraints, skeleton)
    algorithm = entry.make(students, recipe).to(device)
    if config.TRAIN.SYNC_BN and ranks() > 1:
        if device.type == "cpu":
            raise ConfigError("TRAIN.SYNC_BN is True; BatchNorm over several processes needs GPUs")
        algorithm = nn.SyncBatchNorm.convert_sync_batchnorm(algorithm)
    for record in algorithm.records.values():
        record.to(device)
    return algorithm
