"""Which labelled pictures are held out, and how a source names them."""

import cv2
import numpy as np
import pytest

from semipose.data.exclude import named_images
from semipose.prepare.project.hold_out import GUARD, hold_out


def sides(paths: list[str], held) -> tuple[list[str], list[str]]:
    """Validation and training pictures of `paths`."""
    only, out = (named_images(paths, patterns, "", "") for patterns in (held.only, held.exclude))
    assert not (only & ~out).any()
    return np.array(paths)[only].tolist(), np.array(paths)[~out].tolist()


def numbers(paths: list[str]) -> list[int]:
    return [int(path[-9:-4].lstrip("g")) for path in paths]


@pytest.fixture
def frames(tmp_path):
    """Writes frames of a slow video under these numbers."""

    def write(video: str, taken) -> list[str]:
        (tmp_path / video).mkdir()
        paths = []
        for number in taken:
            picture = np.full((32, 200), 20 + 25 * int("0" + video[1:]), np.uint8)
            picture[8:24, number : number + 16] = 220
            paths.append(str(tmp_path / video / f"img{number:05d}.png"))
            cv2.imwrite(paths[-1], picture)
        return paths

    return write


def test_fewer_than_ten_are_all_learned_from():
    assert hold_out([f"{n}.png" for n in range(9)]) is None


def test_frames_in_a_row_are_cut_once_with_a_guard(frames):
    held, train = map(numbers, sides(paths := frames("v", range(100)), hold_out(paths)))
    assert held == list(range(min(held), 100)) and 15 <= len(held) <= 25
    assert min(held) - max(train) == GUARD + 1 and len(train) + len(held) == 100 - GUARD


def test_the_cut_is_in_the_largest_gap_near_it(frames):
    paths = frames("v", [*range(0, 80, 2), *range(95, 115, 2)])
    held, train = map(numbers, sides(paths, hold_out(paths)))
    assert held == list(range(95, 115, 2)) and train == list(range(0, 80, 2))


def test_the_guard_leaves_most_frames_of_a_short_video(frames):
    held, train = map(numbers, sides(paths := frames("v", range(12)), hold_out(paths)))
    assert len(held) >= 2 and len(train) >= 7 and max(train) < min(held)


def test_of_many_videos_whole_ones_are_held_out(frames):
    paths = [path for video in range(6) for path in frames(f"v{video}", range(0, 90, 6))]
    held, train = sides(paths, hold_out(paths))
    folders = [{path.split("/")[-2] for path in side} for side in (held, train)]
    assert not folders[0] & folders[1] and len(folders[0]) in (1, 2) and len(held) + len(train) == len(paths)


def test_numbers_that_are_no_time_do_not_count(tmp_path):
    """Neighbours look no more alike than others do."""
    paths = []
    for number in range(50):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
        paths.append(str(tmp_path / f"img{number:05d}.png"))
        cv2.imwrite(paths[-1], cv2.resize(coarse, (64, 64)))
    held, train = sides(paths, hold_out(paths))
    assert len(held) == 10 and len(train) == 40 and {path[-5] for path in held} & {path[-5] for path in train} == set()
    held, train = map(
        numbers, sides(paths, hold_out(paths, video=True))
    )  # of a video all the same, but without a guard
    assert held == list(range(40, 50)) and train == list(range(40))


def test_names_without_order_are_split_by_their_last_letter_or_named():
    words = [f"set/{word}.jpg" for word in "alan bob carl dora emil frida gus hana ida jo kim lea max nina ota".split()]
    held = hold_out(words)
    found, train = sides(words, held)
    assert 2 <= len(found) <= 6 and len(found) + len(train) == 15
    same = [f"{number}/picture.jpg" for number in range(12)]
    held, train = sides(same, hold_out(same))
    assert len(held) == 3 and len(train) == 9


def test_marks_in_names_are_only_themselves():
    paths = [f"a[{number}]{{x}}*/p?.jpg" for number in range(12)]
    held, train = sides(paths, hold_out(paths))
    assert len(held) == 3 and len(train) == 9


@pytest.mark.parametrize("count", [40, 200, 1000])
def test_the_share_is_about_a_fifth(count):
    paths = [f"{number:07d}.jpg" for number in np.random.default_rng(0).permutation(10 * count)[:count]]
    held, train = sides(paths, hold_out(list(paths)))
    assert 0.1 <= len(held) / count <= 0.3 and len(held) + len(train) == count
