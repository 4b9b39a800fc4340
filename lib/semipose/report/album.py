"""The pictures of a page, put into it as data: as fine as its size allows. A click shows a picture large."""

import base64
import re
from html import escape

import cv2
import numpy as np

_TINY = 96
# longest side in pixels and JPEG quality, finest first
_LEVELS = ((720, 85), (560, 80), (440, 75), (340, 70), (260, 60), (180, 50))
_PLACE = re.compile(r"\{picture (\d+)\}")


class Album:
    """Collects pictures while a page is written; `embed` puts them in."""

    def __init__(self):
        self._pictures: list[np.ndarray | str] = []

    def figure(self, picture: np.ndarray | str, caption: str, alt: str = "") -> str:
        """HTML of a picture (H, W, 3) uint8 RGB, or of an SVG of 4:3, with a caption of text below.

        A `details` element opens at a click and its style fills the window, so no script is needed.
        """
        self._pictures.append(picture)
        drawing = isinstance(picture, str)
        height, width = (3, 4) if drawing else picture.shape[:2]
        kind = "chart" if drawing else "tiny" if min(height, width) < _TINY else "photo"
        image = f'<img class="{kind}" src="{{picture {len(self._pictures) - 1}}}" alt="{text(alt or caption)}">'
        caption = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
        return (
            f'<figure><details style="aspect-ratio:{width}/{height}"><summary>{image}</summary></details>'
            f"{caption}</figure>"
        )

    def embed(self, page: str, limit: int) -> str:
        """The page with its pictures as data, at most `limit` bytes if the coarsest pictures allow that."""
        for side, quality in _LEVELS:
            uris = [_svg_uri(p) if isinstance(p, str) else _data_uri(p, side, quality) for p in self._pictures]
            whole = _PLACE.sub(lambda match, uris=uris: uris[int(match[1])], page)
            if len(whole.encode()) <= limit:
                break
        return whole


def text(value: object) -> str:
    """Escaped; a file name that is not valid UTF-8 must not break the writing of the page. No place of a picture."""
    return escape(str(value).encode("utf-8", "backslashreplace").decode()).replace("{", "&#123;")


def _data_uri(picture: np.ndarray, side: int, quality: int) -> str:
    """JPEG for pictures, PNG for tiny crops, whose every pixel is seen."""
    bgr = np.ascontiguousarray(picture[..., ::-1])
    if min(picture.shape[:2]) < _TINY:
        return "data:image/png;base64," + _base64(cv2.imencode(".png", bgr)[1].tobytes())
    factor = min(1, side / max(picture.shape[:2]))
    if factor < 1:
        size = tuple(max(1, round(n * factor)) for n in picture.shape[1::-1])
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    # full colour resolution: the usual halving smears thin coloured lines
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])[1]
    return "data:image/jpeg;base64," + _base64(data.tobytes())


def _svg_uri(svg: str) -> str:
    """As a picture, since the styles and ids of an SVG element would count for the whole page."""
    return "data:image/svg+xml;base64," + _base64(svg.encode())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
