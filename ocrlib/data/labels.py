"""Reads label files as spreadsheets and other OCR tools write them, and finds the images that they name.

Known are CSV files (comma, semicolon, tab or bar) with a header or without, PaddleOCR's ``path<TAB>text``, EasyOCR's
``filename,words``, a space after the file's name, and JSON lines.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ocrlib.data.images import ALL_SUFFIXES
from ocrlib.texts import nfc

FILE_COLUMNS = {"file", "filename", "file_name", "filepath", "file_path", "path", "name", "image", "image_name", "image_path",
                "image_file", "img", "img_name", "img_path", "imgpath", "imagepath", "imagename"}  # fmt: skip
TEXT_COLUMNS = {"text", "words", "word", "label", "labels", "transcription", "transcript", "gt", "ground_truth", "groundtruth",
                "gt_text", "target", "sentence", "string", "value"}  # fmt: skip
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",  # these first: they begin with UTF-16's
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
_CODES = '"cp1252" (Western Europe), "cp1251" (Cyrillic), "gbk" (Chinese), "shift_jis" (Japanese)'
_AN_IMAGE = "|".join(re.escape(suffix) for suffix in ALL_SUFFIXES)
_SHOWN = 3  # faulty lines spelled out in an error; the others are counted


class Line(NamedTuple):
    """What line ``number`` (from 1) of a label file says: the image's ``file``, as written there, shows ``text``."""

    number: int
    file: str
    text: str


class _BadLine(ValueError):
    """A line that can't be read; the message says why and what to do, without the line's number."""


def read_labels(path: Path, encoding: str | None = None) -> list[Line]:
    """The lines of a label file, texts and names in NFC. Without an ``encoding`` UTF-8, and UTF-16 or UTF-32 with their mark.

    Raises ``FileNotFoundError`` when there is no file, and ``ValueError`` for another encoding, columns that aren't known, and
    lines that can't be read: with other columns than the first, with a stray quote.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no label file {path}. A CSV file with the columns file and text was expected.")
    # Not splitlines: a text may hold symbols, such as U+2028, that it takes for ends of lines.
    rows = re.split(r"\r\n|\n|\r", _decode(path, encoding))
    lines = [(number, row) for number, row in enumerate(rows, start=1) if row.strip(" \t;,|")]
    delimiters = "\t;,|"
    if lines and (hint := re.fullmatch(r"sep=(.)", lines[0][1].strip(" "))):  # which Excel writes and obeys
        delimiters = hint[1]
        del lines[0]
    has_header, parse = _layout(path, lines[0][1] if lines else "", delimiters)
    found, faults = [], []
    for number, row in lines[has_header:]:
        try:
            file, text = parse(row)
            found.append(Line(number, nfc(file.strip()), nfc(text.strip())))
        except _BadLine as error:
            faults.append(f"Line {number} of {path} {error}")
    if faults:
        more = [f"... and {len(faults) - _SHOWN:,} more lines."] if len(faults) > _SHOWN else []
        raise ValueError("\n".join([*faults[:_SHOWN], *more]))
    return found


def _decode(path: Path, encoding: str | None) -> str:
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        raise ValueError(f'{path} is a spreadsheet or an archive, not a text file. Save the table as "CSV UTF-8".')
    if encoding is None:
        encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8-sig")
        if encoding == "utf-8-sig" and (zero := content.find(b"\0")) >= 0:
            line, guess = content.count(b"\n", 0, zero) + 1, "utf-16-le" if zero % 2 else "utf-16-be"
            raise ValueError(f'Line {line} of {path} has zero bytes, as UTF-16 without its mark has. Try encoding="{guess}".')
    try:
        text = content.decode(encoding)
    except LookupError:
        raise ValueError(f"encoding={encoding!r} isn't known. Among others there are {_CODES}.") from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = len(re.split(rb"\r\n|\n|\r", content[:start]))
        cure = f'Save it as "CSV UTF-8", or name its encoding: load_folder(..., encoding=...), with {_CODES} or another'
        name, byte = encoding.removesuffix("-sig").upper(), content[start : start + 1].hex().upper()
        raise ValueError(f"Line {line} of {path} isn't {name} (byte 0x{byte}). {cure}.") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"Line {line} of {path} has zero bytes in {encoding}. Try another encoding.")
    return text.removeprefix("\ufeff")


def _layout(path: Path, first: str, delimiters: str) -> tuple[bool, Callable[[str], tuple[str, str]]]:
    """Whether the first line is a header, and a function from a line to (file, text), for what the first line looks like."""
    header: list[str] = []
    for delimiter in delimiters:
        columns = [re.sub(r"[\s-]+", "_", column.strip(' "').lower()) for column in first.split(delimiter)]
        files, texts = ([i for i, name in enumerate(columns) if name in known] for known in (FILE_COLUMNS, TEXT_COLUMNS))
        if files and texts:
            if columns == ["filename", "words"] and delimiter == ",":
                return True, _easyocr
            text = columns.index("text") if "text" in columns else texts[0]  # "label" beside it is mostly a class's number
            return True, partial(_cells, delimiter=delimiter, columns=len(columns), file=files[0], text=text)
        header = max(header, columns, key=len)
    if first.lstrip().startswith(("{", "[{")):
        return False, _json
    for delimiter in delimiters:
        if delimiter in first and first.split(delimiter)[0].strip(' "').lower().endswith(ALL_SUFFIXES):
            cells = partial(_cells, delimiter=delimiter, columns=2, file=0, text=1)
            return False, _paddleocr if delimiter == "\t" else cells
    if _SPACED.fullmatch(first):
        return False, _spaced
    names = ", ".join(header) if any(header) else "nothing"
    cure = "its first line should be: file,text (or, without a header, an image's name and its text)"
    raise ValueError(f"{path} has the columns {names}; {cure}.")


def _cells(row: str, delimiter: str, columns: int, file: int, text: int) -> tuple[str, str]:
    """Two cells of a CSV line. A line at a time, so that a stray quote can't swallow the lines after it."""
    try:
        cells = next(csv.reader([row.rstrip(" ")], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        cure = 'Put a text that begins with a quote in quotes, and double those inside it: "5"" pipe"'
        raise _BadLine(f'has a stray quote ("): {row!r}. {cure}.') from None
    if len(cells) != columns:
        cure = f'Put a text that holds {delimiter!r} in quotes: "1{delimiter}234"'
        raise _BadLine(f"has {len(cells)} columns, {columns} were expected: {row!r}. {cure}.")
    return cells[file], cells[text]


def _easyocr(row: str) -> tuple[str, str]:
    """EasyOCR's own reader takes all that follows the first comma for the text; a text in quotes is a spreadsheet's."""
    file, comma, text = row.partition(",")
    if not comma:
        raise _BadLine(f"has 1 column, 2 were expected: {row!r}.")
    return _cells(row, ",", 2, 0, 1) if text.startswith('"') or file.startswith('"') else (file, text)


def _paddleocr(row: str) -> tuple[str, str]:
    """A tab, and whatever follows it: quotes too stand for themselves."""
    cells = row.split("\t")
    if len(cells) != 2:
        raise _BadLine(f"has {len(cells)} columns, 2 were expected, with a tab between them: {row!r}.")
    if cells[1].lstrip().startswith('[{"'):
        raise _BadLine("lists places in a picture (PaddleOCR's detection labels); a text for each cropped picture was expected.")
    return cells[0], cells[1]


_SPACED = re.compile(rf"(.+?(?:{_AN_IMAGE})) (.*)", re.IGNORECASE)


def _spaced(row: str) -> tuple[str, str]:
    found = _SPACED.fullmatch(row)
    if not found:
        raise _BadLine(f"isn't an image's name, a space and a text: {row!r}.")
    return found[1], found[2]


def _json(row: str) -> tuple[str, str]:
    try:
        cells = json.loads(row)
        file, text = ([cells[name] for name in cells if name in known][0] for known in (FILE_COLUMNS, TEXT_COLUMNS))
    except (ValueError, TypeError, IndexError):
        raise _BadLine(f'is no JSON object such as {{"file": "a.png", "text": "AB"}}: {row!r}.') from None
    return str(file), "" if text is None else str(text)


class Finder:
    """Finds files by paths as label files write them, relative to the first of some folders that has them.

    A path may have either slash, either spelling of an accented letter (NFC or macOS's NFD), and no suffix.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = list(dict.fromkeys(places))
        self._listings: dict[Path, dict[str, Path]] = {}

    def find(self, file: str) -> Path | None:
        """The file of this path; None if no place has it."""
        for place in self.places:
            with contextlib.suppress(OSError, ValueError):  # of names that no file can have
                if (found := self._walk(place, file)) and found.is_file():
                    return found
        return None

    def _walk(self, place: Path, file: str) -> Path | None:
        exact, here = place / file, place
        if file and exact.is_file():
            return exact
        for part in PurePosixPath(file.replace("\\", "/")).parts:
            found = here.parent if part == ".." else self._listing(here).get(nfc(part))
            if found is None:
                return None
            here = found
        return here

    def _listing(self, folder: Path) -> dict[str, Path]:
        """Name in NFC -> entry, and the name without its suffix for images that no other image shares it with."""
        if folder not in self._listings:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
            images = [entry for entry in entries if entry.suffix.lower() in ALL_SUFFIXES]
            stems = [nfc(entry.stem) for entry in images]
            times = Counter(stems)
            alone = {stem: entry for stem, entry in zip(stems, images) if times[stem] == 1}
            self._listings[folder] = {**alone, **{nfc(entry.name): entry for entry in entries}}
        return self._listings[folder]
