"""Noise curves: cut into straight pieces like in Java, and drawn as thick lines with square ends."""

import numpy as np
import pytest

from ocrlib.synthetic import noise_curves
from ocrlib.synthetic.generator import HEIGHT, WIDTH


def test_a_straight_curve_is_a_straight_line_with_square_ends():
    clear = np.ones((HEIGHT, WIDTH))
    noise_curves.add_noise_curve(clear, noise_curves.CURVES[1], np.full(4, 0.5))  # one piece from (20, 25) to (180, 25)
    ink = 1 - clear
    assert np.allclose(ink[:, 30:170].sum(axis=0), 3.6, atol=1e-4)  # the first piece is 3.6 pixels wide
    assert np.allclose(ink[25, 20:181], 1, atol=1e-4)
    # The ends stick out by half a width, from the middle of the end pixels: 20.5 - 1.8 and 180.5 + 1.8.
    assert np.allclose(ink[25, [17, 18, 19]], [0, 0.3, 1], atol=1e-4)
    assert np.allclose(ink[25, [181, 182, 183]], [1, 0.3, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("curve", "heights", "vertices"),
    [  # what Java's CubicCurve2D.getPathIterator(null, 2) gives, cut to whole pixels
        (0, (0.73051983, 0.17660207, 0.088258386, 0.6118181), [(20, 36), (24, 20), (35, 13), (45, 16), (48, 22), (50, 30)]),
        (0, (0.44859838, 0.4275596, 0.6977123, 0.7525763), [(20, 22), (35, 28), (50, 37)]),
        (1, (0.48890454, 0.9449746, 0.46183717, 0.82630974), [(20, 24), (32, 30), (46, 34), (81, 34), (125, 34), (180, 41)]),
        (1, (0.2777673, 0.34574723, 0.7599608, 0.8390835), [(20, 13), (81, 27), (125, 36), (180, 41)]),
    ],
)
def test_curves_are_cut_into_the_pieces_java_cuts_them_into(curve, heights, vertices):
    points = [complex(200 * x, 50 * y) for x, y in zip(noise_curves.CURVES[curve], heights)]
    assert [(int(p.real), int(p.imag)) for p in noise_curves.flatten(points)] == vertices


def test_lines_get_thinner_twice_then_stay():
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise_curves, "_add_line", lambda clear, start, end, width: drawn.append(width))
        noise_curves.add_noise_curve(np.ones((HEIGHT, WIDTH)), noise_curves.CURVES[0], (0.73, 0.18, 0.09, 0.61))
    assert drawn == [3.6, 2.7, 1.8, 1.8, 1.8]
