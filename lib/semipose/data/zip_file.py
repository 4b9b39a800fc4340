"""A zip archive that threads and forked processes read at once.

The list of members is read once, into an array. Every read says where in the file it begins (pread): a handle with a
position of its own gives wrong bytes when it is shared over a fork.
"""

import os
import posixpath
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

_ENCRYPTED = 1  # bit of the flags
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER = struct.Struct("<4s22xHH")  # signature; lengths of the name and the extra field
_FORGED = 2**62  # no true value is near; one that is larger must not spoil the other members
NOT_SOUND = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error)


class Member(NamedTuple):
    """What an archive says of a member; sizes in bytes."""

    offset: int
    packed: int
    size: int
    checksum: int
    method: int
    flags: int


@dataclass(frozen=True)
class ZipFile:
    """An open archive.

    Attributes:
        facts: size in bytes and time of change (ns) when it was opened.
        rows: row of `table` by name; folders are left out.
        table: (M, 6) int64, columns as in `Member`.
        top: "folder/" if all members but hidden ones lie below one folder, else "".
    """

    file: BinaryIO
    facts: tuple[int, int]
    rows: dict[str, int]
    table: np.ndarray
    top: str

    def stored_name(self, name: str) -> str | None:
        """The name as given or else below the top folder; None if the archive has neither."""
        name = posixpath.normpath(name)
        return next((found for found in (name, self.top + name) if found in self.rows), None)

    def member(self, stored_name: str) -> Member:
        return Member(*self.table[self.rows[stored_name]].tolist())

    def visible(self) -> list[str]:
        """Names of all members but hidden ones, sorted."""
        return sorted(name for name in self.rows if not _is_hidden(name))


def open_zip(path: str) -> ZipFile:
    """Open an archive and read its list of members; raises OSError, or one of NOT_SOUND."""
    file = open(path, "rb", buffering=0)  # noqa: SIM115, it stays open
    facts = os.fstat(file.fileno())
    with zipfile.ZipFile(path) as content:
        members = [found for found in content.infolist() if not found.orig_filename.endswith("/")]
    # of several members of one name the last one counts, as for other tools
    rows = {_plain(found.orig_filename): row for row, found in enumerate(members)}
    values = [
        (found.header_offset, found.compress_size, found.file_size, found.CRC, found.compress_type, found.flag_bits)
        for found in members
    ]
    table = np.array([[min(value, _FORGED) for value in row] for row in values], np.int64)
    parts = [name.partition("/") for name in rows if not _is_hidden(name)]
    tops = {folder + slash if slash else "" for folder, slash, _ in parts}
    return ZipFile(file, (facts.st_size, facts.st_mtime_ns), rows, table, tops.pop() if len(tops) == 1 else "")


def refusal(member: Member, limit: int) -> str:
    """Why a member is not read; "" if it is."""
    if member.flags & _ENCRYPTED:
        return "is encrypted"
    if member.method not in _METHODS:
        return f"is packed by method {member.method}; allowed: 0 (stored), 8 (deflated)"
    largest = max(member.size, member.packed)
    return f"has {largest} bytes, more than the {limit} that are allowed" if largest > limit else ""


def unpack(archive: ZipFile, member: Member) -> bytes:
    """The content of a member.

    Raises:
        OSError: the file cannot be read.
        ValueError: the member is damaged or holds more than it declares; nothing beyond that is unpacked.
    """
    data = unpack_head(archive, member, member.packed, member.size + 1)
    if len(data) > member.size:
        raise ValueError("holds more than the size that the archive gives")
    if len(data) < member.size or zlib.crc32(data) != member.checksum:
        raise ValueError("is damaged in the archive")
    return data


def unpack_head(archive: ZipFile, member: Member, packed: int, size: int) -> bytes:
    """At most `size` bytes, from the first `packed` ones in the file; not checked. Errors as for `unpack`."""
    header = _read(archive.file, member.offset, _HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(b"PK\3\4"):
        raise ValueError("is not where the archive says it is")
    start = member.offset + _HEADER.size + sum(_HEADER.unpack(header)[1:])
    data = _read(archive.file, start, min(packed, member.packed))
    if member.method == zipfile.ZIP_STORED:
        return data[:size]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
    except zlib.error as error:
        raise ValueError("is damaged in the archive") from error


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), length, offset)
    with open(file.name, "rb") as again:  # Windows
        again.seek(offset)
        return again.read(length)


def _plain(name: str) -> str:
    """Without `./` and `//`; a name with `..` stays as it is, and is refused."""
    return name if ".." in name.split("/") else posixpath.normpath(name)


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)
