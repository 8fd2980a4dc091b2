"""Reading when it is known what can stand in an image: only some symbols, only texts of a pattern, only the words of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ocrlib.ctc.automata import Automaton, from_pattern, from_words
from ocrlib.ctc.decoding import prefix_beam_search
from ocrlib.objectives import CTC, Objective
from ocrlib.texts import first_few, nfc

BEAM = 32
MOST_AT_ONCE = 2_000_000  # values of a time step: more are computed a few images at a time


def text_log_probs(log_probs: np.ndarray, automaton: Automaton, blank: int = 0) -> np.ndarray:
    """``(N, Q)``: log-probability of all CTC paths whose text leads the automaton to each state; log_probs are ``(T, N, C)``.

    This is CTC's forward recursion over an automaton in place of one text. In a prefix tree each state is one text, so these are
    the probabilities of all words at once. Summed over the accepting states it is the probability that a text is allowed.
    """
    batch, symbols, states = log_probs.shape[1], automaton.node_symbol, automaton.node_state
    again = np.flatnonzero(automaton.repeats >= 0)  # edges by which a symbol can follow itself
    node = automaton.repeats[again]
    first = _first_of_each(states)
    begin, number = np.flatnonzero(first), np.cumsum(first)[node] - 1  # each state's first node; the turn of a node's state
    reached = states[begin]
    # Paths that end in a blank, by state, and those that end in a symbol, by node.
    in_blank, in_symbol = np.full((batch, len(automaton.accepting)), -np.inf), np.full((batch, len(states)), -np.inf)
    in_blank[:, 0] = 0
    either = in_blank
    for row in log_probs if len(states) else ():
        entering = either[:, automaton.source]  # (N, E)
        if len(begin) == len(states):  # a symbol can follow itself only after a blank,
            entering[:, again] = in_blank[:, states[node]]
        elif len(again):  # or where another symbol led to the state
            # All paths at the state but those of one node: by subtraction, unless these are nearly all, which would be inexact.
            share = in_symbol - np.where(either == -np.inf, 0, either)[:, states]
            rest = _sums(np.where(share > -0.5, -np.inf, in_symbol), begin)
            rest, share = np.logaddexp(in_blank[:, reached], rest)[:, number], share[:, node]
            others = either[:, states[node]] + np.log1p(-np.exp(np.minimum(share, -0.5)))
            entering[:, again] = np.where(share > -0.5, rest, others)
        in_symbol = row[:, symbols] + np.logaddexp(in_symbol, _sums(entering, automaton.node_start))
        in_blank = row[:, [blank]] + either
        either = in_blank.copy()
        either[:, reached] = np.logaddexp(in_blank[:, reached], _sums(in_symbol, begin))
    return either if len(states) else in_blank + log_probs[:, :, blank].sum(0)[:, None]


def position_log_probs(log_probs: np.ndarray, automaton: Automaton, join: np.ufunc, blank: int = 0) -> np.ndarray:
    """``(T + 1, N, Q)``: the same for cross-entropy, which merges no repeats, after each number of positions.

    ``join`` is ``np.logaddexp`` for the sum over all ways to each state, ``np.maximum`` for the most probable one.
    """
    begin = np.flatnonzero(_first_of_each(automaton.target))
    found = np.full((len(log_probs) + 1, log_probs.shape[1], len(automaton.accepting)), -np.inf)
    found[0, :, 0] = 0
    for t, row in enumerate(log_probs):
        found[t + 1] = found[t] + row[:, [blank]]
        if len(begin):
            moved = join.reduceat(found[t][:, automaton.source] + row[:, automaton.symbol], begin, 1)
            found[t + 1][:, automaton.target[begin]] = join(found[t + 1][:, automaton.target[begin]], moved)
    return found


def best_positions(log_probs: np.ndarray, automaton: Automaton, blank: int = 0) -> list[list[int]]:
    """The N most probable sequences of T classes whose text, without blanks, is allowed (Viterbi); [] where there is none."""
    found, paths = position_log_probs(log_probs, automaton, np.maximum, blank), []
    for n in range(log_probs.shape[1]):
        last = np.where(automaton.accepting, found[-1, n], -np.inf)
        state, path = int(last.argmax()), []
        for t in range(len(log_probs) - 1, -1 if last[state] > -np.inf else len(log_probs), -1):
            edges = slice(*np.searchsorted(automaton.target, [state, state + 1]))
            ways = found[t, n, automaton.source[edges]] + log_probs[t, n, automaton.symbol[edges]]
            if len(ways) and ways.max() > found[t, n, state] + log_probs[t, n, blank]:
                best = edges.start + int(ways.argmax())
                path.append(int(automaton.symbol[best]))
                state = int(automaton.source[best])
            else:
                path.append(blank)
        paths.append(path[::-1])
    return paths


def target_log_probs(log_probs: Tensor, targets: Sequence[Sequence[int]], blank: int = 0) -> Tensor:
    """``(N,)`` float64: log-probability of a target for each sequence of log_probs ``(T, N, C)``, summed over its CTC paths."""
    lengths = [len(target) for target in targets]
    joined = torch.tensor([index for target in targets for index in target], dtype=torch.int64)
    return -F.ctc_loss(log_probs.double(), joined, [len(log_probs)] * len(targets), lengths, blank=blank, reduction="none")


class Constrained:
    """An objective that reads only what is allowed. It decodes in the place of ``objective``, in `ocrlib.evaluate` too.

    ``allowed`` are symbols; no other symbol is read. ``pattern`` is a regular expression that a text must match as a whole (see
    `ocrlib.ctc.automata.from_pattern`); ``words`` are the only texts there are. ``allowed`` goes with either. What is read:

    - with ``allowed`` alone: the best path through the allowed classes and the blank;
    - for CTC with ``words``: the most probable word, summed over all its paths; none is left out on the way;
    - for CTC with a ``pattern``: the most probable text that prefix beam search finds with ``BEAM`` entries. If its confidence
      is above one half, no other text can be more probable;
    - for cross-entropy: the most probable sequence of classes whose text is allowed.

    Raises ``ValueError`` for a symbol that the network can't read, for a pattern that can't be used, and if nothing is allowed.
    """

    def __init__(
        self,
        objective: Objective,
        allowed: Iterable[str] | None = None,
        pattern: str | None = None,
        words: Iterable[str] | None = None,
    ) -> None:
        if pattern is not None and words is not None:
            raise ValueError("Give a pattern or words, not both; the words that match the pattern can be picked beforehand.")
        if isinstance(words, str):
            raise ValueError(f"words={words!r} is one text; give a list: words=[{words!r}].")
        self.objective, self.alphabet, self.merges = objective, objective.alphabet, isinstance(objective, CTC)
        self.without_padding = objective.without_padding
        self.automaton, self.words = None, {}
        self.classes = list(range(1, len(self.alphabet))) if allowed is None else self._classes(allowed)
        if pattern is not None:
            self.automaton = from_pattern(pattern, self.alphabet, self.classes)
        elif words is not None:
            targets = [self.alphabet.encode(word) for word in _strings("words", words)]
            readable = [target for target in targets if {*target} <= {*self.classes}]
            if not readable:
                raise ValueError(f"None of the {len(targets)} words can be read: each needs symbols that are not allowed.")
            self.automaton, self.words = from_words(readable)

    def _classes(self, allowed: Iterable[str]) -> list[int]:
        symbols = list(dict.fromkeys("".join(_strings("allowed", [allowed] if isinstance(allowed, str) else allowed))))
        unknown = [repr(symbol) for symbol in symbols if symbol not in self.alphabet.symbols]
        if unknown or not symbols:
            wrong = f"allowed holds {first_few(unknown)}, which this network can't read" if unknown else "allowed is empty"
            raise ValueError(f"{wrong}. Give symbols of its alphabet {self.alphabet.symbols!r}.")
        return self.alphabet.encode("".join(symbols))

    def decode(self, logits: Tensor) -> list[str]:
        """N texts read from logits ``(T, N, C)``. Raises ``ValueError`` if T steps are too few for all texts that are allowed."""
        self.objective.check_logits(logits)
        if self.automaton is None:
            return self.objective.decode(self.masked(logits))
        log_probs, blank = _log_probs(logits), self.alphabet.blank
        if self.merges and (needed := self.automaton.least_steps[0][0]) > len(logits):
            steps = f"the shortest needs {needed:.0f} steps, the network has {len(logits)}"
            raise ValueError(f"No text that is allowed fits: {steps}.")
        if self.words and self.merges:
            states = np.flatnonzero(self.automaton.accepting)
            paths = [self.words[state] for state in states[self._accepted(log_probs).argmax(1)].tolist()]
        elif self.merges:
            searches = (prefix_beam_search(of_one, BEAM, blank, automaton=self.automaton) for of_one in log_probs.unbind(1))
            paths = [found[0].target if found else () for found in searches]
        else:
            paths = best_positions(log_probs.numpy(), self.automaton, blank)
            if not all(paths):
                raise ValueError(f"No text that is allowed fits into the network's {len(logits)} positions.")
        return [self.alphabet.decode(path) for path in paths]

    def confidence(self, logits: Tensor, texts: Sequence[str]) -> Tensor:
        """``(N,)`` float64: the probability of each text, which `decode` has read, given that a text is allowed.

        It is the text's own probability over the `share`. For digits read where only digits are allowed, it doesn't count that
        the network may have seen letters: where that matters, look at the `share`.
        """
        if self.automaton is None:
            return self.objective.confidence(self.masked(logits), texts)
        log_probs = _log_probs(logits)
        if self.merges:
            of_texts = target_log_probs(log_probs, [self.alphabet.encode(text) for text in texts], self.alphabet.blank)
        else:
            of_texts = torch.from_numpy(self._accepted(log_probs, np.maximum).max(1))
        share = self._log_share(log_probs)
        return torch.where(share > -torch.inf, (of_texts - share).exp().clamp(max=1), 0)

    def share(self, logits: Tensor) -> Tensor:
        """``(N,)`` float64: the probability that the network gives to all that is allowed. Near 0, nothing fits the image."""
        return self._log_share(_log_probs(logits)).exp().clamp(max=1)

    def _log_share(self, log_probs: Tensor) -> Tensor:
        if self.automaton is None:
            return log_probs[:, :, [self.alphabet.blank, *self.classes]].logsumexp(2).sum(0)
        return torch.from_numpy(np.logaddexp.reduce(self._accepted(log_probs), 1))

    def _accepted(self, log_probs: Tensor, join: np.ufunc = np.logaddexp) -> np.ndarray:
        """``(N, A)``: log-probability that the text ends in each accepting state."""
        found, at_once = [], max(MOST_AT_ONCE // max(len(self.automaton.source), 1), 1)
        for part in log_probs.split(at_once, 1):
            if self.merges:
                last = text_log_probs(part.numpy(), self.automaton, self.alphabet.blank)
            else:
                last = position_log_probs(part.numpy(), self.automaton, join, self.alphabet.blank)[-1]
            found.append(last[:, self.automaton.accepting])
        return np.concatenate(found)

    def masked(self, logits: Tensor) -> Tensor:
        """The logits with -inf for the classes that are not allowed: softmax then divides their share among the others."""
        hidden = torch.ones(logits.shape[2], dtype=torch.bool, device=logits.device)
        hidden[[self.alphabet.blank, *self.classes]] = False
        return logits.masked_fill(hidden, -torch.inf)


def _strings(name: str, given: Iterable[str]) -> list[str]:
    """In Unicode's NFC, as texts and alphabets are. Raises ``ValueError`` for what is no string."""
    given = list(given) if isinstance(given, Iterable) else [given]
    if wrong := [repr(one) for one in given if not isinstance(one, str)]:
        raise ValueError(f"{name} must hold strings, got {first_few(wrong)}.")
    return [nfc(one) for one in given]


def _sums(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """The logarithm of the sum over each part of ``(N, K)`` log-values, which are cut at ``begin``."""
    return values if len(begin) == values.shape[1] else np.logaddexp.reduceat(values, begin, 1)


def _first_of_each(ordered: np.ndarray) -> np.ndarray:
    """Whether each of some sorted numbers is the first of its value."""
    return np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]


def _log_probs(logits: Tensor) -> Tensor:
    return logits.detach().cpu().double().log_softmax(2)
