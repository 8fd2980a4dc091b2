"""Unpacks the PNG and JPEG files of an archive.

Each is written by its bare name, whatever folder the archive puts it in. No other member is written, so paths that lead out
of the folder, links and devices can do no harm.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PureWindowsPath

from ocrlib.data.images import SUFFIXES

ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz")
MAX_BYTES = 200_000_000  # unpacked; the published set has 9 million
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, UnicodeError)


class BadArchive(ValueError):
    """An archive that is damaged, too large or not usable here; the message says which."""


def unpack(archive: str | Path, folder: str | Path) -> list[str]:
    """Unpacks the images of a .zip or .tar.gz file into a new folder; returns remarks for people.

    A name that comes twice (the Kaggle archive holds all images in two folders) is read once if the bytes are the same.
    Raises ``BadArchive`` (a ``ValueError``) for two different images of one name, for more than ``MAX_BYTES`` of content, and
    for a file that is damaged, cut off, locked with a password or no archive at all.
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True)
    total = again = 0
    try:
        for path, size, read in _members(archive):
            name = PureWindowsPath(path).name  # without / and \ and drive letters
            if name.startswith(".") or not name.isprintable() or not name.lower().endswith(SUFFIXES):
                continue
            total += size
            if total > MAX_BYTES:
                raise BadArchive(f"it unpacks to more than {MAX_BYTES:,} bytes")
            content, target = read(), folder / name
            if not target.exists():
                target.write_bytes(content)
            elif target.read_bytes() == content:
                again += 1
            else:
                raise BadArchive(f"it holds two different images named {name}")
    except BadArchive as error:
        raise BadArchive(f"{archive.name} was not unpacked: {error}. Get it again from a place you trust.") from error
    except _DAMAGE as error:
        raise BadArchive(f"{archive.name} is damaged or cut off ({error}). Download it again.") from error
    except RuntimeError as error:  # zipfile raises it for a password, and for a compression it does not know
        raise BadArchive(f"{archive.name} cannot be opened ({error}). An archive without a password was expected.") from error
    return [f"{archive.name} holds {again:,} images twice (as the Kaggle archive does): each was read once."] if again else []


def _members(archive: Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Path, size in bytes and a function that reads the content, for each plain file in the archive."""
    with open(archive, "rb") as file:
        start = file.read(16)  # the content decides, because servers send login pages under any name
        file.seek(0)
        if start[:2] == b"PK":
            with zipfile.ZipFile(file) as unzipped:
                for member in unzipped.infolist():
                    if not member.is_dir():
                        yield member.filename, member.file_size, partial(unzipped.read, member)
        elif start[:2] == b"\x1f\x8b":
            content = gzip.GzipFile(fileobj=file).read(MAX_BYTES + 1)  # at once, to bound headers and skipped members too
            if len(content) > MAX_BYTES:
                raise BadArchive(f"it unpacks to more than {MAX_BYTES:,} bytes")
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as opened:
                for info in opened:
                    if info.isfile():
                        yield info.name, info.size, lambda info=info: opened.extractfile(info).read()
        else:
            raise BadArchive(f"it is no zip or tar.gz archive (it begins with {start!r})")
