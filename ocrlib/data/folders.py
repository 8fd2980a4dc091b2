"""Reads a folder, or an archive, of labelled images.

A file's stem is its label: ``226md.png`` shows ``226md``. All faults in a folder are reported in one error; no file is changed.
From an archive only PNG and JPEG files are taken, each by its bare name: paths that lead elsewhere and links do no harm.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

from torch import Tensor

from ocrlib.captchas import to_tensor
from ocrlib.data.images import ALL_SUFFIXES, SUFFIXES, Picture, read_image, remarks_on
from ocrlib.texts import Alphabet, first_few, nfc

ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz")
MAX_BYTES = 200_000_000  # of an unpacked archive; the published set has 9 million
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, UnicodeError)
# abcde (1).png, abcde(1).png, abcde - Copy (2).png, abcde copy 2.png, abcde (another copy).png: as file managers name copies.
_COPY = r"copy|another copy|\d(?:st|nd|rd|th) copy|kopie|copie|copia|c\u00f3pia|\u043a\u043e\u043f\u0438\u044f"
_COPY = rf"copy of (.+)|(.+?)(?: [-\u2013\u2014] | )\(?(?:{_COPY})\)?(?: ?\(?\d+\)?)?|(.+?) ?\(\d+\)"
_NAMED = 5  # faulty files spelled out in an error; the others are counted


class BadArchive(ValueError):
    """An archive that is damaged, too large or not usable here; the message says which."""


class LabelledImages(NamedTuple):
    """``images`` (N, 1, H, W) uint8 with ``names``, ``texts`` and ``hashes`` (see `pixel_hash`), sorted by name; and
    ``remarks``, sentences on what was left out or converted."""

    names: list[str]
    texts: list[str]
    images: Tensor
    hashes: list[str]
    remarks: list[str]


def read_folder(place: str | Path, width: int, height: int) -> LabelledImages:
    """Reads every PNG and JPEG file of a folder or an archive, resized to ``width`` x ``height`` pixels.

    Raises ``FileNotFoundError`` (missing or without images), ``NotADirectoryError``, ``PermissionError``, and ``ValueError``
    for an archive that cannot be unpacked, and for unusable files, of which it lists the first: no images, labels outside the
    alphabet, two files of one stem.
    """
    place = Path(place)
    if place.is_file() and place.name.lower().endswith(ARCHIVE_SUFFIXES):
        with TemporaryDirectory() as work:
            remarks = unpack(place, Path(work, place.name))
            try:
                found = read_folder(Path(work, place.name), width, height)
            except (OSError, ValueError) as error:  # the archive is named, not the folder it was unpacked in
                raise type(error)(str(error).replace(work, str(place.parent))) from None
            return found._replace(remarks=[*remarks, *found.remarks])
    files, remarks = list_images(place)
    names = [file.name for file in files]
    pictures = read_files(place, dict(zip(names, files)), _label_faults(files), width, height)
    hashes = [picture.hash for picture in pictures]
    remarks += [*remarks_on(names, pictures), *_equal_pictures(names, hashes)]
    return LabelledImages(names, [file.stem for file in files], to_tensor([p.pixels for p in pictures]), hashes, remarks)


def list_images(
    folder: Path, known: Collection[Path] = (), look_inside: bool = True, suffixes: tuple[str, ...] = SUFFIXES, hint: str = ""
) -> tuple[list[Path], list[str]]:
    """The image files of a folder, sorted by name, and remarks on what else lies there, files and folders ``known`` excepted.

    If the folder has no images, but one folder inside it has, those are taken. ``hint`` is said if several have.
    Raises as `read_folder` does.
    """
    entries = _entries(folder)
    files = [entry for entry in entries if _is_image(entry, suffixes)]
    folders = [entry for entry in entries if entry.is_dir() and not _is_hidden(entry)]
    names = {file.name for file in files}
    again = {entry: n for entry in folders if (n := len(names & {inside.name for inside in _entries(entry)}))}
    read, mentioned = {*files, *again}, {path.resolve() for path in known}
    others = [entry for entry in entries if entry not in read and entry.resolve() not in mentioned]
    left = sorted(entry.name + "/" * entry.is_dir() for entry in others)
    if files:
        why = "of the same names again (as the Kaggle archive does): each image was read once."
        remarks = [f"The folder {entry.name} in {folder} holds {n:,} {why}" for entry, n in again.items()]
        if left:
            what = "PNG and JPEG files" if suffixes == SUFFIXES else "image files in the folder itself"
            remarks.append(f"Left out of {folder}, because only {what} are read: {first_few(left)}.")
        return files, remarks
    filled = [entry for entry in folders if any(_is_image(inside, suffixes) for inside in _entries(entry))]
    if look_inside and len(filled) == 1:
        files, remarks = list_images(filled[0], known, look_inside=False, suffixes=suffixes)
        return files, [f"{folder} holds no images itself; those of {filled[0].name}/ inside it were read.", *remarks]
    why = f"{folder} holds no images; PNG or JPEG files named by their text (226md.png) were expected. "
    if filled:
        why += f"Name one of the folders in it that do: {first_few([entry.name for entry in filled])}.{hint}"
    elif archives := [name for name in left if name.lower().endswith(ARCHIVE_SUFFIXES)]:
        why += f"Unpack {archives[0]}, or name the archive itself: root={str(folder / archives[0])!r}."
    else:
        why += f"It holds {first_few(left)}." if left else "It is empty."
    raise FileNotFoundError(why)


def list_below(folder: Path) -> list[Path]:
    """The image files of a folder and of all folders below it, hidden ones and links to folders excepted."""
    files = []
    for entry in _entries(folder):
        if _is_image(entry, ALL_SUFFIXES):
            files.append(entry)
        elif entry.is_dir() and not _is_hidden(entry) and not entry.is_symlink():
            files += list_below(entry)
    return files


def read_files(
    folder: str | Path, files: Mapping[str, Path], faults: dict[str, str], width: int, height: int, **options: object
) -> list[Picture]:
    """Reads image files of a folder (name -> file), in their order, each with `read_image` and its options.

    ``faults`` (name -> sentence) are known already. Raises ``ValueError`` that counts all faulty files and lists the first.
    """

    def read(file: Path) -> Picture | Exception:
        try:
            return read_image(file, width, height, **options)
        except (OSError, ValueError) as error:
            return error

    # Pillow releases Python's lock while it decodes, so a few threads help; more than four only wait for each other.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        results = list(pool.map(read, files.values()))
    unreadable = {name: str(result) for name, result in zip(files, results) if isinstance(result, Exception)}
    if faults := {**unreadable, **faults}:
        total = len(files.keys() | faults.keys())
        lines = [f"{len(faults):,} of {total:,} files in {folder} cannot be used:"]
        lines += [f"  {faults[name]}" for name in sorted(faults)[:_NAMED]]
        if len(faults) > _NAMED:
            lines.append(f"  ... and {len(faults) - _NAMED:,} more.")
        raise ValueError("\n".join([*lines, "No file was changed."]))
    return results


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except FileNotFoundError:
        why = f"There is no folder {folder}. A folder of captcha images was expected: check the spelling."
        raise FileNotFoundError(why) from None
    except NotADirectoryError:
        also = f"`load_captchas` also takes an archive of it ({', '.join(ARCHIVE_SUFFIXES)})"
        raise NotADirectoryError(f"{folder} is a file; a folder of captcha images was expected, {also}.") from None
    except PermissionError:
        why = f"The folder {folder} may not be read. Ask its owner for permission, or change it (chmod +rx)."
        raise PermissionError(why) from None


def _is_hidden(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.name == "__MACOSX"


def _is_image(entry: Path, suffixes: tuple[str, ...]) -> bool:
    return entry.suffix.lower() in suffixes and not _is_hidden(entry) and not entry.is_dir()


def copy_remark(stem: str) -> str:
    """A sentence if a file's stem, or its text, looks like the name of a copy: "abcde (1)"; else an empty string."""
    found = re.fullmatch(_COPY, nfc(stem), re.IGNORECASE)
    original = found and next(filter(None, found.groups()))
    return f"It looks like the name of a copy of {original!r}. " if original else ""


def _label_faults(files: list[Path]) -> dict[str, str]:
    """File name -> what is wrong with its stem as a label, for the files that have such a fault."""
    symbols = Alphabet().symbols
    stems, lengths = Counter(file.stem for file in files), Counter(len(file.stem) for file in files)
    usual = max(lengths, key=lambda length: (lengths[length], length == 5))
    faults = {}
    for file in files:
        name, stem = file.name, file.stem
        if wrong := set(stem) - set(symbols):
            new = "" if set(stem.lower()) - set(symbols) else f" to {stem.lower()}{file.suffix}"
            what = f"it has {ascii(''.join(sorted(wrong)))}, only {symbols} are known"
            faults[name] = f"{name} is not named by its text: {what}. {copy_remark(stem)}Rename it{new}, or move it out."
        elif len(stem) != usual:
            faults[name] = f"{name} has a text of {len(stem)} symbols, the other names have {usual}. Rename it, or move it out."
        elif stems[stem] > 1:
            faults[name] = f"{name} is one of {stems[stem]} files with the stem {stem}. Keep one of them."
    return faults


def _equal_pictures(names: list[str], hashes: list[str]) -> list[str]:
    by_hash: dict[str, list[str]] = {}
    for name, pixels in zip(names, hashes):
        by_hash.setdefault(pixels, []).append(name)
    same = [" = ".join(which) for which in by_hash.values() if len(which) > 1]
    cure = "Keep the right one, or a test image may be trained on."
    return [f"{first_few(same)}: the same picture under several labels. {cure}"] if same else []


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
