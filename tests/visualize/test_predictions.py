"""Pictures of predictions beside labels, and the page that shows them."""

from html.parser import HTMLParser
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from scipy.ndimage import label

from semipose.skeletons import Skeleton
from semipose.structures import Persons
from semipose.visualize.predictions import ShowOptions, write_pictures

PAIR = Skeleton("pair", ("snout", "tail"), (0.1, 0.1))
COLORS = ((38, 150, 255), (255, 138, 0))
NAMES = ("a <b> #1.png", "50%41.png", "gone.png")


class Page(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def persons(tmp_path):
    """Three persons: two in the first image, one in the second; a fourth in an image that is missing."""
    for name in NAMES[:2]:
        cv2.imwrite(str(tmp_path / name), np.full((100, 120, 3), 90, np.uint8))
    labels = np.zeros((4, 2, 3), np.float32)
    labels[0] = [(30, 40, 2), (0, 0, 0)]
    return Persons(
        np.array([str(tmp_path / name) for name in NAMES]), np.array([5, 6, 7]), np.array([0, 0, 1, 2], np.int32),
        np.arange(4), np.tile(np.float32([20, 20, 60, 60]), (4, 1)), labels, np.ones(4, np.float32),
        np.ones(4, np.float32),
    )  # fmt: skip


def show(folder, persons, options=None, faults=None):
    keypoints = np.array([[(30, 40), (90, 40)], [(30, 70), (90, 70)], [(50, 50), (90, 90)], [(1, 1), (2, 2)]], float)
    scores = np.array([(1.0, 0.2)] * 4)
    return write_pictures(
        folder, persons, np.arange(4), keypoints, scores, persons.boxes, PAIR, (persons, PAIR),
        (faults if faults is not None else []).append, options or ShowOptions(),
    )  # fmt: skip


def picture(folder, name):
    return cv2.imread(str(folder / name))[..., ::-1]


def counts(image, color):
    """How many separate areas have this colour."""
    return label((image == color).all(-1))[1]


def test_labels_stand_beside_predictions_where_there_are_any(tmp_path, persons):
    faults, out = [], tmp_path / "out" / "val"
    assert show(out, persons, faults=faults) == 2
    both, alone = picture(out, "5_a <b> #1.png"), picture(out, "6_50%41.png")
    assert both.shape[1] >= 2 * 120 and alone.shape[1] < 2 * 120
    labels, predictions = both[:120, :120], both[:120, 128:248]
    assert counts(labels, COLORS[0]) == 1 and counts(labels, COLORS[1]) == 0
    assert counts(predictions, COLORS[0]) == 2
    legend = alone.copy()
    legend[:120, :120] = 0
    assert all((legend == color).all(-1).any() for color in COLORS)
    assert len(faults) == 1 and "gone.png" in faults[0]


def test_a_threshold_and_boxes(tmp_path, persons):
    def opaque_or_faint(options):
        show(tmp_path / "out", persons, options)
        image = picture(tmp_path / "out", "6_50%41.png")[:120, :120].astype(int)
        return (np.abs(image - 90).max(-1) > 12).sum()

    low, high, boxes = map(opaque_or_faint, (ShowOptions(), ShowOptions(0.3), ShowOptions(0.3, boxes=True)))
    assert high < low and boxes > high + 150


def test_the_page_leads_to_all_pictures(tmp_path, persons):
    out = tmp_path / "val <i>"
    show(out, persons)
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    images = [found for tag, found in page.tags if tag == "img"]
    assert [unquote(found["src"]) for found in images] == ["5_a <b> #1.png", "6_50%41.png"]
    for found in images:
        height, width = picture(out, unquote(found["src"])).shape[:2]
        assert found["loading"] == "lazy" and (found["width"], found["height"]) == (str(width), str(height))
    assert not {"b", "i"} & {tag for tag, found in page.tags if not found}
    text = "".join(page.text)
    assert "a <b> #1.png" in text and "val <i>: 2 pictures" in text and "gone.png" in text
    assert "snout" in text and "tail" in text


def test_an_image_with_labels_alone_is_shown_too(tmp_path, persons):
    """Bottom-up nobody may be found on it."""
    nothing = np.zeros((0, 2, 2)), np.zeros((0, 2)), np.zeros((0, 4))
    assert write_pictures(tmp_path, persons, np.zeros(0, int), *nothing, PAIR, (persons, PAIR)) == 1
    assert counts(picture(tmp_path, "5_a <b> #1.png")[:120, :120], COLORS[0]) == 1
