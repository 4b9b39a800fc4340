"""Metrics of 3D poses, from plain arrays: MPJPE and its aligned forms, 3DPCK and AUC."""

import numpy as np

MILLIMETRES = 1000.0
RADIUS = 150.0  # mm, of 3DPCK
THRESHOLDS = np.linspace(0, RADIUS, 31)  # of its AUC (Mehta et al., 3DV 2017)


def distances(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(N, K) of poses (N, K, 3)."""
    return np.linalg.norm(found - wanted, axis=-1)


def procrustes(found: np.ndarray, wanted: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """`found` (N, K, 3) turned, scaled and shifted so that the `counted` (N, K) joints of each pose, or all, are as
    near to `wanted` as they can be.

    No mirror image is taken (Umeyama, 1991).
    """
    say = np.ones_like(found[..., :1]) if counted is None else counted[..., None].astype(found.dtype)
    number = np.maximum(say.sum(1, keepdims=True), 1)
    mean_found, mean_wanted = ((say * poses).sum(1, keepdims=True) / number for poses in (found, wanted))
    a, b = say * (found - mean_found), say * (wanted - mean_wanted)
    u, values, vt = np.linalg.svd(a.transpose(0, 2, 1) @ b)
    sign = np.ones_like(values)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    size = np.square(a).sum((1, 2))
    scale = (values * sign).sum(1) / np.where(size > 0, size, 1)
    return scale[:, None, None] * ((found - mean_found) @ rotation) + mean_wanted


def scaled(found: np.ndarray, wanted: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """`found` (N, K, 3) times the factor that brings the `counted` (N, K) joints of each pose, or all, nearest to
    `wanted`."""
    own = found if counted is None else found * counted[..., None]
    size = np.square(own).sum((1, 2))
    factor = (own * wanted).sum((1, 2)) / np.where(size > 0, size, 1)
    return factor[:, None, None] * found


def mpjpe(found: np.ndarray, wanted: np.ndarray, labelled: np.ndarray) -> float:
    """Mean distance over the labelled (N, K) joints, in the unit of the poses; -1 = none is labelled."""
    return float(distances(found, wanted)[labelled].mean()) if labelled.any() else -1.0


def p_mpjpe(
    found: np.ndarray, wanted: np.ndarray, labelled: np.ndarray, counted: np.ndarray | None = None
) -> float:  # fmt: skip
    """`mpjpe` after `procrustes` of the `counted` joints, or of all."""
    return mpjpe(procrustes(found, wanted, counted), wanted, labelled)


def n_mpjpe(
    found: np.ndarray, wanted: np.ndarray, labelled: np.ndarray, counted: np.ndarray | None = None
) -> float:  # fmt: skip
    """`mpjpe` after `scaled` by the `counted` joints, or by all."""
    return mpjpe(scaled(found, wanted, counted), wanted, labelled)


def pck_3d(found: np.ndarray, wanted: np.ndarray, labelled: np.ndarray, radius: float) -> float:
    """Share of the labelled joints within `radius`; -1 = none is labelled."""
    return float((distances(found, wanted)[labelled] <= radius).mean()) if labelled.any() else -1.0


def score_poses(found: np.ndarray, wanted: np.ndarray, labelled: np.ndarray) -> dict[str, float]:
    """All metrics of poses (N, K, 3) in metres, around their root: MPJPEs in mm, 3DPCK and AUC as shares.

    Joints that are not labelled have no place in `wanted`: poses are aligned by the others.
    """
    millimetres = found * MILLIMETRES, wanted * MILLIMETRES, labelled
    hits = [pck_3d(*millimetres, radius) for radius in THRESHOLDS]
    return {
        "MPJPE": mpjpe(*millimetres), "P-MPJPE": p_mpjpe(*millimetres, labelled),
        "N-MPJPE": n_mpjpe(*millimetres, labelled), "3DPCK": hits[-1], "3DAUC": float(np.mean(hits)),
    }  # fmt: skip


def score_actions(
    found: np.ndarray, wanted: np.ndarray, labelled: np.ndarray, actions: np.ndarray
) -> dict[str, float]:  # fmt: skip
    """`MPJPE_action_NAME` in mm of each of the actions (N,), and their mean, `MPJPE_actions`; {} of a single one."""
    names = [str(name) for name in np.unique(actions)]
    if len(names) < 2:
        return {}
    rows = {name: actions == name for name in names}
    each = {
        f"MPJPE_action_{name}": mpjpe(found[own], wanted[own], labelled[own] > 0) * MILLIMETRES
        for name, own in rows.items() if labelled[own].any()
    }  # fmt: skip
    return {"MPJPE_actions": float(np.mean(list(each.values()))), **each} if each else {}
