"""Domain randomisation: random changes to the generator's drawn text, or constant ones that make it inexact."""

from dataclasses import dataclass, fields

import numpy as np

from ocrlib.synthetic.generator import LEFT

Range = tuple[float, float]


@dataclass(frozen=True)
class InkChange:
    """Stretches, thickens, moves and blurs ink by amounts drawn uniformly from ranges (low, high), which may be equal.

    ``width`` is a factor by which the text is stretched from its left edge. ``weight`` interpolates from unchanged strokes (0)
    to strokes with one pixel more (1) or less (-1) on each side. ``x`` and ``y`` are pixels right and down, ``blur`` is the
    standard deviation of a Gaussian in pixels.
    """

    width: Range = (1.0, 1.0)
    weight: Range = (0.0, 0.0)
    x: Range = (0.0, 0.0)
    y: Range = (0.0, 0.0)
    blur: Range = (0.0, 0.0)

    def __call__(self, ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Ink ``(H, W)`` float32 in 0..1, changed by five amounts drawn from ``rng``; shape and type stay."""
        from scipy.ndimage import affine_transform, gaussian_filter, grey_dilation, grey_erosion  # slow to import

        width, weight, x, y, blur = (rng.uniform(*getattr(self, field.name)) for field in fields(self))
        if (width, x, y) != (1.0, 0.0, 0.0):
            # Pixel (row, column) of the result comes from row - y and LEFT + (column - x - LEFT) / width.
            ink = affine_transform(ink, (1.0, 1 / width), (-y, LEFT - (x + LEFT) / width), order=1)
        if weight:
            other = grey_dilation(ink, (3, 3)) if weight > 0 else grey_erosion(ink, (3, 3))
            ink = ink + abs(weight) * (other - ink)
        return gaussian_filter(ink, blur).astype(np.float32) if blur else ink.astype(np.float32)
