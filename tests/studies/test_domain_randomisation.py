"""Changed ink: each amount does what it says, and an unchanged one nothing."""

import numpy as np
import pytest

from ocrlib.studies.domain_randomisation import InkChange
from ocrlib.synthetic.generator import LEFT, draw_glyphs


@pytest.fixture(scope="module")
def ink():
    return draw_glyphs("cdf", [0, 1, 0])


def changed(ink, **amounts):
    return InkChange(**{name: (amount, amount) for name, amount in amounts.items()})(ink, np.random.default_rng(0))


def middle(ink):
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
    return (ink * x).sum() / ink.sum(), (ink * y).sum() / ink.sum()


def right(ink):
    return np.flatnonzero(ink.max(0) > 0.5)[-1]


def test_no_change_is_none(ink):
    assert np.array_equal(changed(ink), ink)


def test_moving(ink):
    (x, y), (new_x, new_y) = middle(ink), middle(changed(ink, x=3.0, y=-2.0))
    assert (new_x - x, new_y - y) == (pytest.approx(3.0, abs=0.01), pytest.approx(-2.0, abs=0.01))


def test_stretching_keeps_the_left_edge(ink):
    wide = changed(ink, width=1.2)
    assert right(wide) - LEFT == pytest.approx(1.2 * (right(ink) - LEFT), abs=1.0)
    left = [np.flatnonzero(part.max(0) > 0.5)[0] for part in (ink, wide)]
    assert abs(left[1] - left[0]) <= 1


def test_weight_and_blur(ink):
    assert changed(ink, weight=-0.5).sum() < 0.9 * ink.sum() and changed(ink, weight=0.5).sum() > 1.1 * ink.sum()
    blurred = changed(ink, blur=1.0)
    assert blurred.sum() == pytest.approx(ink.sum(), rel=0.02) and np.abs(np.diff(blurred)).max() < np.abs(np.diff(ink)).max()


def test_ink_stays_ink_and_differs_from_draw_to_draw(ink):
    change, rng = InkChange(width=(0.9, 1.2), weight=(-0.6, 0.8), x=(-4, 6), y=(-3, 4), blur=(0, 0.6)), np.random.default_rng(0)
    drawn = [change(ink, rng) for _ in range(20)]
    assert {(part.shape, part.dtype) for part in drawn} == {(ink.shape, np.dtype("float32"))}
    assert 0 <= np.min(drawn) and np.max(drawn) <= 1.0001
    assert len({part.tobytes() for part in drawn}) == 20
