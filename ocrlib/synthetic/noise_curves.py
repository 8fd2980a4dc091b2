"""The two curves drawn over each CAPTCHA, as kaptcha and Java's drawing make them: Bezier curves in straight pieces."""

from __future__ import annotations

import math

import numpy as np

# Source K: kaptcha's public source code, as in `synthetic`.
CURVES = ((0.1, 0.1, 0.25, 0.25), (0.1, 0.25, 0.5, 0.9))  # x of the four control points, as parts of the width; K
FLATNESS = 2.0  # pixels a curve may stray from its straight pieces; K
LINE_WIDTHS = (3.6, 2.7, 1.8)  # pixels: first piece, second piece, all the others; K


def add_noise_curve(clear: np.ndarray, fractions: tuple[float, ...], heights: np.ndarray) -> None:
    """Draw one noise curve into `clear` (1 = no ink), in place.

    `clear` is (height, width); the curve is a cubic Bezier with control points (width * fractions[k], height * heights[k]),
    as straight pieces.
    """
    height, width = clear.shape
    points = flatten([complex(width * x, height * float(y)) for x, y in zip(fractions, heights)])
    # kaptcha rounds down to whole pixels here; Java then draws through the pixel's middle, hence the half.
    points = [complex(int(p.real) + 0.5, int(p.imag) + 0.5) for p in points]
    for k, (start, end) in enumerate(zip(points, points[1:])):
        _add_line(clear, start, end, LINE_WIDTHS[min(k, len(LINE_WIDTHS) - 1)])


def flatten(curve: list[complex], depth: int = 10) -> list[complex]:
    """Cut a cubic Bezier (4 control points, x + yj) into straight pieces, as Java's FlatteningPathIterator does.

    A piece is halved until its inner control points lie less than FLATNESS from its chord, `depth` times at most.
    """
    a, b, c, d = curve
    if depth == 0 or max(_distance(b, a, d), _distance(c, a, d)) < FLATNESS:
        return [a, d]
    ab, bc, cd = (a + b) / 2, (b + c) / 2, (c + d) / 2  # de Casteljau's halving
    abc, bcd = (ab + bc) / 2, (bc + cd) / 2
    middle = (abc + bcd) / 2
    return flatten([a, ab, abc, middle], depth - 1) + flatten([middle, bcd, cd, d], depth - 1)[1:]


def _distance(point: complex, start: complex, end: complex) -> float:
    """From a point to the straight piece between two others, in pixels."""
    chord = end - start
    if not chord:
        return abs(point - start)
    along = ((point - start) * chord.conjugate()).real / abs(chord) ** 2
    return abs(point - start - min(max(along, 0), 1) * chord)


def _add_line(clear: np.ndarray, start: complex, end: complex, width: float) -> None:
    """A smooth-edged black line with square ends (Java's default), drawn into `clear` in place."""
    length, reach = abs(end - start), math.ceil(width) + 1
    left, right = sorted((start.real, end.real))
    top, bottom = sorted((start.imag, end.imag))
    left, top = max(int(left) - reach, 0), max(int(top) - reach, 0)
    patch = clear[top : int(bottom) + reach + 1, left : int(right) + reach + 1]
    direction, middle = (end - start) / length if length else 1, (start + end) / 2
    x = np.arange(patch.shape[1], dtype=np.float32) + (left + 0.5 - middle.real)
    y = (np.arange(patch.shape[0], dtype=np.float32) + (top + 0.5 - middle.imag))[:, None]
    # Ink covers a pixel by how far its middle lies inside the line: that is within 0.04 of what Java draws.
    along = (length + width + 1) / 2 - np.abs(x * direction.real + y * direction.imag)
    across = (width + 1) / 2 - np.abs(y * direction.real - x * direction.imag)
    patch *= 1 - np.clip(along, 0, 1) * np.clip(across, 0, 1)
