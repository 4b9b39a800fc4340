"""Where context crops come from: decoded each time, or kept in RAM or in a file that all workers share."""

import hashlib
import mmap
import os
import platform
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semipose.data.archives import image_facts
from semipose.data.context_crops import ContextCrops
from semipose.errors import ConfigError, write_error

CACHES = ("none", "ram", "disk")
SHARED_MEMORY = "/dev/shm"  # where Linux keeps it
FORMAT = 3  # of the stored crops; raise it when their pixels change


class DirectCrops:
    """Decodes on every request (`DATASET.CACHE none`)."""

    def __init__(self, crops: ContextCrops):
        self.crops = crops

    def fetch(self, row: int, out: Tensor) -> None:
        """Write the crop of person `row` into `out` (3, H, W) uint8. Raises DataError if its image is broken."""
        out.copy_(torch.from_numpy(self.crops.cut([row])[0]))


class CachedCrops:
    """Keeps crops in shared RAM (`folder` is None) or in memory-mapped files.

    An image is decoded when its first person is asked for, and then all its persons are cropped. Several workers may
    fill the cache at once: they write the same bytes, and a row counts as filled only after it was written. An image
    that cannot be read is tried again each time it is asked for. On disk each crop has a checksum, which each process
    compares once, since a power cut may lose a crop. Each machine that shares the folder has a cache of its own: one
    machine could overwrite what another one has written.

    Raises:
        ConfigError: the crops do not fit into memory or on the disk.
        SemiposeError: the folder cannot be written.
    """

    def __init__(self, crops: ContextCrops, folder: Path | None, processes: int = 1):
        self.crops = crops
        self._shape = (len(crops), 3, crops.size[1], crops.size[0])
        self._folder = None if folder is None else folder / f"{platform.node()}-{_source_key(crops)}"
        needed = int(np.prod(self._shape))
        if self._folder is None:
            _check_room("ram", needed * processes, _free_memory())
            self._pixels = torch.empty(self._shape, dtype=torch.uint8).share_memory_()
            self._sound = torch.zeros(len(crops), dtype=torch.bool).share_memory_()
        else:
            self._sound = torch.zeros(len(crops), dtype=torch.bool)  # as far as this process knows
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                if not (self._folder / "pixels").exists():
                    _check_room("disk", needed, shutil.disk_usage(self._folder).free)
                self._open_files()
            except OSError as error:
                raise write_error(error, self._folder) from error

    def fetch(self, row: int, out: Tensor) -> None:
        """Write the crop of person `row` into `out` (3, H, W) uint8. Raises DataError if its image is broken."""
        self.fill(row)
        out.copy_(self._pixels[row])

    def fill(self, row: int) -> None:
        """Cut the crop of person `row` if it is not there yet. Raises DataError if its image is broken."""
        if self._sound[row] or (self._folder and self._sums[row] == _checksum(self._pixels[row])):
            self._sound[row] = True
            return
        rows = self.crops.on_same_image(row)
        self._pixels[rows] = torch.from_numpy(self.crops.cut(rows))
        if self._folder:
            self._sums[rows] = torch.tensor([_checksum(self._pixels[each]) for each in rows])
        self._sound[rows] = True

    def has(self, rows: Tensor) -> bool:
        """Whether the crops of all `rows`, (B,) int64, are there."""
        return bool(self._sound[rows].all())

    def load(self, rows: Tensor) -> None:
        """Read the crops of `rows` from the disk into memory, where any process then finds them."""
        if self._folder is not None:
            size = self._pixels[0].numel()
            one_of_each_page = torch.tensor([*range(0, size, mmap.PAGESIZE), size - 1])
            self._pixels.view(-1, size)[rows[:, None], one_of_each_page]

    def copy(self, rows: Tensor, out: Tensor) -> None:
        """Write the crops of `rows`, (B,) int64, which are all there, into `out` (B, 3, H, W) uint8."""
        torch.index_select(self._pixels, 0, rows, out=out)

    def _open_files(self) -> None:
        self._pixels = _map_file(self._folder / "pixels", self._shape, np.uint8)
        self._sums = _map_file(self._folder / "checksums", self._shape[:1], np.int64)

    def __getstate__(self) -> dict:
        # a started (not forked) worker opens the files itself; NumPy would send it a copy of them
        drop = ("_pixels", "_sums") if self._folder else ()
        return {key: value for key, value in self.__dict__.items() if key not in drop}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self._folder:
            self._open_files()


def make_crop_source(
    crops: ContextCrops, cache: str, folder: Path, processes: int = 1
) -> DirectCrops | CachedCrops:  # fmt: skip
    """The source for a `DATASET.CACHE` value; raises ConfigError for an unknown one.

    Args:
        processes: of the run on this machine; in RAM each has a cache of its own, on disk they share one.
    """
    if cache not in CACHES:
        raise ConfigError(f"DATASET.CACHE is {cache!r}; allowed: {', '.join(CACHES)}")
    if cache == "none":
        return DirectCrops(crops)
    return CachedCrops(crops, folder if cache == "disk" else None, processes)


def _checksum(crop: Tensor) -> int:
    """A checksum that is never 0; 0 means that the crop is not there."""
    return zlib.crc32(crop.numpy()) + 1


def _map_file(path: Path, shape: tuple[int, ...], dtype: type) -> Tensor:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with open(path, "ab") as file:
        if file.tell() < size:
            file.truncate(size)  # a sparse file of zeros
    return torch.from_numpy(np.memmap(path, dtype=dtype, mode="r+", shape=shape))


def _source_key(crops: ContextCrops) -> str:
    """Changes with any image (name, size, time; in an archive also checksum), with how it is read, and with the
    geometry of any crop."""
    digest = hashlib.sha256(repr((FORMAT, crops.size)).encode())
    for path in crops.persons.image_paths:
        digest.update(os.fsencode(f"{path}|{image_facts(str(path))}\n"))
    persons = crops.persons
    for array in (persons.image_index, persons.image_sizes, persons.image_orientations, persons.image_whites):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(crops.to_image.tobytes())
    return digest.hexdigest()[:16]


def _check_room(kind: str, needed: int, free: int) -> None:
    if needed > free:
        raise ConfigError(
            f"DATASET.CACHE {kind} needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            f"use {'disk or none' if kind == 'ram' else 'none'}"
        )


def _free_memory() -> int:
    """Free bytes of shared memory; in a container often far less than the machine has."""
    free = 2**63
    if os.path.exists("/proc/meminfo"):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return min(free, shutil.disk_usage(SHARED_MEMORY).free) if os.path.isdir(SHARED_MEMORY) else free
