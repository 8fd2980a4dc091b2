"""How fast a recipe gets there: CER after every epoch beside the seconds of training it took."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ocrlib.alphabet import Alphabet
from ocrlib.captchas import Captchas
from ocrlib.evaluation import evaluate
from ocrlib.experiments import Experiment
from ocrlib.history import History
from ocrlib.runtime import pick_device, seed_everything
from ocrlib.training import fit


@dataclass(frozen=True)
class Race:
    """Seconds of each epoch's training (test loss included, the CER's measurement not) and the CER after it."""

    title: str
    seconds: list[float]
    cers: list[float]

    @property
    def seconds_an_epoch(self) -> float:
        """The median epoch: the first one of a process allocates and the machine may have hiccups."""
        return float(torch.tensor(self.seconds).median())

    def epochs_to(self, cer: float) -> int | None:
        """Epochs until the CER was first at most ``cer``; None when it never was."""
        return next((epoch for epoch, reached in enumerate(self.cers, start=1) if reached <= cer), None)

    def seconds_to(self, cer: float) -> float | None:
        """Seconds of training until the CER was first at most ``cer``; None when it never was."""
        epochs = self.epochs_to(cer)
        return None if epochs is None else sum(self.seconds[:epochs])

    def at_pace(self, seconds_an_epoch: float, title: str) -> Race:
        """The same learning at another speed: for a change that makes steps slower or faster but learns the same."""
        return Race(title, [seconds_an_epoch] * len(self.cers), self.cers)


def race(recipe: Experiment, train: Captchas, test: Captchas, seed: int = 42069, until: float | None = None) -> Race:
    """Train by ``recipe`` and measure the CER on ``test`` after every epoch; stop early once it is at most ``until``.

    The images must have the recipe's width. The clock runs while `fit` does. Being watched so often, ``test`` is no test set
    any more: take images that no figure is reported on.
    """
    seed_everything(seed)
    device, alphabet = pick_device(), Alphabet()
    model, objective = recipe.make_model(alphabet).to(device), recipe.objective(alphabet)
    optimizer = recipe.make_optimizer(model)
    options = recipe.fit_options(optimizer, device)
    history, cers = History(), []
    for _ in range(sum(recipe.epochs)):
        history = fit(model, objective, train, test, optimizer, epochs=1, history=history, live=False, **options)
        if history.epochs == len(cers):
            raise KeyboardInterrupt  # stopped within the epoch
        cers.append(evaluate(model, objective, test).cer)
        if until is not None and cers[-1] <= until:
            break
    return Race(recipe.title, history.seconds, cers)
