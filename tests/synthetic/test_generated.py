"""Generated data sets: the same for a seed, and they differ in what was asked for and in nothing else."""

from itertools import islice

import numpy as np
import pytest
import torch

from ocrlib import SyntheticCaptchas
from ocrlib.captchas import shrink
from ocrlib.synthetic.generated import EndlessCaptchas, draw_captchas, draw_texts, hidden_ink
from ocrlib.texts import equal_neighbours


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_processes_draws_the_same_chunks_in_the_same_order(workers):
    endless = EndlessCaptchas(seed=7, size=6, width=96)
    first, second = ([chunk.fingerprint() for chunk in islice(endless.stream(n), 5)] for n in (0, workers))
    assert first == second == [endless[k].fingerprint() for k in range(5)]
    assert len(set(first)) == 5


def test_a_chunk_depends_on_seed_and_number_alone():
    endless = EndlessCaptchas(seed=7, size=6, width=96)
    chunk = endless[3]
    torch.manual_seed(1)
    np.random.seed(1)
    assert endless[3].fingerprint() == chunk.fingerprint() != EndlessCaptchas(8, 6, 96)[3].fingerprint()
    assert tuple(chunk.images.shape) == (6, 1, 32, 96) and len(set(chunk.names)) == 6 and chunk.source == "synthetic"


@pytest.mark.parametrize("style", [{"faces": (0,)}, {"change": lambda ink, rng: np.roll(ink, 3, axis=0)}])
def test_the_style_is_given_to_the_generator(style):
    assert EndlessCaptchas(7, 8, 96)[0].fingerprint() != EndlessCaptchas(7, 8, 96, **style)[0].fingerprint()


def test_an_empty_chunk_is_refused():
    with pytest.raises(ValueError, match="size=0"):
        EndlessCaptchas(1, 0, 96)


def test_texts_are_distinct_and_each_length_comes_equally_often():
    texts = draw_texts(30, 1, (4, 5, 6))
    assert sorted(map(len, texts)) == [4] * 10 + [5] * 10 + [6] * 10
    assert len(set(texts)) == 30
    assert texts == draw_texts(30, 1, (4, 5, 6)) != draw_texts(30, 2, (4, 5, 6))


def test_texts_with_equal_neighbours():
    assert min(map(equal_neighbours, draw_texts(50, 1, neighbours=True))) == 1
    assert min(map(equal_neighbours, draw_texts(50, 1))) == 0


def test_too_many_texts_are_refused():
    with pytest.raises(ValueError, match="Only 19 of 20"):
        draw_texts(20, 0, (1,))


def test_images_of_chosen_texts_are_those_of_the_generator():
    theirs = SyntheticCaptchas(3, seed=5)
    ours = draw_captchas(theirs.texts, 5, 200, 50)
    assert [(ours.images[i, 0].numpy() == shrink(theirs[i][0], 200, 50)).all() for i in range(3)] == [True] * 3
    assert ours.texts == theirs.texts and ours.source == "synthetic"


def test_without_curves_everything_else_stays():
    texts = draw_texts(3, 1)
    curved, clean = (draw_captchas(texts, 1, 200, 50, curves).images.int() for curves in (True, False))
    brighter = clean - curved
    assert (brighter > 60).flatten(1).any(1).all()  # black lines on a light background, in each image
    assert (brighter.abs() < 30).float().mean() > 0.8  # elsewhere only JPEG's noise differs
    assert brighter.min() > -60


def test_without_water_only_the_middle_of_an_image_changes():
    texts = ["22222", "wmnwm"]
    bent, straight = (draw_captchas(texts, 1, 200, 50, water=water).images.int() for water in (True, False))
    differs = (bent - straight).abs().amax((0, 1, 2)) > 20  # of each column; JPEG changes pixels a little everywhere
    assert differs[60:140].any() and not differs[:40].any() and not differs[160:].any()


def test_hidden_ink_is_where_the_curves_are():
    shares = np.array(hidden_ink(draw_texts(40, 1), 1))
    assert shares.shape == (40, 5)
    assert 0 <= shares.min() < 0.001 and 0.1 < shares.max() < 0.9
    assert shares[:, 0].mean() > shares[:, 4].mean()  # both curves begin at the left, and are thickest there


def test_hidden_ink_of_a_text_too_wide_for_both_typefaces():
    shares = np.array(hidden_ink(["mmmmmm"] * 8, 1))
    assert shares.shape == (8, 6)
    assert (0 <= shares).all() and (shares <= 1).all()
