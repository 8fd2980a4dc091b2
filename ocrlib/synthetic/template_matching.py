"""Template matching: which of several texts fits an image best? Each text is drawn by the generator and compared with the image.

It needs no network and no label. A wrong symbol costs twice: it misses the ink in its own place, and because it is wider or
narrower than the true one, all symbols after it lie too far to the right or to the left.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ocrlib.synthetic import generator


class TemplateMatch(NamedTuple):
    """The drawing of a text that fits an image best: its ink ``(50, 200)`` float32, 0 to 1, and the difference.

    ``misfit`` is the summed absolute difference in ink, where one black pixel counts 1. The noise curves are in the image
    only, so they add to every misfit.
    """

    ink: np.ndarray
    misfit: float


def match_template(image: Tensor, text: str) -> TemplateMatch:
    """Draw ``text`` in each combination of typefaces, compare with an image ``(1, 50, 200)`` uint8, and return the best match.

    Raises ``ValueError`` for an image of another size, or a text that cannot be drawn.
    """
    dark = darkness(image)
    choices = product(range(len(generator.FACES)), repeat=len(text))
    inks = (generator.distort(generator.draw_glyphs(text, faces)) for faces in choices)
    return min((TemplateMatch(ink, float(np.abs(ink - dark).sum())) for ink in inks), key=lambda match: match.misfit)


def darkness(image: Tensor) -> np.ndarray:
    """Ink ``(50, 200)`` of an image ``(1, 50, 200)`` uint8: 0 where it shows kaptcha's background, 1 where it is black.

    Raises ``ValueError`` for another size.
    """
    if tuple(image.shape) != (1, generator.HEIGHT, generator.WIDTH):
        raise ValueError(f"Give an image (1, 50, 200), loaded by load_captchas(width=200, height=50), not {tuple(image.shape)}.")
    return 1 - np.clip(image[0].cpu().numpy() / generator.background(), 0, 1)
