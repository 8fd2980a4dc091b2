"""Images of your own: reads a folder of them with texts of any alphabet and length, and checks them before training."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ocrlib.captchas import Captchas, to_tensor
from ocrlib.data.folders import copy_remark, list_below, list_images, read_files
from ocrlib.data.images import ALL_SUFFIXES, check_options, remarks_on
from ocrlib.data.labels import Finder, read_labels
from ocrlib.data.pixels import FAINT, has_wide_margins, ink_side
from ocrlib.data.symbols import name_of, symbol_remarks
from ocrlib.networks import HEIGHT, Network
from ocrlib.objectives import objective_of
from ocrlib.runtime import Remark
from ocrlib.texts import Alphabet, first_few, nfc

RARE = 10  # a symbol that occurs less often will hardly be learnt


def load_folder(
    folder: str | Path, width: int, labels: str | Path | None = None, alphabet: Alphabet | None = None, height: int = HEIGHT, *,
    text_from: str = "name", subfolders: bool = False, encoding: str | None = None,
    fit: str = "stretch", polarity: str = "keep", frame: int | None = None,
) -> Captchas:  # fmt: skip
    """Every image file of a folder, brought to ``width`` x ``height`` pixels, with its text.

    The text is the file's name up to the first underscore: ``A17_1.png`` and ``A17_2.png`` both show ``A17``. With
    ``text_from="folder"`` it is the name of the sub-folder that the file lies in. Or ``labels`` names a label file: CSV with
    the columns ``file`` and ``text``, or as other tools write them (`ocrlib.data.labels`), its paths relative to the folder or
    to the label file; ``encoding`` is needed only for old ones. ``subfolders=True`` reads the folders below too.

    ``fit``, ``polarity`` and ``frame`` are explained at `ocrlib.data.pixels.fit_pixels` and `ocrlib.data.images.read_image`:
    ``fit="pad"`` keeps the aspect ratio and gives the captchas their ``widths``; ``polarity="auto"`` turns light writing dark.

    Texts may have any length; with an ``alphabet`` only its symbols. Texts and names are in Unicode's NFC. No file is changed.
    Warnings say what else lies in the folder, what was converted, and which symbols can't be seen.

    Raises ``FileNotFoundError`` and ``PermissionError`` for a folder or a label file that can't be read, and ``ValueError``
    for wrong arguments and for a label file that can't be understood (the line is named); also one that lists the first
    unusable files with their number: damaged ones, empty texts, names of copies, symbols outside the alphabet, files without a
    line and lines without a file.
    """
    if text_from not in ("name", "folder") or (labels is not None and text_from == "folder"):
        raise ValueError(f'text_from={text_from!r}: "name" or, without a label file, "folder" was expected.')
    check_options(width, height, fit, polarity, frame)
    folder = Path(folder).expanduser()
    known = alphabet.symbols if alphabet else ""
    if labels is not None:
        files, texts, faults, remarks = _by_label_file(folder, Path(labels).expanduser(), encoding, subfolders)
    else:
        files, texts, faults, remarks = _by_name(folder, text_from, subfolders or text_from == "folder", known)
    for name, text in texts.items():
        if not text:
            faults[name] = f"{name}: its text is empty. Give it one, or move the file out."
        elif alphabet and (wrong := sorted(set(text) - set(known))):
            spelled = ", ".join(name_of(symbol) for symbol in wrong)
            faults.setdefault(name, f"{name}: its text {text!r} has {spelled!r}, which is not in the alphabet {known!r}.")
    pictures = read_files(folder, files, faults, width, height, fit=fit, polarity=polarity, frame=frame)
    names, texts = list(files), [texts[name] for name in files]
    for remark in [*remarks, *remarks_on(names, pictures), *symbol_remarks(texts, names, known)]:
        warnings.warn(remark, Remark, stacklevel=2)
    widths = torch.tensor([picture.shown for picture in pictures]) if fit == "pad" else None
    images = to_tensor([picture.pixels for picture in pictures])
    return Captchas(images, texts, names, "own", f"{len(files):,} images of your own", widths)


Found = tuple[dict[str, Path], dict[str, str], dict[str, str], list[str]]  # name -> file, -> text, -> fault; remarks


def _by_name(folder: Path, text_from: str, subfolders: bool, known: str) -> Found:
    """The images of a folder, with texts from the names of files or folders."""
    if subfolders:
        paths, remarks = _below(folder), []
    else:
        hint = ' Or read them all: subfolders=True; if their names are the texts: text_from="folder".'
        paths, remarks = list_images(folder, suffixes=ALL_SUFFIXES, hint=hint)
    files, faults = _named(paths, folder if subfolders else paths[0].parent)
    texts = {}
    for name, file in files.items():
        text = texts[name] = nfc(file.stem.partition("_")[0] if text_from == "name" else file.parent.name).strip()
        if text_from == "folder" and file.parent == folder:
            faults[name] = f"{name} lies in no sub-folder of {folder}, so none gives its text. Move it into one, or out."
        elif not set(text) <= set(known) and text_from == "name" and (copy := copy_remark(text)):
            cure = f"Move it out, or name it by its text and a number (A17_1.png); if its text is {text!r}, take a label file"
            faults[name] = f"{name}: its text would be {text!r}. {copy}{cure}."
        elif text.isprintable() and Path(text).suffix.lower() in ALL_SUFFIXES:
            faults[name] = f"{name} has two suffixes; its text would be {text!r}. Rename it."
    return files, texts, faults, remarks


def _by_label_file(folder: Path, labels: Path, encoding: str | None, subfolders: bool) -> Found:
    """The images that a label file names, and those without a line that lie beside them."""
    lines = read_labels(labels, encoding)
    finder = Finder([folder, labels.parent, folder.parent])
    found = [finder.find(line.file) for line in lines]
    beside = {path.parent.resolve(): path.parent for path in found if path}
    try:
        known = [labels, *beside.values(), *(parent for path in beside.values() for parent in path.parents)]
        paths, remarks = list_images(folder, known, look_inside=not beside, suffixes=ALL_SUFFIXES)
    except FileNotFoundError:
        if not beside:
            raise
        paths, remarks = [], []
    if not beside:  # bare names, and the images lie in the only folder inside
        finder = Finder([paths[0].parent, *finder.places])
        found = [finder.find(line.file) for line in lines]
    for place in beside.values():
        if place.resolve() != folder.resolve():
            paths += list_images(place, suffixes=ALL_SUFFIXES)[0]
    if subfolders:
        paths = list({_real(path): path for path in [*paths, *_below(folder)]}.values())
    files, faults = _named(paths, folder if beside or subfolders else paths[0].parent)
    name_by_path = {_real(path): name for name, path in files.items()}
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for line, path in zip(lines, found):
        if path is None or _real(path) not in name_by_path:
            where = " or ".join(str(place) for place in finder.places)
            why = f"there is no such file in {where}" if path is None else "it is no image file that is read here"
            here = f"{line.file} stands in line {line.number} of {labels}"
            faults[line.file] = f"{here}, but {why}. Correct the line, or remove it."
            continue
        name = name_by_path[_real(path)]
        if texts.setdefault(name, line.text) != line.text:
            raise ValueError(f"Line {line.number} of {labels} says {line.text!r} for {line.file}, line {numbers[name]} before it "
                             f"{texts[name]!r}. Keep one.")  # fmt: skip
        numbers.setdefault(name, line.number)
    for name in files.keys() - texts.keys():
        faults[name] = f"{name} has no line in {labels}. Add one, or move the file out."
    return files, texts, faults, remarks


def _below(folder: Path) -> list[Path]:
    paths = list_below(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} and the folders below it hold no images.")
    return paths


def _real(path: Path) -> Path:
    """One path for each file of a folder, however the folder was named; links to files stay what they are."""
    return path.parent.resolve() / path.name


def _named(paths: Sequence[Path], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Name in NFC, relative to a folder, -> file, sorted; and faults of names that are two files'."""
    files: dict[str, Path] = {}
    faults, top = {}, folder.resolve()
    for path in paths:
        name = path.name if path.parent == folder else Path(os.path.relpath(_real(path), top)).as_posix()
        name = nfc(name)
        if name in files:
            faults[name] = f"{name} is the name of two files, in two spellings (NFC and NFD) that look alike. Rename one of them."
        files[name] = path
    return dict(sorted(files.items())), faults


def alphabet_of(texts: Sequence[str]) -> Alphabet:
    """The alphabet of all symbols in the texts (in NFC), sorted. Raises ``ValueError`` when there is none."""
    symbols = sorted(set(nfc("\n".join(texts))) - {"\n"})
    if not symbols:
        raise ValueError(f"No alphabet can be made: the {len(texts)} texts hold no symbol.")
    return Alphabet("".join(symbols))


def check_up(captchas: Captchas, network: type[Network] | Callable[..., Network] | Network) -> list[str]:
    """What to mend or to know before training ``network`` (a class, or a network) on these images; none if all is well.

    Looks at texts too long for the network's steps, texts of several lengths, rare symbols, symbols that can't be seen or look
    like others, equal pictures under several texts, faint pictures, wide margins, light writing on dark, and too few images.
    Raises ``ValueError`` when there is no image, or ``network`` is none.
    """
    texts, alphabet = captchas.texts, alphabet_of(captchas.texts)
    model = network if isinstance(network, Network) or not callable(network) else network(classes=len(alphabet))
    if not isinstance(model, Network):
        raise ValueError(f"A network of ocrlib.networks (ColumnCNN, or one made with it) was expected, got {network!r}.")
    misfit = objective_of(model, alphabet).misfit(model, captchas.images.shape[3], texts, captchas.widths)
    found = [misfit] if misfit else []
    counts = Counter("".join(texts))
    if rare := [f"{name_of(symbol)} ({counts[symbol]})" for symbol in alphabet.symbols if counts[symbol] < RARE]:
        found.append(f"Symbols that occur fewer than {RARE} times: {first_few(rare)}. Add images of them.")
    found += symbol_remarks(texts, captchas.names)
    by_pixels: dict[bytes, set[str]] = {}
    for image, text in captchas:
        by_pixels.setdefault(image.numpy().tobytes(), set()).add(text)
    if same := [" = ".join(sorted(group)) for group in by_pixels.values() if len(group) > 1]:
        found.append(f"The same picture under several texts: {first_few(same)}. One of them is wrong.")
    if copies := len(texts) - len(by_pixels):
        found.append(f"{copies:,} pictures come more than once: a test image may be trained on. Keep one of each.")
    found += _look_at_pixels(captchas)
    if len(texts) < 100:
        found.append(f"{len(texts)} images are few: with less than a hundred expect errors, and hold some back to count them.")
    return found


def _look_at_pixels(captchas: Captchas) -> list[str]:
    names, found = captchas.names, []
    contrast = captchas.images.flatten(1).float().std(1)
    if faint := [names[i] for i in (contrast < FAINT).nonzero().flatten().tolist()]:
        found.append(f"Pictures with hardly anything in them: {first_few(faint)}.")
    widths = [None] * len(names) if captchas.widths is None else captchas.widths.tolist()
    pixels = [image[0, :, :shown].numpy() for image, shown in zip(captchas.images, widths)]
    if padded := [name for name, grey in zip(names, pixels) if has_wide_margins(grey)]:
        found.append(f"{len(padded):,} pictures have wide margins, so their text is small: {first_few(padded)}. Crop them.")
    sides = [ink_side(grey) for grey in pixels]
    if light := [name for name, side in zip(names, sides) if side > 0]:
        others = "all of them" if len(light) == len(names) else f"of {len(names):,}, the others not"
        cure = 'load_folder(..., polarity="auto") makes all dark on light, as networks trained on such images need'
        found.append(f"{len(light):,} pictures are light on dark ({others}): {first_few(light)}; {cure}.")
    return found
