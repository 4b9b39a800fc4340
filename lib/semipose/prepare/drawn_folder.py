"""A folder of drawn data: complete or not there, drawn once, and never in the place of something else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from semipose.errors import DataError


def fill_folder(root: Path, manifest: dict, draw: Callable[[Path], None], force: bool = False) -> bool:
    """Let `draw` fill a folder beside `root`, which replaces `root` when it is complete.

    Args:
        manifest: all that the data depend on, kept in `manifest.json`; `generator` ends in a number that is raised when
            the data change.
        force: draw also when `root` already holds the same.

    Returns:
        False if `root` already holds the same and nothing was done.

    Raises:
        DataError: `root` holds something else, which is left as it is.
    """
    kind = manifest["generator"].rpartition(" ")[0]
    present = _read_manifest(root, kind)
    if present == json.loads(json.dumps(manifest)) and not force:
        return False
    if present is None and root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root}: is not a folder of {kind!r} (no valid manifest.json), so it is not overwritten")
    work = root.with_name(f".{root.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    (work / "new").mkdir(parents=True)
    draw(work / "new")
    (work / "new" / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    if root.exists():
        os.replace(root, work / "old")  # a rename: a half-deleted folder could still show its manifest
    os.replace(work / "new", root)
    shutil.rmtree(work)
    return True


def _read_manifest(root: Path, kind: str) -> dict | None:
    """The manifest of a folder of this kind, of any version; None for any other folder."""
    try:
        manifest = json.loads((root / "manifest.json").read_text())
        return manifest if manifest["generator"].startswith(kind) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
