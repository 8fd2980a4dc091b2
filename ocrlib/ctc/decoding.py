"""Readings of one sequence of log-probabilities: the likeliest path, and the likeliest text; how sure, and how rightly so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from math import inf
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ocrlib.ctc.alignments import BLANK, collapse
from ocrlib.evaluation import binomial_interval

MOST_PATHS = 1_000_000  # that `exhaustive_search` goes through: some seconds


class Reading(NamedTuple):
    """A target (class indices without the blank) and the logarithm of its probability."""

    target: tuple[int, ...]
    log_prob: float


def best_path(log_probs: Tensor, blank: int = BLANK) -> Reading:
    """Greedy decoding of log_probs ``(T, C)``: the likeliest path, collapsed, with the probability of that path alone."""
    best = log_probs.max(1)
    return Reading(collapse(best.indices.tolist(), blank), float(best.values.sum()))


def exhaustive_search(log_probs: Tensor, blank: int = BLANK) -> list[Reading]:
    """Every target that log_probs ``(T, C)`` can spell with a probability above 0, best first: C^T paths summed.

    Raises ``ValueError`` where that is too many to wait for.
    """
    steps, classes = log_probs.shape
    if classes**steps > MOST_PATHS:
        raise ValueError(f"{classes}^{steps} paths are too many to go through one by one; use prefix_beam_search.")
    rows = log_probs.tolist()
    found: dict[tuple[int, ...], float] = defaultdict(lambda: -inf)
    for path in product(range(classes), repeat=steps):
        target = collapse(path, blank)
        found[target] = np.logaddexp(found[target], sum(row[index] for row, index in zip(rows, path)))
    return _best_first({target: log_prob for target, log_prob in found.items() if log_prob > -inf})


def prefix_beam_search(log_probs: Tensor, beam: int = 16, blank: int = BLANK) -> list[Reading]:
    """At most ``beam`` targets that log_probs ``(T, C)`` spell, best first, with the probability of all paths kept.

    Paths that spell the same so far share one entry; at each step only the ``beam`` likeliest entries go on. With a beam
    that never has to drop one the probabilities are exact, otherwise they are lower bounds. Source: Hannun et al. 2014,
    "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", algorithm 1, without
    the language model.

    Raises ``ValueError`` for a beam below 1.
    """
    if beam < 1:
        raise ValueError(f"beam={beam}: at least one entry must be kept.")
    # For each prefix the log-probability of its paths that end in a blank, and of those that end in its last symbol. The
    # two have to be told apart: the same symbol again is a new one after a blank, and a repeat without.
    entries: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -inf)}
    for row in log_probs.tolist():
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-inf, -inf])

        def add(prefix: tuple[int, ...], ending: int, log_prob: float) -> None:
            grown[prefix][ending] = np.logaddexp(grown[prefix][ending], log_prob)  # noqa: B023, called in this round only

        for prefix, (in_blank, in_symbol) in entries.items():
            either = np.logaddexp(in_blank, in_symbol)
            for index, log_prob in enumerate(row):
                if index == blank:
                    add(prefix, 0, either + log_prob)
                elif prefix[-1:] == (index,):
                    add(prefix, 1, in_symbol + log_prob)  # a repeat, merged
                    add((*prefix, index), 1, in_blank + log_prob)
                else:
                    add((*prefix, index), 1, either + log_prob)
        kept = sorted(grown.items(), key=lambda entry: -np.logaddexp(*entry[1]))[:beam]
        entries = {prefix: (ends[0], ends[1]) for prefix, ends in kept if max(ends) > -inf}
    return _best_first({prefix: np.logaddexp(*ends) for prefix, ends in entries.items()})


def _best_first(log_probs: dict[tuple[int, ...], float]) -> list[Reading]:
    ordered = sorted(log_probs.items(), key=lambda entry: (-entry[1], entry[0]))  # by index where two are equally likely
    return [Reading(target, float(log_prob)) for target, log_prob in ordered]


class ReliabilityBin(NamedTuple):
    """Readings of like confidence: how many, their mean confidence, the share that is right, and its 95 % interval."""

    count: int
    confidence: float
    right: float
    interval: tuple[float, float]


def reliability(confidence: Sequence[float], right: Sequence[bool], bins: int = 5) -> list[ReliabilityBin]:
    """Readings in order of their confidence, cut into ``bins`` groups of one size (or nearly), least sure first.

    Groups of one size, since a trained network is sure of almost everything: of ten equal slices of 0..1 nine would be empty.
    ``right`` says which readings are. The interval is Clopper and Pearson's.

    Raises ``ValueError`` when the two differ in length or there are fewer readings than groups.
    """
    if len(confidence) != len(right):
        raise ValueError(f"Each reading needs a confidence and a verdict, got {len(confidence)} and {len(right)}.")
    if not 1 <= bins <= len(right):
        raise ValueError(f"bins={bins}: it must be between 1 and the {len(right)} readings.")
    order = np.argsort(np.asarray(confidence, dtype=float), kind="stable")
    verdicts, sure = np.asarray(right, dtype=bool)[order], np.asarray(confidence, dtype=float)[order]
    return [
        ReliabilityBin(len(part), float(sure[part].mean()), float(verdicts[part].mean()),
                       binomial_interval(int(verdicts[part].sum()), len(part)))
        for part in np.array_split(np.arange(len(sure)), bins)
    ]  # fmt: skip
