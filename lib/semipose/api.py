"""Three lines from a trained network to keypoints::

from semipose import load_model

model = load_model("output/mine")  # a run folder or a checkpoint
people = model("picture.jpg")  # people.keypoints (N, K, 2), people.scores (N, K)
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import torch

from semipose.assemble.from_checkpoint import build_predictor, find_checkpoint
from semipose.data.depth import as_8_bits, white_for
from semipose.data.images import read_image
from semipose.data.orientation import read_orientation
from semipose.data.readings import white_of
from semipose.engine.checkpoint import load_checkpoint
from semipose.errors import ConfigError
from semipose.evaluation.picture_metrics import INSTANCE_SCORE
from semipose.predict import Instances, Predictor
from semipose.predict.description import Description
from semipose.predict.detector import Detector, detect
from semipose.predict.exported import load_onnx, load_weights
from semipose.skeletons import Skeleton
from semipose.structures import Reading

log = logging.getLogger(__name__)

EXPORTED = {".onnx": load_onnx, ".safetensors": load_weights}  # by the ending of the file


class Model:
    """A trained network, ready for pictures; made by `load_model`.

    Attributes:
        predictor: does the work, on arrays.
        source: the checkpoint file that was taken.
        description: of the network, see `Description`.
        which: name of the network in it, or "ensemble".
        skeleton: names, sigmas and links of the keypoints.
    """

    def __init__(self, predictor: Predictor, source: Path, description: Description):
        self.predictor, self.source, self.description = predictor, source, description

    @property
    def which(self) -> str:
        return self.description.which

    @property
    def skeleton(self) -> Skeleton:
        return self.predictor.skeleton

    def __call__(self, pictures, boxes=None, detector: Detector | None = None) -> Instances | list[Instances]:
        """The instances of one picture, or a list of them for a list of pictures.

        Args:
            pictures: a path (or `ARCHIVE.zip@MEMBER`), an array (H, W), (H, W, 3) RGB or (H, W, 4) of uint8 or uint16,
                an image of Pillow, or a list or tuple of these; sizes may differ. OpenCV's pictures are BGR: pass
                `picture[..., ::-1]`.
            boxes: (N, 4) x, y, width, height in pixels; for a list of pictures a list of such arrays, with None where
                the box is the whole picture. None: the whole picture is one box. A bottom-up network takes no boxes.
            detector: picture (H, W, 3) uint8 RGB -> boxes (N, 4), scores (N,); in place of `boxes`.

        Raises:
            DataError: a file that cannot be read, a picture or boxes of another shape or type.
            ConfigError: boxes and a detector, or one of them for a bottom-up network.
        """
        several = isinstance(pictures, list | tuple)
        items = list(pictures) if several else [pictures]
        if detector is not None and (boxes is not None or self.predictor.bottom_up):
            other = "a bottom-up network takes none" if self.predictor.bottom_up else "boxes are given too"
            raise ConfigError(f"detector is given, but {other}")
        files = _Files(items)
        if detector is not None:
            items = [files.read(item) for item in items]
            boxes = [detect(detector, item) for item in items]
        elif boxes is not None and not several:
            boxes = [boxes]
        found = self.predictor(_Lazy(items, files), boxes)
        return found if several else found[0]

    def stream(self, pictures: Iterable, boxes: Iterable | None = None) -> Iterator[Instances]:
        """The instances of each picture of an iterable, such as the frames of a video, one after the other.

        Only as many pictures as fill a batch are taken ahead, so that memory stays flat.

        Args:
            pictures: as for a call.
            boxes: as for a call on a list; None: the whole picture is one box.

        Raises:
            DataError: as for a call. ValueError: there are more pictures than boxes, or fewer.
        """
        pairs = ((picture, None) for picture in pictures) if boxes is None else zip(pictures, boxes, strict=True)
        files = _Files()
        return self.predictor.stream((files.read(picture), box) for picture, box in pairs)


class _Files:
    """Pictures as they are predicted on: files are read, upright, and those of 16 bits and more have one white.

    Args:
        items: all pictures, where they are known; else the first one with more than 8 bits gives the white.
    """

    def __init__(self, items: Iterable = ()):
        self.white = max(
            white_of("pictures", [fspath(item) for item in items if _is_path(item)]), *map(_white, items), 0
        )

    def read(self, picture):
        """The picture of a file, an array of 16 bits as 8; anything else as it is."""
        if not _is_path(picture):
            picture = _as_array(picture)
            self.white = self.white or _white(picture)
            return as_8_bits(picture, self.white) if _white(picture) else picture
        path = fspath(picture)
        self.white = self.white or white_of(path, [path])
        return read_image(path, reading=Reading(orientation=read_orientation(path), white=self.white))


def _is_path(item: object) -> bool:
    return isinstance(item, str | PathLike)


def _as_array(item: object) -> object:
    """An image of Pillow with 16 bits as an array; anything else as it is."""
    return np.asarray(item) if getattr(item, "mode", "") == "I;16" else item


def _white(item: object) -> float:
    """The white of a picture of 16 bits in memory; 0 for anything else."""
    item = _as_array(item)
    deep = isinstance(item, np.ndarray) and item.dtype == np.uint16 and item.size
    return white_for(float(item.max()), floats=False) if deep else 0.0


class _Lazy:
    """Pictures that are read when their turn comes."""

    def __init__(self, items: list, files: "_Files"):
        self.items, self.files = items, files

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self):
        return map(self.files.read, self.items)


def load_model(
    path: str | PathLike,
    which: str = "",
    device: str = "",
    flip_test: bool = False,
    cfg: Sequence[str | PathLike] | str = (),
    scales: Sequence[float] = (1.0,),
    instance_score: float = INSTANCE_SCORE,
) -> Model:
    """The trained network of a run; all that it needs is in its checkpoint.

    Args:
        path: a run folder (its best.pth, else its last.pth), a checkpoint, or a file of `semipose export` (.onnx or
            .safetensors), which holds one network or one ensemble.
        which: one network of the run, such as "first" or "ema_first", or "ensemble"; "" is the run's main result, for
            co-training the ensemble of both EMAs.
        device: such as "cpu", "cuda", "cuda:1"; "" is a GPU where there is one.
        flip_test: average with the mirrored picture: twice the work. A little better for most networks, much worse for
            one that was trained without mirrored pictures.
        cfg: for a pose checkpoint of others, which says nothing of itself: YAML files, joined left to right, then keys
            and values, such as ["theirs.yaml", "MODEL.CODEC", "msra"].
        scales: bottom-up: sizes in which a picture is looked at, in units of the network's input. More take more time.
        instance_score: bottom-up: fainter instances (mean score of the keypoints) are left out.

    Raises:
        ModelError: no checkpoint is there, or it cannot be loaded, or does not fit `cfg`.
        ConfigError: no network `which`, or no such device; `cfg` is missing, or not needed; `scales` that cannot be.
    """
    source, place = find_checkpoint(fspath(path)), find_device(device)
    cfg = [cfg] if isinstance(cfg, str | PathLike) else [fspath(word) for word in cfg]
    if source.suffix in EXPORTED:
        if cfg:
            raise ConfigError(f"{source}: cfg is for checkpoints of others; an exported file needs none")
        predictor, description = EXPORTED[source.suffix](source, flip_test, place)
        if which not in ("", description.which):
            raise ConfigError(f"{source}: no network {which!r}; it has: {description.which}")
    else:
        predictor, description = build_predictor(load_checkpoint(source), str(source), which, place, flip_test, cfg)
    predictor.scales, predictor.instance_score = _checked(tuple(scales), predictor, source), instance_score
    log.info("%s: %s on %s", source, description.which, predictor.device)
    return Model(predictor, source, description)


def _checked(scales: tuple[float, ...], predictor: Predictor, source: Path) -> tuple[float, ...]:
    if not scales or not all(0 < scale < 100 for scale in scales):
        raise ConfigError(f"{source}: scales are {list(scales)}; one number above 0 or more expected")
    if scales != (1.0,) and (not predictor.bottom_up or source.suffix == ".onnx"):
        raise ConfigError(
            f"{source}: scales are {list(scales)}; others than [1.0] are for checkpoints of bottom-up runs"
        )
    return scales


def find_device(name: str) -> torch.device:
    """The device of a name, or for "" a GPU where there is one; raises ConfigError if there is no such device."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r}: {str(error).splitlines()[0]}") from error
    return device
