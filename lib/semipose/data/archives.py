"""Images in zip archives: the path `train2017.zip@000000000009.jpg` is that member of `train2017.zip`.

An archive is opened once. Forked workers inherit it; started ones open it themselves, as nothing here is pickled.
"""

import os
import re

from semipose.data.zip_file import NOT_SOUND, Member, ZipFile, open_zip, refusal, unpack, unpack_head
from semipose.errors import DataError

MAX_MEMBER = 2**28  # bytes of one image, packed or unpacked
_MEMBER = re.compile(r"(.+?\.zip)@(.*)", re.IGNORECASE | re.DOTALL)
_opened: dict[str, ZipFile] = {}


def is_archive(path: str) -> bool:
    """Whether a path stands for an archive, which need not exist."""
    return path.lower().endswith(".zip") and not os.path.isdir(path)


def split_member(path: str) -> tuple[str, str] | None:
    """Archive and member of a path `ARCHIVE.zip@MEMBER`; None for any other path."""
    found = _MEMBER.fullmatch(path)
    if found is None or (not os.path.isfile(found.group(1)) and os.path.exists(path)):  # a folder may be named so
        return None
    return found.group(1), found.group(2)


def image_root(folder: str) -> str:
    """The folder or archive that has the images: `folder` itself, or else `folder`.zip; "" if there is neither."""
    if os.path.isdir(folder) or (is_archive(folder) and os.path.isfile(folder)):
        return folder
    return f"{folder}.zip" if os.path.isfile(f"{folder}.zip") else ""


def join_images(root: str, names: list[str]) -> list[str]:
    """The path of each image of a folder or archive; raises DataError if `root` is a broken archive."""
    if not is_archive(root):
        return [os.path.join(root, name) for name in names]
    _current(root)  # before workers are forked, so that they need not read the list of members
    return [f"{root}@{name}" for name in names]


def member_names(archive: str, below_top: bool = False) -> list[str]:
    """Names of all files in an archive but hidden ones, sorted; raises DataError for a broken archive.

    Args:
        below_top: without the one folder that all of them are in, if there is one.
    """
    opened = _current(archive)
    names = opened.visible()
    return [name.removeprefix(opened.top) for name in names] if below_top else names


def read_member(path: str, head: int = 0) -> bytes:
    """The content of the member `ARCHIVE.zip@MEMBER`, checked against its checksum.

    Args:
        head: read only about so many bytes from the start, which are not checked; 0 = all.

    Raises:
        DataError: the archive or member is missing, damaged, encrypted or too large, or the name is not allowed.
    """
    archive, name = split_member(path)
    if name_fault(name):
        raise image_fault(path, name_fault(name))
    opened = _opened.get(os.path.abspath(archive)) or _current(archive, path)
    stored = opened.stored_name(name)
    if stored is None:
        raise image_fault(path, "is not in the archive")
    member = opened.member(stored)
    if refusal(member, MAX_MEMBER):
        raise image_fault(path, refusal(member, MAX_MEMBER))
    try:
        return unpack_head(opened, member, head, min(head, member.size + 1)) if head else unpack(opened, member)
    except OSError as error:
        raise image_fault(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise image_fault(path, str(error)) from error


def image_exists(path: str) -> bool:
    """Whether a file or member is there; a broken archive has none."""
    return os.path.isfile(path) if split_member(path) is None else _find(path) is not None


def stored_size(path: str) -> int | None:
    """Bytes of an image file or of an unpacked member; None if it is not there."""
    if split_member(path):
        found = _find(path)
        return found and found[1].size
    return os.path.getsize(path) if os.path.isfile(path) else None


def image_facts(path: str) -> str:
    """What changes with an image: size and time of its file; for a member also its own size and checksum."""
    if split_member(path):
        found = _find(path)
        return "|".join(map(str, (*found[0].facts, found[1].size, found[1].checksum))) if found else "missing"
    try:
        facts = os.stat(path)
        return f"{facts.st_size}|{facts.st_mtime_ns}"
    except OSError:
        return "missing"


def real_path(path: str) -> str:
    """With links followed, and a member by the name that the archive has it under: one and the same for an image."""
    if split_member(path) is None:
        return os.path.realpath(path)
    (archive, name), found = split_member(path), _find(path)
    return f"{os.path.realpath(archive)}@{found[0].stored_name(name) if found else name}"


def image_name(path: str) -> str:
    """File name of an image without folders and archive."""
    return os.path.basename((split_member(path) or [path])[-1])


def name_fault(name: str) -> str:
    """Why a file name in an annotation or archive is refused; "" if it is fine."""
    if "\0" in name:
        return "holds a NUL character"
    if "\\" in name:
        return "holds a backslash; folders are separated by /"
    if name.startswith("/") or name[1:2] == ":":
        return "is an absolute path; it must be relative to the image folder"
    return "leaves the image folder" if ".." in re.split("[/@]", name) else ""


def image_fault(path: str, reason: str) -> DataError:
    """The one line about an image."""
    # a name that is not valid UTF-8 must not break the printing of the message
    return DataError(f"{path.encode('utf-8', 'backslashreplace').decode()}: {reason}")


def _current(archive: str, path: str = "") -> ZipFile:
    """The archive as it is on the disk now; raises DataError, about `path` if given."""
    key, fault = os.path.abspath(archive), path or archive
    try:
        facts = os.stat(key)
        if key not in _opened or _opened[key].facts != (facts.st_size, facts.st_mtime_ns):
            _opened[key] = open_zip(key)
        return _opened[key]
    except OSError as error:
        raise image_fault(fault, f"cannot be read: {error.strerror or error}") from error
    except NOT_SOUND as error:
        raise image_fault(fault, f"is no sound zip archive: {error}") from error


def _find(path: str) -> tuple[ZipFile, Member] | None:
    """Archive and entry of a member that is there."""
    archive, name = split_member(path)
    try:
        opened = _current(archive)
    except DataError:
        return None
    stored = opened.stored_name(name)
    return None if stored is None else (opened, opened.member(stored))
