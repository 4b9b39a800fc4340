"""All ranks go on from the same checkpoint, which the first rank chooses."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from semipose.engine.checkpoint import CheckpointFolder, load_checkpoint
from semipose.errors import ModelError
from semipose.runtime.ranks import by_first, gather, is_first, ranks


def find_for_all_ranks(checkpoints: CheckpointFolder, resume: str) -> tuple[dict, Path] | None:
    """What `checkpoints.find_resume(resume)` finds on the first rank, loaded by each rank.

    Raises:
        ModelError: on all ranks. Nothing can be loaded, or the ranks find different contents in the file, as on
            machines that do not share OUTPUT_DIR.
    """
    if ranks() == 1:
        return checkpoints.find_resume(resume)
    found, fault = _attempt(lambda: checkpoints.find_resume(resume)) if is_first() else (None, "")
    path, fault = by_first(lambda: (str(found[1]) if found else None, fault))
    if fault:
        raise ModelError(fault)
    if path is None:
        return None
    if not is_first():
        found, fault = _attempt(lambda: (load_checkpoint(path), Path(path)))
    own, fault = (None, fault) if fault else _attempt(lambda: content(*found))
    refuse_different({f"{path} (all machines must share OUTPUT_DIR)": fault or own})
    return found


def refuse_different(values: dict[str, str]) -> None:
    """Raise ModelError on all ranks for the first name whose value is not the same on all; it names the ranks."""
    of_ranks = gather(values)
    for name in values:
        owners = {}
        for rank, own in enumerate(of_ranks):
            owners.setdefault(own.get(name), []).append(str(rank))
        if len(owners) > 1:
            found = "; ".join(f"rank {', '.join(numbers)}: {value}" for value, numbers in owners.items())
            raise ModelError(f"{name} is not the same for all processes: {found}")


def content(state: dict, path: str | Path) -> str:
    """Step and checksum of a checkpoint that was loaded from a file, to compare it with another one."""
    return f"step {state.get('step')}, checksum {_checksum(Path(path)):08x}"


def _checksum(path: Path) -> int:
    """Of the checksums inside the file, which loading has checked; of its bytes if it has none."""
    if not zipfile.is_zipfile(path):
        return zlib.crc32(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        return zlib.crc32(repr([(entry.filename, entry.CRC) for entry in archive.infolist()]).encode())


def _attempt(job: Callable) -> tuple:
    """(result, ""), or (None, fault): if one rank raised alone, the others would wait for it."""
    try:
        return job(), ""
    except (ModelError, OSError) as error:
        return None, str(error)
