"""The benchmarks: both sides of a comparison do the same work, and the promise about memory."""

import argparse
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from small_codecs import make_codec

from semipose.structures import Persons

ROOT = Path(__file__).resolve().parent.parent
SIZE, HEATMAP_SIZE, SIGMA, REACH = (96, 128), (24, 32), 2.0, 6


@pytest.fixture
def load(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_classic_targets_are_those_of_the_codec_within_their_patches(load):
    rng = np.random.default_rng(0)
    points = rng.uniform(-40, 160, (40, 2)).astype(np.float32)  # also outside of the crop
    seen = rng.random(40) < 0.8
    heatmaps, weights = load("bench_classic").draw_heatmaps(points, seen, SIZE, HEATMAP_SIZE, SIGMA)
    codec = make_codec(SIZE, HEATMAP_SIZE, SIGMA, "msra")
    expected, _ = codec.encode(torch.from_numpy(points)[None], torch.from_numpy(seen)[None].float())
    expected = expected[0].numpy()
    centre = np.floor(points / codec.stride + 0.5)[:, :, None, None]
    y, x = np.mgrid[: HEATMAP_SIZE[1], : HEATMAP_SIZE[0]]
    patch = (abs(x - centre[:, 0]) <= REACH) & (abs(y - centre[:, 1]) <= REACH)
    assert patch.any(axis=(1, 2)).sum() > 10
    np.testing.assert_allclose(heatmaps[patch], expected[patch], atol=0.0112)  # exp(-4.5), at 3 sigma
    np.testing.assert_allclose(heatmaps[expected > 0.0112], expected[expected > 0.0112], atol=1e-6)
    assert not heatmaps[~patch].any()
    np.testing.assert_array_equal(weights[:, 0], seen & patch.any(axis=(1, 2)))


def test_classic_decoding_is_that_of_the_codec(load):
    codec = make_codec(SIZE, HEATMAP_SIZE, SIGMA)
    points = torch.rand(6, 17, 2) * torch.tensor(SIZE)
    heatmaps, _ = codec.encode(points, torch.ones(6, 17))
    heatmaps += 0.05 * torch.rand_like(heatmaps)
    found, scores = load("bench_classic").decode_heatmaps(heatmaps.numpy(), codec.stride, SIGMA)
    expected_points, expected_scores = codec.decode(heatmaps)
    np.testing.assert_allclose(found, expected_points.numpy(), atol=1e-2)
    np.testing.assert_allclose(scores, expected_scores.numpy(), atol=1e-6)


@pytest.mark.parametrize("flipped", [False, True])
def test_classic_samples_show_their_joints_where_the_heatmaps_are(load, tmp_path, flipped):
    """A white spot in the image is under the peak of its heatmap, whatever was drawn."""
    import cv2

    picture, spot = np.zeros((480, 640, 3), np.uint8), (300, 220)
    cv2.circle(picture, spot, 6, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "0.png"), picture)
    keypoints = np.tile(np.float32([*spot, 1]), (1, 17, 1))
    keypoints[0, 1] = 0  # the left eye is not labelled
    box, one = np.float32([[200, 60, 180, 360]]), np.ones(1)
    persons = Persons(np.array([str(tmp_path / "0.png")]), one, np.zeros(1, int), one, box, keypoints, one, one)
    dataset = load("bench_classic").ClassicDataset(persons, SIZE, HEATMAP_SIZE, SIGMA)
    dataset.rng = np.random.default_rng(_seed_that_flips(flipped))
    image, heatmaps, weights = dataset[0]
    y, x = np.argwhere(image.sum(0).numpy() > image.sum(0).numpy().max() - 1).mean(0)
    peak_y, peak_x = np.unravel_index(heatmaps[0].argmax().item(), heatmaps[0].shape)
    assert np.flatnonzero(weights[:, 0] == 0).tolist() == [2 if flipped else 1]
    assert abs(x / 4 - peak_x) < 1 and abs(y / 4 - peak_y) < 1


def _seed_that_flips(flipped: bool) -> int:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rng.standard_normal(2)
        if (rng.random() < 0.5) == flipped:
            return seed
    raise AssertionError


def test_functions_take_turns_and_ratios_are_of_neighbours(load, monkeypatch):
    turns, called, now = load("bench_turns"), [], [0.0]
    monkeypatch.setattr(turns.time, "perf_counter", lambda: now[0])

    def function(name: str, seconds: float):
        def run() -> None:
            called.append(name)
            now[0] += seconds * (1 + len(called))  # a machine that gets slower

        return run

    times = turns.in_turns({"a": function("a", 1.0), "b": function("b", 3.0)}, 3)
    assert "".join(called[-6:]) == "abbaab"
    assert len(called) <= 10 and times.ms("a") > 0
    assert times.ratios("b", "a") == [b / a for a, b in zip(times.seconds["a"], times.seconds["b"])]
    assert turns.spread([1.0, 2.0, 3.0]) == "2.00 (1.50 to 2.50)" and turns.spread([4.0], 1) == "4.0 (4.0 to 4.0)"


def test_an_unknown_section_is_refused_by_name(load):
    bench = load("bench")
    assert bench.sections("loader,compile") == ["loader", "compile"]
    with pytest.raises(argparse.ArgumentTypeError, match="'load'.*loader, step"):
        bench.sections("load")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_memory_does_not_grow_over_1000_steps(load):
    """From step 100 on, evaluations, checkpoints and records included. 8 MiB are 9 KiB for each step."""
    first, *rest = load("bench_memory").read_memory((100, 550, 1000))
    for later in rest:
        for name in ("main process", "workers"):
            assert later[name] - first[name] < 8, (name, first, rest)
