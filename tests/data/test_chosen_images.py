"""Images that a source leaves out or takes only, and pictures that are seen whole."""

import numpy as np
import pytest

from semipose.data.exclude import named_images, only_named, without_excluded
from semipose.data.frame_persons import as_whole_frames
from semipose.errors import DataError
from semipose.structures import Persons

PATHS = ["d/img7.png", "d/img08.png", "d/img12.png", "d/cam2_img12.png", "z.zip@d/img112.png", "d/a[1].png"]


def persons(paths: list[str], rows: list[int], sizes=None) -> Persons:
    count = len(rows)
    return Persons(
        image_paths=np.array(paths), image_ids=np.arange(len(paths)), image_index=np.array(rows, np.int32),
        ids=np.arange(count), boxes=np.ones((count, 4), np.float32), keypoints=np.ones((count, 2, 3), np.float32),
        areas=np.ones(count, np.float32), scores=np.ones(count, np.float32), image_sizes=sizes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("img12.png", [2]),
        ("d/img{7..12}.png", [0, 1, 2]),
        ("*{12..200}.png", [2, 3, 4]),
        ("cam{1..3}_img{10..12}.png", [3]),
        ("cam{1..3}_img{10..11}.png", []),
        ("*[78].png", [0, 1]),
        ("img?2.png", [2]),
        ("*[!0-9].png", [5]),
        ("a[[]1].png", [5]),
    ],
)
def test_what_a_pattern_fits(pattern, rows):
    if not rows:
        with pytest.raises(DataError, match="somewhere"):
            named_images(PATHS, [pattern], "", "somewhere")
        return
    assert np.flatnonzero(named_images(PATHS, [pattern], "", "somewhere")).tolist() == rows


def test_only_and_exclude_share_the_images_of_a_source_between_them(tmp_path):
    (tmp_path / "held.txt").write_text("img7.png\n*{12..12}.png\n")
    everyone = persons(PATHS, [0, 0, 1, 2, 3, 4, 5])
    held, rest = (take(everyone, ["held.txt"], str(tmp_path), "s") for take in (only_named, without_excluded))
    assert held.image_paths.tolist() == [PATHS[0], PATHS[2], PATHS[3]] and len(held) == 4
    assert rest.image_paths.tolist() == [PATHS[1], PATHS[4], PATHS[5]] and len(rest) == 3


def test_whole_frames_have_the_size_of_their_picture():
    found = as_whole_frames(persons(["a", "b"], [1, 0], np.array([[40, 30], [60, 50]], np.int32)), "s")
    assert found.boxes.tolist() == [[0, 0, 60, 50], [0, 0, 40, 30]] and found.areas.tolist() == [3000, 1200]


def test_whole_frames_of_two_individuals_are_refused():
    with pytest.raises(DataError, match="source 's'.*b has 2"):
        as_whole_frames(persons(["a", "b"], [0, 1, 1], np.full((2, 2), 9, np.int32)), "s")
