"""Decoding of one sequence of log-probabilities: the most probable path, the most probable text, and calibration."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from math import inf
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ocrlib.ctc.alignments import BLANK, collapse
from ocrlib.evaluation import binomial_interval

MOST_PATHS = 1_000_000  # limit of `exhaustive_search`: it takes some seconds


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
    found: dict[tuple[int, ...], float] = defaultdict(lambda: -inf)
    for path in product(range(classes), repeat=steps):
        target = collapse(path, blank)
        found[target] = np.logaddexp(found[target], sum(row[index] for row, index in zip(rows, path)))
    return _best_first(found)


def prefix_beam_search(log_probs: Tensor, beam: int = 16, blank: int = BLANK) -> list[Reading]:
    """The targets that prefix beam search finds in log_probs ``(T, C)``: at most ``beam``, most probable first.

    Paths that spell the same prefix share one entry. After each step only the ``beam`` most probable entries are kept. The
    probabilities are lower bounds; they are exact if no entry was ever dropped. Raises ``ValueError`` for a beam below 1.

    Source: Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent
    DNNs", algorithm 1, without the language model.
    """
    if beam < 1:
        raise ValueError(f"beam={beam}: at least one entry must be kept.")
    # For each prefix: the log-probability of its paths that end in a blank, and of those that end in its last symbol. If the
    # same symbol comes again, it is a second symbol after a blank, but a repeat of the first without one.
    entries: dict[tuple[int, ...], list[float]] = {(): [0.0, -inf]}
    for row in log_probs.tolist():
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-inf, -inf])
        for prefix, (in_blank, in_symbol) in entries.items():
            either = np.logaddexp(in_blank, in_symbol)
            for index, log_prob in enumerate(row):
                if index == blank:
                    ways = [(prefix, 0, either)]
                elif prefix[-1:] == (index,):
                    ways = [(prefix, 1, in_symbol), ((*prefix, index), 1, in_blank)]
                else:
                    ways = [((*prefix, index), 1, either)]
                for longer, ending, before in ways:
                    grown[longer][ending] = np.logaddexp(grown[longer][ending], before + log_prob)
        kept = sorted(grown.items(), key=lambda entry: -np.logaddexp(*entry[1]))[:beam]
        entries = {prefix: ends for prefix, ends in kept if max(ends) > -inf}
    return _best_first({prefix: np.logaddexp(*ends) for prefix, ends in entries.items()})


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
