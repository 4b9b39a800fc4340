"""The page: whole, self-contained, escaped, within its size, replaced in one move."""

import base64
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from semipose.errors import SemiposeError
from semipose.report.album import Album
from semipose.report.page import cell, facts, items, replace_file, section, table, whole_page

VOID = {"meta", "link", "img"}
EVIL = '<script>alert("1")</script> & {picture 0}'


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

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def links(self) -> list[str]:
        return [attrs[name] for _, attrs in self.tags for name in ("src", "href", "srcset", "action") if name in attrs]


def noise(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)


def decode(uri):
    data = np.frombuffer(base64.b64decode(uri.split(",", 1)[1], validate=True), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def page_of(album, *parts, limit=10**7):
    return album.embed(whole_page("title", "summary", [section("heading", "", *parts)]), limit)


def test_pictures_decode_to_what_was_given():
    album = Album()
    figures = [album.figure(noise(48, 64), "tiny"), album.figure(np.full((200, 120, 3), (250, 20, 90), np.uint8), "")]
    tiny, picture = (tag for tag in Page(page_of(album, *figures)).tags if tag[0] == "img")
    assert tiny[1]["src"].startswith("data:image/png") and (decode(tiny[1]["src"]) == noise(48, 64)).all()
    assert decode(picture[1]["src"]).shape == (200, 120, 3)
    assert np.abs(decode(picture[1]["src"]).astype(int) - (250, 20, 90)).max() < 12, "colours changed places"


def test_pictures_become_coarser_until_the_page_is_small_enough():
    album = Album()
    figures = [album.figure(noise(400, 400), str(n)) for n in range(3)]
    fine, coarse = page_of(album, *figures), page_of(album, *figures, limit=150_000)
    assert len(fine) > 300_000 and len(coarse) <= 150_000
    assert len([link for link in Page(coarse).links() if "jpeg" in link]) == 3


def test_a_picture_opens_without_a_script():
    album = Album()
    page = Page(page_of(album, album.figure(noise(200, 200), "one")))
    names = [tag for tag, _ in page.tags]
    assert names[names.index("details") : names.index("details") + 3] == ["details", "summary", "img"]
    assert "script" not in names and not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_all_text_is_escaped():
    album = Album()
    parts = [
        album.figure(noise(10, 10), EVIL), facts(EVIL, {EVIL: EVIL}), items([EVIL]),
        table([EVIL], [[cell(EVIL, bold=True)]], 1),
    ]  # fmt: skip
    page = Page(album.embed(whole_page(EVIL, EVIL, [section(EVIL, "", *parts)]), 10**7))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(EVIL) == 11
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == [EVIL]


def test_a_section_without_parts_is_left_out():
    assert section("heading", "lead", "", "") == "" and table([], [], 0) and items([]) == ""


def test_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "r.html"
    replace_file(path, "old")
    replace_file(path, "new")
    assert path.read_text() == "new"

    def fail(source, target):
        assert Path(source).read_text(encoding="utf-8") == "newest", "moved before it was whole"
        raise OSError("disk gone")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(SemiposeError, match="disk gone"):
        replace_file(path, "newest")
    assert path.read_text() == "new" and [p.name for p in path.parent.iterdir()] == ["r.html"]
