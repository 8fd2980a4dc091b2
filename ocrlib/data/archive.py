"""Unpacks the images of an archive, and nothing else.

torchvision's ``extract_archive`` writes every member of an archive, wherever its name points and however large it is. This
one takes plain PNG and JPEG files alone, by their bare names, and stops at anything that looks like an attack.
"""

from __future__ import annotations

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from ocrlib.data.images import SUFFIXES

MAX_MEMBERS = 20_000
MAX_BYTES = 200_000_000  # unpacked; the published set has 9 million
MAX_FILE = 5_000_000  # one image; a published one has 9,000
_BLOCK = 1 << 16
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, UnicodeError)


class BadArchive(ValueError):
    """An archive that is damaged, or that no honest person would make; the message says which."""


def unpack(archive: str | Path, folder: str | Path) -> list[str]:
    """Unpack the images of a .zip or .tar.gz file into a new folder; returns remarks for people.

    A name that comes twice (the Kaggle archive holds all images in two folders) is read once if the bytes are the same.
    Raises ``BadArchive`` (a ``ValueError``) for ``../`` and absolute paths, links, devices, bombs, two different images of
    one name, and for a file that is cut off or no archive at all.
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True)
    again = 0
    try:
        with open(archive, "rb") as file:
            for name, content in _images(file):
                path = folder / name
                if path.exists():
                    if path.read_bytes() != content:
                        raise BadArchive(f"it holds two different images named {name}")
                    again += 1
                else:
                    path.write_bytes(content)
    except BadArchive as error:
        raise BadArchive(f"{archive.name} was not unpacked: {error}. Get it again from a place you trust.") from error
    except _DAMAGE as error:
        raise BadArchive(f"{archive.name} is damaged or cut off ({error}). Download it again.") from error
    except RuntimeError as error:  # zipfile's word for a password
        raise BadArchive(f"{archive.name} cannot be opened ({error}). An archive without a password was expected.") from error
    return [f"{archive.name} holds {again:,} images twice (as the Kaggle archive does): each was read once."] if again else []


def _images(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Bare name and bytes of each image. Goes by the content: servers send login pages under any name."""
    start = file.read(16)
    file.seek(0)
    if start[:2] == b"PK":
        return _zip_images(file)
    if start[:2] == b"\x1f\x8b":
        return _tar_images(file)
    raise BadArchive(f"it is no zip or tar.gz archive (it begins with {start!r})")


def _zip_images(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise _too_many()
        total = 0
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the packer did not note it
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadArchive(f"{member.filename!r} is a link or a device, a plain file was expected")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadArchive(f"{member.filename!r} is packed in an unusual way (type {member.compress_type})")
            name = _bare_name(member.filename)
            if member.is_dir() or name is None:
                continue
            total += _check_size(member.filename, member.file_size, total)
            with archive.open(member) as image:
                yield name, _read(image, member.filename, member.file_size)


def _tar_images(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    # As a stream: nothing is sought, so what has been unpacked can be counted, headers included.
    with gzip.GzipFile(fileobj=file) as unzipped, tarfile.open(fileobj=_Counted(unzipped), mode="r|") as archive:
        total = 0
        for count, member in enumerate(archive, start=1):
            if count > MAX_MEMBERS:
                raise _too_many()
            if not (member.isfile() or member.isdir()):
                raise BadArchive(f"{member.name!r} is a link or a device, a plain file was expected")
            # Before the next member is looked for, because that would unpack this one.
            total += _check_size(member.name, member.size, total)
            name = _bare_name(member.name)
            if member.isfile() and name is not None:
                yield name, _read(archive.extractfile(member), member.name, member.size)


def _bare_name(path: str) -> str | None:
    """The last part of a member's path, or ``None`` for what is no image. Raises on paths that lead out of the folder."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if ".." in parts or path.startswith(("/", "\\")) or ":" in path or not path.isprintable():
        raise BadArchive(f"the path {path!r} leads out of the folder it is unpacked into")
    hidden = "__MACOSX" in parts or not parts or parts[-1].startswith(".")
    return None if hidden or not parts[-1].lower().endswith(SUFFIXES) else parts[-1]


def _check_size(name: str, size: int, total: int) -> int:
    if size > MAX_FILE or total + size > MAX_BYTES:
        raise BadArchive(
            f"{name!r} is too large: {size:,} bytes after {total:,} (at most {MAX_FILE:,} and {MAX_BYTES:,}: a bomb?)"
        )
    return size


def _too_many() -> BadArchive:
    return BadArchive(f"it holds more than {MAX_MEMBERS:,} members (a bomb?)")


def _read(image: IO[bytes] | None, name: str, size: int) -> bytes:
    content = image.read(size) if image else b""
    if len(content) != size:
        raise EOFError(f"{name} has {len(content):,} of {size:,} bytes")
    return content


class _Counted:
    """Hands on at most ``MAX_BYTES`` unpacked bytes, in small blocks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_BYTES + MAX_MEMBERS * 1024  # each member has a header and padding of up to 512 bytes each

    def read(self, size: int) -> bytes:
        content = self._stream.read(min(size, _BLOCK))
        self._left -= len(content)
        if self._left < 0:
            raise BadArchive(f"it unpacks to more than {MAX_BYTES:,} bytes (a bomb?)")
        return content
