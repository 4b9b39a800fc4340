"""Bytes of images: a file, or a member of a zip archive by the path `train2017.zip@000000000009.jpg`."""

import os
import posixpath
import re
import struct
import zipfile
import zlib
from typing import NamedTuple

from semipose.errors import DataError

MAX_MEMBER = 2**28  # bytes of one image, packed or unpacked
_MEMBER = re.compile(r"(.+?\.zip)@(.*)", re.IGNORECASE | re.DOTALL)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others can unpack a few bytes to gigabytes at once
_ENCRYPTED = 1  # bit of the flags
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)


class Archive(NamedTuple):
    """An open archive.

    Attributes:
        facts: size in bytes and time of change (ns) when it was opened.
        members: by name, without folders. Of several members of one name the last one counts, as for other tools.
        top: "folder/" if all members but hidden ones lie below one folder, else "".
    """

    content: zipfile.ZipFile
    facts: tuple[int, int]
    members: dict[str, zipfile.ZipInfo]
    top: str

    def stored_name(self, name: str) -> str | None:
        """The name as given or else below the top folder; None if the archive has neither."""
        name = posixpath.normpath(name)
        return next((found for found in (name, self.top + name) if found in self.members), None)


# A handle is not shared over a fork: both sides would move its position. So each process opens its own.
_opened: dict[tuple[int, str], Archive] = {}


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
    _open(root)
    return [f"{root}@{name}" for name in names]


def member_names(archive: str, below_top: bool = False) -> list[str]:
    """Names of all files in an archive but hidden ones, sorted; raises DataError for a broken archive.

    Args:
        below_top: without the one folder that all of them are in, if there is one.
    """
    opened = _open(archive)
    names = sorted(name for name in opened.members if not _is_hidden(name))
    return [name.removeprefix(opened.top) for name in names] if below_top else names


def read_bytes(path: str, head: int = 0) -> bytes:
    """The content of an image file or member; a whole member is checked against its checksum.

    Args:
        head: read only so many bytes from the start; 0 = all.

    Raises:
        DataError: the file, archive or member is missing, damaged, encrypted or too large, or its name is not allowed.
    """
    try:
        if split_member(path):
            return _read_member(path, head)
        with open(path, "rb") as file:
            return file.read(head or -1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file system can hold
        raise image_fault(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def image_exists(path: str) -> bool:
    """Whether a file or member is there; a broken archive has none."""
    return stored_size(path) is not None


def stored_size(path: str) -> int | None:
    """Bytes of an image file or of an unpacked member; None if it is not there."""
    if split_member(path):
        found = _find(path)
        return found and found[1].file_size
    return os.path.getsize(path) if os.path.isfile(path) else None


def image_facts(path: str) -> str:
    """What changes with an image: size and time of its file; for a member also its own size and checksum."""
    if split_member(path):
        found = _find(path)
        return "|".join(map(str, (*found[0].facts, found[1].file_size, found[1].CRC))) if found else "missing"
    try:
        facts = os.stat(path)
        return f"{facts.st_size}|{facts.st_mtime_ns}"
    except OSError:
        return "missing"


def real_path(path: str) -> str:
    """One path for one image: links are followed, and a member has the name that the archive has it under."""
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


def _read_member(path: str, head: int) -> bytes:
    archive, name = split_member(path)
    if name_fault(name):
        raise image_fault(path, name_fault(name))
    opened = _open(archive, path)
    stored = opened.stored_name(name)
    if stored is None:
        raise image_fault(path, "is not in the archive")
    member = opened.members[stored]
    if _refusal(member):
        raise image_fault(path, _refusal(member))
    try:
        with opened.content.open(member) as file:
            # a size has to be given: without one, all that is packed is unpacked, whatever the list declares
            data = file.read(min(head or member.file_size, member.file_size))
    except _DAMAGED as error:
        raise image_fault(path, "is damaged in the archive") from error
    if not head and len(data) != member.file_size:
        raise image_fault(path, "is damaged in the archive")
    return data


def _refusal(member: zipfile.ZipInfo) -> str:
    """Why a member is not read; "" if it is."""
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in _METHODS:
        return f"is packed by method {member.compress_type}; allowed: 0 (stored), 8 (deflated)"
    largest = max(member.file_size, member.compress_size)
    return f"has {largest} bytes, more than the {MAX_MEMBER} that are allowed" if largest > MAX_MEMBER else ""


def _open(archive: str, path: str = "") -> Archive:
    """The archive as it is on the disk now; raises DataError, about `path` if given."""
    key, fault = (os.getpid(), os.path.abspath(archive)), path or archive
    try:
        facts = os.stat(key[1])
        if key not in _opened or _opened[key].facts != (facts.st_size, facts.st_mtime_ns):
            _opened[key] = _read_list(zipfile.ZipFile(key[1]), (facts.st_size, facts.st_mtime_ns))
        return _opened[key]
    except OSError as error:
        raise image_fault(fault, f"cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise image_fault(fault, f"is no sound zip archive: {error}") from error


def _read_list(content: zipfile.ZipFile, facts: tuple[int, int]) -> Archive:
    files = [member for member in content.infolist() if not member.orig_filename.endswith("/")]
    members = {_plain(member.orig_filename): member for member in files}
    parts = [name.partition("/") for name in members if not _is_hidden(name)]
    tops = {folder + slash if slash else "" for folder, slash, _ in parts}
    return Archive(content, facts, members, tops.pop() if len(tops) == 1 else "")


def _find(path: str) -> tuple[Archive, zipfile.ZipInfo] | None:
    """Archive and entry of a member that is there."""
    archive, name = split_member(path)
    try:
        opened = _open(archive)
    except DataError:
        return None
    stored = opened.stored_name(name)
    return None if stored is None else (opened, opened.members[stored])


def _plain(name: str) -> str:
    """Without `./` and `//`; a name with `..` stays as it is, and is refused."""
    return name if ".." in name.split("/") else posixpath.normpath(name)


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)
