"""The report page: whole, self-contained, escaped, replaced in one move."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from semipose.visualize.report import ExampleRow, compare_ends, write_report

ROWS = [
    {"method": "supervised", "AP": 39.4, "labels": 1500, "PCK": 0.69, "seed": None},
    {"method": "co-trained", "AP": 52.74, "labels": 40, "PCK": 0.7949, "seed": 3},
]
CURVES = {"supervised": [(0, 0.0), (800, 39.4)], "co-trained": [(0, 0.0), (800, 52.7)]}
VOID = {"meta", "link", "img", "br", "hr"}
EVIL = '<script>alert("1")</script> & co'


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag that opens is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def images(self):
        return [attrs for tag, attrs in self.tags if tag == "img"]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)


def write(path, **changes):
    values = {
        "title": "Demo",
        "table_rows": ROWS,
        "curves": CURVES,
        "validation_examples": [
            ExampleRow(["truth", "first"], [noise(48, 64), np.full((200, 120, 3), (250, 20, 90), np.uint8)])
        ],
        "pseudo_examples": [ExampleRow(["easy"], [noise(100, 130)])],
        "notes": ["Same labels."],
    }
    write_report(path, **(values | changes))
    return Page(path.read_text(encoding="utf-8"))


def decode(uri):
    data = np.frombuffer(base64.b64decode(uri.split(",", 1)[1], validate=True), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def test_page_loads_nothing_from_elsewhere(tmp_path):
    page = write(tmp_path / "deep" / "report.html")
    links = [a[name] for _, a in page.tags for name in ("src", "href", "srcset", "data", "action") if name in a]
    assert links and all(link.startswith("data:") for link in links)
    text = (tmp_path / "deep" / "report.html").read_text()
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert not {"script", "iframe", "object"} & {tag for tag, _ in page.tags}


def test_images_decode_to_what_was_given(tmp_path):
    images = write(tmp_path / "r.html", curves={}).images()
    tiny, picture, pseudo = (decode(a["src"]) for a in images)
    assert images[0]["src"].startswith("data:image/png") and (tiny == noise(48, 64)).all()
    assert images[1]["src"].startswith("data:image/jpeg") and picture.shape == (200, 120, 3)
    assert np.abs(picture.astype(int) - (250, 20, 90)).max() < 12, "colours changed places"
    assert pseudo.shape == (100, 130, 3)
    assert [(a["width"], a["height"]) for a in images] == [("64", "48"), ("120", "200"), ("130", "100")]


def test_table_summary_and_sections(tmp_path):
    text = [t.strip() for t in write(tmp_path / "r.html").text if t.strip()]
    table = text[text.index("method") : text.index("method") + 15]
    assert table == [
        *("method", "AP", "labels", "PCK", "seed"),
        *("supervised", "39.4", "1,500", "0.690", "–"),
        *("co-trained", "52.7", "40", "0.795", "3"),
    ]
    assert "AP rises from 39.4 (supervised) to 52.7 (co-trained), a gain of 13.3." in text
    assert {"Results", "Validation people", "Pseudo-labels", "Notes", "Same labels.", "easy"} <= set(text)


def test_own_summary_and_empty_parts(tmp_path):
    empty = {"table_rows": [], "curves": {}, "validation_examples": [], "pseudo_examples": [], "notes": []}
    page = write(tmp_path / "r.html", summary="Nothing was learnt.", **empty)
    assert [t for t in page.text if t.strip()] == ["Demo", "Demo", "Nothing was learnt."]


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([], ""),
        (ROWS[:1], ""),
        ([{"m": "a"}, {"m": "b"}], ""),
        ([{"m": "a", "AP": 0.5}, {"m": "b", "AP": 0.25}], "AP falls from 0.500 (a) to 0.250 (b), a loss of 0.250."),
    ],
)
def test_compare_ends(rows, sentence):
    assert compare_ends(rows) == sentence


def test_all_text_is_escaped(tmp_path):
    page = write(
        tmp_path / "r.html",
        title=EVIL,
        table_rows=[{EVIL: EVIL, "AP": 1.0}, {EVIL: EVIL, "AP": 2.0}],
        curves={EVIL: [(0, 1.0), (1, 2.0)]},
        validation_examples=[ExampleRow([EVIL], [noise(10, 10)])],
        notes=[EVIL],
        x_label=EVIL,
        y_label=EVIL,
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(EVIL) == 7  # 2 titles, 3 cells, caption, note
    chart, example = page.images()[:2]
    assert example["alt"] == EVIL and chart["alt"] == f"{EVIL} over {EVIL}"
    assert svg_texts(chart["src"]).count(EVIL) == 3  # legend, 2 axes


def test_the_chart_is_an_svg_that_needs_nothing_from_elsewhere(tmp_path):
    source = write(tmp_path / "r.html").images()[0]["src"]
    assert {"supervised", "co-trained", "step", "AP (%)", "800"} <= set(svg_texts(source))
    links = re.findall(r'(?:href="|url\()([^")]*)', svg_of(source))
    assert links and all(link.startswith("#") for link in links)


def svg_of(uri: str) -> str:
    kind, data = uri.split(",", 1)
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data, validate=True).decode()


def svg_texts(uri: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg_of(uri)).iter("{http://www.w3.org/2000/svg}text")]


def test_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    write(path, title="old")
    write(path, title="new")
    assert "<h1>new</h1>" in path.read_text()

    def fail(source, target):
        assert "<h1>newest</h1>" in Path(source).read_text(encoding="utf-8"), "moved before it was whole"
        raise OSError("disk gone")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write(path, title="newest")
    assert "<h1>new</h1>" in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"], "a temporary file was left"


def test_example_row_needs_a_caption_for_each_image():
    with pytest.raises(ValueError, match="1 captions for 2 images"):
        ExampleRow(["one"], [noise(4, 4), noise(4, 4)])
