"""Automata: patterns held against Python's `re`, words as a prefix tree, and the fewest steps against all paths."""

import re
from itertools import product

import pytest

from ocrlib import Alphabet
from ocrlib.ctc import automata
from ocrlib.ctc.alignments import collapse
from ocrlib.ctc.automata import from_pattern, from_words
from ocrlib.texts import ctc_min_steps

MIXED = Alphabet("ab1_-")
PATTERNS = [
    r"ab", r"a|b1", r"[ab]{2}\d", r"\w+", r"\W\d?", r"[^a]*", r".{2,3}", r"(ab|1)*", r"(?:a?b)*1", r"a{2,}", r"(a|ab)(b1)?",
    r"^a+$", r"\Aab?\Z", r"(^a|b$)", r"a*?b+?", r"[a\-_]*", r"(a?){3}", r"((a|b)1?){1,2}", r"\D{2}", r"", r"a{0}b", r"(|a)b",
    r"[a-c\d]{3}", r"\_\-", r"(?P<first>a)b?", r"(a*)*b",
]  # fmt: skip


def accepted(automaton, target):
    state = 0
    for symbol in target:
        if (state := automaton.next_state[state].get(symbol)) is None:
            return False
    return bool(automaton.accepting[state])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_accepts_the_texts_that_fullmatch_does(pattern):
    automaton = from_pattern(pattern, MIXED)
    for length in range(5):
        for target in product(range(1, len(MIXED)), repeat=length):
            assert accepted(automaton, target) == bool(re.fullmatch(pattern, MIXED.decode(target))), target


def test_each_state_leads_to_an_end_and_each_edge_stands_once():
    automaton = from_pattern(r"(ab|a1)*_|a{3}", MIXED)
    assert (automaton.least_steps[0] < 99).all() and (automaton.least_steps[1] < 99).all()
    edges = list(zip(automaton.source, automaton.symbol))
    assert len(set(edges)) == len(edges)


def test_only_allowed_classes_are_in_a_pattern():
    automaton = from_pattern(r"\w+", MIXED, allowed=MIXED.encode("a-"))
    assert set(automaton.symbol) == set(MIXED.encode("a"))


@pytest.mark.parametrize(
    "pattern, said",
    [
        (r"(a)\1", "backreference"),
        (r"a(?=b)", "lookahead"),
        (r"a(?!b)", "negative lookahead"),
        (r"a$b", "anchor in its middle"),
        (r"a\b", "anchor in its middle"),
        (r"(a)?(?(1)b|1)", "conditional"),
        (r"(?i)a", r"flags such as \(\?i\)"),
        (r"(?i:a)b", r"flags such as \(\?i\)"),
        (r"[a", "is no regular expression: unterminated character set"),
        (r"x+", "matches no text of the symbols that can be read, 'ab1_-'"),
        (r"a{1,100000}", "more than 20,000 states"),
        (5, "no regular expression"),
    ],
)
def test_what_a_pattern_cannot_hold_is_named(pattern, said):
    with pytest.raises(ValueError, match=said) as error:
        from_pattern(pattern, MIXED)
    assert repr(pattern) in str(error.value)


def test_a_pattern_with_too_many_states_is_refused_before_it_takes_minutes(monkeypatch):
    monkeypatch.setattr(automata, "MOST_STATES", 400)
    for pattern in (r"(a|b)*a(a|b){9}", r"(a?){190}"):  # one remembers ten symbols, the other's states are sets of many
        with pytest.raises(ValueError, match="more than 400 states"):
            from_pattern(pattern, MIXED)


def test_words_share_their_beginnings():
    targets = [MIXED.encode(word) for word in ("ab", "ab1", "a1", "", "ab")]
    automaton, words = from_words(targets)
    assert len(automaton.accepting) == 1 + len(["a", "ab", "ab1", "a1"])
    assert sorted(words.values()) == sorted({tuple(target) for target in targets})
    for target in product(range(1, len(MIXED)), repeat=3):
        assert accepted(automaton, target) == (list(target) in targets)


@pytest.mark.parametrize("pattern", ["aab|b", "a{3}", "(ab)+1", "a+b", "aa|ab", "[ab]{2}", "aa(aa|b)", "", "a*"])
def test_the_fewest_steps_to_an_end(pattern):
    automaton = from_pattern(pattern, MIXED)
    texts = [MIXED.decode(t) for n in range(5) for t in product(range(1, len(MIXED)), repeat=n)]
    least = min(ctc_min_steps(text) for text in texts if re.fullmatch(pattern, text))
    after_blank, after_symbol = automaton.least_steps
    assert after_blank[0] == least
    for state, symbol, found in zip(automaton.node_state, automaton.node_symbol, after_symbol):
        for steps in range(7):  # from a step with this symbol, by every path, until one ends in an accepting state
            paths = product({0, *automaton.symbol.tolist()}, repeat=steps)
            if any(ends(automaton, int(state), collapse((int(symbol), *path))[1:]) for path in paths):
                break
        assert found == steps


def ends(automaton, state, target):
    for symbol in target:
        if (state := automaton.next_state[state].get(symbol)) is None:
            return False
    return automaton.accepting[state]
