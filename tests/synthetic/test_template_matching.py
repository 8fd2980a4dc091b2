"""Redrawing: the text that an image was made from fits it better than another."""

import pytest

from ocrlib import load_captchas
from ocrlib.synthetic.generated import draw_captchas
from ocrlib.synthetic.template_matching import redraw

TEXTS = ["cdcb3", "wgnwp", "mxnw4"]


@pytest.fixture(scope="module")
def drawn():
    return draw_captchas(TEXTS, seed=1, width=200, height=50)


@pytest.mark.parametrize("i, other", list(enumerate(["edcb3", "wgmwp", "mxmw4"])))
def test_the_true_text_fits_best(drawn, i, other):
    right, wrong = redraw(drawn.images[i], TEXTS[i]), redraw(drawn.images[i], other)
    assert right.misfit < wrong.misfit - 50 and right.missing < wrong.missing


def test_without_curves_the_true_text_leaves_almost_nothing():
    clean = draw_captchas(["c5"], seed=1, width=200, height=50, curves=False).images[0]
    found = redraw(clean, "c5")
    assert found.text == "c5" and found.ink.shape == (50, 200)
    assert found.missing < found.misfit < 0.1 * found.ink.sum()  # what is left is JPEG's speckle


def test_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 50, 200\).*width=200, height=50"):
        redraw(load_captchas(width=100, source="synthetic").images[0], "22222")
