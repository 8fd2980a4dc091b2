"""The data set: every captcha of a folder (or of the generator) as one tensor."""

from __future__ import annotations

import hashlib
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from os.path import splitext

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, random_split

from ocrlib.texts import first_few, nfc


class Captchas(Dataset[tuple[Tensor, str]]):
    """Captchas as a torch data set; item ``i`` is (image (1, H, W) uint8, 0 black to 255 white; text).

    ``images`` (N, 1, H, W) uint8, ``texts`` and ``names`` (file names) belong together by position. ``source`` is "real"
    (the published images), "synthetic" or "own" (another folder); ``contents`` says in a line for people what the images are.
    ``widths`` (N,) int64, if given, count the columns from the left that show each image; the others are padding. Texts and
    names are brought into Unicode's NFC.

    Raises ``ValueError`` if the lengths differ or ``images`` has another shape or type.
    """

    def __init__(
        self, images: Tensor, texts: Sequence[str], names: Sequence[str], source: str, contents: str, widths: Tensor | None = None
    ) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(f"images must be uint8 (N, 1, H, W), got {images.dtype} {tuple(images.shape)}.")
        if not len(images) == len(texts) == len(names) == (len(names) if widths is None else len(widths)):
            raise ValueError(
                f"Each image needs one text and one name (and one width, if there are any), got {len(images)} images, "
                f"{len(texts)} texts, {len(names)} names, {'no' if widths is None else len(widths)} widths."
            )
        self.images, self.source, self.contents, self.widths = images, source, contents, widths
        self.texts, self.names = (list(map(nfc, strings)) for strings in (texts, names))

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        return self.images[i := operator.index(index)], self.texts[i]

    def __repr__(self) -> str:
        height, width = self.images.shape[2:]
        return f"Captchas({len(self):,} {self.source} images of {width} x {height} pixels; {self.contents})"

    def subset(self, indices: Iterable[int]) -> Captchas:
        """The captchas at these positions, in this order. Raises ``IndexError``."""
        chosen = indices.tolist() if isinstance(indices, (Tensor, np.ndarray)) else list(indices)
        if any(isinstance(i, bool) for i in chosen):
            raise IndexError(f"Got {len(chosen)} positions that are True or False; whole numbers were expected.")
        chosen = [operator.index(i) for i in chosen]
        outside = [i for i in chosen if not -len(self) <= i < len(self)]
        if outside:
            raise IndexError(f"There are {len(self):,} captchas, so positions run from 0 to {len(self) - 1}; got {outside[:3]}.")
        part = "" if self.contents.startswith("a part of ") or len({i % len(self) for i in chosen}) == len(self) else "a part of "
        texts, names = [self.texts[i] for i in chosen], [self.names[i] for i in chosen]
        widths = None if self.widths is None else self.widths[chosen]
        return Captchas(self.images[chosen], texts, names, self.source, part + self.contents, widths)

    def cycle(self, number: int, size: int) -> Captchas:
        """The ``size`` images of epoch ``number`` (from 0), taken in order; after the last image comes the first again."""
        if len(self) == size:
            return self
        return self.subset(i % len(self) for i in range(number * size, (number + 1) * size))

    def joined(self, other: Captchas) -> Captchas:
        """These captchas, then the other ones, with the source of these. Raises ``ValueError`` if their images differ in size."""
        if self.images.shape[1:] != other.images.shape[1:]:
            sizes = [f"{captchas.images.shape[3]} x {captchas.images.shape[2]}" for captchas in (self, other)]
            raise ValueError(f"Images of {sizes[0]} and of {sizes[1]} pixels can't be joined; load them at one size.")
        images, contents = torch.cat([self.images, other.images]), f"{self.contents}, and {len(other):,} {other.contents}"
        widths = None if self.widths is other.widths is None else torch.cat([part.true_widths() for part in (self, other)])
        return Captchas(images, self.texts + other.texts, self.names + other.names, self.source, contents, widths)

    def true_widths(self) -> Tensor:
        """How many columns show each image, ``(N,)`` int64: all of them where there is no padding."""
        return torch.full((len(self),), self.images.shape[3]) if self.widths is None else self.widths

    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of shape, pixels, texts and widths, in order: equal only for the same data."""
        padding = () if self.widths is None else (self.widths.tolist(),)
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.texts, *padding)).encode())
        digest.update(self.images.cpu().contiguous().numpy())
        return digest.hexdigest()[:16]


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
    twice = [stem for stem, n in Counter(splitext(name)[0] for name in captchas.names).items() if n > 1]
    if twice:
        raise ValueError(
            f"These names come more than once: {first_few(twice)}. Keep one captcha of each, or parts would overlap."
        )
    order = sorted(range(len(captchas)), key=captchas.names.__getitem__)
    parts = random_split(order, sizes, generator=torch.Generator().manual_seed(seed))
    return tuple(captchas.subset(part) for part in parts)


def shrink(image: Image.Image, width: int, height: int) -> np.ndarray:
    """Grey pixels (height, width), uint8. Resized before turning grey, as in the reported experiments."""
    return np.array(image.resize((width, height)).convert("L"))


def to_tensor(pictures: Sequence[np.ndarray]) -> Tensor:
    """Images (N, 1, H, W) uint8 from the grey pixels (H, W) of each picture, all of one size."""
    return torch.from_numpy(np.stack(pictures)).unsqueeze(1)
