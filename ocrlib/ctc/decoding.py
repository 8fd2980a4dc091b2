"""Decoding of one sequence of log-probabilities: the most probable path, the most probable text, and calibration."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import count, product
from math import inf
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ocrlib.ctc.alignments import BLANK, collapse
from ocrlib.ctc.automata import Automaton
from ocrlib.ctc.guided import LanguageModel, guided_beam_search
from ocrlib.evaluation import binomial_interval

MOST_PATHS = 1_000_000  # limit of `exhaustive_search`: it takes some seconds
NONE = -1  # in place of an index
_pick = partial(np.take_along_axis, axis=1)


class Reading(NamedTuple):
    """A target (class indices without the blank) and the logarithm of its probability."""

    target: tuple[int, ...]
    log_prob: float


def best_path(log_probs: Tensor, blank: int = BLANK) -> Reading:
    """Greedy decoding of log_probs ``(T, C)``: the target of the most probable path, with the probability of this path alone."""
    best = log_probs.max(1)
    return Reading(collapse(best.indices.tolist(), blank), float(best.values.sum()))


def exhaustive_search(log_probs: Tensor, blank: int = BLANK) -> list[Reading]:
    """All targets with a probability above 0, most probable first. Raises ``ValueError`` if C^T paths are too many to sum."""
    steps, classes = log_probs.shape
    if classes**steps > MOST_PATHS:
        raise ValueError(f"{classes}^{steps} paths are too many to go through one by one; use prefix_beam_search.")
    rows = log_probs.tolist()
    found: dict[tuple[int, ...], list[float]] = defaultdict(list)  # the log-probabilities of its paths
    for path in product(range(classes), repeat=steps):
        found[collapse(path, blank)].append(sum(row[index] for row, index in zip(rows, path)))
    return _best_first({target: np.logaddexp.reduce(paths) for target, paths in found.items()})


def prefix_beam_search(
    log_probs: Tensor,
    beam: int = 16,
    blank: int = BLANK,
    *,
    language_model: LanguageModel | None = None,
    weight: float = 1.0,
    automaton: Automaton | None = None,
) -> list[Reading]:
    """The targets that prefix beam search finds in log_probs ``(T, C)``: at most ``beam``, most probable first.

    Paths that spell the same prefix share one entry. After each step only the ``beam`` most probable entries are kept. The
    probabilities are lower bounds; they are exact if no entry was ever dropped.

    ``language_model(prefix)`` gives ``(C,)`` values: log-probabilities that each class comes next, and in the blank's place that
    the text ends. ``weight`` times their sum over a target is added to its log-probability, in its rank and in what is returned.
    (Long texts have many factors below 1; a constant added to each value but the blank's makes up for that.) Only targets
    that the ``automaton`` accepts are found, if it is given; an entry that could not become one in the steps left is dropped.

    Raises ``ValueError`` for a beam below 1, and for a language model that gives another shape or NaN.

    Source: Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent
    DNNs", algorithm 1. Their language model judges words, this one symbols, and also the end.
    """
    if language_model is None and automaton is None:
        return prefix_beam_search_batch(log_probs[:, None], beam, blank)[0]
    return _best_first(guided_beam_search(log_probs, beam, blank, language_model, weight, automaton))


def prefix_beam_search_batch(log_probs: Tensor, beam: int = 16, blank: int = BLANK) -> list[list[Reading]]:
    """What `prefix_beam_search` finds in each of the N sequences of log_probs ``(T, N, C)``, quicker than one by one."""
    if beam < 1:
        raise ValueError(f"beam={beam}: at least one entry must be kept.")
    _, batch, classes = log_probs.shape
    # A prefix is a number: the empty ones are 0 to N - 1, the others are counted on when their key, shorter * C + last, comes
    # up first. ``shorter`` is the prefix without its last symbol, ``last`` this symbol; NONE says that there is no such thing.
    numbers: dict[int, int] = defaultdict(count(batch).__next__)
    prefix, shorter, last = np.arange(batch)[:, None], np.full((batch, 1), NONE), np.full((batch, 1), NONE)  # (N, entries)
    # Log-probabilities of its paths that end in a blank, of those that end in its last symbol, and of both. If the same symbol
    # comes again, it is a second symbol after a blank, but a repeat of the first without one.
    in_blank, in_symbol, either = np.zeros((batch, 1)), np.full((batch, 1), -inf), np.zeros((batch, 1))
    for row in log_probs.detach().cpu().double().numpy():  # (N, C)
        entries = prefix.shape[1]
        # A prefix stays by a blank, by its last symbol again, or because its shorter one is an entry too and grows to it.
        place = np.full(batch + len(numbers) + 1, NONE)  # of each prefix among all N * entries
        place[prefix] = np.arange(prefix.size).reshape(prefix.shape)
        place[NONE] = NONE
        parent, again = place[shorter], _pick(row, last)
        before = np.where(last.take(parent) == last, in_blank.take(parent), either.take(parent))
        stay_blank = either + row[:, [blank]]
        stay_symbol = np.logaddexp(in_symbol + again, np.where(parent == NONE, -inf, before + again))
        # Or it grows by a symbol, (N, entries, K). What it has just grown to, another entry, is left out.
        symbols, log_prob = _likely_symbols(row, beam, blank, either[:, :1])
        likely = symbols.shape[1]
        grown = np.where(symbols[:, None] == last[:, :, None], in_blank[:, :, None], either[:, :, None]) + log_prob[:, None]
        sequence, child = np.nonzero(parent != NONE)
        pair, k = np.nonzero(symbols[sequence] == last[sequence, child, None])
        grown.reshape(-1, likely)[parent[sequence, child][pair], k] = -inf
        # The most probable are kept; of equal ones those that come up first, going entry by entry, and there class by class.
        turn = 2 * (np.arange(entries) * classes + np.where(last == NONE, blank, np.minimum(last, blank)))
        turn = np.where(parent == NONE, turn, np.minimum(turn, 2 * (parent % entries * classes + last) + 1))
        grown_turn = 2 * (np.arange(entries)[:, None] * classes + symbols[:, None]) + 1
        turns = np.hstack([turn, grown_turn.reshape(batch, entries * likely)])
        totals = np.hstack([np.logaddexp(stay_blank, stay_symbol), grown.reshape(batch, entries * likely)])
        kept = np.lexsort((turns, -totals))[:, :beam]
        # They are the next entries.
        either, stays = _pick(totals, kept), kept < entries
        old = np.where(stays, kept, (kept - entries) // likely)  # the entry that it was, or grew from
        in_blank = np.where(stays, _pick(stay_blank, old), -inf)
        in_symbol = np.where(stays, _pick(stay_symbol, old), either)
        last = np.where(stays, _pick(last, old), _pick(symbols, (kept - entries) % likely))
        prefix = _pick(prefix, old)
        shorter = np.where(stays, _pick(shorter, old), prefix)
        possible = either > -inf
        prefix[~possible] = shorter[~possible] = NONE
        new = possible & ~stays
        prefix[new] = [numbers[key] for key in (shorter * classes + last)[new].tolist()]
    keys = list(numbers)

    def target(prefix: int) -> tuple[int, ...]:
        found = []
        while prefix >= batch:
            prefix, symbol = divmod(keys[prefix - batch], classes)
            found.append(symbol)
        return tuple(found[::-1])

    found = [[(p, value) for p, value in zip(*pair) if p != NONE] for pair in zip(prefix.tolist(), either.tolist())]
    return [_best_first({target(p): value for p, value in pairs}) for pairs in found]


def _likely_symbols(row: np.ndarray, beam: int, blank: int, best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symbols of row ``(N, C)`` by which prefixes can grow and be kept, few of thousands, and their values: ``(N, K)`` each.

    The best entry alone, of log-probability ``best`` ``(N, 1)``, grows by the ``beam`` + 1 likeliest symbols to ``beam`` prefixes
    or more, one of these symbols being a repeat. A less likely symbol leads to nothing better. The margin is for rounding.
    """
    log_probs, rank = row.copy(), max(row.shape[1] - beam - 1, 0)
    log_probs[:, blank] = -inf
    least = np.partition(log_probs, rank, 1)[:, [rank]]
    margin = 8 * np.finfo(float).eps * (abs(best) + abs(least))
    most = ((log_probs >= least - margin) & (log_probs > -inf)).sum(1).max(initial=1)
    symbols = np.argpartition(log_probs, -most, 1)[:, -most:]
    return symbols, _pick(log_probs, symbols)


def _best_first(log_probs: dict[tuple[int, ...], float]) -> list[Reading]:
    ordered = sorted(log_probs.items(), key=lambda entry: (-entry[1], entry[0]))  # equal probabilities: by class index
    return [Reading(target, float(log_prob)) for target, log_prob in ordered if log_prob > -inf]


class ReliabilityBin(NamedTuple):
    """A group of readings: their number, their mean confidence, the share that is right, and its 95 % interval."""

    count: int
    confidence: float
    right: float
    interval: tuple[float, float]


def reliability(confidence: Sequence[float], right: Sequence[bool], bins: int = 5) -> list[ReliabilityBin]:
    """Readings sorted by confidence and cut into ``bins`` groups of equal size (or nearly), lowest confidence first.

    ``right`` says of each reading whether it is right. The groups have equal size because most confidences of a trained
    network are close to 1: ten equal slices of 0..1 would leave most slices empty. The interval is Clopper and Pearson's.
    Raises ``ValueError`` when the two differ in length, or there are fewer readings than groups.
    """
    if len(confidence) != len(right):
        raise ValueError(f"Each reading needs a confidence and a verdict, got {len(confidence)} and {len(right)}.")
    if not 1 <= bins <= len(right):
        raise ValueError(f"bins={bins}: it must be between 1 and the {len(right)} readings.")
    sure, hits = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    groups = [(sure[part], hits[part]) for part in np.array_split(np.argsort(sure, kind="stable"), bins)]
    return [
        ReliabilityBin(len(hits), float(sure.mean()), float(hits.mean()), binomial_interval(int(hits.sum()), len(hits)))
        for sure, hits in groups
    ]
