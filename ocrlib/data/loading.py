"""TODO"""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torchvision.datasets.utils import verify_str_arg

from ocrlib.captchas import Captchas, shrink
from ocrlib.data import download
from ocrlib.data.archive import unpack
from ocrlib.data.folders import ARCHIVE_SUFFIXES, LabelledImages, read_folder
from ocrlib.data.published import Comparison, compare, correct, published
from ocrlib.synthetic.generator import SyntheticCaptchas

_SEED = 0  # of the generator's images
_MAX_SIDE = 4096  # pixels; more is a mistyped width


def load_captchas(
    root: str | os.PathLike[str] | None = None,
    width: int = 200,
    height: int = 32,
    source: str = "auto",
    corrected: bool = False,
) -> Captchas:
    """The data set as one uint8 tensor, sorted by file name. The first place that there is, is taken:

    1. ``root``: a folder, or a .zip or .tar.gz archive of one;
    2. what the environment variable ``OCRLIB_DATA`` names;
    3. the folder ``data`` here or further up in the working tree;
    4. the user's cache;
    5. a download into the cache, unless ``OCRLIB_DOWNLOAD=0`` forbids it (about 9 MB, checked; without a network it gives up
       within 10 seconds);
    6. the generator: 1,070 made images, announced by a warning.

    ``source="real"`` leaves out the generator, ``source="synthetic"`` everything else. A place that was named (1, 2) is never
    passed over: if it is missing or has unusable files, that is an error. ``contents`` of the result says whether the images
    are the published ones. ``corrected=True`` replaces the few published labels that are not what their image shows
    (`ocrlib.data.published`, notebook 08); file names and so splits stay as they are.

    Raises ``OSError`` (no such folder, not readable, no images), ``ValueError`` (unusable files, arguments out of range) and,
    for ``source="real"`` with no images in reach, ``FileNotFoundError`` that says what was tried.
    """
    verify_str_arg(source, "source", ("auto", "real", "synthetic"))
    for name, side in (("width", width), ("height", height)):
        if not isinstance(side, (int, np.integer)) or isinstance(side, bool) or not 1 <= side <= _MAX_SIDE:
            raise ValueError(f"{name} is {side!r}; a whole number of pixels from 1 to {_MAX_SIDE} was expected.")
    if source == "synthetic":
        if root is not None:
            raise ValueError(
                f"root={str(root)!r} was given with source='synthetic', which reads no files. Leave one of them out."
            )
        return _generated(width, height)
    if root is not None:
        return _from_place(Path(root).expanduser(), width, height, corrected)
    if named := os.environ.get("OCRLIB_DATA"):
        try:
            return _from_place(Path(named).expanduser(), width, height, corrected)
        except (OSError, ValueError) as error:
            hint = "The environment variable OCRLIB_DATA names this place: correct it, or remove it to look elsewhere."
            raise type(error)(f"{error}\n{hint}") from error
    tried: list[str] = []
    found = _from_data_folder(width, height, corrected, tried) or _from_cache(width, height, corrected, tried)
    if found is not None:
        return found
    reasons = "\n".join(f"- {reason}" for reason in tried)
    if source == "real":
        raise FileNotFoundError(f"No real captchas were found:\n{reasons}")
    warnings.warn(
        f"NO REAL CAPTCHAS: {len(published()):,} images made by the generator are used instead. Figures will differ from the "
        f"reported ones. What was tried:\n{reasons}",
        stacklevel=2,
    )
    return _generated(width, height)


def _from_place(place: Path, width: int, height: int, corrected: bool, level: int = 3) -> Captchas:
    if place.is_file() and place.name.lower().endswith(ARCHIVE_SUFFIXES):
        with TemporaryDirectory() as work:
            remarks = unpack(place, Path(work) / "images")
            found = read_folder(Path(work) / "images", width, height)
    else:
        remarks, found = [], read_folder(place, width, height)
    comparison = compare(found.texts, found.hashes)
    for remark in [*remarks, *found.remarks, *comparison.doubts]:
        warnings.warn(remark, stacklevel=level)
    return _real(found, comparison, corrected)


def _from_data_folder(width: int, height: int, corrected: bool, tried: list[str]) -> Captchas | None:
    """``data`` in the current folder or above it, up to the top of the working tree: a notebook runs in ``notebooks/``."""
    upwards = [Path.cwd(), *Path.cwd().parents]
    tops = (n for n, folder in enumerate(upwards) if (folder / "pyproject.toml").exists() or (folder / ".git").exists())
    top = next(tops, 0)  # outside any working tree, nothing above is ours
    for folder in upwards[: top + 1]:
        if (folder / "data").is_dir():
            try:
                return _from_place(folder / "data", width, height, corrected, level=4)
            except FileNotFoundError as error:
                tried.append(str(error))
    if not tried:
        tried.append(f"There is no folder {upwards[top] / 'data'}, and OCRLIB_DATA is not set.")
    return None


def _from_cache(width: int, height: int, corrected: bool, tried: list[str]) -> Captchas | None:
    """The copy in the cache, downloaded first if it is not there or not whole."""
    try:
        copy = download.cache_folder() / "captcha_images_v2"
        if copy.exists():
            try:
                found = read_folder(copy, width, height)
                comparison = compare(found.texts, found.hashes)
                if comparison.archive:
                    return _real(found, comparison, corrected)
                problem = comparison.line
            except (OSError, ValueError) as error:
                problem = str(error)
            warnings.warn(f"The copy in the cache ({copy}) is damaged and is not used: {problem}", stacklevel=3)
        if not download.allowed():
            tried.append("OCRLIB_DOWNLOAD forbids to download them.")
            return None
        found = read_folder(download.fetch(copy), width, height)
        return _real(found, compare(found.texts, found.hashes), corrected)
    except RuntimeError as error:  # a DownloadError, or no home folder
        tried.append(str(error))
        return None


def _real(found: LabelledImages, comparison: Comparison, corrected: bool) -> Captchas:
    texts = correct(found.texts, found.hashes) if corrected else found.texts
    changed = sum(old != new for old, new in zip(found.texts, texts))
    contents = f"{comparison.line}, {changed} of the labels corrected" if corrected else comparison.line
    return Captchas(torch.from_numpy(found.pixels).unsqueeze(1), texts, found.names, "real", contents)


def _generated(width: int, height: int) -> Captchas:
    drawn = _drawn()
    texts = [text for _, text in drawn]
    names = [f"synthetic-{i:06}-{text}" for i, text in enumerate(texts)]
    pixels = np.stack([shrink(image, width, height) for image, _ in drawn])
    contents = f"made by the embedded generator, seed {_SEED}; not the published set"
    return Captchas(torch.from_numpy(pixels).unsqueeze(1), texts, names, "synthetic", contents)


@functools.cache
def _drawn() -> list[tuple[Image.Image, str]]:
    """As many images as the published set has, so that every recipe fits either. Kept: drawing them takes seconds."""
    return list(SyntheticCaptchas(len(published()), seed=_SEED))
