"""Images of your own: reads a folder of them with texts of any alphabet and length, and checks them before training."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ocrlib.captchas import Captchas, to_tensor
from ocrlib.data.folders import list_images, read_files
from ocrlib.networks import HEIGHT, Network
from ocrlib.objectives import objective_of
from ocrlib.texts import Alphabet, first_few

RARE = 10  # a symbol that occurs less often will hardly be learnt


def load_folder(
    folder: str | Path, width: int, labels: str | Path | None = None, alphabet: Alphabet | None = None, height: int = HEIGHT
) -> Captchas:
    """Every PNG and JPEG file of a folder, resized to ``width`` x ``height`` pixels, with its text.

    The text is the file's name up to the first underscore: ``A17_1.png`` and ``A17_2.png`` both show ``A17``. Or ``labels``
    names a CSV file with a header and the columns ``file`` and ``text``. Texts may have any length; with an ``alphabet`` only
    its symbols. No file is changed. A warning names what else lies in the folder.

    Raises ``FileNotFoundError`` and ``PermissionError`` for a folder or a CSV file that can't be read, and ``ValueError``
    that lists the first unusable files with their number: damaged ones, empty texts, symbols outside the alphabet, files
    without a line and lines without a file.
    """
    files, remarks = list_images(Path(folder), labels and Path(labels))
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    names = [file.name for file in files]
    texts = {file.name: file.stem.partition("_")[0] for file in files} if labels is None else _read_labels(Path(labels))
    faults = {name: f"{name} stands in {labels}, but there is no such file. Remove its line, or add the file."
              for name in texts.keys() - set(names)}  # fmt: skip
    for name in names:
        if name not in texts:
            faults[name] = f"{name} has no line in {labels}. Add one, or move the file out."
        elif not texts[name]:
            faults[name] = f"{name}: its text is empty. Give it one, or move the file out."
        elif alphabet and (wrong := "".join(sorted(set(texts[name]) - set(alphabet.symbols)))):
            faults[name] = f"{name}: its text {texts[name]!r} has {wrong!r}, which is not in the alphabet {alphabet.symbols!r}."
    images = to_tensor([picture.pixels for picture in read_files(folder, files, faults, width, height)])
    return Captchas(images, [texts[name] for name in names], names, "real", f"{len(files):,} images of your own")


def _read_labels(path: Path) -> dict[str, str]:
    """File name -> text, from a CSV file with the columns ``file`` and ``text``."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. A CSV file with the columns file and text was expected.")
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"file", "text"} <= set(rows.fieldnames or ()):
            header = ", ".join(rows.fieldnames or ()) or "nothing"
            raise ValueError(f"{path} has the columns {header}; its first line should be: file,text")
        texts: dict[str, str] = {}
        for number, row in enumerate(rows, start=2):
            name, text = (row["file"] or "").strip(), (row["text"] or "").strip()
            if texts.setdefault(name, text) != text:
                raise ValueError(f"Line {number} of {path} says {text!r} for {name}, a line before it {texts[name]!r}. Keep one.")
    return texts


def alphabet_of(texts: Sequence[str]) -> Alphabet:
    """The alphabet of all symbols in the texts, sorted. Raises ``ValueError`` when there is none."""
    return Alphabet("".join(sorted(set("".join(texts)))))


def check_up(captchas: Captchas, network: type[Network]) -> list[str]:
    """What to mend or to know before training ``network`` on these images, in sentences; none if all is well.

    Looks at texts too long for the network's steps, texts of several lengths, rare symbols, equal pictures under several
    texts, faint pictures and too few images.
    """
    texts, alphabet = captchas.texts, alphabet_of(captchas.texts)
    model = network(classes=len(alphabet))
    found = objective_of(model, alphabet).misfits(model, captchas.images.shape[3], texts)
    counts = Counter("".join(texts))
    if rare := [f"{symbol} ({counts[symbol]})" for symbol in alphabet.symbols if counts[symbol] < RARE]:
        found.append(f"Symbols that occur fewer than {RARE} times: {first_few(rare)}. Add images of them.")
    by_pixels: dict[bytes, set[str]] = {}
    for image, text in captchas:
        by_pixels.setdefault(image.numpy().tobytes(), set()).add(text)
    if same := [" = ".join(sorted(group)) for group in by_pixels.values() if len(group) > 1]:
        found.append(f"The same picture under several texts: {first_few(same)}. One of them is wrong.")
    if copies := len(texts) - len(by_pixels):
        found.append(f"{copies:,} pictures come more than once: a test image may be trained on. Keep one of each.")
    contrast = captchas.images.flatten(1).float().std(1)
    if faint := [captchas.names[i] for i in (contrast < 5).nonzero().flatten().tolist()]:
        found.append(f"Pictures with hardly anything in them: {first_few(faint)}.")
    if len(texts) < 100:
        found.append(f"{len(texts)} images are few: with less than a hundred expect errors, and hold some back to count them.")
    return found
