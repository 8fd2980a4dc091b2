"""Images of your own: a folder of them with texts of any alphabet and length, and what to look at before training."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ocrlib.captchas import Captchas
from ocrlib.data.folders import list_images, report, try_read
from ocrlib.networks import HEIGHT, Network
from ocrlib.texts import Alphabet, ctc_min_steps, first_few

RARE = 10  # a symbol that occurs less often will hardly be learnt


def load_folder(
    folder: str | Path, width: int, labels: str | Path | None = None, alphabet: Alphabet | None = None, height: int = HEIGHT
) -> Captchas:
    """Every PNG and JPEG file of a folder, shrunk to ``width`` x ``height`` pixels, with its text.

    The text is the file's name up to the first underscore: ``A17_1.png`` and ``A17_2.png`` both show ``A17``. Or ``labels``
    names a CSV file with a header and the columns ``file`` and ``text``. Texts may have any length; with an ``alphabet`` only
    its symbols. Nothing is written; what else lies in the folder is said in a warning.

    Raises ``FileNotFoundError`` and ``PermissionError`` for a folder or a CSV file that can't be read, and ``ValueError``
    that lists the first unusable files with their number: damaged ones, empty texts, symbols outside the alphabet, files
    without a line and lines without a file.
    """
    folder = Path(folder)
    files, remarks = list_images(folder, labels=labels and Path(labels))
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    texts = {file.name: file.stem.partition("_")[0] for file in files} if labels is None else _read_labels(Path(labels))
    complaints: dict[str, str] = {}
    pictures = []
    for file in files:
        if file.name not in texts:
            complaints[file.name] = f"{file.name} has no line in {labels}. Add one, or move the file out."
        elif complaint := _complaint(texts[file.name], alphabet):
            complaints[file.name] = f"{file.name}: {complaint}"
        picture = try_read(file, width, height)
        if isinstance(picture, Exception):
            complaints.setdefault(file.name, str(picture))
        pictures.append(picture)
    for name in sorted(texts.keys() - {file.name for file in files}):
        complaints[name] = f"{name} stands in {labels}, but there is no such file. Remove its line, or add the file."
    if complaints:
        raise ValueError(report(folder, complaints, len({file.name for file in files} | texts.keys())))
    names = [file.name for file in files]
    pixels = torch.from_numpy(np.stack([picture.pixels for picture in pictures])).unsqueeze(1)
    return Captchas(pixels, [texts[name] for name in names], names, "real", f"{len(files):,} images of your own")


def alphabet_of(texts: Sequence[str]) -> Alphabet:
    """The alphabet of all symbols in the texts, sorted. Raises ``ValueError`` when there is none."""
    return Alphabet("".join(sorted(set("".join(texts)))))


def check_up(captchas: Captchas, network: type[Network]) -> list[str]:
    """What to mend or to know before training ``network`` on these images, in sentences; none if all is well.

    Looks at texts too long for the network's steps, texts of several lengths, rare symbols, equal pictures under several
    texts, faint pictures and too few images.
    """
    found, texts = [], captchas.texts
    alphabet, width = alphabet_of(texts), captchas.images.shape[3]
    model = network(classes=len(alphabet))
    steps, lengths = model.steps(width), {len(text) for text in texts}
    needed = max(map(ctc_min_steps, texts)) if model.objective == "CTC" else max(lengths)
    if needed > steps:
        longest = max(texts, key=ctc_min_steps)
        found.append(f"{longest!r} needs {needed} steps, {network.__name__} has {steps} at width {width}: load wider images.")
    if model.objective != "CTC" and lengths != {steps}:
        have = f"{min(lengths)} to {max(lengths)}" if len(lengths) > 1 else f"{min(lengths)}"
        found.append(f"{network.__name__} reads exactly {steps} symbols, the texts have {have}: take a network for CTC.")
    counts = Counter("".join(texts))
    rare = [f"{symbol} ({counts[symbol]})" for symbol in alphabet.symbols if counts[symbol] < RARE]
    if rare:
        found.append(f"Symbols that occur fewer than {RARE} times: {first_few(rare)}. Add images of them.")
    by_pixels: dict[bytes, set[str]] = {}
    for image, text in zip(captchas.images, texts):
        by_pixels.setdefault(image.numpy().tobytes(), set()).add(text)
    same = [" = ".join(sorted(group)) for group in by_pixels.values() if len(group) > 1]
    if same:
        found.append(f"The same picture under several texts: {first_few(same)}. One of them is wrong.")
    copies = len(texts) - len(by_pixels)
    if copies:
        found.append(f"{copies:,} pictures come more than once: a test image may be trained on. Keep one of each.")
    contrast = captchas.images.flatten(1).float().std(1)
    faint = [captchas.names[i] for i in (contrast < 5).nonzero().flatten().tolist()]
    if faint:
        found.append(f"Pictures with hardly anything in them: {first_few(faint)}.")
    if len(texts) < 100:
        found.append(f"{len(texts)} images are few: with less than a hundred expect errors, and hold some back to count them.")
    return found


def _complaint(text: str, alphabet: Alphabet | None) -> str | None:
    if not text:
        return "its text is empty. Give it one, or move the file out."
    if alphabet and (wrong := set(text) - set(alphabet.symbols)):
        return f"its text {text!r} has {''.join(sorted(wrong))!r}, which is not in the alphabet {alphabet.symbols!r}."
    return None


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
            if name in texts and texts[name] != text:
                raise ValueError(f"Line {number} of {path} says {text!r} for {name}, a line before it {texts[name]!r}. Keep one.")
            texts[name] = text
    return texts
