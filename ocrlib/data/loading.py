"""Finds the data set: in a folder or an archive, in the cache, by download, or else from the generator."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path

from PIL import Image

from ocrlib.captchas import Captchas, shrink, to_tensor
from ocrlib.data import download
from ocrlib.data.folders import LabelledImages, read_folder
from ocrlib.data.images import check_options
from ocrlib.data.published import compare, correct, published
from ocrlib.runtime import Remark
from ocrlib.synthetic.generator import SyntheticCaptchas

_SEED = 0  # of the generator's images


def load_captchas(
    root: str | os.PathLike[str] | None = None, width: int = 200, height: int = 32, source: str = "auto", corrected: bool = False
) -> Captchas:
    """The data set as one uint8 tensor (N, 1, height, width), sorted by file name. The first of these places is taken:

    1. ``root``: a folder, or a .zip or .tar.gz archive of one;
    2. what the environment variable ``OCRLIB_DATA`` names;
    3. the folder ``data`` here or further up in the working tree;
    4. the user's cache;
    5. a download into the cache, unless ``OCRLIB_DOWNLOAD=0`` forbids it (about 9 MB, checked; it gives up after some seconds
       without an answer);
    6. the generator: 1,070 images, announced by a warning.

    ``source="real"`` leaves out the generator, ``source="synthetic"`` everything else. A place that was named (1, 2) is never
    passed over: if it is missing or has unusable files, that is an error. ``contents`` of the result says whether the images
    are the published ones. ``corrected=True`` replaces the few published labels that are not what their image shows
    (`ocrlib.data.published`, notebook 09); file names and so splits stay as they are.

    Raises ``OSError`` (no such folder, not readable, no images), ``ValueError`` (unusable files, arguments out of range) and,
    for ``source="real"`` with no images in reach, ``FileNotFoundError`` that says what was tried.
    """
    if source not in ("auto", "real", "synthetic"):
        raise ValueError(f"source is {source!r}; 'auto', 'real' or 'synthetic' was expected.")
    check_options(width, height)
    if source == "synthetic":
        if root is not None:
            raise ValueError(
                f"root={str(root)!r} was given with source='synthetic', which reads no files. Leave one of them out."
            )
        return _generated(width, height)
    reasons: list[str] = []
    found = _find(root, width, height, reasons)
    if found is None:
        tried = "\n".join(f"- {reason}" for reason in reasons)
        if source == "real":
            raise FileNotFoundError(f"No real captchas were found:\n{tried}")
        warnings.warn(
            f"NO REAL CAPTCHAS: {len(published()):,} images made by the generator are used instead. Figures will differ from "
            f"the reported ones. What was tried:\n{tried}",
            Remark, stacklevel=2,
        )  # fmt: skip
        return _generated(width, height)
    comparison = compare(found.texts, found.hashes)
    for remark in [*found.remarks, *comparison.doubts]:
        warnings.warn(remark, Remark, stacklevel=2)
    texts, contents = found.texts, comparison.line
    if corrected:
        texts = correct(found.texts, found.hashes)
        contents += f", {sum(old != new for old, new in zip(found.texts, texts))} of the labels corrected"
    return Captchas(found.images, texts, found.names, "real", contents)


def _find(root: str | os.PathLike[str] | None, width: int, height: int, reasons: list[str]) -> LabelledImages | None:
    """The images of the first place that has some. Adds to ``reasons`` why the places before it were passed over."""
    if root is not None:
        return read_folder(Path(root).expanduser(), width, height)
    if named := os.environ.get("OCRLIB_DATA"):
        try:
            return read_folder(Path(named).expanduser(), width, height)
        except (OSError, ValueError) as error:
            hint = "The environment variable OCRLIB_DATA names this place: correct it, or remove it to look elsewhere."
            raise type(error)(f"{error}\n{hint}") from error
    upwards = [Path.cwd(), *Path.cwd().parents]  # a notebook runs in notebooks/, below the top of the working tree
    tops = (n for n, folder in enumerate(upwards) if (folder / "pyproject.toml").exists() or (folder / ".git").exists())
    top = next(tops, 0)  # outside any working tree, nothing above is ours
    for place in [folder / "data" for folder in upwards[: top + 1]]:
        if place.is_dir():
            try:
                return read_folder(place, width, height)
            except FileNotFoundError as error:
                reasons.append(str(error))
            except ValueError as error:
                raise ValueError(f"{error}\nThis folder was tried for its name. Another: root=..., or OCRLIB_DATA.") from error
    if not reasons:
        reasons.append(f"There is no folder {upwards[top] / 'data'}, and OCRLIB_DATA is not set.")
    try:
        return download.fetch(width, height)
    except RuntimeError as error:  # a DownloadError, or no home folder
        reasons.append(str(error))
        return None


def _generated(width: int, height: int) -> Captchas:
    pictures, texts = zip(*_drawn())
    names = [f"synthetic-{i:06}-{text}" for i, text in enumerate(texts)]
    images = to_tensor([shrink(picture, width, height) for picture in pictures])
    contents = f"made by the embedded generator, seed {_SEED}; not the published set"
    return Captchas(images, texts, names, "synthetic", contents)


@functools.cache
def _drawn() -> list[tuple[Image.Image, str]]:
    """As many images as the published set has, so that every recipe fits either. Kept, because drawing them takes seconds."""
    return list(SyntheticCaptchas(len(published()), seed=_SEED))
