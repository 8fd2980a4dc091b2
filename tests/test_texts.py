"""Counts over texts, against counting by hand and by brute force."""

from functools import lru_cache
from itertools import product

import pytest
import torch

from ocrlib import Alphabet
from ocrlib.texts import (
    align,
    count_equal_neighbours,
    ctc_min_steps,
    equal_neighbours,
    symbol_frequencies,
)


def test_the_default_has_digits_letters_and_a_blank():
    alphabet = Alphabet()
    assert len(alphabet) == 37
    assert alphabet.blank == 0
    assert alphabet.encode("0az") == [1, 11, 36]


def test_encode_and_decode_are_inverse_and_keep_repeats():
    alphabet = Alphabet("fdc5")
    assert alphabet.decode(alphabet.encode("cd5ff")) == "cd5ff"
    assert alphabet.decode([0, 1, 0, 1, 0]) == "ff"


def test_a_batch_is_padded_with_the_blank():
    targets, lengths = Alphabet("abc").encode_batch(["ab", "cab"])
    assert targets.tolist() == [[1, 2, 0], [3, 1, 2]]
    assert lengths.tolist() == [2, 3]
    assert targets.dtype == lengths.dtype == torch.int64
    assert [tensor.tolist() for tensor in Alphabet("abc").encode_batch(["", ""])] == [[[], []], [0, 0]]
    nothing, lengths = Alphabet("abc").encode_batch([])
    assert nothing.shape == (0, 0) and nothing.dtype == torch.int64 and lengths.shape == (0,)


def test_a_strange_symbol_is_named():
    with pytest.raises(ValueError, match=r"'aXb' holds 'X'.*'ab'"):
        Alphabet("ab").encode("aXb")


@pytest.mark.parametrize(("symbols", "named"), [("", "at least one"), ("aba", r"\['a'\]")])
def test_an_impossible_alphabet_is_refused(symbols, named):
    with pytest.raises(ValueError, match=named):
        Alphabet(symbols)


def test_alphabets_are_equal_by_their_symbols():
    assert Alphabet("ab") == Alphabet("ab") != Alphabet("ba")


SLOTS = "bcde2345678gfynmnpwx"  # what the published images were drawn from


def test_frequencies_are_sorted_and_complete():
    assert list(symbol_frequencies(["cab", "bb"]).items()) == [("a", 1), ("b", 3), ("c", 1)]
    assert symbol_frequencies([]) == {}


@pytest.mark.parametrize("text, neighbours", [("", 0), ("a", 0), ("cd5fc", 0), ("cd5ff", 1), ("ffcff", 2), ("fffff", 4)])
def test_equal_neighbours(text, neighbours):
    assert equal_neighbours(text) == neighbours
    assert ctc_min_steps(text) == len(text) + neighbours


def test_texts_are_counted_once_however_many_neighbours_they_have():
    assert count_equal_neighbours(["fffff", "aab", "aba"]) == 2


@pytest.mark.parametrize("text", ["ab", "aa", "aba", "aab", "aaa"])
def test_ctc_min_steps_is_the_shortest_path_that_decodes_to_the_text(text):
    def decodes(path):
        merged = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
        return "".join(merged).replace("-", "") == text

    shortest = next(steps for steps in range(1, 7) if any(decodes(path) for path in product("-ab", repeat=steps)))
    assert ctc_min_steps(text) == shortest


def test_alignment_of_a_merged_repeat_and_of_nothing():
    assert [pair for pair in align("cd5f", "cd5ff") if pair[0] != pair[1]] == [("", "f")]
    assert align("", "ab") == [("", "a"), ("", "b")]
    assert align("mxmw4", "mxnw4")[2] == ("m", "n")


def test_alignment_has_the_fewest_edits_and_keeps_both_texts():
    @lru_cache
    def edits(a, b):  # the definition, straight
        if not a or not b:
            return len(a) + len(b)
        return min(edits(a[1:], b[1:]) + (a[0] != b[0]), edits(a[1:], b) + 1, edits(a, b[1:]) + 1)

    texts = ["".join(letters) for n in range(4) for letters in product("ab", repeat=n)] + ["abcab", "bcabc", "cbabac"]
    for predicted, true in product(texts, repeat=2):
        pairs = align(predicted, true)
        assert "".join(p for p, _ in pairs) == predicted and "".join(t for _, t in pairs) == true
        assert sum(p != t for p, t in pairs) == edits(predicted, true)


def test_an_alphabet_of_a_list_is_that_of_the_string():
    assert Alphabet(list("abc")) == Alphabet("abc") == Alphabet(("a", "b", "c")) and Alphabet(list("abc")).symbols == "abc"
    assert repr(Alphabet(list("abc"))) == "Alphabet('abc')"


@pytest.mark.parametrize("symbols", [{"a", "b"}, frozenset("a"), ["ab", "c"], ["a", 1], [""]])
def test_an_alphabet_without_an_order_or_of_anything_but_characters_is_refused(symbols):
    with pytest.raises(ValueError, match="list of single characters in a fixed order"):
        Alphabet(symbols)


@pytest.mark.parametrize("indices", [[4], [1, -1], [0, 36]])
def test_indices_outside_the_alphabet_are_refused(indices):
    with pytest.raises(ValueError, match="Indices of this alphabet run from 0 to 3, got"):
        Alphabet("abc").decode(indices)


def test_an_alphabet_in_two_spellings_of_an_accent_is_one():
    spelled = "e\u0301\u00fc"  # e and its accent apart, as macOS writes them
    assert Alphabet(spelled) == Alphabet("\u00e9\u00fc") and Alphabet(spelled).encode("\u00fc\u00e9") == [2, 1]
    assert Alphabet(list("e\u0301")).symbols == "e\u0301"  # a list is what it is
