"""How far repeated runs spread: their mean with its interval, and how much of it a test set of this size would give anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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
