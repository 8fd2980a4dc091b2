"""The two noise curves over each CAPTCHA: Bezier curves, drawn as straight pieces like kaptcha and Java do."""

import math

import numpy as np

# All three from kaptcha's public source code.
CURVES = ((0.1, 0.1, 0.25, 0.25), (0.1, 0.25, 0.5, 0.9))  # x of the four control points of each curve, as shares of the width
FLATNESS = 2.0  # pixels: largest distance between a curve and its straight pieces
LINE_WIDTHS = (3.6, 2.7, 1.8)  # pixels: first piece, second piece, all others


def add_noise_curve(clear: np.ndarray, fractions: tuple[float, ...], heights: np.ndarray) -> None:
    """Draw one noise curve into ``clear`` ``(height, width)``, 1 where there is no ink. Changes ``clear`` in place.

    The curve is a cubic Bezier with the four control points (width * fractions[k], height * heights[k]).
    """
    height, width = clear.shape
    points = flatten([complex(width * x, height * float(y)) for x, y in zip(fractions, heights)])
    # kaptcha rounds down to whole pixels. Java then draws through the middle of that pixel, which is 0.5 further.
    points = [complex(int(p.real) + 0.5, int(p.imag) + 0.5) for p in points]
    for k, (start, end) in enumerate(zip(points, points[1:])):
        _add_line(clear, start, end, LINE_WIDTHS[min(k, len(LINE_WIDTHS) - 1)])


def flatten(curve: list[complex], depth: int = 10) -> list[complex]:
    """Cut a cubic Bezier (4 control points, x + yj) into straight pieces, as Java's FlatteningPathIterator does.

    Each piece is halved, at most ``depth`` times, until its two inner control points are less than FLATNESS pixels away
    from the line between its ends. Returns the ends of the pieces.
    """
    a, b, c, d = curve
    if depth == 0 or max(_distance(b, a, d), _distance(c, a, d)) < FLATNESS:
        return [a, d]
    ab, bc, cd = (a + b) / 2, (b + c) / 2, (c + d) / 2  # halved by de Casteljau's algorithm
    abc, bcd = (ab + bc) / 2, (bc + cd) / 2
    middle = (abc + bcd) / 2
    return flatten([a, ab, abc, middle], depth - 1) + flatten([middle, bcd, cd, d], depth - 1)[1:]


def _distance(point: complex, start: complex, end: complex) -> float:
    """Distance in pixels from a point to the line segment between two others."""
    chord = end - start
    if not chord:
        return abs(point - start)
    along = ((point - start) * chord.conjugate()).real / abs(chord) ** 2
    return abs(point - start - min(max(along, 0), 1) * chord)


def _add_line(clear: np.ndarray, start: complex, end: complex, width: float) -> None:
    """Draw an antialiased black line with square ends (Java's default) into ``clear``, in place."""
    length, reach = abs(end - start), math.ceil(width) + 1
    left, top = (max(int(x) - reach, 0) for x in (min(start.real, end.real), min(start.imag, end.imag)))
    right, bottom = (int(x) + reach + 1 for x in (max(start.real, end.real), max(start.imag, end.imag)))
    patch = clear[top:bottom, left:right]
    direction, middle = (end - start) / length if length else 1, (start + end) / 2
    x = np.arange(patch.shape[1], dtype=np.float32) + (left + 0.5 - middle.real)
    y = (np.arange(patch.shape[0], dtype=np.float32) + (top + 0.5 - middle.imag))[:, None]
    # The further a pixel's middle lies inside the line, the more ink covers it. The result differs from Java's by at most 0.04.
    along = (length + width + 1) / 2 - np.abs(x * direction.real + y * direction.imag)
    across = (width + 1) / 2 - np.abs(y * direction.real - x * direction.imag)
    patch *= 1 - np.clip(along, 0, 1) * np.clip(across, 0, 1)
