"""Pose checkpoints of others, to be scored and used as they are, with a configuration that is given beside them."""

import logging

from yacs.config import CfgNode

from semipose.assemble.networks import build_plan, build_start, check_heatmap_size
from semipose.errors import ConfigError, ModelError
from semipose.models.matching import shorten
from semipose.models.pose_files import check_colors, load_completely
from semipose.models.pose_names import find_format
from semipose.models.pose_network import PoseNetwork, build_pose_network
from semipose.models.weight_file import named_tensors
from semipose.skeletons import get_skeleton

log = logging.getLogger(__name__)

NAMES = {1: ("student",), 2: ("first", "second")}  # of the networks, as in a run of ours


def is_own(state: dict) -> bool:
    """Whether a checkpoint is one of ours, with its configuration."""
    return "config" in state and "algorithm" in state


def needs_cfg(source: str, how: str) -> ConfigError:
    """What to raise where a checkpoint holds no configuration and none is given; `how` one gives it."""
    return ConfigError(
        f"{source}: holds no configuration, as it is not a checkpoint of a run of semipose; {how}, with "
        "MODEL.BACKBONE, MODEL.CODEC, MODEL.IMAGE_SIZE and DATASET.SKELETON as it was trained"
    )


def build_others(config: CfgNode, state: dict, source: str) -> dict[str, PoseNetwork]:
    """The networks of a checkpoint of others, by name: one "student", or "first" and "second".

    Each must fit completely. Nothing of the method is built: its algorithm and weights in `config` do not matter.

    Raises:
        ModelError: no kind of pose checkpoint that is known, or a network does not fit; the message names what differs.
        ConfigError: keys of MODEL do not fit each other.
    """
    tensors = named_tensors(state)
    file = find_format(tensors)
    if file is None:
        found = f"it has {shorten(tuple(tensors), 3)}" if tensors else "it holds no weights"
        raise ModelError(f"{source}: no pose checkpoint that semipose knows by the names in it: {found}")
    if len(file.networks) not in NAMES:
        raise ModelError(f"{source}: holds {len(file.networks)} networks; one or two expected")
    skeleton, networks = get_skeleton(config.DATASET.SKELETON), {}
    for number, name in enumerate(NAMES[len(file.networks)]):
        plan = build_plan(config, skeleton, number > 0)
        network = build_pose_network(plan, channels_last=config.MODEL.CHANNELS_LAST)
        check_heatmap_size(config, network, plan.backbone)
        start = build_start(config, source, skeleton, number)
        check_colors(start, file)
        report = load_completely(network, file, start)
        log.info("%s, %s: %s", source, name, report)
        networks[name] = network.eval()
    return networks
