"""A steady motion chooses among the peaks: a confusion of several frames is undone, in any view."""

import numpy as np
import pytest
import torch
from small_codecs import make_codec

from semipose.geometry import affine
from semipose.pseudo_labels import PeakTracks, TeacherRecord
from semipose.pseudo_labels.peak_tracks import PEAKS, best_track
from semipose.views.view import View

SIZE, CELLS = (96, 64), (24, 16)
CODEC = make_codec(SIZE, CELLS, 1.0)
ORDER = torch.tensor([1, 0])
FRAMES, REACH = 14, 4.0
STEPS = torch.arange(FRAMES).float()
WALK = torch.stack([torch.stack([10 + 4 * STEPS, 20 + STEPS], -1), torch.stack([80 - 4 * STEPS, 50 - STEPS], -1)], 1)
CONFUSED = (5, 6, 7, 8)  # frames in which the teacher takes joint 0 for joint 1
CROPS = torch.tensor([[[2.0, 0, 5], [0, 2, -3]]]).repeat(FRAMES, 1, 1)
CROPS[:, 0, 2] += 3 * STEPS  # each frame has a crop of its own
IN_CROP = affine.apply(affine.invert(CROPS), 2 * WALK + 30)


def views(flipped=False) -> View:
    turn = torch.tensor([[[0.96, -0.28, 8.0], [0.28, 0.96, -6.0]]])
    mirror = torch.tensor([[[-1.0, 0, SIZE[0] - 1.0], [0, 1, 0]]]) if flipped else torch.eye(2, 3)[None]
    to_base = affine.compose(turn, mirror).repeat(FRAMES, 1, 1)
    images = torch.zeros(FRAMES, 3, SIZE[1], SIZE[0])
    return View(images, to_base, torch.full((FRAMES,), flipped), ORDER)


def heatmaps(view: View, confused=CONFUSED) -> torch.Tensor:
    """Peaks of 0.8 at the joints; in confused frames joint 0 has 0.6 there and 0.9 at joint 1."""
    spots = affine.apply(affine.invert(view.to_base), IN_CROP)
    drawn, _ = CODEC.encode(spots, torch.ones(FRAMES, 2))
    maps = 0.8 * drawn
    for frame in confused:
        maps[frame, 0] = torch.maximum(0.6 * drawn[frame, 0], 0.9 * drawn[frame, 1])
    return view.from_base().swap(maps)


def tracks() -> PeakTracks:
    return PeakTracks((np.arange(FRAMES),), CROPS, torch.full((FRAMES,), 2 * REACH))


def settled(maps, view, rows=slice(None)) -> TeacherRecord:
    record, index = TeacherRecord(FRAMES, 2, past=True, candidates=PEAKS), torch.arange(FRAMES)[rows]
    keypoints, scores = CODEC.decode(maps)
    record.fill(index, view.points_in_base(keypoints)[rows], view.values_in_base(scores)[rows], 3)
    record.fill_candidates(index, tracks().candidates(maps, view, CODEC)[rows])
    record.refit()
    tracks().settle(record)
    return record


def judge(maps, view, record):
    """Keypoints in the base crop, and weights."""
    index = torch.arange(FRAMES)
    kept, weights = tracks()(maps, tracks().candidates(maps, view, CODEC), index, view, record)
    return view.points_in_base(CODEC.decode(kept)[0]), weights, kept


def wrong(keypoints) -> list[int]:
    """Frames in which joint 0 is not where it is."""
    return ((keypoints - IN_CROP).norm(dim=-1)[:, 0] > 3).nonzero().flatten().tolist()


@pytest.mark.parametrize("flipped", [False, True])
def test_a_confusion_of_several_frames_is_undone_in_any_view(flipped):
    view, other = views(flipped), views(not flipped)
    maps = heatmaps(view)
    assert wrong(view.points_in_base(CODEC.decode(maps)[0])) == list(CONFUSED)
    record = settled(maps, view)
    for seen in (view, other):
        keypoints, weights, _ = judge(heatmaps(seen), seen, record)
        assert wrong(keypoints) == [] and weights.min() > 0.6


def test_maps_that_fit_do_not_change_a_bit():
    view = views()
    maps = heatmaps(view, confused=())
    _, weights, kept = judge(maps, view, settled(maps, view))
    assert torch.equal(kept, maps) and weights.min() > 0.6


def test_where_no_peak_fits_the_weight_falls():
    view = views()
    maps = heatmaps(view, confused=())
    record, lost = settled(maps, view), maps.clone()
    lost[6, 0] = maps[6, 1]
    weights = judge(lost, view, record)[1]
    assert weights[6, 0] < 0.01
    weights[6, 0] = 1
    assert weights.min() > 0.6


def test_without_a_track_all_stays_as_it_is():
    """In the first epoch, and around a frame that no teacher has seen, whose rest is too short for a track."""
    view = views()
    maps = heatmaps(view)
    for record in (TeacherRecord(FRAMES, 2, past=True, candidates=PEAKS), settled(maps, view, rows=[0, 1, 3, 4])):
        _, weights, kept = judge(maps, view, record)
        assert torch.equal(kept, maps) and (weights == 1).all()


def test_the_best_track_is_that_of_all_paths():
    """Against a look at all of them."""
    rng = np.random.default_rng(0)
    places, heights = rng.uniform(0, 20, (5, 2, 3, 2)), rng.uniform(0, 1, (5, 2, 3))
    found = best_track(places, heights, np.full(5, 3.0))
    for joint in range(2):
        best, gain = None, -np.inf
        for path in np.ndindex(*[3] * 5):
            at = places[np.arange(5), joint, path]
            off = np.square(at[2:] - 2 * at[1:-1] + at[:-2]).sum(-1) / 9
            value = np.log(np.maximum(heights[np.arange(5), joint, path], 0.02)).sum() - np.minimum(off / 2, 6).sum()
            best, gain = (path, value) if value > gain else (best, gain)
        assert found[:, joint].tolist() == list(best)


def test_the_order_of_a_batch_does_not_matter():
    view = views()
    maps = heatmaps(view)
    record, order = settled(maps, view), torch.randperm(FRAMES, generator=torch.Generator().manual_seed(0))
    straight = tracks()(maps, tracks().candidates(maps, view, CODEC), torch.arange(FRAMES), view, record)
    mixed = View(view.images, view.to_base[order], view.flipped[order], ORDER)
    other = tracks()(maps[order], tracks().candidates(maps[order], mixed, CODEC), order, mixed, record)
    assert torch.equal(straight[0][order], other[0]) and torch.equal(straight[1][order], other[1])
