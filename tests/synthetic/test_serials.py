"""Serial numbers: the lengths and symbols asked for, legible labels, the same files for a seed."""

import numpy as np
import pytest
from PIL import Image

from ocrlib.synthetic.serials import LENGTHS, SYMBOLS, draw_serial, make_serials, random_serial


def test_texts_have_the_lengths_and_symbols_asked_for():
    rng = np.random.default_rng(0)
    texts = [random_serial(rng) for _ in range(400)]
    assert {len(text) for text in texts} == set(LENGTHS) and set("".join(texts)) == set(SYMBOLS)
    assert {len(random_serial(rng, (3,))) for _ in range(5)} == {3}


@pytest.mark.parametrize("text", ["A1B2", "0123456", "MMMMMMM"])
def test_a_label_shows_ink_on_paper_within_its_edges(text):
    rng = np.random.default_rng(1)
    for _ in range(20):
        grey = np.asarray(draw_serial(text, rng).convert("L")).astype(float)
        paper = np.median(grey)
        ink = grey < paper - 45
        assert 0.02 < ink.mean() < 0.4 and 160 <= grey.shape[1] <= 180 and 40 <= grey.shape[0] <= 48
        assert ink[:, :2].mean() < 0.05 and ink[:, -2:].mean() < 0.05, "nothing is cut off"


@pytest.mark.parametrize("text", ["A1B2", "0123456789AB"])
def test_a_label_can_be_as_wide_as_its_text(text):
    rng = np.random.default_rng(1)
    for _ in range(20):
        grey = np.asarray(draw_serial(text, rng, tight=True).convert("L")).astype(float)
        ink = grey < np.median(grey) - 45
        assert abs(grey.shape[1] - 15.5 * len(text) - 16) < 0.13 * grey.shape[1] and ink[:, -2:].mean() < 0.05


def test_a_folder_repeats_itself(tmp_path):
    for name in ("a", "b"):
        make_serials(tmp_path / name, 5, seed=3)
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert [file.name for file in first] == [file.name for file in second]
    assert all(np.array_equal(Image.open(a), Image.open(b)) for a, b in zip(first, second))
