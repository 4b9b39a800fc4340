"""File names of images as tools write them on other machines: back slashes, absolute paths."""

import os
from collections import Counter
from pathlib import PureWindowsPath

from semipose.data.archives import image_exists, join_images
from semipose.data.images import PICTURES


def plain_names(names: list[str], image_dir: str) -> list[str]:
    """Names below the image folder (or zip archive); those that cannot be made so stay as they are.

    Back slashes separate folders where the file so named is there, or that of another name with back slashes. Of an
    absolute path, the part below the image folder counts; if it lies elsewhere, its longest end that is there below
    the image folder, or that is so after the same folders as in another name. Two paths that would become one name
    stay as they are. A name with `..` is never changed.
    """
    odd = {name: PureWindowsPath(name) for name in dict.fromkeys(names) if _is_odd(name)}
    if not odd:
        return names
    found = _separated(odd, image_dir) | _relative(odd, image_dir)
    meant = Counter(found.values())
    taken = set(names)
    found = {name: plain for name, plain in found.items() if meant[plain] == 1 and plain not in taken}
    return [found.get(name, name) for name in names]


def is_picture_here(name: str) -> bool:
    """Whether an absolute file name without `..` is that of a picture on this machine, by its ending (and, of a link,
    by that of the file that it leads to)."""
    if not os.path.isabs(name) or ".." in name.split("/") or not os.path.isfile(name):
        return False
    return all(path.lower().endswith(PICTURES) for path in (name, os.path.realpath(name)))


def _is_odd(name: str) -> bool:
    # most names are plain, and there are many
    if "\\" not in name and name[:1] != "/" and name[1:2] != ":":
        return False
    return "\0" not in name and ".." not in PureWindowsPath(name).parts


def _separated(odd: dict[str, PureWindowsPath], image_dir: str) -> dict[str, str]:
    plain = {name: path.as_posix() for name, path in odd.items() if not path.anchor}
    return plain if any(_exists(image_dir, name) for name in plain.values()) else {}


def _relative(odd: dict[str, PureWindowsPath], image_dir: str) -> dict[str, str]:
    found, above = {}, set()
    roots = [os.path.join(root, "") for root in (os.path.abspath(image_dir), os.path.realpath(image_dir))]
    for name, path in odd.items():
        if not path.anchor:
            continue
        root = next(filter(name.startswith, roots), None)
        if root:
            found[name] = name[len(root) :]
            continue
        parts = path.parts[1:]
        cuts = [cut for cut in range(len(parts)) if parts[:cut] in above]
        cuts = cuts or [cut for cut in range(len(parts)) if _exists(image_dir, "/".join(parts[cut:]))]
        if cuts:
            above.add(parts[: cuts[0]])
            found[name] = "/".join(parts[cuts[0] :])
    return found


def _exists(image_dir: str, name: str) -> bool:
    return image_exists(join_images(image_dir, [name])[0])
