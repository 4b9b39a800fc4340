"""What must hold for pseudo-labels, from the labels and the order of the pool: `PSEUDO.MULTIVIEW_PAIRS`, `TEMPORAL`,
`PCA`."""

import logging
import os

import numpy as np
import torch
from yacs.config import CfgNode

from semipose.assemble.devices import build_device
from semipose.assemble.set_rows import bottom_up
from semipose.assemble.sources_and_sets import RunData, build_crops, build_data
from semipose.data.frame_series import time_neighbours, videos_of
from semipose.errors import ConfigError, DataError
from semipose.geometry import affine
from semipose.pseudo_labels import (
    UNCONSTRAINED,
    Constraints,
    Multiview,
    PeakTracks,
    PoseSpace,
    Tracks,
    fit_multiview,
    fit_pose_space,
)
from semipose.runtime.ranks import by_first
from semipose.skeletons import get_skeleton
from semipose.structures import Persons

log = logging.getLogger(__name__)


def build_constraints(config: CfgNode, data: RunData) -> Constraints:
    """All that are asked for; none without unlabelled images.

    Raises:
        ConfigError: keys do not fit each other.
        DataError: too little is labelled, or no unlabelled image has neighbours in time.
    """
    if data.unlabeled is None:
        return UNCONSTRAINED
    poses = build_pose_space(config, data)
    return Constraints(build_multiview(config, data), **build_tracks(config, data), poses=poses)


def build_label_constraints(config: CfgNode, data: RunData | None = None) -> Constraints:
    """Those that labels alone tell; what the pool adds needs the record of a run. Raises as `build_constraints`.

    Args:
        data: None = read where it is needed.
    """
    if not any(config.PSEUDO.MULTIVIEW_PAIRS) and not config.PSEUDO.PCA:
        return UNCONSTRAINED
    data = data or build_data(config)
    return Constraints(build_multiview(config, data), poses=build_pose_space(config, data))


def build_multiview(config: CfgNode, data: RunData) -> Multiview | None:
    """The constraint of `multiview_of_labels`; None where nothing unlabelled is learned."""
    return None if data.unlabeled is None else multiview_of_labels(config, data.labeled)


def multiview_of_labels(config: CfgNode, labeled: Persons) -> Multiview | None:
    """The constraint between keypoints that a picture shows twice, fitted to the labels; None without pairs.

    Raises:
        ConfigError: a pair is not two keypoints of the skeleton.
        DataError: too few of them are labelled.
    """
    pairs = [tuple(pair) for pair in config.PSEUDO.MULTIVIEW_PAIRS if pair]
    if not pairs:
        return None
    _refuse_whole_pictures(config, "PSEUDO.MULTIVIEW_PAIRS", "[]")
    names = get_skeleton(config.DATASET.SKELETON).keypoints
    for pair in pairs:
        unknown = [name for name in pair if name not in names]
        if len(pair) != 2 or pair[0] == pair[1] or unknown:
            raise ConfigError(f"PSEUDO.MULTIVIEW_PAIRS: {list(pair)} is not a pair of two of {', '.join(names)}")
    crops = build_crops(config, labeled)
    to_base = affine.invert(torch.from_numpy(crops.to_image)).numpy()
    keypoints = labeled.keypoints.copy()
    keypoints[..., :2] = np.einsum("nij,nkj->nki", to_base[:, :, :2], keypoints[..., :2]) + to_base[:, None, :, 2]
    indices = tuple((names.index(first), names.index(second)) for first, second in pairs)
    return fit_multiview(keypoints, indices, config.PSEUDO.MULTIVIEW_TOLERANCE * max(crops.size))


def build_tracks(config: CfgNode, data: RunData) -> dict[str, Tracks | PeakTracks]:
    """By the name of the constraint what PSEUDO.TEMPORAL asks for.

    Raises:
        ConfigError: whole pictures.
        DataError: no person has a neighbour before and after.
    """
    pseudo, pool = config.PSEUDO, data.unlabeled
    if pseudo.TEMPORAL == "none":
        return {}
    _refuse_whole_pictures(config, "PSEUDO.TEMPORAL", "none")
    folder = os.path.join(config.DATASET.CACHE_DIR, "thumbnails")
    neighbours = by_first(lambda: time_neighbours(pool, pseudo.TEMPORAL_GAP, folder))
    inside = int((neighbours >= 0).all(axis=1).sum())
    if not inside:
        raise DataError(
            f"PSEUDO.TEMPORAL: none of the {len(pool)} unlabelled persons has a frame before and after it; needed: "
            f"videos or frames with their numbers, at most {pseudo.TEMPORAL_GAP} apart (PSEUDO.TEMPORAL_GAP)"
        )
    log.info("%d of %d unlabelled persons have neighbours in time before and after", inside, len(pool))
    device = build_device(config.GPUS)
    reach = torch.from_numpy((pseudo.TEMPORAL_TOLERANCE * pool.boxes[:, 2:].max(axis=1)).astype(np.float32)).to(device)
    to_image = torch.from_numpy(build_crops(config, pool).to_image.astype(np.float32)).to(device)
    if pseudo.TEMPORAL == "track":
        return {"peak_tracks": PeakTracks(tuple(videos_of(neighbours)), to_image, reach)}
    return {"tracks": Tracks(torch.from_numpy(neighbours).to(device), to_image, reach)}


def build_pose_space(config: CfgNode, data: RunData) -> PoseSpace | None:
    """The space of the labelled poses; None without PSEUDO.PCA.

    Raises:
        ConfigError: whole pictures.
        DataError: too few poses are labelled.
    """
    if not config.PSEUDO.PCA or data.unlabeled is None:
        return None
    _refuse_whole_pictures(config, "PSEUDO.PCA", "0")
    space = fit_pose_space(data.labeled.keypoints, config.PSEUDO.PCA)
    log.info("the labelled poses have %d principal components", space.basis.shape[1] - 3)
    device = build_device(config.GPUS)
    return PoseSpace(space.basis.to(device), space.limit.to(device))


def _refuse_whole_pictures(config: CfgNode, key: str, allowed: str) -> None:
    if bottom_up(config):
        raise ConfigError(f"{key}: not with MODEL.CODEC {config.MODEL.CODEC}; allowed: {allowed}")
