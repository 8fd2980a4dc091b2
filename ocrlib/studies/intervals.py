"""95 % intervals of medians, means and further values, or over images; tests of pairs with one seed, and of counts in groups."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy  # scipy.stats itself is loaded when a function asks for it: that takes most of a second

CONFIDENCE = 0.95  # of all intervals


class Median(NamedTuple):
    """The median of ``count`` values, and its interval ``low`` to ``high``."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.median:.4f} ({self.low:.4f} to {self.high:.4f})"


def median_interval(values: Sequence[float]) -> Median:
    """The median with an interval between two of the values, however they are distributed. Raises ``ValueError`` for no value."""
    # W. J. Conover, "Practical Nonparametric Statistics", 3.2. For ten values it goes from the second least to the second
    # greatest, which covers the true median in 97.9 % of cases. Fewer than six can't give 95 %: then it spans all of them.
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError("There is no value to take the median of.")
    bounds = scipy.stats.quantile_test(values, p=0.5).confidence_interval(CONFIDENCE)
    low, high = (end if np.isnan(b) else b for b, end in zip(bounds, (values.min(), values.max())))
    return Median(float(np.median(values)), float(low), float(high), values.size)


# The median difference with its interval, and the p-value of the hypothesis that there is no difference.
Paired = namedtuple("Paired", "difference p")


def paired(values: Sequence[float], others: Sequence[float]) -> Paired:
    """The median of ``values - others``, run with the same seeds, and the p of Wilcoxon's signed-rank test.

    It is the share of all ways to choose the signs for which the ranks of the differences, by their size, add up to sums of
    plus and minus that are as uneven. Under its hypothesis a difference is as likely to be negative as positive; rare counts
    in groups of different sizes don't fulfil that: take `permutation_p`. Raises ``ValueError`` for other lengths.
    """
    # F. Wilcoxon, Biometrics Bulletin 1, 1945. Ten pairs can't give a p below 1/512 = 0.002.
    # Rounded so that equal differences tie: CERs are float32.
    differences = np.array([a - b for a, b in zip(values, others, strict=True)], dtype=float).round(6)
    p = scipy.stats.wilcoxon(differences).pvalue if differences.any() else 1.0  # scipy has no answer when all are equal
    return Paired(median_interval(differences), float(p))


def permutation_p(counts: Sequence[int], marked: Sequence[bool]) -> float:
    """Exact p of the hypothesis that the ``counts``, whole numbers from 0, have nothing to do with which of them are ``marked``.

    It is the share of all ways to mark as many, for which the marked counts' sum is as far from its mean, or further. Raises
    ``ValueError`` for other lengths.
    """
    # R. A. Fisher, "The Design of Experiments", 1935, section 21. Marking each with the same chance, and asking only for the
    # cases with the right number of marks, makes all ways equally likely.
    chance, total = float(np.mean(marked)), int(np.sum(counts))
    joint = np.zeros((int(np.sum(marked)) + 1, total + 1))  # probability by the number of marks and the sum so far
    joint[0, 0] = 1.0
    for count, _ in zip(counts, marked, strict=True):
        added = np.zeros_like(joint)
        added[1:, count:] = joint[:-1, : total + 1 - count]
        joint = (1 - chance) * joint + chance * added
    distance = np.abs(np.arange(total + 1) - chance * total)
    far = distance >= distance[np.dot(counts, marked)] - 1e-9
    return float(joint[-1, far].sum() / joint[-1].sum())


class MeanInterval(NamedTuple):
    """Mean of ``count`` values, its interval ``low`` to ``high``, and the least and the greatest value."""

    mean: float
    low: float
    high: float
    least: float
    greatest: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f}), from {self.least:.4f} to {self.greatest:.4f}"


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """The mean of normally distributed values with Student's interval (Biometrika 6, 1908). Raises ``ValueError`` below two."""
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        raise ValueError(f"An interval of the mean needs at least two values, got {values.size}.")
    mean, quantile = float(values.mean()), scipy.stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1)
    half = float(quantile * values.std(ddof=1)) / values.size**0.5
    return MeanInterval(mean, mean - half, mean + half, float(values.min()), float(values.max()), values.size)


def value_prediction_interval(values: Sequence[float]) -> tuple[float, float]:
    """Where one more value falls, low to high, if all are drawn from one normal distribution. Raises as `mean_interval`."""
    # Wider, because mean and deviation are only estimated: G. J. Hahn and W. Q. Meeker, "Statistical Intervals", 4.7.
    found = mean_interval(values)
    half = (found.mean - found.low) * (found.count + 1) ** 0.5
    return found.mean - half, found.mean + half


def count_prediction_interval(successes: int, trials: int, more: int) -> tuple[int, int]:
    """Where the successes in ``more`` trials fall, low to high, after ``successes`` in ``trials``, if all are alike."""
    # The beta-binomial distribution that follows from Jeffreys' prior: A. Gelman et al., "Bayesian Data Analysis", 2.4, 2.8.
    low, high = scipy.stats.betabinom(more, successes + 0.5, trials - successes + 0.5).interval(CONFIDENCE)
    return int(low), int(high)


def interval_over_images(runs: Sequence[Mapping[str, float]], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Low and high end of the mean over ``runs`` of each run's mean, if the images are drawn again.

    A run has a value for each of its test images, by the image's name. An image is drawn for all runs that tested it at once:
    the test sets of several splits overlap, and an image that is hard, or labelled wrongly, is so in each. The networks stay
    the same, so this is not the interval of another training. Raises ``ValueError`` where there is no value.
    """
    # The percentile bootstrap: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    if not runs or not all(runs):
        raise ValueError("There is no image to draw.")
    names = sorted(set().union(*runs))
    tested = np.array([[name in run for name in names] for run in runs], dtype=float)  # (runs, images)
    values = np.array([[run.get(name, 0.0) for name in names] for run in runs])
    times = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), draws)  # (draws, images)
    drawn = times @ tested.T  # (draws, runs): how many images a run has in a draw
    means = (times @ values.T / np.where(drawn, drawn, np.nan)).mean(1)
    low, high = np.nanquantile(means, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)
