"""Prefix beam search with a guide: a character language model, an automaton of the texts that are allowed, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from torch import Tensor

from ocrlib.ctc.automata import Automaton
from ocrlib.texts import Alphabet

LanguageModel = Callable[[tuple[int, ...]], Sequence[float] | np.ndarray | Tensor]  # see `guided_beam_search`


class CharacterNGram:
    """A small language model: how probable each class is after the ``order - 1`` symbols before it, learnt from texts.

    ``model(prefix)`` gives ``(C,)`` log-probabilities of the next class; in the blank's place stands that the text ends. Counts
    are smoothed by those of shorter contexts: with n observations in a context, P = (count + P of the shorter context) / (n + 1),
    down to a uniform one. That is MacKay and Peto 1995, "A hierarchical Dirichlet language model", with a constant of 1.

    Raises ``ValueError`` for an order below 1, for no texts, and for a text with a symbol outside the alphabet.
    """

    def __init__(self, texts: Iterable[str], alphabet: Alphabet, order: int = 3) -> None:
        targets = [(*alphabet.encode(text), alphabet.blank) for text in texts]
        if order < 1 or not targets:
            raise ValueError(f"order={order}, {len(targets)} texts: give an order of 1 or more, and texts to learn from.")
        self.order, self.classes = order, len(alphabet)
        self.counts: dict[tuple[int, ...], Counter[int]] = {}  # by context
        for target in targets:
            for i, symbol in enumerate(target):
                for length in range(min(order - 1, i) + 1):
                    self.counts.setdefault(target[i - length : i], Counter())[symbol] += 1

    def __call__(self, prefix: tuple[int, ...]) -> np.ndarray:
        found = np.full(self.classes, 1 / self.classes)
        for length in range(min(self.order - 1, len(prefix)) + 1):
            if (seen := self.counts.get(prefix[len(prefix) - length :])) is None:
                break
            found[list(seen)] += list(seen.values())
            found /= seen.total() + 1
        return np.log(found)


def guided_beam_search(
    log_probs: Tensor, beam: int, blank: int, language_model: LanguageModel | None = None, weight: float = 1.0,
    automaton: Automaton | None = None,
) -> dict[tuple[int, ...], float]:  # fmt: skip
    """The targets found in log_probs ``(T, C)`` and their scores, as `ocrlib.ctc.decoding.prefix_beam_search` says."""
    if beam < 1:
        raise ValueError(f"beam={beam}: at least one entry must be kept.")
    rows = log_probs.detach().cpu().double().numpy()
    guide = _Guide(rows.shape[1], blank, language_model, weight, automaton)
    prefixes, last = [()], np.array([blank])  # the last symbol of each prefix; of the empty one the blank
    in_blank, in_symbol, bonus = np.zeros(1), np.full(1, -np.inf), np.zeros(1)  # bonus: the language model's part of the score
    for left, row in zip(range(len(rows) - 1, -1, -1), rows):
        number, number_of = np.arange(len(prefixes)), {prefix: i for i, prefix in enumerate(prefixes)}
        either = np.logaddexp(in_blank, in_symbol)
        # By a blank a prefix stays; by its last symbol too, if no blank was between. By another symbol it grows.
        stay_blank, stay_symbol = either + row[blank], in_symbol + row[last]
        gain, needed = (np.stack(part) for part in zip(*(guide.growth(prefix) for prefix in prefixes)))  # (entries, C)
        grown = either[:, None] + row
        grown[number, last] = in_blank + row[last]
        grown[(gain == -np.inf) | (needed > left)] = -np.inf
        grown[:, blank] = -np.inf
        for i, prefix in enumerate(prefixes):  # what a prefix has grown to may be an entry already
            if prefix and (parent := number_of.get(prefix[:-1])) is not None:
                stay_symbol[i] = np.logaddexp(stay_symbol[i], grown[parent, last[i]])
                grown[parent, last[i]] = -np.inf
        after_blank, after_symbol = np.array([guide.least_steps(prefix) for prefix in prefixes]).T
        possible = (stay_blank > -np.inf) & (after_blank <= left) | (stay_symbol > -np.inf) & (after_symbol <= left)
        stay = np.where(possible, np.logaddexp(stay_blank, stay_symbol) + bonus, -np.inf)
        scores = np.concatenate([stay, (grown + bonus[:, None] + np.where(grown == -np.inf, 0, gain)).ravel()])
        least = np.partition(scores, -beam)[-beam] if len(scores) > beam else -np.inf
        kept = np.flatnonzero((scores >= least) & (scores > -np.inf))
        kept = kept[np.argsort(-scores[kept], kind="stable")][:beam]
        if not len(kept):
            return {}
        stays, (old, symbol) = kept < len(prefixes), np.divmod(kept - len(prefixes), len(row))
        old = np.where(stays, kept, old)
        prefixes = [prefixes[i] if same else (*prefixes[i], int(c)) for i, same, c in zip(old.tolist(), stays, symbol)]
        in_blank = np.where(stays, stay_blank[old], -np.inf)
        in_symbol = np.where(stays, stay_symbol[old], grown[old, symbol])
        bonus = bonus[old] + np.where(stays, 0, gain[old, symbol])
        last = np.where(stays, last[old], symbol)
    ends = [guide.end(prefix) for prefix in prefixes]
    return dict(zip(prefixes, (np.logaddexp(in_blank, in_symbol) + bonus + ends).tolist()))


class _Guide:
    """What a language model and an automaton say of prefixes."""

    def __init__(
        self, classes: int, blank: int, language_model: LanguageModel | None, weight: float, automaton: Automaton | None
    ) -> None:
        self.classes, self.blank, self.language_model, self.weight = classes, blank, language_model, weight
        self.automaton = automaton
        self.values: dict[tuple[int, ...], np.ndarray] = {}  # the language model's, by prefix
        self.states: dict[tuple[int, ...], int] = {(): 0}
        self.rows: dict[int, np.ndarray] = {}  # by state: the least steps after each symbol
        if automaton is not None:
            nodes = zip(automaton.node_state.tolist(), automaton.node_symbol.tolist())
            self.least_after = dict(zip(nodes, automaton.least_steps[1].tolist()))

    def state(self, prefix: tuple[int, ...]) -> int:
        if prefix not in self.states:
            self.states[prefix] = self.automaton.next_state[self.state(prefix[:-1])][prefix[-1]]
        return self.states[prefix]

    def growth(self, prefix: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """``(C,)`` each: what a prefix gains by each symbol, and the fewest steps that are then needed to an end."""
        if self.automaton is None:
            return self.judged(prefix), np.zeros(self.classes)
        state = self.state(prefix)
        if state not in self.rows:
            self.rows[state] = np.full(self.classes, np.inf)
            for symbol, target in self.automaton.next_state[state].items():
                self.rows[state][symbol] = self.least_after[target, symbol]
        return self.judged(prefix), self.rows[state]

    def judged(self, prefix: tuple[int, ...]) -> np.ndarray:
        if self.language_model is None:
            return np.zeros(self.classes)
        if prefix not in self.values:
            values = np.asarray(self.language_model(prefix), dtype=float)
            if values.shape != (self.classes,) or np.isnan(values).any():
                wrong = "NaN" if values.shape == (self.classes,) else f"the shape {values.shape}"
                raise ValueError(
                    f"language_model({prefix}) must give {self.classes} log-probabilities, one a class; it gave {wrong}. "
                    "In the blank's place stands that of the text's end."
                )
            self.values[prefix] = np.where(values == -np.inf, -np.inf, self.weight * np.maximum(values, np.finfo(float).min))
        return self.values[prefix]

    def least_steps(self, prefix: tuple[int, ...]) -> tuple[float, float]:
        """The fewest steps from a prefix to an end, after a blank and after its last symbol."""
        if self.automaton is None:
            return 0, 0
        after_blank = self.automaton.least_steps[0][self.state(prefix)]
        return after_blank, self.least_after[self.state(prefix), prefix[-1]] if prefix else np.inf

    def end(self, prefix: tuple[int, ...]) -> float:
        """What a prefix gains where the text ends."""
        if self.automaton is not None and not self.automaton.accepting[self.state(prefix)]:
            return -np.inf
        return float(self.judged(prefix)[self.blank])
