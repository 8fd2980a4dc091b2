"""Template matching: the true text of an image fits it better than another text."""

import pytest

from ocrlib import load_captchas
from ocrlib.synthetic.generated import draw_captchas
from ocrlib.synthetic.template_matching import match_template

TEXTS = ["cdcb3", "wgnwp", "mxnw4"]


@pytest.mark.parametrize("i, other", list(enumerate(["edcb3", "wgmwp", "mxmw4"])))
def test_the_true_text_fits_best(i, other):
    image = draw_captchas(TEXTS, seed=1, width=200, height=50).images[i]
    assert match_template(image, TEXTS[i]).misfit < match_template(image, other).misfit - 50


def test_without_curves_the_true_text_leaves_almost_no_misfit():
    clean = draw_captchas(["c5"], seed=1, width=200, height=50, curves=False).images[0]
    found = match_template(clean, "c5")
    assert found.ink.shape == (50, 200)
    assert 0 < found.misfit < 0.1 * found.ink.sum()  # the rest is JPEG's noise


def test_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 50, 200\).*width=200, height=50"):
        match_template(load_captchas(width=100, source="synthetic").images[0], "22222")
