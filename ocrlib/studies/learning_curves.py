"""When a recorded training reached what: the end of its plateau, and levels of CER, in steps and in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ocrlib.studies.records import Record

WINDOW = 10  # steps over which a training loss is averaged


def symbol_entropy(counts: Mapping[str, int]) -> float:
    """Entropy in nats of symbols that occur so often: the least loss a symbol of a reader who never looks at the images.

    That holds for CTC and cross-entropy alike, both being the negative logarithm of a probability of the text (C. E.
    Shannon, "A mathematical theory of communication", 1948).
    """
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values() if count)


def smooth_losses(losses: list[float]) -> np.ndarray:
    """The mean of each `WINDOW` losses, ``(len(losses) - WINDOW + 1,)``; entry i is known after step i + WINDOW.

    Raises ``ValueError`` for fewer losses than that.
    """
    if len(losses) < WINDOW:
        raise ValueError(f"{len(losses)} losses were recorded; a mean of {WINDOW} needs at least as many.")
    return np.convolve(losses, np.full(WINDOW, 1 / WINDOW), mode="valid")


def plateau(record: Record) -> float:
    """Steps until the training loss sank below the `symbol_entropy` for good: until then, what it said needed no image.

    Infinite if it never did. The loss is the mean of the last `WINDOW` steps, so that is the least this can be.
    """
    above = smooth_losses(_recorded(record, "train_loss")) >= symbol_entropy(record.figures["symbols"])
    if above[-1]:
        return math.inf
    return float(np.flatnonzero(above)[-1] + WINDOW + 1) if above.any() else float(WINDOW)


def steps_to(record: Record, cer: float) -> float:
    """Training steps until the CER was first at most ``cer``, as far as it was looked at; infinite if it never was."""
    return next((float(step) for step, reached in _recorded(record, "cers") if reached <= cer), math.inf)


def seconds_a_step(record: Record) -> float:
    """Seconds of training a step: of the machine that recorded the run, and of nothing but training."""
    return record.figures["training_seconds"] / record.figures["steps"]


def _recorded(record: Record, name: str) -> list:
    if name not in record.figures:
        raise ValueError(f"The run {record.arguments} has no {name}: its curve was not recorded. Take one with curve=True.")
    return record.figures[name]
