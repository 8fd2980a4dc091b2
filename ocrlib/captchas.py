"""The data set: every captcha of a folder (or of the generator) as one tensor."""

from __future__ import annotations

import functools
import hashlib
import operator
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import random_split
from torchvision.datasets import VisionDataset
from torchvision.datasets.utils import verify_str_arg

from ocrlib import download
from ocrlib.archive import unpack
from ocrlib.corrections import correct
from ocrlib.folders import ARCHIVE_SUFFIXES, LabelledImages, read_folder
from ocrlib.images import shrink
from ocrlib.manifest import Comparison, compare, first_few, published
from ocrlib.synthetic import SyntheticCaptchas

_SEED = 0  # of the generator's images
_MAX_SIDE = 4096  # pixels; more is a mistyped width


class Captchas(VisionDataset):
    """Captchas as a torchvision data set; item ``i`` is (image (1, H, W) uint8 0..255, text), after the transforms.

    ``images`` (N, 1, H, W) uint8, ``texts`` and ``names`` (file names) belong together by position. ``source`` is "real" or
    "synthetic"; ``contents`` says in a line for people what the images are. The transforms are VisionDataset's: ``transform``
    gets the image, ``target_transform`` the text, ``transforms`` both.

    Raises ``ValueError`` if the lengths differ or ``images`` has another shape or type.
    """

    def __init__(
        self,
        images: Tensor,
        texts: Sequence[str],
        names: Sequence[str],
        source: str,
        contents: str,
        transforms: Callable[[Tensor, str], Any] | None = None,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__(None, transforms, transform, target_transform)  # no root: paths would end up in notebooks
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(f"images must be uint8 (N, 1, H, W), got {images.dtype} {tuple(images.shape)}.")
        if not len(images) == len(texts) == len(names):
            raise ValueError(
                f"Each image needs one text and one name, got {len(images)} images, {len(texts)} texts, {len(names)} names."
            )
        self.images, self.texts, self.names = images, list(texts), list(names)
        self.source, self.contents = source, contents

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, text = self.images[index], self.texts[index]
        return (image, text) if self.transforms is None else self.transforms(image, text)

    def __repr__(self) -> str:
        height, width = self.images.shape[2:]
        return f"Captchas({len(self):,} {self.source} images of {width} x {height} pixels; {self.contents})"

    def subset(self, indices: Iterable[int]) -> Captchas:
        """The captchas at these positions, in this order, with the same transforms. Raises ``IndexError``."""
        chosen = indices.tolist() if isinstance(indices, (Tensor, np.ndarray)) else list(indices)
        if any(isinstance(i, bool) for i in chosen):
            raise IndexError(f"Got {len(chosen)} positions that are True or False; whole numbers were expected.")
        chosen = [operator.index(i) for i in chosen]
        outside = [i for i in chosen if not -len(self) <= i < len(self)]
        if outside:
            raise IndexError(f"There are {len(self):,} captchas, so positions run from 0 to {len(self) - 1}; got {outside[:3]}.")
        contents = self.contents if self.contents.startswith("a part of ") else f"a part of {self.contents}"
        texts, names = [self.texts[i] for i in chosen], [self.names[i] for i in chosen]
        part = Captchas(self.images[chosen], texts, names, self.source, contents)
        part.transforms, part.transform, part.target_transform = self.transforms, self.transform, self.target_transform
        return part

    def joined(self, other: Captchas) -> Captchas:
        """These captchas, then the other ones, with the transforms and the source of these.

        Raises ``ValueError`` if their images differ in size.
        """
        if self.images.shape[1:] != other.images.shape[1:]:
            sizes = [f"{captchas.images.shape[3]} x {captchas.images.shape[2]}" for captchas in (self, other)]
            raise ValueError(f"Images of {sizes[0]} and of {sizes[1]} pixels can't be joined; load them at one size.")
        images, contents = torch.cat([self.images, other.images]), f"{self.contents}, and {len(other):,} {other.contents}"
        both = Captchas(images, self.texts + other.texts, self.names + other.names, self.source, contents)
        both.transforms, both.transform, both.target_transform = self.transforms, self.transform, self.target_transform
        return both

    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of shape, pixels and texts, in order: equal only for the same data."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.texts)).encode())
        digest.update(self.images.cpu().contiguous().numpy())
        return digest.hexdigest()[:16]


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
    (`ocrlib.corrections`, notebook 08); file names and so splits stay as they are.

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


def split(captchas: Captchas, sizes: Sequence[int], seed: int = 42) -> tuple[Captchas, ...]:
    """Random disjoint parts of these sizes, drawn over the captchas in the order of their names: the reported split.

    Raises ``ValueError`` if a size is not positive, if they don't add up to the number of captchas, or if two names have
    one stem (the same captcha could then be trained on and tested).
    """
    sizes = list(sizes)
    asked = " + ".join(map(str, sizes))
    if any(not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1 for size in sizes):
        raise ValueError(f"Each part of a split needs at least one captcha; got the sizes {asked}.")
    if sum(sizes) != len(captchas):
        raise ValueError(
            f"The sizes {asked} = {sum(sizes):,} must add up to the {len(captchas):,} captchas there are ({captchas.contents})."
        )
    twice = [stem for stem, n in Counter(Path(name).stem for name in captchas.names).items() if n > 1]
    if twice:
        raise ValueError(
            f"These names come more than once: {first_few(twice)}. Keep one captcha of each, or parts would overlap."
        )
    order = sorted(range(len(captchas)), key=captchas.names.__getitem__)
    parts = random_split(order, sizes, generator=torch.Generator().manual_seed(seed))
    return tuple(captchas.subset(part) for part in parts)


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
