"""Reading what is allowed: masks, patterns and word lists held against the sum over all paths."""

import math
import re
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ocrlib import CTC, Alphabet, CrossEntropy
from ocrlib.ctc.alignments import collapse
from ocrlib.ctc.automata import from_pattern, from_words
from ocrlib.ctc.constraints import Constrained, best_positions, target_log_probs, text_log_probs

AB1 = Alphabet("ab1")
PATTERNS = ["a?b+1?", r"[ab]{2}\d", r"\w{3}", "(ab|1)*", "a+|b", "aa|a1|b", ".*", "aab?", "a{2,}1?", ""]


def drawn(steps, batch, classes, seed, spread=2.0):
    return spread * torch.randn(steps, batch, classes, generator=torch.Generator().manual_seed(seed))


def by_all_paths(log_probs, alphabet, merges):
    """The probability of each text, path by path, and of each path; log_probs are ``(T, C)``."""
    texts, paths = {}, {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        probability = math.exp(sum(float(row[index]) for row, index in zip(log_probs, path)))
        text = alphabet.decode(collapse(path) if merges else path)
        texts[text] = texts.get(text, 0) + probability
        paths[path] = probability, text
    return texts, paths


@pytest.mark.parametrize("spread", [1.0, 4.0, 30.0])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_exact_for_ctc(pattern, spread):
    logits = drawn(5, 4, len(AB1), seed=len(pattern), spread=spread)
    reader = Constrained(CTC(AB1), pattern=pattern)
    read = reader.decode(logits)
    confidences, shares = reader.confidence(logits, read), reader.share(logits)
    for n, log_probs in enumerate(logits.double().log_softmax(2).unbind(1)):
        texts, _ = by_all_paths(log_probs, AB1, merges=True)
        allowed = {text: p for text, p in texts.items() if re.fullmatch(pattern, text)}
        assert read[n] == max(allowed, key=allowed.get)
        assert float(shares[n]) == pytest.approx(sum(allowed.values()), rel=1e-9)
        assert float(confidences[n]) == pytest.approx(allowed[read[n]] / sum(allowed.values()), rel=1e-9)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_exact_for_cross_entropy(pattern):
    logits = drawn(4, 4, len(AB1), seed=len(pattern))
    reader = Constrained(CrossEntropy(AB1), pattern=pattern)
    read = reader.decode(logits)
    confidences, shares = reader.confidence(logits, read), reader.share(logits)
    for n, log_probs in enumerate(logits.double().log_softmax(2).unbind(1)):
        _, paths = by_all_paths(log_probs, AB1, merges=False)
        allowed = [(p, text) for p, text in paths.values() if re.fullmatch(pattern, text)]
        assert read[n] == max(allowed)[1]
        assert float(shares[n]) == pytest.approx(sum(p for p, _ in allowed))
        assert float(confidences[n]) == pytest.approx(max(allowed)[0] / sum(p for p, _ in allowed))


@pytest.mark.parametrize("kind", [CTC, CrossEntropy])
def test_allowed_symbols_are_read_as_if_there_were_no_others(kind):
    logits = drawn(4, 6, len(AB1), seed=1)
    reader, smaller = Constrained(kind(AB1), allowed="1a"), kind(Alphabet("a1"))
    read = reader.decode(logits)
    assert read == smaller.decode(logits[:, :, [0, 1, 3]]) and set("".join(read)) == set("a1")
    expected = smaller.confidence(logits[:, :, [0, 1, 3]].double(), read)
    torch.testing.assert_close(reader.confidence(logits, read), expected, rtol=1e-6, atol=0)
    for n, log_probs in enumerate(logits.double().log_softmax(2).unbind(1)):
        texts, _ = by_all_paths(log_probs, AB1, kind is CTC)
        assert float(reader.share(logits)[n]) == pytest.approx(sum(p for text, p in texts.items() if set(text) <= set("a1")))


def test_all_symbols_allowed_change_nothing():
    logits = drawn(6, 9, len(AB1), seed=3)
    for objective in (CTC(AB1), CrossEntropy(AB1)):
        reader = Constrained(objective, allowed=AB1.symbols)
        assert reader.decode(logits) == objective.decode(logits)
        torch.testing.assert_close(reader.share(logits), torch.ones(9, dtype=torch.float64))


def test_a_pattern_and_allowed_symbols_go_together():
    logits = drawn(4, 6, len(AB1), seed=4)
    reader = Constrained(CTC(AB1), allowed="a1", pattern=r"\w{1,2}")
    read = reader.decode(logits)
    for n, log_probs in enumerate(logits.double().log_softmax(2).unbind(1)):
        texts, _ = by_all_paths(log_probs, AB1, merges=True)
        allowed = {text: p for text, p in texts.items() if re.fullmatch("[a1]{1,2}", text)}
        assert read[n] == max(allowed, key=allowed.get)
        assert float(reader.confidence(logits, read)[n]) == pytest.approx(allowed[read[n]] / sum(allowed.values()))


DRAWN = (np.random.default_rng(n).integers(1, 4, size=1 + n % 7).tolist() for n in range(60))
WORDS = sorted({*map(AB1.decode, DRAWN), "aa", "a"})


def test_of_a_word_list_the_most_probable_word_is_read():
    logits = drawn(9, 16, len(AB1), seed=5, spread=1.0)
    reader = Constrained(CTC(AB1), words=WORDS)
    read = reader.decode(logits)
    log_probs = logits.double().log_softmax(2)
    each = torch.stack([-ctc_loss(log_probs, AB1.encode(word)) for word in WORDS])  # (words, N)
    assert read == [WORDS[i] for i in each.argmax(0)]
    torch.testing.assert_close(reader.confidence(logits, read), each.softmax(0).amax(0))
    torch.testing.assert_close(reader.share(logits), each.logsumexp(0).exp())
    assert len(set(read)) > 4


def ctc_loss(log_probs, target):
    steps, batch, _ = log_probs.shape
    targets = torch.tensor([target] * batch).reshape(batch, len(target))
    return F.ctc_loss(log_probs, targets, [steps] * batch, [len(target)] * batch, reduction="none")


def test_a_long_list_of_words_is_one_prefix_tree():
    alphabet, random = Alphabet(), np.random.default_rng(0)
    words = ["".join(random.choice(list(alphabet.symbols), size=length)) for length in random.integers(1, 9, size=3000)]
    logits = drawn(24, 3, len(alphabet), seed=6, spread=1.0)
    reader = Constrained(CTC(alphabet), words=words)
    log_probs = logits.double().log_softmax(2)
    each = torch.stack([target_log_probs(log_probs[:, [n]].expand(-1, len(words), -1), [alphabet.encode(w) for w in words])
                        for n in range(3)])  # fmt: skip
    assert reader.decode(logits) == [words[i] for i in each.argmax(1)]


def test_words_for_cross_entropy():
    logits = drawn(4, 8, len(AB1), seed=7)
    words = ["ab1a", "bbbb", "1a1a", "aab1", "ab"]
    read = (reader := Constrained(CrossEntropy(AB1), words=words)).decode(logits)
    for n, log_probs in enumerate(logits.double().log_softmax(2).unbind(1)):
        _, paths = by_all_paths(log_probs, AB1, merges=False)
        allowed = [(p, text) for p, text in paths.values() if text in words]
        assert read[n] == max(allowed)[1]
        assert float(reader.confidence(logits, read)[n]) == pytest.approx(max(allowed)[0] / sum(p for p, _ in allowed))


def test_an_allowed_text_that_nothing_speaks_for_is_exact_too():
    """All paths but a hair repeat one symbol, and only the hair can be read: nothing is lost by rounding."""
    log_probs = torch.full((4, 1, 4), -200.0, dtype=torch.float64)
    log_probs[:, :, 1] = 0  # a a a a
    automaton = from_pattern("a*b?a|aa", AB1)
    found = text_log_probs(log_probs.numpy(), automaton)[0, automaton.accepting]
    total = np.logaddexp.reduce([float(target_log_probs(log_probs, [AB1.encode(text)])) for text in ("a", "aa", "ba", "aba")])
    assert np.logaddexp.reduce(found) == pytest.approx(total)
    exactly, _ = from_words([AB1.encode("aa")])
    pair = from_pattern("aa", AB1)
    for one in (exactly, pair):
        assert text_log_probs(log_probs.numpy(), one)[0, one.accepting][0] == pytest.approx(
            float(target_log_probs(log_probs, [AB1.encode("aa")])), rel=1e-12
        )


def test_impossible_classes_and_impossible_texts():
    logits = torch.zeros(3, 1, 4)
    logits[:, :, 1] = -torch.inf  # a never comes
    for kind in (CTC, CrossEntropy):
        reader = Constrained(kind(AB1), pattern="a?1")
        assert reader.decode(logits) == ["1"] and float(reader.share(logits)) > 0
    reader = Constrained(CTC(AB1), pattern="a1")
    assert reader.decode(logits) == [""]
    assert reader.confidence(logits, [""]).tolist() == reader.share(logits).tolist() == [0]


def test_no_texts_and_no_steps_that_suffice():
    for options in ({"pattern": "a{6}"}, {"words": ["aaaaaa", "ab1ab1ab1ab1"]}):
        with pytest.raises(ValueError, match="shortest needs 11 steps, the network has 9"):
            Constrained(CTC(AB1), **options).decode(torch.zeros(9, 2, 4))
        with pytest.raises(ValueError, match="fits into the network's 4 positions"):
            Constrained(CrossEntropy(AB1), **options).decode(torch.zeros(4, 2, 4))
    assert best_positions(np.zeros((2, 1, 4)), from_pattern("aaa", AB1)) == [[]]
    for options in ({"pattern": "a?"}, {"words": [""]}, {"words": ["", "a"]}, {"allowed": "a"}):
        assert Constrained(CTC(AB1), **options).decode(torch.zeros(3, 0, 4)) == []
    assert Constrained(CTC(AB1), words=[""]).decode(torch.zeros(3, 2, 4)) == ["", ""]


def test_an_accented_letter_may_be_written_in_two_ways():
    alphabet, logits = Alphabet("é1"), torch.zeros(4, 1, 3)
    for options in ({"allowed": "e\u0301"}, {"pattern": "e\u0301+"}, {"words": ["e\u0301"]}):
        assert {*Constrained(CTC(alphabet), **options).decode(logits)[0]} <= {"é"}


@pytest.mark.parametrize(
    "options, said",
    [
        ({"allowed": "a9"}, "allowed holds '9', which this network can't read. Give symbols of its alphabet 'ab1'"),
        ({"allowed": ""}, "allowed is empty"),
        ({"words": []}, "None of the 0 words"),
        ({"words": ["b"], "allowed": "a"}, "None of the 1 words can be read: each needs symbols that are not allowed"),
        ({"words": "ab"}, r"words='ab' is one text; give a list: words=\['ab'\]"),
        ({"words": ["ab", "x"]}, "'x' holds 'x', which is not in the alphabet"),
        ({"words": ["ab"], "pattern": "a"}, "not both"),
        ({"words": ["ab", 5]}, "words must hold strings, got 5"),
        ({"allowed": range(2)}, "allowed must hold strings, got 0, 1"),
        ({"allowed": 5}, "allowed must hold strings, got 5"),
        ({"pattern": 5}, "The pattern 5 is no regular expression"),
    ],
)
def test_wrong_constraints_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        Constrained(CTC(AB1), **options)
