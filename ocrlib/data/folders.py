"""A folder of labelled images, read in one go.

A file's stem is its label: ``226md.png`` shows ``226md``. Everything that is wrong in a folder is gathered first and then
reported at once, so that nobody has to mend a thousand files one error at a time. Nothing is ever written there.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ocrlib.data.images import SUFFIXES, Picture, read_image
from ocrlib.texts import Alphabet, first_few

ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz")
_NAMED = 5  # bad files spelled out; the rest is counted


@dataclass(frozen=True)
class LabelledImages:
    """``pixels`` (N, H, W) uint8 with ``names``, ``texts`` and ``hashes`` (see ``images.pixel_hash``), sorted by name.

    ``remarks`` are sentences for people: what was left out or had to be changed.
    """

    names: list[str]
    texts: list[str]
    pixels: np.ndarray
    hashes: list[str]
    remarks: list[str] = field(default_factory=list)


def read_folder(folder: str | Path, width: int, height: int) -> LabelledImages:
    """Read every PNG and JPEG file of a folder, shrunk to ``width`` x ``height`` pixels.

    Raises ``FileNotFoundError`` (missing or without images), ``NotADirectoryError``, ``PermissionError``, and ``ValueError``
    that lists the first unusable files with their number: no images, labels outside the alphabet, two files of one stem.
    """
    files, remarks = list_images(Path(folder))
    complaints = _check_labels(files)
    # Pillow lets go of Python's lock while it decodes, so a few threads help; more than four only wait for each other.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        results = list(pool.map(lambda file: try_read(file, width, height), files))
    for file, result in zip(files, results):
        if isinstance(result, Exception):
            complaints.setdefault(file.name, str(result))
    if complaints:
        raise ValueError(report(folder, complaints, len(files)))
    names = [file.name for file in files]
    remarks += _remarks_on(names, results)
    pixels = np.stack([picture.pixels for picture in results])
    return LabelledImages(names, [file.stem for file in files], pixels, [p.hash for p in results], remarks)


def try_read(file: Path, width: int, height: int) -> Picture | Exception:
    """What `read_image` finds in a file, or the error that it raises."""
    try:
        return read_image(file, width, height)
    except (OSError, ValueError) as error:
        return error


def list_images(folder: Path, inside: bool = True, labels: Path | None = None) -> tuple[list[Path], list[str]]:
    """Image files of a folder, sorted by name, and remarks on all else but a file ``labels``. Raises as `read_folder` does."""
    entries = _entries(folder)
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if _looks_like_image(entry)]
    read_otherwise = labels and labels.resolve()
    strangers = {entry.name for entry in entries if entry.resolve() != read_otherwise} - {file.name for file in files}
    others = sorted(name + ("/" if (folder / name).is_dir() else "") for name in strangers)
    if files:
        again = _doubled(folders, files)
        others = [name for name in others if name.rstrip("/") not in again]
        remarks = [f"The folder {name} in {folder} holds {n:,} of the same names again (as the Kaggle archive does): "
                   "each image was read once." for name, n in again.items()]  # fmt: skip
        if others:
            remarks.append(f"Left out of {folder}, because only PNG and JPEG files are read: {first_few(others)}.")
        return files, remarks
    filled = [entry for entry in folders if not _hidden(entry.name) and any(map(_looks_like_image, _entries(entry)))]
    if inside and len(filled) == 1:
        files, remarks = list_images(filled[0], inside=False, labels=labels)
        return files, [f"{folder} holds no images itself; those of {filled[0].name}/ inside it were read.", *remarks]
    raise FileNotFoundError(_no_images(folder, others, filled))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no folder {folder}. A folder of captcha images was expected: check the spelling."
        ) from None
    except NotADirectoryError:
        raise NotADirectoryError(
            f"{folder} is a file; a folder of captcha images (or a {', '.join(ARCHIVE_SUFFIXES)} archive of it) was expected. "
            "Name the folder the file lies in."
        ) from None
    except PermissionError:
        raise PermissionError(
            f"The folder {folder} may not be read. Ask its owner for permission, or change it (chmod +rx)."
        ) from None


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _looks_like_image(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES and not _hidden(entry.name) and not entry.is_dir()


def _doubled(folders: list[Path], files: list[Path]) -> dict[str, int]:
    """Sub-folders that repeat this folder's names, and how many of them."""
    names = {file.name for file in files}
    repeats = {entry.name: len(names & {f.name for f in _entries(entry)}) for entry in folders if not _hidden(entry.name)}
    return {name: n for name, n in repeats.items() if n}


def _no_images(folder: Path, others: list[str], filled: list[Path]) -> str:
    text = f"{folder} holds no images; PNG or JPEG files named by their text (226md.png) were expected. "
    archives = [name for name in others if name.lower().endswith(ARCHIVE_SUFFIXES)]
    if filled:
        return text + f"Name one of the folders in it that do: {first_few([entry.name for entry in filled])}."
    if archives:
        return text + f"Unpack {archives[0]}, or name the archive itself: root={str(folder / archives[0])!r}."
    return text + (f"It holds {first_few(others)}." if others else "It is empty.")


def _check_labels(files: list[Path]) -> dict[str, str]:
    """File name -> complaint, for the files whose stem cannot be a label."""
    symbols = Alphabet().symbols
    stems = Counter(file.stem for file in files)
    lengths = Counter(len(file.stem) for file in files)
    usual = max(lengths, key=lambda length: (lengths[length], length == 5))
    complaints = {}
    for file in files:
        stem = file.stem
        if wrong := set(stem) - set(symbols):
            complaints[file.name] = (
                f"{file.name} is not named by its text: it has {_describe(wrong)}, only {symbols} are known. "
                f"Rename it{f' to {stem.lower()}{file.suffix}' if not set(stem.lower()) - set(symbols) else ''}, or move it out."
            )
        elif len(stem) != usual:
            complaints[file.name] = (
                f"{file.name} has a text of {len(stem)} symbols, the other names have {usual}. Rename it, or move it out."
            )
        elif stems[stem] > 1:
            complaints[file.name] = f"{file.name} is one of {stems[stem]} files with the stem {stem}. Keep one of them."
    return complaints


def _describe(wrong: set[str]) -> str:
    if not all(symbol.isascii() for symbol in wrong):
        return f"symbols that are not ASCII ({ascii(''.join(sorted(wrong)))})"
    if " " in wrong:
        return "a space"
    if all(symbol.isupper() for symbol in wrong):
        return f"upper-case letters ({''.join(sorted(wrong))})"
    return f"symbols outside the alphabet ({''.join(sorted(wrong))})"


def report(folder: str | Path, complaints: dict[str, str], total: int) -> str:
    """The first complaints, by file name, of a folder of ``total`` files, and how many more there are."""
    lines = [f"  {complaint}" for complaint in list(complaints.values())[:_NAMED]]
    more = len(complaints) - _NAMED
    if more > 0:
        lines.append(f"  ... and {more:,} more.")
    return "\n".join([f"{len(complaints):,} of {total:,} files in {folder} cannot be used:", *lines, "No file was changed."])


def _remarks_on(names: list[str], pictures: list[Picture]) -> list[str]:
    """One sentence for each kind of oddity, so that a thousand palette images make one warning and not a thousand."""
    by_remark: dict[str, list[str]] = {}
    by_hash: dict[str, list[str]] = {}
    for name, picture in zip(names, pictures):
        by_hash.setdefault(picture.hash, []).append(name)
        for remark in picture.remarks:
            by_remark.setdefault(remark, []).append(name)
    same = [names for names in by_hash.values() if len(names) > 1]
    remarks = [f"{remark[0].upper()}{remark[1:]}: {first_few(which)}." for remark, which in by_remark.items()]
    if same:
        remarks.append(
            f"{first_few([' = '.join(names) for names in same])}: the same picture under several labels. "
            "Keep the right one, or a test image may be trained on."
        )
    return remarks
