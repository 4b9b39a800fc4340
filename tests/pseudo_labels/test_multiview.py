"""Keypoints seen twice: the constraint is found in labels, and the peaks that fit it are chosen."""

import numpy as np
import pytest
import torch
from small_codecs import make_codec

from semipose.errors import DataError
from semipose.geometry import affine
from semipose.pseudo_labels import Multiview, PseudoLabeler, fit_multiview
from semipose.views.view import View

SIZE, CELLS = (96, 64), (24, 16)
CODEC = make_codec(SIZE, CELLS, 1.0)
ORDER = torch.tensor([1, 0, 2, 4, 3, 5])
PAIRS = ((0, 3), (1, 4))
SAME_X = Multiview(PAIRS, (2**-0.5, 0.0, -(2**-0.5), 0.0), 0.0, 3.0)  # both views have the same x


def view_of(batch: int, to_base=None, flipped=None) -> View:
    to_base = torch.eye(2, 3).repeat(batch, 1, 1) if to_base is None else to_base
    flipped = torch.zeros(batch, dtype=torch.bool) if flipped is None else flipped
    return View(torch.zeros(batch, 3, SIZE[1], SIZE[0]), to_base, flipped, ORDER)


def heatmaps(*peaks) -> torch.Tensor:
    """(1, 6, 16, 24): for each joint a list of (x, y, height) in view pixels."""
    maps = torch.zeros(1, 6, CELLS[1], CELLS[0])
    for joint, found in enumerate(peaks):
        for x, y, height in found:
            drawn, _ = CODEC.encode(torch.tensor([[[float(x), float(y)]]]), torch.ones(1, 1))
            maps[0, joint] = torch.maximum(maps[0, joint], height * drawn[0, 0])
    return maps


def read(maps, view=None, multiview=SAME_X):
    return PseudoLabeler("redrawn", 0.3, multiview).read(maps, view or view_of(len(maps)), CODEC)


# joint 0 sees two places; its twin, joint 3, is sure that x is 70
CONFUSED = heatmaps([(20, 30, 0.9), (70, 34, 0.7)], [(40, 20, 0.8)], [(50, 50, 0.6)], [(70, 10, 0.9)],
                    [(41, 50, 0.9)], [(10, 10, 0.5)])  # fmt: skip


def test_the_peak_that_fits_is_taken_and_others_are_left_alone():
    plain, chosen = (read(CONFUSED, multiview=multiview) for multiview in (None, SAME_X))
    assert (plain.keypoints[0, 0] - torch.tensor([20.0, 30])).norm() < 1
    assert (chosen.keypoints[0, 0] - torch.tensor([70.0, 34])).norm() < 1
    assert chosen.scores[0, 0] == pytest.approx(0.7, abs=0.1)
    assert torch.equal(chosen.keypoints[0, 1:], plain.keypoints[0, 1:])
    assert torch.equal(chosen.output[0, 1:], CONFUSED[0, 1:])


def test_heatmaps_that_fit_do_not_change_a_bit():
    fitting = heatmaps([(20, 30, 0.9)], [(40, 20, 0.8)], [(50, 50, 0.6)], [(21, 10, 0.9)], [(41, 50, 0.9)], [])
    assert torch.equal(read(fitting).output, fitting)


def test_a_far_peak_that_is_much_lower_is_not_taken_for_a_small_miss():
    maps = heatmaps([(20, 30, 0.9), (25, 60, 0.02)], [], [], [(24, 10, 0.9)], [], [])
    assert torch.equal(read(maps).output, maps)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_constraint_holds_in_the_base_crop_whatever_the_view(flipped):
    """A view that is turned, zoomed, moved and perhaps mirrored: its left and right joints have changed places then."""
    turn = torch.tensor([[[0.8, -0.5, 20.0], [0.5, 0.8, -14.0]]])
    mirror = torch.tensor([[[-1.0, 0, SIZE[0] - 1.0], [0, 1, 0]]]) if flipped else torch.eye(2, 3)[None]
    to_base = affine.compose(turn, mirror)
    truth = torch.tensor([[60.0, 30], [40, 20], [50, 40], [60, 12], [40, 44], [10, 10]])
    decoy = torch.tensor([25.0, 25])
    places = affine.apply(affine.invert(to_base), torch.cat([truth, decoy[None]])[None])[0]
    order = ORDER.tolist() if flipped else list(range(6))
    found = [[(*places[joint].tolist(), 0.7)] for joint in order]
    found[order.index(0)].append((*places[6].tolist(), 0.9))
    chosen = read(heatmaps(*found), view_of(1, to_base, torch.tensor([flipped])))
    best = chosen.keypoints[0, order.index(0)]
    assert (best - places[0]).norm() < 2, (best, places[0])


def labels(count: int, noise: float = 0.0) -> np.ndarray:
    """(N, 6, 3): twins at x + 5 and at three quarters of a depth that only the second view shows."""
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(5, 90, (count, 6, 2)), np.ones((count, 6, 1))], axis=-1)
    for first, second in PAIRS:
        keypoints[:, second, 0] = keypoints[:, first, 0] + 5 + 0.75 * keypoints[:, second, 1]
    keypoints[:, :, :2] += noise * rng.normal(size=(count, 6, 2))
    return keypoints


def test_the_constraint_is_found_in_labels():
    multiview = fit_multiview(labels(4), PAIRS, 2.0)
    expected = np.array([1, 0, -1, 0.75])
    found = np.array(multiview.normal) / multiview.normal[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert multiview.offset / multiview.normal[0] == pytest.approx(-5) and multiview.sigma == 2.0


def test_labels_that_spread_widen_the_tolerance():
    spread = fit_multiview(labels(50, noise=3.0), PAIRS, 2.0).sigma
    assert spread == pytest.approx(2 * 3.0, rel=0.3)


def test_unlabelled_points_are_left_out_and_too_few_are_refused():
    keypoints = labels(4)
    keypoints[0, 0] = [1000, 1000, 0]
    assert fit_multiview(keypoints, PAIRS, 2.0).sigma == 2.0
    keypoints[:, 3, 2] = 0
    with pytest.raises(DataError, match="PSEUDO.MULTIVIEW_PAIRS: 4"):
        fit_multiview(keypoints, PAIRS, 2.0)
