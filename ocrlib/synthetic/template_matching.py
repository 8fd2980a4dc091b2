"""Which of several texts does an image show? Each is drawn as kaptcha would, and laid on the image. No network, no labels.

The texts' layout is known, so a wrong symbol shows twice: in its own place, and in that all symbols after it stand a little
too far left or right.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ocrlib.synthetic import generator


class Redrawing(NamedTuple):
    """A text's ink ``(50, 200)`` float32, 0 to 1, in the typefaces that fit an image best, and how badly it fits.

    ``misfit`` is in pixels' worth of ink: ``missing`` is drawn but not in the image, the rest the other way round. The noise
    curves, in the image only, are part of every misfit.
    """

    text: str
    ink: np.ndarray
    misfit: float
    missing: float


def redraw(image: Tensor, text: str) -> Redrawing:
    """Draw ``text`` over an image ``(1, 50, 200)`` uint8, each symbol in either typeface, and keep what fits best.

    Raises ``ValueError`` for another size, or a text that can't be drawn.
    """
    dark, found = darkness(image), []
    for faces in product(range(len(generator.FACES)), repeat=len(text)):
        ink = generator.distort(generator.draw_glyphs(text, faces))
        missing = float(np.maximum(ink - dark, 0).sum())
        found.append(Redrawing(text, ink, missing + float(np.maximum(dark - ink, 0).sum()), missing))
    return min(found, key=lambda drawn: drawn.misfit)


def darkness(image: Tensor) -> np.ndarray:
    """``(50, 200)``, 0 where an image ``(1, 50, 200)`` uint8 shows kaptcha's background, 1 where it is black.

    Raises ``ValueError`` for another size.
    """
    if tuple(image.shape) != (1, generator.HEIGHT, generator.WIDTH):
        raise ValueError(
            f"An image of shape (1, {generator.HEIGHT}, {generator.WIDTH}) is needed, got {tuple(image.shape)}. "
            f"Load it with load_captchas(width={generator.WIDTH}, height={generator.HEIGHT})."
        )
    return 1 - np.clip(image[0].cpu().numpy() / generator.background(), 0, 1)
