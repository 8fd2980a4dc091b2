"""Thresholds of a learning curve: the steps to the end of its plateau and to a CER, in runs recorded with ``curve=True``."""

import math
from collections.abc import Mapping

import numpy as np

from ocrlib.evaluation import moving_average
from ocrlib.studies.records import Record

WINDOW = 10  # steps over which a training loss is averaged


def symbol_entropy(counts: Mapping[str, int]) -> float:
    """Entropy in nats of symbols that occur so often: the least loss per symbol of a model that ignores the images.

    This holds for CTC and for cross-entropy: both are the negative logarithm of a probability of the text (C. E. Shannon,
    "A mathematical theory of communication", 1948).
    """
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values() if count)


def plateau(record: Record) -> float:
    """Steps until the training loss stays below the `symbol_entropy`, which a model can reach without looking at the images.

    The loss is the mean of the last `WINDOW` steps, so the result is at least `WINDOW`; it is infinite if this never happens.
    """
    above = moving_average(record.figures["train_loss"], WINDOW) >= symbol_entropy(record.figures["symbols"])
    if above[-1]:
        return math.inf
    return float(np.flatnonzero(above)[-1] + WINDOW + 1) if above.any() else float(WINDOW)


def steps_to(record: Record, cer: float) -> float:
    """Training steps until a measured CER was first at most ``cer``; infinite if none was."""
    return next((float(step) for step, reached in record.figures["cers"] if reached <= cer), math.inf)
