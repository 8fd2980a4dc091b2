"""Thresholds of a learning curve: the steps to the end of its plateau and to a CER, in runs recorded with ``curve=True``."""

import math
from collections.abc import Sequence

import numpy as np

from ocrlib.studies.records import Record

WINDOW = 10  # steps over which a training loss is averaged


def moving_average(values: Sequence[float], window: int) -> np.ndarray:
    """The mean of each ``window`` values in a row, ``(len(values) - window + 1,)``."""
    return np.convolve(values, np.full(window, 1 / window), mode="valid")


def plateau(record: Record, floor: float) -> float:
    """Steps until the training loss stays below ``floor``, nats a symbol: the least loss of a model that ignores the images.

    `ocrlib.ctc.floors` has such floors. The loss is the mean of the last `WINDOW` steps, so the result is at least `WINDOW`;
    it is infinite if this never happens.
    """
    above = moving_average(record.figures["train_loss"], WINDOW) >= floor
    if above[-1]:
        return math.inf
    return float(np.flatnonzero(above)[-1] + WINDOW + 1) if above.any() else float(WINDOW)


def steps_to(record: Record, cer: float) -> float:
    """Training steps until a measured CER was first at most ``cer``; infinite if none was."""
    return next((float(step) for step, reached in record.figures["cers"] if reached <= cer), math.inf)
