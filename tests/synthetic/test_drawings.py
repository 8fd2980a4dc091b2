"""Captchas drawn to order: which texts, and that images differ in what was ordered and in nothing else."""

import numpy as np
import pytest

from ocrlib import SyntheticCaptchas
from ocrlib.captchas import shrink
from ocrlib.synthetic.generated import draw_captchas, draw_texts, hidden_ink
from ocrlib.texts import equal_neighbours


def test_texts_of_each_length_equally_often():
    texts = draw_texts(30, 1, (4, 5, 6))
    assert sorted(map(len, texts)) == [4] * 10 + [5] * 10 + [6] * 10
    assert len(set(texts)) == 30
    assert texts == draw_texts(30, 1, (4, 5, 6)) != draw_texts(30, 2, (4, 5, 6))


def test_texts_with_equal_neighbours():
    assert min(map(equal_neighbours, draw_texts(50, 1, neighbours=True))) == 1
    assert min(map(equal_neighbours, draw_texts(50, 1))) == 0


def test_texts_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="Only 19 of 20"):
        draw_texts(20, 0, (1,))


def test_images_are_those_of_the_generator():
    theirs = SyntheticCaptchas(3, seed=5)
    ours = draw_captchas(theirs.texts, 5, 200, 50)
    assert [(ours.images[i, 0].numpy() == shrink(theirs[i][0], 200, 50)).all() for i in range(3)] == [True] * 3
    assert ours.texts == theirs.texts and ours.source == "synthetic"


def test_without_curves_only_the_curves_are_gone():
    texts = draw_texts(3, 1)
    curved, clean = (draw_captchas(texts, 1, 200, 50, curves).images.int() for curves in (True, False))
    brighter = clean - curved
    assert (brighter > 60).flatten(1).any(1).all()  # black lines on a light ground, in each image
    assert (brighter.abs() < 30).float().mean() > 0.8  # elsewhere there is only JPEG's speckle
    assert brighter.min() > -60


def test_hidden_ink_is_where_the_curves_are():
    texts = draw_texts(40, 1)
    shares = np.array(hidden_ink(texts, 1))
    assert shares.shape == (40, 5)
    assert 0 <= shares.min() < 0.001 and 0.1 < shares.max() < 0.9
    assert shares[:, 0].mean() > shares[:, 4].mean()  # the thick beginnings of both curves are at the left


def test_hidden_ink_of_a_text_too_wide_for_both_typefaces():
    shares = np.array(hidden_ink(["mmmmmm"] * 8, 1))
    assert shares.shape == (8, 6)
    assert (0 <= shares).all() and (shares <= 1).all()
