"""The least losses without looking: against all distributions of a grid, all paths one by one, and closed forms."""

from itertools import product
from math import log, prod

import pytest
import torch

from ocrlib import Alphabet
from ocrlib.ctc.alignments import list_paths
from ocrlib.ctc.floors import blind_floor, entropy_floor


def path_loss(texts, steps, probabilities, alphabet):
    """Nats a symbol, from the sum over all paths of products of probabilities."""
    sums = [sum(prod(probabilities[c] for c in path) for path in list_paths(alphabet.encode(text), steps)) for text in texts]
    return sum(-log(total) / len(text) for total, text in zip(sums, texts)) / len(texts)


@pytest.mark.parametrize(("texts", "steps"), [(["a", "ab", "b"], 3), (["aa", "b"], 4), (["ab"], 2)])
def test_no_distribution_of_a_grid_is_better(texts, steps):
    alphabet = Alphabet("ab")
    floor, said = blind_floor(texts, steps, alphabet)
    grid = [(x / 60, y / 60, 1 - x / 60 - y / 60) for x, y in product(range(1, 60), repeat=2) if x + y < 60]
    best = min(path_loss(texts, steps, probabilities, alphabet) for probabilities in grid)
    assert floor - 1e-9 <= best < floor + 0.02
    assert path_loss(texts, steps, said.tolist(), alphabet) == pytest.approx(floor, abs=1e-9)
    assert float(said.sum()) == pytest.approx(1)


def test_one_symbol_in_one_step_is_the_entropy():
    texts = ["a", "a", "b", "c"]
    floor, said = blind_floor(texts, 1, Alphabet("abc"))
    assert floor == pytest.approx(entropy_floor(texts), abs=1e-6)
    assert said.tolist() == pytest.approx([0, 0.5, 0.25, 0.25], abs=1e-4)


def test_two_texts_in_four_steps_by_hand():
    """With a probability p for each symbol, `ab` has 6 p^2 - 18 p^3 + 15 p^4, which is largest at p = 2/5: 0.192."""
    floor, said = blind_floor(["ab", "ba"], 4, Alphabet("ab"))
    assert floor == pytest.approx(-log(0.192) / 2, abs=1e-9)
    assert said.tolist() == pytest.approx([0.2, 0.4, 0.4], abs=1e-5)


def test_a_text_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="needs more than 2 steps"):
        blind_floor(["aa"], 2, Alphabet("ab"))


def test_the_floor_of_the_published_texts():
    from ocrlib.data.published import published

    texts = sorted(published())
    assert [round(blind_floor(texts, steps)[0], 2) for steps in (19, 24)] == [3.24, 3.25]
    assert torch.tensor(entropy_floor(texts)) == pytest.approx(2.92, abs=0.005)
