"""Smoothing: less noise, little lag, and what is missing stays missing and alone."""

import numpy as np
import pytest

from semipose.errors import ConfigError
from semipose.predict.smoothing import METHODS, OneEuro, smooth

FPS, FRAMES, JOINTS = 30.0, 120, 5
PLACES = np.array([(100, 100), (140, 80), (60, 120), (120, 160), (80, 40)], float)
BOTH = pytest.mark.parametrize("method", METHODS)


def still(frames=FRAMES):
    return np.tile(PLACES, (frames, 1, 1))


def walk(speed=120.0):
    """All keypoints move to the right, pixels per second."""
    points = still()
    points[..., 0] += speed * np.arange(FRAMES)[:, None] / FPS
    return points


def noisy(points, sigma=2.0):
    return points + np.random.default_rng(0).normal(0, sigma, points.shape)


def ones(points):
    return np.ones(points.shape[:2])


def error(found, wanted):
    """Root mean square after the first second."""
    return float(np.sqrt(((found - wanted)[30:] ** 2).mean()))


@BOTH
def test_what_is_still_stays(method):
    assert np.abs(smooth(still(), ones(still()), FPS, method) - still()).max() < 1e-9


@BOTH
def test_noise_at_rest_gets_smaller(method):
    before, after = noisy(still()), smooth(noisy(still()), ones(still()), FPS, method)
    assert error(after, still()) < (0.5 if method == "one-euro" else 0.65) * error(before, still())


@BOTH
def test_noise_of_a_walker_gets_smaller(method):
    after = (smooth(noisy(walk()), ones(walk()), FPS, method) - walk())[30:]
    assert (after - after.mean(0)).std() < 0.75 * error(noisy(walk()), walk())


def test_lag_in_fast_motion():
    """At most 1 / (2 pi 8) of the size, about 2 %; a parabola has no lag at all."""
    offsets = np.linalg.norm(PLACES - np.median(PLACES, 0), axis=1)
    size = 4 * np.median(offsets)
    for speed in (200.0, 1000.0):
        lag = (walk(speed) - smooth(walk(speed), ones(walk()), FPS, "one-euro"))[60:, :, 0]
        assert 0 < lag.max() < 0.021 * size
    assert np.abs(walk(1000.0) - smooth(walk(1000.0), ones(walk()), FPS, "savgol")).max() < 1e-6


def test_lag_does_not_depend_on_the_size_of_the_picture():
    small, large = (smooth(noisy(walk()) * scale, ones(walk()), FPS, "one-euro") / scale for scale in (1, 5))
    assert np.allclose(small, large)


def test_one_euro_looks_back_only():
    points = noisy(walk())
    whole = smooth(points, ones(points), FPS, "one-euro")
    assert np.array_equal(smooth(points[:50], ones(points)[:50], FPS, "one-euro"), whole[:50])


def test_frame_by_frame_is_the_same():
    points, smoother = noisy(walk()), OneEuro(FPS)
    points[40:43, 2] = np.nan
    found = [smoother.update(frame) for frame in points]
    assert np.array_equal(found, smooth(points, None, FPS, "one-euro"), equal_nan=True)


def test_frames_that_are_left_out_count_as_time():
    points = noisy(walk())
    missing, left_out, smoother = points.copy(), [], OneEuro(FPS)
    missing[50:52] = np.nan
    for frame in range(60):
        if not 50 <= frame < 52:
            left_out.append(smoother.update(points[frame], frames=3 if frame == 52 else 1))
    expected = np.delete(smooth(missing[:60], None, FPS, "one-euro"), [50, 51], 0)
    assert np.allclose(left_out, expected)


@BOTH
def test_missing_stays_missing_and_does_not_spread(method):
    points = noisy(walk())
    missing = np.zeros(points.shape[:2], bool)
    missing[:3, 0] = missing[20:22, 1] = missing[50:90, 2] = missing[-4:, 3] = True
    missing[::2, 4] = True
    points[missing] = np.nan
    found = smooth(points, ones(points), FPS, method)
    assert (np.isnan(found).any(-1) == missing).all()
    assert np.abs(found - walk())[~missing].max() < 9


@BOTH
def test_a_short_gap_is_soon_forgotten_and_other_keypoints_hardly_feel_it(method):
    points = noisy(walk())
    before = smooth(points, ones(points), FPS, method)
    points[20:22, 1] = np.nan
    change = np.abs(smooth(points, ones(points), FPS, method) - before)
    assert np.nanmax(change[:, 1]) > 0.5 and np.nanmax(change[np.abs(np.arange(FRAMES) - 21) > 15, 1]) < 0.1
    assert np.delete(change, 1, 1).max() < 0.1


@BOTH
def test_after_a_long_gap_a_keypoint_starts_afresh(method):
    points = still()
    points[40:60, 0], points[60:, 0] = np.nan, (900, 900)
    found = smooth(points, ones(points), FPS, method)
    assert np.abs(found[60:, 0] - 900).max() < 1e-9 and np.abs(found[:40, 0] - PLACES[0]).max() < 1e-9


@BOTH
@pytest.mark.parametrize("score", [0, np.nan])
def test_a_keypoint_without_score_is_left_alone(method, score):
    points, scores = still(), ones(still())
    points[50, 1], scores[50, 1] = (900, -900), score
    found = smooth(points, scores, FPS, method)
    assert found[50, 1].tolist() == [900, -900]
    found[50, 1] = PLACES[1]
    assert np.abs(found - still()).max() < 1e-9


@BOTH
@pytest.mark.parametrize("frames", [0, 1, 2, 3, 4, 6])
def test_short_tracks(method, frames):
    points = noisy(still(frames))
    found = smooth(points, ones(points), FPS, method)
    assert found.shape == (frames, JOINTS, 2) and np.isfinite(found).all()
    assert np.abs(found - still(frames)).max(initial=0) < 9


@BOTH
@pytest.mark.parametrize("fps", [5.0, 250.0])
def test_other_frame_rates(method, fps):
    found = smooth(noisy(still()), ones(still()), fps, method)
    assert np.isfinite(found).all() and error(found, still()) < error(noisy(still()), still()) + 1e-9


def test_one_keypoint_and_the_input_is_not_changed():
    points = noisy(walk())[:, :1]
    before = points.copy()
    for method in METHODS:
        assert error(smooth(points, ones(points), FPS, method), walk()[:, :1]) < 6
    assert np.array_equal(points, before)


def test_refusals():
    with pytest.raises(ConfigError, match="'median'.*one-euro, savgol"):
        smooth(still(), ones(still()), FPS, "median")
    for fps in (0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="fps"):
            smooth(still(), ones(still()), fps, "savgol")
