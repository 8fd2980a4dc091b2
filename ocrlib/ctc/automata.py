"""Finite automata over an alphabet's symbols: the texts that match a pattern, or the words of a list as a prefix tree.

An automaton reads a text symbol by symbol and moves from state to state; the text is allowed if the last state accepts. These
are deterministic: from a state, each symbol leads to one state at most, so that each text has one way through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from ocrlib.texts import Alphabet, nfc

try:  # Python's own parser of patterns, so that they mean here what they mean in `re`
    from re import _constants as sre  # from Python 3.11
    from re import _parser
except ImportError:
    import sre_constants as sre
    import sre_parse as _parser

MOST_STATES = 20_000  # of a pattern: a larger one takes minutes
MOST_CLASSES = 2**31
_CATEGORIES = {"DIGIT": r"\d", "NOT_DIGIT": r"\D", "WORD": r"\w", "NOT_WORD": r"\W", "SPACE": r"\s", "NOT_SPACE": r"\S"}
_UNSUPPORTED = {
    "ASSERT": "a lookahead or lookbehind",
    "ASSERT_NOT": "a negative lookahead or lookbehind",
    "AT": r"an anchor in its middle (^, $, \A, \Z, \b or \B)",
    "ATOMIC_GROUP": "an atomic group",
    "GROUPREF": r"a backreference (such as \1)",
    "GROUPREF_EXISTS": "a conditional group",
    "POSSESSIVE_REPEAT": "a possessive repeat (such as *+)",
}


class Automaton:
    """States 0 (where every text begins) to Q - 1, and E edges, sorted by target and symbol.

    ``source``, ``symbol`` (a class index) and ``target`` are ``(E,)``; ``accepting`` is ``(Q,)`` bool. From each state an
    accepting one can be reached. For CTC a state is divided by the symbol that led to it: a *node* is such a pair, and
    ``node_symbol`` and ``node_state`` are ``(K,)``.
    """

    def __init__(self, edges: Iterable[tuple[int, int, int]], accepting: Sequence[bool]) -> None:
        rows = np.array(sorted(edges, key=lambda edge: (edge[2], edge[1])), dtype=np.int64).reshape(-1, 3)
        self.source, self.symbol, self.target = rows.T
        self.accepting = np.array(accepting, dtype=bool)
        begins = np.ones(len(rows), bool)  # whether an edge is the first to its node
        begins[1:] = (rows[1:, 1:] != rows[:-1, 1:]).any(1)
        self.node_start, self.node_of_edge = np.flatnonzero(begins), np.cumsum(begins) - 1
        self.node_symbol, self.node_state = self.symbol[begins], self.target[begins]

    @cached_property
    def next_state(self) -> list[dict[int, int]]:
        """For each state, the state to which each symbol leads."""
        following: list[dict[int, int]] = [{} for _ in self.accepting]
        for source, symbol, target in zip(self.source.tolist(), self.symbol.tolist(), self.target.tolist()):
            following[source][symbol] = target
        return following

    @cached_property
    def repeats(self) -> np.ndarray:
        """``(E,)``: the node of an edge's source with the edge's own symbol, or -1 where that state isn't reached by it."""
        node = {pair: k for k, pair in enumerate(zip(self.node_state.tolist(), self.node_symbol.tolist()))}
        return np.array([node.get(pair, -1) for pair in zip(self.source.tolist(), self.symbol.tolist())], dtype=np.int64)

    @cached_property
    def least_steps(self) -> tuple[np.ndarray, np.ndarray]:
        """The fewest CTC steps from each state, after a blank, ``(Q,)``, and from each node ``(K,)``, to an accepting state."""
        after_blank, after_symbol = np.where(self.accepting, 0, np.inf), np.full(len(self.node_state), np.inf)
        while True:
            further = 1 + after_symbol[self.node_of_edge]  # (E,)
            np.minimum.at(least := after_blank.copy(), self.source, further)
            # A node can go on as its state can, but where all the quickest edges have its own symbol a blank must come first.
            quickest, states = further == least[self.source], len(least)
            np.minimum.at(lowest := np.full(states, MOST_CLASSES), self.source[quickest], self.symbol[quickest])
            np.maximum.at(highest := np.full(states, -1), self.source[quickest], self.symbol[quickest])
            own = (lowest == highest)[self.node_state] & (highest[self.node_state] == self.node_symbol)
            before, after_symbol = after_symbol, least[self.node_state] + (own & ~self.accepting[self.node_state])
            if np.array_equal(least, after_blank) and np.array_equal(before, after_symbol):
                return after_blank, after_symbol
            after_blank = least


def from_words(targets: Iterable[Sequence[int]]) -> tuple[Automaton, dict[int, tuple[int, ...]]]:
    """The prefix tree of words, given as class indices, and the word of each accepting state. Equal beginnings share states."""
    children: dict[tuple[int, int], int] = {}
    words: dict[int, tuple[int, ...]] = {}
    for target in targets:
        state = 0
        for symbol in target:
            state = children.setdefault((state, symbol), len(children) + 1)
        words[state] = tuple(target)
    edges = ((source, symbol, target) for (source, symbol), target in children.items())
    return Automaton(edges, [state in words for state in range(len(children) + 1)]), words


def from_pattern(pattern: str, alphabet: Alphabet, allowed: Iterable[int] | None = None) -> Automaton:
    r"""The texts that match a regular expression as a whole, as `re.fullmatch` has it, made of the ``allowed`` classes (or all).

    It may hold literals, ``.``, classes such as ``[A-Z]``, ``[^0-9]``, ``\d`` and ``\w``, groups, ``|``, ``?``, ``*``, ``+`` and
    ``{m,n}``. Raises ``ValueError`` for anything else, which it names; for what is no regular expression; for one that no text
    of the alphabet matches; and for one that needs more than ``MOST_STATES`` states.
    """
    try:
        pattern = nfc(pattern)
        re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, TypeError, OverflowError) as error:
        raise ValueError(f"The pattern {pattern!r} is no regular expression: {error}.") from error
    builder = _Builder(pattern, alphabet, range(1, len(alphabet)) if allowed is None else allowed)
    if tree.state.flags & ~(re.UNICODE | re.VERBOSE):
        raise builder.unsupported("flags such as (?i)")
    end = builder.sequence(tree, builder.state(), True, True)
    return builder.deterministic(end)


class _Builder:
    """From a parsed pattern to an automaton by way of one that isn't deterministic (Thompson 1968; Rabin and Scott 1959)."""

    def __init__(self, pattern: str, alphabet: Alphabet, allowed: Iterable[int]) -> None:
        self.pattern, self.alphabet = pattern, alphabet
        self.symbols = {index: alphabet.decode([index]) for index in allowed}
        self.free: list[list[int]] = []  # moves of each state that read nothing
        self.moves: list[list[tuple[list[int], int]]] = []  # and those that read one of some classes

    def unsupported(self, what: str) -> ValueError:
        known = r"literals, ., classes such as [A-Z], \d and \w, groups, |, ?, *, + and {m,n}"
        return ValueError(f"The pattern {self.pattern!r} holds {what}, which can't be used in reading. What can: {known}.")

    def too_large(self) -> ValueError:
        return ValueError(f"The pattern {self.pattern!r} needs more than {MOST_STATES:,} states. Take fewer repeats.")

    def state(self) -> int:
        if len(self.free) > MOST_STATES:
            raise self.too_large()
        self.free.append([])
        self.moves.append([])
        return len(self.free) - 1

    def sequence(self, items: Iterable, state: int, first: bool, last: bool) -> int:
        """The state after all items in a row. ``first`` and ``last``: whether the text begins before them, and ends after."""
        items = list(items)
        while first and items and items[0] in ((sre.AT, sre.AT_BEGINNING), (sre.AT, sre.AT_BEGINNING_STRING)):
            items.pop(0)  # the text is matched as a whole, so these say nothing
        while last and items and items[-1] in ((sre.AT, sre.AT_END), (sre.AT, sre.AT_END_STRING)):
            items.pop()
        for i, (kind, value) in enumerate(items):
            state = self.item(kind, value, state, first and i == 0, last and i == len(items) - 1)
        return state

    def item(self, kind: object, value: object, state: int, first: bool, last: bool) -> int:
        if kind in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            end = self.state()
            chosen = [index for index, symbol in self.symbols.items() if _matches(kind, value, symbol)]
            self.moves[state].append((chosen, end))
            return end
        if kind == sre.SUBPATTERN:
            _, added, removed, items = value
            if added or removed:
                raise self.unsupported("flags such as (?i)")
            return self.sequence(items, state, first, last)
        if kind == sre.BRANCH:
            return self.joined([self.sequence(items, state, first, last) for items in value[1]])
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):  # a greedy and a lazy repeat match the same whole texts
            least, most, items = value
            for _ in range(least):
                state = self.sequence(items, state, False, False)
            if most == sre.MAXREPEAT:
                again = self.joined([state])
                self.free[self.sequence(items, again, False, False)].append(again)
                return again
            ends = [state]
            for _ in range(most - least):
                ends.append(self.sequence(items, ends[-1], False, False))
            return self.joined(ends)
        raise self.unsupported(_UNSUPPORTED.get(str(kind), str(kind).lower()))

    def joined(self, states: Iterable[int]) -> int:
        end = self.state()
        for state in states:
            self.free[state].append(end)
        return end

    def reach(self, states: Iterable[int]) -> frozenset[int]:
        """These states and all that can be reached from them without reading a symbol."""
        found, todo = set(), list(states)
        while todo:
            if (state := todo.pop()) not in found:
                found.add(state)
                todo += self.free[state]
        return frozenset(found)

    def deterministic(self, end: int) -> Automaton:
        """The automaton whose states are sets of this one's; those from which ``end`` can't be reached are left out."""
        numbers, edges, size = {self.reach([0]): 0}, [], 0
        for states in (todo := list(numbers)):  # which grows on the way
            targets: dict[int, set[int]] = {}
            for state in states:
                for chosen, target in self.moves[state]:
                    for index in chosen:
                        targets.setdefault(index, set()).add(target)
            reached = {frozenset(found): None for found in targets.values()}
            reached = {found: self.reach(found) for found in reached}
            for index, found in targets.items():
                new = reached[frozenset(found)]
                if new not in numbers:
                    numbers[new] = len(numbers)
                    todo.append(new)
                    size += len(new)
                    if len(numbers) > MOST_STATES or size > 50 * MOST_STATES:
                        raise self.too_large()
                edges.append((numbers[states], index, numbers[new]))
        sources: dict[int, list[int]] = {}
        for source, _, target in edges:
            sources.setdefault(target, []).append(source)
        alive, check = set(), [number for states, number in numbers.items() if end in states]
        accepting = set(check)
        while check:
            if (state := check.pop()) not in alive:
                alive.add(state)
                check += sources.get(state, [])
        if 0 not in alive:
            readable = "".join(self.symbols.values())
            raise ValueError(f"The pattern {self.pattern!r} matches no text of the symbols that can be read, {readable!r}.")
        kept = {state: i for i, state in enumerate(sorted(alive))}
        kept_edges = [(kept[a], index, kept[b]) for a, index, b in edges if a in kept and b in kept]
        return Automaton(kept_edges, [state in accepting for state in kept])


def _matches(kind: object, value: object, symbol: str) -> bool:
    """Whether one symbol matches one item of a parsed pattern that stands for one symbol."""
    code = ord(symbol)
    if kind == sre.LITERAL:
        return code == value
    if kind == sre.NOT_LITERAL:
        return code != value
    if kind == sre.ANY:
        return symbol != "\n"
    if kind == sre.RANGE:
        return value[0] <= code <= value[1]
    if kind == sre.CATEGORY:
        return re.fullmatch(_CATEGORIES[str(value).removeprefix("CATEGORY_")], symbol) is not None
    negated = bool(value) and value[0][0] == sre.NEGATE
    return negated != any(_matches(*item, symbol) for item in value[negated:])
