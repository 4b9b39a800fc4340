"""Frames of videos: which they are, when they are shown, and what happens to broken ones."""

import numpy as np
import pytest
from refusals import refused
from small_videos import SIZE, frame, slow_down, turn, write_video

from semipose.predict import videos
from semipose.predict.ahead import ahead
from semipose.predict.videos import Video


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "mp4v"), ("v.avi", "MJPG")])
@pytest.mark.parametrize("rate", [10, 25, 29.97])
def test_numbers_and_times_of_a_constant_rate(tmp_path, name, codec, rate):
    video = Video(write_video(tmp_path / name, 12, rate, codec))
    assert video.total == 12 and video.rate == pytest.approx(rate, rel=1e-3)
    numbers, times, images = zip(*video.read())
    assert numbers == tuple(range(12))
    np.testing.assert_allclose(times, np.arange(12) / rate, atol=2e-3)
    for number, image in enumerate(images):
        assert abs(float(image[30:, 30:].mean()) - frame(number)[30:, 30:].mean()) < 4


def test_times_of_a_variable_rate_are_those_of_the_file(tmp_path):
    path = write_video(tmp_path / "v.mp4", 12, 25)
    slow_down(path, first=4, factor=3)
    numbers, times, _ = zip(*Video(path).read())
    assert numbers == tuple(range(12))
    expected = [0.04 * n if n <= 4 else 0.16 + 0.12 * (n - 4) for n in range(12)]
    np.testing.assert_allclose(times, expected, atol=1e-3)


def test_a_rotation_tag_is_obeyed(tmp_path):
    path = write_video(tmp_path / "v.mp4", 3)
    turn(path)
    image = next(Video(path).read())[2]
    assert image.shape == (SIZE[0], SIZE[1], 3)
    assert image[:8, -8:].min() > 200 and image[:8, :8].max() < 100  # upper left went to upper right


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("hello")
    path = write_video(tmp_path / "none.mp4", 0)
    refused(lambda: Video(path), "none.mp4")
    refused(lambda: Video(str(tmp_path / "text.mp4")), "text.mp4")
    refused(lambda: Video(str(tmp_path / "gone.mp4")), "gone.mp4", "exist")


class Capture:
    """Stands in for OpenCV's capture; some reads fail."""

    def __init__(self, good: list[bool], total: int):
        self.good, self.total, self.place = good, total, -1

    def isOpened(self):
        return True

    def grab(self):
        return True

    def set(self, *_):
        return True

    def get(self, key):
        return {videos.cv2.CAP_PROP_FRAME_COUNT: self.total, videos.cv2.CAP_PROP_FPS: 10}.get(key, 100.0 * self.place)

    def read(self):
        self.place += 1
        found = self.place < len(self.good) and self.good[self.place]
        return found, np.zeros((4, 4, 3), np.uint8) if found else None

    def release(self):
        pass


@pytest.mark.parametrize(
    ("good", "total", "expected"),
    [
        ([1, 1, 0, 1], 4, [(0, 1), (1, 1), (2, 0), (3, 1)]),
        ([1, 0, 0, 1], 4, [(0, 1), (1, 0), (2, 0), (3, 1)]),
        ([1, 1], 90, [(0, 1), (1, 1)]),  # the header says too much
        ([1, 1, 1], 0, [(0, 1), (1, 1), (2, 1)]),  # it says nothing
        ([0, 1, 1], 3, [(0, 0), (1, 1), (2, 1)]),
        ([1] + [0] * 30 + [1], 32, [(0, 1), *((number, 0) for number in range(1, 31)), (31, 1)]),
        ([1, 1], 10**9, [(0, 1), (1, 1)]),  # the search for more frames has an end
    ],
)
def test_a_frame_that_cannot_be_read_keeps_its_number(monkeypatch, tmp_path, good, total, expected):
    (tmp_path / "v.mp4").write_bytes(b"")
    monkeypatch.setattr(videos.cv2, "VideoCapture", lambda path: Capture(list(map(bool, good)), total))
    found = [(number, image is not None) for number, _, image in Video(str(tmp_path / "v.mp4")).read()]
    assert found == [(number, bool(read)) for number, read in expected]


def test_ahead_keeps_order_passes_errors_on_and_stops():
    assert list(ahead(range(100), 3)) == list(range(100))
    made = []

    def items():
        for number in range(1000):
            made.append(number)
            yield number

    taken = ahead(items(), 3)
    assert next(taken) == 0
    taken.close()
    assert len(made) <= 6

    def failing():
        yield 1
        raise ValueError("broken")

    taken = ahead(failing())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="broken"):
        next(taken)
