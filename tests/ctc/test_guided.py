"""Beam search with a language model or an automaton: held against all paths, and a small n-gram counted by hand."""

import math
import re

import numpy as np
import pytest
import torch

from ocrlib import Alphabet
from ocrlib.ctc.automata import from_pattern
from ocrlib.ctc.decoding import exhaustive_search, prefix_beam_search
from ocrlib.ctc.guided import CharacterNGram

ABC = Alphabet("abc")


def drawn(steps, classes, seed, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(steps, classes, generator=generator, dtype=torch.float64)).log_softmax(1)


def judged(language_model, target, blank=0):
    """The language model's log-probability of a whole text."""
    return sum(float(language_model(target[:i])[symbol]) for i, symbol in enumerate([*target, blank]))


def moody(prefix, classes=4):
    """A language model without any order: all that counts is that it is a function of the prefix."""
    return np.random.default_rng([7, *prefix]).normal(-2, 2, size=classes)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("blank", [0, 2])
def test_with_a_language_model_a_wide_beam_is_exhaustive(seed, weight, blank):
    log_probs = drawn(2 + seed % 4, 4, seed)
    every = {target: p + weight * judged(moody, target, blank) for target, p in exhaustive_search(log_probs, blank)}
    found = prefix_beam_search(log_probs, 4 * len(every), blank, language_model=moody, weight=weight)
    assert dict(found) == pytest.approx(every)
    assert found[0].target == max(every, key=every.get)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_a_language_model_that_says_nothing_changes_nothing():
    def nothing(prefix):
        return torch.zeros(4)

    for beam in (1, 3, 16):
        log_probs = drawn(8, 4, beam)
        guided, plain = prefix_beam_search(log_probs, beam, language_model=nothing), prefix_beam_search(log_probs, beam)
        assert [target for target, _ in guided] == [target for target, _ in plain]
        assert [p for _, p in guided] == pytest.approx([p for _, p in plain])


def test_a_language_model_tips_the_scale():
    log_probs = torch.tensor([[0.1, 0.5, 0.4, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64).log()
    model = CharacterNGram(["b"] * 8 + ["a"], ABC, order=2)
    assert prefix_beam_search(log_probs)[0].target == (1,)
    assert prefix_beam_search(log_probs, language_model=model, weight=0.01)[0].target == (1,)
    assert prefix_beam_search(log_probs, language_model=model)[0].target == (2,)


def test_what_a_language_model_rules_out_is_not_found():
    def no_b(prefix):
        return [0, 0, -math.inf, 0]

    found = prefix_beam_search(drawn(4, 4, 0), 200, language_model=no_b, weight=0)
    assert found and not any(2 in target for target, _ in found)


def test_a_language_model_of_another_alphabet_is_refused():
    with pytest.raises(ValueError, match=r"language_model\(\(\)\) must give 4 log-probabilities.* it gave the shape \(3,\)"):
        prefix_beam_search(drawn(3, 4, 0), language_model=lambda prefix: [0, 0, 0])
    with pytest.raises(ValueError, match="it gave NaN"):
        prefix_beam_search(drawn(3, 4, 0), language_model=lambda prefix: [0, 0, 0, math.nan])
    with pytest.raises(ValueError, match="beam=0"):
        prefix_beam_search(drawn(3, 4, 0), beam=0, language_model=moody)


@pytest.mark.parametrize("pattern", ["a?b+c?", "[ab]{2}c", "(ab|c)*", "aab?", ""])
@pytest.mark.parametrize("seed", range(4))
def test_with_an_automaton_a_wide_beam_is_exhaustive(pattern, seed):
    log_probs = drawn(5, 4, seed)
    automaton = from_pattern(pattern, ABC)
    every = {target: p for target, p in exhaustive_search(log_probs) if re.fullmatch(pattern, ABC.decode(target))}
    assert dict(prefix_beam_search(log_probs, 1000, automaton=automaton)) == pytest.approx(every)
    both = prefix_beam_search(log_probs, 1000, automaton=automaton, language_model=moody, weight=0.7)
    assert dict(both) == pytest.approx({target: p + 0.7 * judged(moody, target) for target, p in every.items()})


@pytest.mark.parametrize("pattern", ["a{4}|b", "(abc)+", "c[ab]{4}", "a+b+c+a"])
def test_the_narrowest_beam_finds_an_allowed_text(pattern):
    """Entries that the steps left can't complete are dropped: else the last of a narrow beam could end in nothing."""
    for seed in range(20):
        [found] = prefix_beam_search(drawn(7, 4, seed, spread=5), 1, automaton=from_pattern(pattern, ABC))
        assert re.fullmatch(pattern, ABC.decode(found.target))


def test_thousands_of_classes_and_a_pattern():
    alphabet = Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + 6763))))
    log_probs = drawn(24, 6764, 0, spread=3)
    [best, *_] = prefix_beam_search(log_probs, automaton=from_pattern(".{3,5}", alphabet))
    assert 3 <= len(best.target) <= 5


def test_an_n_gram_counts_and_sums_to_one():
    model = CharacterNGram(["ab", "ab", "ac"], ABC, order=2)
    first = np.array([3, 3, 2, 1])  # of 9: ends, a, b, c
    alone = (first + 1 / 4) / 10
    assert np.exp(model(())) == pytest.approx(alone)
    assert np.exp(model((1,))) == pytest.approx((np.array([0, 0, 2, 1]) + alone) / 4)
    assert np.exp(model((3, 1))) == pytest.approx(np.exp(model((1,))))  # only the last symbol counts
    deep = CharacterNGram(["abc", "abca", "cab"], ABC, order=4)
    for prefix in ((), (1,), (1, 2), (2, 2, 2, 1), (3, 3)):
        assert np.exp(deep(prefix)).sum() == pytest.approx(1)


def test_an_n_gram_needs_texts_of_its_alphabet():
    with pytest.raises(ValueError, match="order=0, 1 texts"):
        CharacterNGram(["ab"], ABC, order=0)
    with pytest.raises(ValueError, match="texts to learn from"):
        CharacterNGram([], ABC)
    with pytest.raises(ValueError, match="'x'"):
        CharacterNGram(["ax"], ABC)
