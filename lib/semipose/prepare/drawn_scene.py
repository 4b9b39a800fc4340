"""What surrounds a drawn person (background, distractors, occluders, camera), and the shapes it is made of.

Shapes are convex outlines (P, 2) in pixels of the finished picture, where the centre of the top-left pixel is (0, 0).
They are painted on a canvas `SUPERSAMPLING` times as wide and high, which is then averaged down.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLING = 4
_SUBPIXEL_BITS = 4
_CIRCLE = np.stack([np.cos(t := np.linspace(0, 2 * np.pi, 16, endpoint=False)), np.sin(t)], axis=1)


def ellipse(centre: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Outline of an ellipse from its centre and its two half axes, as vectors."""
    return centre + _CIRCLE @ np.stack([right, down])


def hull(centres: list[np.ndarray], radii: list[float]) -> np.ndarray:
    """Outline around discs; two discs make a capsule."""
    discs = [c + r * _CIRCLE for c, r in zip(centres, radii)]
    return cv2.convexHull(np.concatenate(discs).astype(np.float32))[:, 0]


def fill(canvas: np.ndarray, outline: np.ndarray, value) -> None:
    """Fill a convex outline on a supersampled canvas, in place."""
    points = ((outline + 0.5) * SUPERSAMPLING - 0.5) * 2**_SUBPIXEL_BITS
    cv2.fillConvexPoly(canvas, np.rint(points).astype(np.int32), value, shift=_SUBPIXEL_BITS)


def direction(degrees: float) -> np.ndarray:
    """Unit vector; 0 points down, 90 to the right of the picture."""
    return np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])


def axes(degrees: float) -> np.ndarray:
    """(2, 2) rows: the vectors to the right and down of a part that is turned by this angle."""
    return np.stack([direction(degrees + 90), direction(degrees)])


@dataclass
class Figure:
    """Joints (2,) by name, and convex outlines in painting order as (body part, points (P, 2), RGB colour)."""

    joints: dict[str, np.ndarray]
    shapes: list[tuple[str, np.ndarray, np.ndarray]]

    def add(self, part: str, outline: np.ndarray, colour: np.ndarray) -> None:
        self.shapes.append((part, outline, np.clip(colour, 0, 255)))

    def move(self, linear: np.ndarray, offset: np.ndarray) -> None:
        """Replace every point p (as a row) by p @ linear + offset."""
        self.joints = {name: p @ linear + offset for name, p in self.joints.items()}
        self.shapes = [(part, outline @ linear + offset, colour) for part, outline, colour in self.shapes]

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest x, y of all outlines."""
        points = np.concatenate([outline for _, outline, _ in self.shapes])
        return points.min(axis=0), points.max(axis=0)

    def paint(self, canvas: np.ndarray) -> np.ndarray:
        """Paint on a supersampled canvas, in place. Returns the shape that each pixel shows: 0 = none, 1 = the
        first."""
        shown = np.zeros(canvas.shape[:2], np.uint8)
        for number, (_, outline, _) in enumerate(self.shapes, start=1):
            fill(shown, outline, number)
        colours = np.array([np.zeros(3)] + [colour for _, _, colour in self.shapes], np.uint8)
        canvas[shown > 0] = colours[shown[shown > 0]]
        return shown


def random_skin(rng: np.random.Generator) -> np.ndarray:
    """(3,) RGB of a skin tone between light and dark."""
    light, dark = np.array([250, 210, 180]), np.array([95, 58, 40])
    return np.clip(light + rng.uniform() * (dark - light) + rng.normal(0, 8, 3), 0, 255)


def random_cloth(rng: np.random.Generator) -> np.ndarray:
    """(3,) RGB of any colour."""
    return rng.uniform(20, 235, 3)


def random_wardrobe(rng: np.random.Generator) -> dict:
    """Colours of skin, hair and clothes; sleeves and trousers are long or short."""
    skin, shirt, trousers, shoes = random_skin(rng), *(random_cloth(rng) for _ in range(3))
    hair = rng.uniform(0.1, 0.9) * np.array([220, 175, 120]) * rng.uniform(0.7, 1, 3)
    return {
        "skin": skin, "hair": hair, "shirt": shirt, "trousers": trousers, "iris": rng.uniform(10, 70, 3),
        "arm": (shirt if rng.uniform() < 0.8 else skin, shirt if rng.uniform() < 0.45 else skin, skin),
        "leg": (trousers, trousers if rng.uniform() < 0.7 else skin, shoes),
        "long hair": rng.uniform() < 0.35, "stout": rng.uniform(0.85, 1.25),
    }  # fmt: skip


def smooth_noise(rng: np.random.Generator, size: int, cells: int, channels: int) -> np.ndarray:
    """(size, size[, channels]) unit Gaussian noise whose grains are about size / cells pixels wide."""
    grid = rng.standard_normal((cells, cells, channels)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def stripes(rng: np.random.Generator, size: int, periods: tuple[float, float]) -> np.ndarray:
    """(size, size) square wave of -1 and 1 with a random direction and a period in pixels out of the range."""
    wave = 2 * np.pi / rng.uniform(*periods) * np.array([np.cos(a := rng.uniform(0, np.pi)), np.sin(a)])
    phase = wave[0] * np.arange(size)[None, :] + wave[1] * np.arange(size)[:, None] + rng.uniform(0, 2 * np.pi)
    return np.sign(np.sin(phase)).astype(np.float32)


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """(S, S, 3) uint8 canvas, S = size * SUPERSAMPLING: coloured noise of several grains, often with stripes."""
    picture = np.float32(random_cloth(rng)) + np.zeros((size, size, 3), np.float32)
    for cells, strength in ((3, 35), (7, 28), (16, 20), (40, 10)):
        picture += rng.uniform(0.3, 1) * strength * smooth_noise(rng, size, cells, 3)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + rng.uniform(0.2, 1) * (picture - grey)
    if rng.uniform() < 0.4:
        picture += rng.normal(0, 15, 3) * stripes(rng, size, (6, 24))[..., None]
    canvas_size = size * SUPERSAMPLING
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.resize(picture, (canvas_size, canvas_size), interpolation=cv2.INTER_LINEAR)


def _block(rng: np.random.Generator, centre: np.ndarray, extent: float) -> np.ndarray:
    """Outline of a random rectangle, triangle or ellipse; `extent` is its larger half side."""
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.35, 1)
    right = extent * np.array([np.cos(angle), np.sin(angle)])
    down = ratio * extent * np.array([-np.sin(angle), np.cos(angle)])
    corners = {"box": [right + down, right - down, -right - down, down - right], "wedge": [right, down, -right - down]}
    kind = rng.choice(["box", "wedge", "ellipse"])
    return ellipse(centre, right, down) if kind == "ellipse" else centre + np.array(corners[kind])


def _fill_outlined(canvas: np.ndarray, centres: list, radii: list, colour: np.ndarray) -> None:
    """Fill a hull with a darker rim, as the parts of a person have one."""
    fill(canvas, hull(centres, radii), (0.75 * colour).tolist())
    fill(canvas, hull(centres, [r - 1 / SUPERSAMPLING for r in radii]), colour.tolist())


def _draw_loose_limb(rng: np.random.Generator, canvas: np.ndarray, start: np.ndarray, size: int, palette: list) -> None:
    """Two capsules and a round end: looks like an arm or a leg of nobody."""
    angle = rng.uniform(0, 360)
    radius = size * rng.uniform(0.022, 0.045)
    for _ in range(2):
        end = start + size * rng.uniform(0.07, 0.14) * direction(angle)
        _fill_outlined(canvas, [start, end], [radius, 0.8 * radius], palette[rng.integers(len(palette))])
        start, angle = end, angle + rng.uniform(-90, 90)
    _fill_outlined(canvas, [start], [1.15 * radius], palette[rng.integers(len(palette))])


def _draw_ball(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, size: int, palette: list) -> None:
    """A disc with a cap of another colour: a head without a face."""
    radius, up = size * rng.uniform(0.04, 0.08), -direction(rng.normal(0, 60))
    _fill_outlined(canvas, [centre + 0.15 * radius * up], [1.1 * radius], random_cloth(rng))
    _fill_outlined(canvas, [centre - 0.2 * radius * up], [0.9 * radius], palette[0])


def draw_distractors(rng: np.random.Generator, canvas: np.ndarray, size: int, person_colours: list) -> None:
    """Paint 4 to 8 things behind the person, most of them like limbs or heads; some wear the person's own colours."""
    for _ in range(rng.integers(4, 9)):
        centre = rng.uniform(0, size, 2)
        palette = person_colours if rng.uniform() < 0.4 else [random_skin(rng), random_cloth(rng)]
        kind = rng.uniform()
        if kind < 0.6:
            _draw_loose_limb(rng, canvas, centre, size, palette)
        elif kind < 0.75:
            _draw_ball(rng, canvas, centre, size, palette)
        else:
            fill(canvas, _block(rng, centre, size * rng.uniform(0.04, 0.15)), random_cloth(rng).tolist())


def draw_folds(rng: np.random.Generator, canvas: np.ndarray, shown: np.ndarray, striped: list[bool]) -> None:
    """Shade the figure in place: soft light and dark spots, darker seams where one shape ends, often stripes.

    Args:
        shown: what `Figure.paint` returned.
        striped: for each shape of the figure, whether stripes may lie there.
    """
    size = canvas.shape[0] // SUPERSAMPLING
    light = 1 + rng.uniform(0.02, 0.14) * smooth_noise(rng, size, size // 4, 1)
    light = cv2.resize(light, shown.shape[::-1], interpolation=cv2.INTER_LINEAR)
    if rng.uniform() < 0.6:
        pattern = rng.uniform(0.1, 0.35) * stripes(rng, size, (3, 9))
        light += np.array([False, *striped])[shown] * cv2.resize(
            pattern, shown.shape[::-1], interpolation=cv2.INTER_LINEAR
        )
    seams = cv2.morphologyEx(shown, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    light[seams] *= rng.uniform(0.6, 0.95)
    on_figure = shown > 0
    canvas[on_figure] = np.clip(canvas[on_figure] * light[on_figure][:, None], 0, 255).astype(np.uint8)


def draw_occluders(rng: np.random.Generator, canvas: np.ndarray, bbox: np.ndarray) -> np.ndarray:
    """Paint 0 to 2 things over the person; returns the (S, S) uint8 mask of what they cover."""
    covered = np.zeros(canvas.shape[:2], np.uint8)
    for _ in range(rng.choice(3, p=[0.45, 0.4, 0.15])):
        centre = bbox[:2] + rng.uniform(0.05, 0.95, 2) * bbox[2:]
        outline = _block(rng, centre, max(bbox[2:]) * rng.uniform(0.05, 0.12))
        fill(canvas, outline, random_cloth(rng).tolist())
        fill(covered, outline, 1)
    return covered


def photograph(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Average a canvas down to the (H, W, 3) picture, with random blur, contrast, brightness, tint and noise."""
    side = canvas.shape[0] // SUPERSAMPLING
    picture = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    if rng.uniform() < 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.8))
    gain, tint = rng.uniform(0.6, 1.3), rng.uniform(0.8, 1.2, 3).astype(np.float32)
    picture = (picture - 128) * gain * tint + 128 + rng.normal(0, 25)
    picture += rng.uniform(1, 7) * rng.standard_normal(picture.shape, np.float32)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
