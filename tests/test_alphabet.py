import pytest
import torch

from ocrlib import Alphabet


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


def test_a_strange_symbol_is_named():
    with pytest.raises(ValueError, match=r"'aXb' holds 'X'.*'ab'"):
        Alphabet("ab").encode("aXb")


@pytest.mark.parametrize(("symbols", "named"), [("", "at least one"), ("aba", r"\['a'\]")])
def test_an_impossible_alphabet_is_refused(symbols, named):
    with pytest.raises(ValueError, match=named):
        Alphabet(symbols)


def test_alphabets_are_equal_by_their_symbols():
    assert Alphabet("ab") == Alphabet("ab") != Alphabet("ba")
