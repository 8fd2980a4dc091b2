"""Medians over seeds with intervals, and whether two methods differ when each seed gives a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Median(NamedTuple):
    """A median with the bounds of its interval, and how many values it is of."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.median:.4f} ({self.low:.4f} to {self.high:.4f})"


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Median:
    """The median with an interval between two of the values themselves, which assumes nothing about their distribution.

    For ten values: from the second least to the second greatest, which covers the true median in 97.9 % of cases, the
    narrowest with at least 95 % (W. J. Conover, "Practical Nonparametric Statistics", section 3.2; as scipy computes it).
    Fewer than six values can't give 95 %: the bounds are then the least and the greatest. Raises ``ValueError`` for none.
    """
    from scipy.stats import quantile_test  # only here: importing scipy.stats takes about a second

    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError("There is no value to take the median of.")
    bounds = quantile_test(values, p=0.5).confidence_interval(confidence)
    low, high = (end if np.isnan(b) else b for b, end in zip(bounds, (values.min(), values.max())))
    return Median(float(np.median(values)), float(low), float(high), int(values.size))


class Paired(NamedTuple):
    """The result of `paired`: the median difference with its interval, and the p-value of "there is none"."""

    difference: Median
    p: float


def paired(values: Sequence[float], others: Sequence[float]) -> Paired:
    """Compare two methods run with the same seeds: the median of ``values - others``, and Wilcoxon's signed-rank test.

    Ten pairs can't give a p below 1/512 = 0.002. Source: F. Wilcoxon, Biometrics Bulletin 1, 1945; ``scipy.stats.wilcoxon``.
    Raises ``ValueError`` when the two have other lengths, or are empty.
    """
    from scipy.stats import wilcoxon

    if len(values) != len(others):
        raise ValueError(f"Pairs are needed, but there are {len(values)} values and {len(others)} others.")
    differences = np.subtract(values, others).round(12)  # else equal differences of decimals would not tie
    p = float(wilcoxon(differences).pvalue) if differences.any() else 1.0  # scipy has no answer when all are equal
    return Paired(median_interval(differences), p)


class Spread(NamedTuple):
    """Mean, standard deviation, least and greatest of ``count`` values, and the interval ``low`` to ``high`` of the mean."""

    mean: float
    deviation: float
    least: float
    greatest: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f}), from {self.least:.4f} to {self.greatest:.4f}"

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies between the least and the greatest."""
        return self.least <= value <= self.greatest


def spread(values: Sequence[float], confidence: float = 0.95) -> Spread:
    """The spread of ``values``; the mean's interval is Student's (Biometrika 6, 1908), for values like draws from a bell curve.

    Raises ``ValueError`` for fewer than two values.
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    if values.size < 2:
        raise ValueError(f"A spread needs at least two values, got {values.size}.")
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(t.ppf((1 + confidence) / 2, values.size - 1)) * deviation / values.size**0.5
    return Spread(mean, deviation, float(values.min()), float(values.max()), mean - half, mean + half, int(values.size))


def value_prediction_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Between which bounds one more value falls, if it is drawn like ``values``, and these are like draws from a bell curve.

    Mean and standard deviation are not known but estimated, so the bounds are wider than two deviations (G. J. Hahn and
    W. Q. Meeker, "Statistical Intervals", 4.7). Raises ``ValueError`` for fewer than two values.
    """
    from scipy.stats import t

    found = spread(values)
    half = float(t.ppf((1 + confidence) / 2, found.count - 1)) * found.deviation * (1 + 1 / found.count) ** 0.5
    return found.mean - half, found.mean + half


def count_prediction_interval(successes: int, trials: int, more: int, confidence: float = 0.95) -> tuple[int, int]:
    """Between which counts a second lot of ``more`` trials falls, after ``successes`` in ``trials``, if all are alike.

    The beta-binomial distribution that follows from Jeffreys' prior (A. Gelman et al., "Bayesian Data Analysis", 2.4 and 2.8).
    """
    from scipy.stats import betabinom

    distribution = betabinom(more, successes + 0.5, trials - successes + 0.5)
    return int(distribution.ppf((1 - confidence) / 2)), int(distribution.ppf((1 + confidence) / 2))
