"""Draw skeletons and heatmaps on RGB images. Every function returns a new image."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from semipose.skeletons import Skeleton

# blue against orange stays apart in all common kinds of colour blindness
SIDE_COLORS = {"left": (38, 150, 255), "right": (255, 138, 0), "middle": (245, 245, 240)}
_OUTLINE = (20, 22, 28)
_SUBPIXEL_BITS = 4
_FAINTEST = 0.25


def draw_skeleton(
    image: np.ndarray,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    visible: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    color: tuple[int, int, int] | None = None,
    scale: int = 1,
) -> np.ndarray:
    """Draw one person, left limbs blue, right limbs orange, the middle white.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (K, 2) x, y in pixels of `image`; a joint that is not finite is left out.
        skeleton: which joints are linked, and which side each belongs to.
        visible: (K,) True where a joint is drawn; None draws all.
        scores: (K,) in 0..1; an uncertain joint is drawn fainter. None draws all joints solid.
        color: one RGB colour for the whole person in place of the side colours.
        scale: enlarge the image this many times first, so that lines on a small crop are crisp.

    Returns:
        (H * scale, W * scale, 3) uint8.

    Raises:
        ValueError: when the number of keypoints is not the skeleton's.
    """
    points = np.asarray(keypoints, dtype=np.float64)[:, :2]
    if len(points) != len(skeleton):
        raise ValueError(f"{len(points)} keypoints for skeleton {skeleton.name!r}, which has {len(skeleton)}")
    shown = np.isfinite(points).all(1)
    if visible is not None:
        shown &= np.asarray(visible).astype(bool)
    opacity = np.ones(len(points)) if scores is None else np.clip(np.asarray(scores, np.float64), _FAINTEST, 1)
    # pixel centres stay pixel centres in an enlarged image
    points = (points + 0.5) * scale - 0.5
    canvas = enlarge(image, scale)
    width = max(1, round(0.16 * min(canvas.shape[:2]) ** 0.5))

    sides = keypoint_sides(skeleton)
    for a, b in skeleton.link_indices:
        if shown[a] and shown[b]:
            line_color = color or SIDE_COLORS[_link_side(sides[a], sides[b])]
            _blend(canvas, min(opacity[a], opacity[b]), _line(points[a], points[b], line_color, width))
    for k in np.flatnonzero(shown):
        _blend(canvas, opacity[k], _dot(points[k], color or SIDE_COLORS[sides[k]], width))
    return canvas


def draw_heatmaps(image: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Lay the highest of all heatmaps over an image in faded colours, dark red to bright yellow.

    Args:
        image: (H, W, 3) uint8 RGB.
        heatmaps: (K, h, w) values, 0..1; they cover the same field of view as the image, whatever their size.

    Returns:
        (H, W, 3) uint8.
    """
    highest = np.asarray(heatmaps, dtype=np.float32).max(0)
    highest = cv2.resize(highest, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    heat = cv2.applyColorMap((highest * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    faded = 0.3 * image + 0.6 * image.mean(-1, keepdims=True)
    share = 0.9 * highest[..., None] ** 0.7
    return (faded * (1 - share) + heat * share).round().astype(np.uint8)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """A copy `scale` times as wide and high (a whole number, at least 1)."""
    image = np.ascontiguousarray(image)
    if scale == 1:
        return image.copy()
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def tile(images: Sequence[np.ndarray], columns: int, gap: int = 8) -> np.ndarray:
    """Images in rows of `columns`, each in the middle of a cell as large as the largest image, white between them.

    Args:
        images: at least one (H, W, 3) uint8; sizes may differ.
        columns: images in a row.
        gap: pixels between cells.
    """
    height, width = (max(i.shape[axis] for i in images) for axis in (0, 1))
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for n, image in enumerate(images):
        top = n // columns * (height + gap) + (height - image.shape[0]) // 2
        left = n % columns * (width + gap) + (width - image.shape[1]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def keypoint_sides(skeleton: Skeleton) -> list[str]:
    """K times "left", "right" or "middle": from the name, or else from the place in its swap pair."""
    sides = {name: side for pair in skeleton.swaps for name, side in zip(pair, ("left", "right"))}
    named = {n: s for n in skeleton.keypoints for s in ("left", "right") if s in n.lower()}
    return [(sides | named).get(name, "middle") for name in skeleton.keypoints]


def _link_side(first: str, second: str) -> str:
    sides = {first, second} - {"middle"}
    return sides.pop() if len(sides) == 1 else "middle"


def _line(start: np.ndarray, end: np.ndarray, color: tuple[int, int, int], width: int) -> Callable:
    def paint(canvas: np.ndarray) -> None:
        for ink, thickness in ((_OUTLINE, width + 2), (color, width)):
            cv2.line(canvas, _fixed(start), _fixed(end), ink, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)

    return paint


def _dot(centre: np.ndarray, color: tuple[int, int, int], width: int) -> Callable:
    def paint(canvas: np.ndarray) -> None:
        for ink, radius in ((_OUTLINE, width + 1.0), (color, float(width))):
            fixed_radius = round(radius * 2**_SUBPIXEL_BITS)
            cv2.circle(canvas, _fixed(centre), fixed_radius, ink, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)

    return paint


def _blend(canvas: np.ndarray, opacity: float, paint: Callable) -> None:
    """Paint on `canvas`, see-through below opacity 1."""
    if opacity >= 1:
        paint(canvas)
        return
    layer = canvas.copy()
    paint(layer)
    cv2.addWeighted(layer, opacity, canvas, 1 - opacity, 0, dst=canvas)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Fixed-point coordinates for OpenCV; the limit keeps a wild prediction within its 32 bits."""
    x, y = np.clip(point, -1e6, 1e6) * 2**_SUBPIXEL_BITS
    return round(float(x)), round(float(y))
