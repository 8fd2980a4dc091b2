"""Intervals of medians, means and further values, and whether two methods differ when each seed gives a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# scipy.stats takes about a second to import, so each function imports what it needs.


class Median(NamedTuple):
    """The median of ``count`` values, and the interval ``low`` to ``high``."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.median:.4f} ({self.low:.4f} to {self.high:.4f})"


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Median:
    """The median with an interval between two of the values themselves; nothing is assumed about their distribution.

    For ten values it goes from the second least to the second greatest, which covers the true median in 97.9 % of cases
    (W. J. Conover, "Practical Nonparametric Statistics", section 3.2; as scipy computes it). Fewer than six values can't give
    95 %: then the bounds are the least and the greatest. Raises ``ValueError`` for no value.
    """
    from scipy.stats import quantile_test

    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError("There is no value to take the median of.")
    bounds = quantile_test(values, p=0.5).confidence_interval(confidence)
    low, high = (end if np.isnan(b) else b for b, end in zip(bounds, (values.min(), values.max())))
    return Median(float(np.median(values)), float(low), float(high), int(values.size))


class Paired(NamedTuple):
    """The median difference with its interval, and the p-value of the hypothesis that there is no difference."""

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
    differences = (np.asarray(values, dtype=float) - np.asarray(others, dtype=float)).round(12)  # so that equal ones tie
    p = float(wilcoxon(differences).pvalue) if differences.any() else 1.0  # scipy has no answer when all are equal
    return Paired(median_interval(differences), p)


class MeanInterval(NamedTuple):
    """Mean, standard deviation, least and greatest of ``count`` values, and the mean's interval ``low`` to ``high``."""

    mean: float
    deviation: float
    least: float
    greatest: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f}), from {self.least:.4f} to {self.greatest:.4f}"


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """The mean with Student's interval (Biometrika 6, 1908), which assumes that the values are normally distributed.

    Raises ``ValueError`` for fewer than two values.
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    if values.size < 2:
        raise ValueError(f"An interval of the mean needs at least two values, got {values.size}.")
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(t.ppf((1 + confidence) / 2, values.size - 1)) * deviation / values.size**0.5
    return MeanInterval(mean, deviation, float(values.min()), float(values.max()), mean - half, mean + half, int(values.size))


def value_prediction_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The bounds between which one more value falls, if all are drawn from one normal distribution.

    They are wider than two standard deviations, because mean and deviation are only estimated (G. J. Hahn and W. Q. Meeker,
    "Statistical Intervals", 4.7). Raises ``ValueError`` for fewer than two values.
    """
    mean, _, _, _, low, _, count = mean_interval(values, confidence)
    half = (mean - low) * (count + 1) ** 0.5
    return mean - half, mean + half


def count_prediction_interval(successes: int, trials: int, more: int, confidence: float = 0.95) -> tuple[int, int]:
    """The bounds between which the successes in ``more`` trials fall, after ``successes`` in ``trials``, if all are alike.

    By the beta-binomial distribution that follows from Jeffreys' prior (A. Gelman et al., "Bayesian Data Analysis", 2.4, 2.8).
    """
    from scipy.stats import betabinom

    distribution = betabinom(more, successes + 0.5, trials - successes + 0.5)
    return int(distribution.ppf((1 - confidence) / 2)), int(distribution.ppf((1 + confidence) / 2))
