"""Network, input, length and batches for what was found, each with its reason. The measured numbers are in
docs/results.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

LITE, LITE_NAME = "timm/tf_efficientnet_lite0", "tf_efficientnet_lite0"
FRAMES, BOXES, BOTTOM_UP = "frames", "boxes", "bottom-up"
_CROP_SPACE = 0.2  # of the memory, for crops that are kept
# labelled individuals up to which a run has so many steps; a step is an update of both networks
_STEPS = ((60, 1350), (300, 1500), (1000, 2500))
_ENLARGED = 1.5  # pictures are not blown up by more
_LEAST = 60  # pixels of an individual, for which a larger picture is worth its time
_MOST_STEPS, _ON_GPU = 5000, 4


@dataclass(frozen=True)
class Machine:
    """What a run has at hand: GPUs, cores, and bytes of memory."""

    gpus: int
    cores: int
    memory: int


@dataclass(frozen=True)
class Facts:
    """What the labels and pictures are like.

    Attributes:
        pictures, individuals, points: with labels.
        learned: individuals that are not held out.
        several: pictures that show more than one individual.
        size: (width, height) of the median picture.
        fill: longer side of an individual as a share of the longer side of its picture, median.
        longest: longer side of an individual in pixels, median.
        own_boxes: somebody drew boxes.
        bare: pictures and frames without labels or boxes.
        pool: crops or pictures on the unlabelled side.
        pairs: whether left and right are known, so that pictures can be mirrored.
    """

    pictures: int
    individuals: int
    points: int
    learned: int
    several: int
    size: tuple[int, int]
    fill: float
    longest: float
    own_boxes: bool
    bare: int
    pool: int
    pairs: bool

    @property
    def view(self) -> str:
        """How a network sees them: whole frames of one individual, boxes, or bottom-up."""
        if self.several:
            return BOXES if self.own_boxes and not self.bare else BOTTOM_UP
        return BOXES if self.own_boxes and not self.bare else FRAMES


@dataclass(frozen=True)
class Choice:
    """A value and why."""

    value: object
    reason: str = ""


def input_size(facts: Facts, machine: Machine) -> Choice:
    """Width and height: as much as the machine can learn, so that an individual has 64 pixels and more."""
    side = 256 if machine.gpus else 128
    if facts.view == BOXES:
        small = facts.longest * 1.25 < 96
        side = 64 if small else side
        return Choice([side, side], f"an individual is {facts.longest:.0f} pixels long, in the median")
    needed = next((size for size in (side, 192, 256) if size >= side and size * facts.fill >= _LEAST), max(256, side))
    needed = min(needed, 32 * ceil(_ENLARGED * max(facts.size) / 32))
    width, height = facts.size
    ratio = min(2.0, max(0.5, width / height))
    sides = [max(64, round(needed * factor / 32) * 32) for factor in (min(1.0, ratio), min(1.0, 1 / ratio))]
    length = facts.fill * max(sides)
    return Choice(
        sides, f"the whole picture of {width}x{height}; an individual is about {length:.0f} of these pixels long"
    )


def steps(facts: Facts, machine: Machine) -> int:
    """Updates of each network by the number of labels."""
    found = next((count for most, count in _STEPS if facts.learned <= most), _MOST_STEPS)
    return found * _ON_GPU if machine.gpus and facts.learned > 60 else found


def batches(facts: Facts, machine: Machine) -> tuple[int, int]:
    """Labelled and unlabelled pictures in a step."""
    if machine.gpus:
        return (16, 32) if facts.learned <= 300 else (32, 32)
    return (8, 8) if facts.learned <= 300 else (16, 16)


def backbone(facts: Facts, machine: Machine, weights: str) -> list[tuple[str, Choice]]:
    """Lines of the section MODEL.

    Args:
        weights: "imagenet", a file, or "" where none can be had.
    """
    if facts.view == BOTTOM_UP:
        why = "several in a picture and no boxes: found together, from scratch"
        rows = [("BACKBONE", Choice("light_unet", why)), ("CODEC", Choice("dekr", "bottom-up, see docs/bottom_up.md"))]
        return [*rows, ("DEKR", Choice("{JOINT_CHANNELS: 5}", "15 in the paper, three times slower"))]
    if weights:
        why = "ImageNet features: of 200 labels they make ten times the AP"
        return [("BACKBONE", Choice(LITE, why)), ("PRETRAINED", Choice(weights))]
    why = "from scratch; with ImageNet weights (init --weights FILE) few labels go further"
    return [("BACKBONE", Choice("light_unet_deep", why))]


def learning_rate(facts: Facts, weights: str) -> float:
    return 0.001 if weights and facts.view != BOTTOM_UP else 0.002


def sigma(facts: Facts, weights: str) -> float:
    return 1.5 if weights or facts.view == BOTTOM_UP else 1.0


def cache(facts: Facts, machine: Machine, size: Sequence[int]) -> Choice:
    """Where decoded crops are kept."""
    needed = (facts.individuals + facts.pool) * 3 * 1.25**2 * size[0] * size[1]
    where = "ram" if needed < _CROP_SPACE * machine.memory else "disk"
    return Choice(where, f"every picture is decoded once; {max(1, needed / 2**20):.0f} MiB")


def every_frame(frames: int, machine: Machine) -> int:
    """Take every n-th frame of videos, so that about a thousand remain (on a GPU five)."""
    return max(1, round(frames / (5000 if machine.gpus else 1000)))


def views(facts: Facts) -> list[tuple[str, str]]:
    """Lines of the section AUGMENT: as in experiments/mouse (frames), lsp (boxes) and scenes (bottom-up)."""
    flip = 0.5 if facts.pairs else 0.0
    turn, zoom = {FRAMES: (20.0, 0.15), BOXES: (30.0, 0.2), BOTTOM_UP: (15.0, 0.2)}[facts.view]
    shift = ", TRANSLATE: 0.08" if facts.view == BOTTOM_UP else ""
    half = "" if facts.view == BOTTOM_UP else ", HALF_BODY: 0.0"
    easy = {FRAMES: "ROTATION: 8.0, ROTATION_PROB: 1.0, SCALE: 0.05, SCALE_CLIP: 0.1"}.get(
        facts.view, "ROTATION: 8.0, ROTATION_PROB: 1.0, SCALE: 0.1, SCALE_CLIP: 0.2"
    )
    hard = f"ROTATION: {turn}, ROTATION_PROB: 1.0, SCALE: {zoom}, SCALE_CLIP: 0.3{shift}"
    return [
        ("LABELED", f"{{{hard}, FLIP: {flip}{half}}}"),
        ("EASY", f"{{{easy}, FLIP: {flip}}}"),
        ("HARD", f"{{{hard}, FLIP: {flip}, COLOR: 0.3}}"),
    ]
