"""Checkpoints that a crash cannot damage: written atomically, loaded without executing anything in them."""

import io
import logging
import os
import random
import re
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semipose.errors import ModelError, write_error
from semipose.models.weight_file import without_objects

logger = logging.getLogger(__name__)

PLAIN_TYPES = (int, float, bool, str, bytes, type(None))
CONTAINER_TYPES = (list, tuple, dict, OrderedDict, Counter)


def save_atomic(state: dict, path) -> None:
    """Write `state` to `path`. At every moment the file is the whole old one or the whole new one.

    Args:
        state: nested dicts and lists of tensors, numbers and strings; anything else could not be loaded again.
        path: target file; its folder must exist.

    Raises:
        TypeError: `state` holds another type; the message names the key.
        NoSpaceError: the disk is full; the old file is intact.
        SemiposeError: the file cannot be written for another reason.
    """
    path = Path(path)
    _publish(_write_temporary(state, path), path)


def load_checkpoint(path, device="cpu") -> dict:
    """Load a checkpoint with its tensors on `device`. Nothing in the file is executed.

    Raises:
        ModelError: the file is missing, damaged, not a checkpoint, or holds more than plain data.
    """
    try:
        _check_sums(path)
        with without_objects():  # beside the weights of others
            state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such checkpoint") from None
    # A damaged or hostile file can raise nearly anything inside torch's reader.
    except Exception as error:
        raise ModelError(f"{path}: not a loadable checkpoint ({_reason(error)})") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: not a checkpoint: holds a {type(state).__name__}, expected a dict")
    return state


class CheckpointFolder:
    """The checkpoints of one run.

    `last.pth` is the newest; the ones before it are `last.previous.pth`, `last.previous_2.pth` and so on. `best.pth` is
    the best so far; `best_<metric>_epoch_<n>.pth` is a second name of the same file.

    Args:
        folder: must exist before the first save.
        keep: how many of the newest are kept, `last.pth` included; at least 1.
    """

    def __init__(self, folder, keep: int = 2):
        self.folder, self.keep = Path(folder), keep
        self.last = self.folder / "last.pth"
        self.previous = self.folder / "last.previous.pth"
        self.best = self.folder / "best.pth"
        self._damaged: set[Path] = set()

    def save_last(self, state: dict) -> None:
        """Write `last.pth`; the file it replaces becomes `last.previous.pth`, and so on. Raises as `save_atomic`.

        The old files stay in place until the new one is complete, so one of them can be loaded at every moment.
        """
        temporary = _write_temporary(state, self.last)
        older = self._set_aside() if self.keep > 1 else None
        _publish(temporary, self.last)
        self._damaged.discard(self.last)
        if older:
            self._make_room()
            _publish(older, self.previous)
        for path in set(self._older()) - set(self._places()):
            path.unlink(missing_ok=True)

    def save_best(self, state: dict, metric: str = "", epoch: int = 0) -> None:
        """Write `best.pth`. With a `metric` it gets a second name, and the second name of the best before is removed.

        Raises as `save_atomic`.

        Args:
            metric: such as "AP" or "val/AP"; characters that a file name should not have become "_".
            epoch: of the state.
        """
        save_atomic(state, self.best)
        if not metric:
            return
        named = self.folder / f"best_{re.sub('[^A-Za-z0-9.@=+-]+', '_', metric)[:100]}_epoch_{epoch}.pth"
        second = _second_name(self.best, self.folder / "best.pth.second")
        _publish(second or _write_temporary(state, named), named)  # a copy where there are no hard links
        for path in self.folder.glob("best_*_epoch_*.pth"):
            if path != named:
                path.unlink(missing_ok=True)

    def find_resume(self, resume) -> tuple[dict, Path] | None:
        """The state to resume from and the file it came from.

        Args:
            resume: path of a checkpoint, or "auto" for the newest of this folder that can be loaded.

        Returns:
            None for "auto" in a folder without checkpoints.

        Raises:
            ModelError: the named checkpoint, or each one in the folder, cannot be loaded.
        """
        if resume != "auto":
            return load_checkpoint(resume), Path(resume)
        faults = []
        newest = [self.last] if self.last.exists() else []
        for path in newest + self._older():
            try:
                state = load_checkpoint(path)
            except ModelError as error:
                logger.warning("%s; looking for an older one", error)
                faults.append(str(error))
                self._damaged.add(path)
            else:
                return state, path
        if faults:
            raise ModelError(f"{self.folder}: no checkpoint to resume from: {'; '.join(faults)}")
        return None

    def _places(self) -> list[Path]:
        """Paths for the ones before `last.pth`, newest first."""
        more = [self.folder / f"last.previous_{number}.pth" for number in range(2, self.keep)]
        return [self.previous, *more][: self.keep - 1]

    def _older(self) -> list[Path]:
        """The ones before `last.pth` that exist, newest first; also those that an earlier, larger `keep` has left."""
        return sorted(self.folder.glob("last.previous*.pth"), key=lambda path: (len(path.name), path.name))

    def _make_room(self) -> None:
        """Move the older ones on by one place, up to the first place that is free or damaged, or up to the last."""
        places = self._places()
        free = next((n for n, path in enumerate(places) if path in self._damaged or not path.exists()), len(places) - 1)
        for number in range(free, 0, -1):
            _publish(places[number - 1], places[number])
        self._damaged.discard(places[free])

    def _set_aside(self) -> Path | None:
        """A second name for the present `last.pth`; None where there is no good one."""
        if not self.last.exists() or self.last in self._damaged:
            return None
        older = _second_name(self.last, self.last.with_name(self.last.name + ".older"))
        if older is None:  # this file system has no hard links
            self._make_room()
            _publish(self.last, self.previous)
        return older


def rng_state() -> dict:
    """State of the global generators of torch, CUDA (the current device), numpy and python, as plain data."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss_next],
    }


def restore_rng_state(state: dict) -> None:
    """Set the generators to `state`, which `rng_state` returned. The CUDA part is skipped if either side has none."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))


def _write_temporary(state: dict, path: Path) -> Path:
    """Write `state` next to `path` and return that file. A file that a killed run left there is overwritten."""
    _check_plain(state, "state")
    # In memory first: torch.save to a full disk raises a RuntimeError that does not say why.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(error, path) from error
    return temporary


def _publish(temporary: Path, path: Path) -> None:
    """Give `temporary` the name `path`, and make the renaming itself survive a power cut."""
    try:
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(error, path) from error


def _second_name(path: Path, name: Path) -> Path | None:
    """`name`, made a hard link of `path`; None where the file system has no such links."""
    name.unlink(missing_ok=True)
    try:
        os.link(path, name)
    except OSError:
        return None
    return name


def _check_plain(value, key: str) -> None:
    """Refuse what `weights_only=True` would refuse at the next start, numpy scalars among them."""
    if isinstance(value, Tensor) or type(value) in PLAIN_TYPES:
        return
    if type(value) not in CONTAINER_TYPES:
        raise TypeError(f"{key}: a checkpoint cannot hold {type(value).__module__}.{type(value).__qualname__}")
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in children:
        _check_plain(child, f"{key}[{name!r}]")


def _check_sums(path) -> None:
    """Refuse flipped bits: torch.load itself does not compare the checksums that torch.save wrote.

    Archives that would unpack to more than their size are refused too; torch.save does not compress.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > os.path.getsize(path):
                raise zipfile.BadZipFile("holds more than its size")
            damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"bad checksum of {damaged}")


def _reason(error: Exception) -> str:
    """First line of the message, without torch's advice to load the file unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if "Unsupported" in line or "GLOBAL" in line]
    lines = lines or str(error).splitlines() or [type(error).__name__]
    return f"{type(error).__name__}: {lines[0][:160]}"
