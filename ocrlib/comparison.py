"""The comparison of CTC with cross-entropy: `compare` does one run of it. Which runs there are is said in `ocrlib.trials`."""

from __future__ import annotations

import functools
import time
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from ocrlib.alphabet import Alphabet
from ocrlib.captchas import Captchas
from ocrlib.drawings import draw_captchas, draw_texts, hidden_ink
from ocrlib.evaluation import evaluate
from ocrlib.experiments import ONE_CYCLE, Experiment
from ocrlib.heads import HEADS, SYMBOLS_READ, ColumnCTC, StridedCE
from ocrlib.history import History
from ocrlib.loop import Loop
from ocrlib.networks import Network
from ocrlib.objectives import CTC, CrossEntropy, Objective
from ocrlib.records import Figures
from ocrlib.runtime import arithmetic, keep_freed_memory, pick_budget, pick_device, seed_everything
from ocrlib.slips import slips
from ocrlib.statistics import count_equal_neighbours, symbol_frequencies
from ocrlib.trials import Trial, turn

TEST_SEED = 10  # of the drawn test images of five symbols; of those of 4 and 6 it is 9 and 11. None was trained on
TEST_IMAGES = 300
BINS = (0.0, 0.05, 0.1, 0.2)  # shares of a symbol's ink under noise curves: none, up to 5 %, 10 %, 20 %, more


class PaddedCrossEntropy(CrossEntropy):
    """Cross-entropy where T is the greatest length, and the positions after a shorter text's end are to say "blank"."""

    def _check_steps(self, model: Network, width: int, texts: list[str]) -> None:
        longest = max(texts, key=len)
        if len(longest) > model.steps(width):
            raise ValueError(f"{longest!r} has more symbols than the {model.steps(width)} positions of {type(model).__name__}.")

    def loss(self, logits: torch.Tensor, targets: torch.Tensor, target_lengths: torch.Tensor) -> torch.Tensor:
        """As in `CrossEntropy`, the blanks after a text's end included, up to T positions."""
        missing = logits.shape[0] - targets.shape[1]
        return super().loss(logits, nn.functional.pad(targets, (0, max(missing, 0)), value=self.alphabet.blank), target_lengths)


def compare(**arguments: Any) -> Figures:
    """One run, ``Trial(**arguments)``, under the budget in force, as figures for `record_runs`.

    ``mistakes`` are [predicted, true] of each misread test image; ``symbols`` and ``neighbours`` count the symbols of the
    test texts, and the texts with equal neighbours; the seconds are those of training alone.
    """
    trial = Trial(**arguments)
    recipe, train, test = trial.data()
    run = _Run(trial, recipe, test)
    run.train(train)
    report = evaluate(run.model, run.objective, test)
    return {
        **report.figures,
        "mistakes": report.misread,
        "symbols": symbol_frequencies(test.texts),
        "neighbours": count_equal_neighbours(test.texts),
        "history": run.history.digest(),
        "steps": len(run.history.train_loss),
        "training_seconds": round(sum(run.history.seconds) - run.seconds_reading, 2),
        "arithmetic": arithmetic(),
        **(run.curve() if trial.curve else {}),
        **(_read_drawn(run.model, run.objective, recipe.width) if trial.read_drawn else {}),
    }


def make_model(trial: Trial, alphabet: Alphabet, width: int) -> Network:
    """The network of a trial for images ``width`` pixels wide, with the weights that torch's seed gives it."""
    head = HEADS[trial.head]
    if head is ColumnCTC:
        model = ColumnCTC(len(alphabet), trial.pooled)
        if not trial.blank_bias:
            nn.init.zeros_(model.head.bias[:1])
        return model
    options = {"width": width} if head is StridedCE else {}
    return head(len(alphabet), trial.positions, **options)


class _Run:
    """One training of a trial, in all that changes as it goes."""

    def __init__(self, trial: Trial, recipe: Experiment, test: Captchas) -> None:
        self.trial, self.recipe, self.test = trial, recipe, test
        alphabet, device = Alphabet(), pick_device()
        seed_everything(trial.seed)
        self.model = make_model(trial, alphabet, recipe.width).to(device)
        padded = trial.positions > SYMBOLS_READ
        self.objective = CTC(alphabet) if trial.head == "ctc" else (PaddedCrossEntropy if padded else CrossEntropy)(alphabet)
        self.optimizer = recipe.make_optimizer(self.model)
        self.options = recipe.fit_options(self.optimizer, device)
        self.options.pop("title")
        if not trial.warm_up:
            steps = self.options["scheduler"].total_steps
            schedule = ONE_CYCLE | {"pct_start": 0.0}  # the same way down, without the way up
            self.options["scheduler"] = OneCycleLR(
                self.optimizer, recipe.learning_rate, total_steps=steps, cycle_momentum=False, **schedule
            )
        self.history = History()
        self.cers: list[list[float]] = []  # [step, CER on the test images]
        self.seconds_reading = 0.0  # spent on those: not on training

    def train(self, train: Captchas) -> None:
        """All epochs. Each takes as many images as the recipe's training set has, however many there are."""
        epochs = sum(self.recipe.epochs)
        first = max(round(epochs / 8), 1) if self.trial.pretraining else 0
        self.objective.check(self.model, self.recipe.width, train.texts)
        keep_freed_memory()
        for number in range(epochs):
            part = turn(train, number, self.recipe.train)
            if number < first:
                self.model.pooled = SYMBOLS_READ
                self._epoch(part, CrossEntropy(self.objective.alphabet))
                self.model.pooled = self.trial.pooled
            else:
                self._epoch(part, self.objective)

    def _epoch(self, train: Captchas, objective: Objective) -> None:
        self.model.train()
        loop = Loop(self.model, objective, train, self.test, self.optimizer, history=self.history, **self.options)
        done = False
        while not done:
            done = loop.step()
            if self.trial.curve and (done or loop.position == loop.steps // 2):
                self._read(len(self.history.train_loss) + loop.position, objective)
        loop.fetch_losses()
        loop.end_epoch()

    def _read(self, step: int, objective: Objective) -> None:
        began = time.perf_counter()
        self.cers.append([step, round(evaluate(self.model, objective, self.test).cer, 6)])
        self.seconds_reading += time.perf_counter() - began

    def curve(self) -> dict[str, Any]:
        """Training loss of each step (nats a symbol), and [step, CER] twice an epoch."""
        return {"train_loss": [round(loss, 4) for loss in self.history.train_loss], "cers": self.cers}


def _read_drawn(model: Network, objective: Objective, width: int) -> dict[str, Any]:
    """How drawn images are read, of 4, 5 and 6 symbols, and of 5 with and without noise curves.

    ``bins`` has, for each range of `BINS`, how many symbols have that share of their ink under curves, how many of them
    were misread, and how many of the same symbols in the same images without the curves.
    """
    n = pick_budget().images(TEST_IMAGES)
    lengths = {}
    for length in (4, 5, 6):
        report = evaluate(model, objective, _test_images(n, length, width))
        read = [len(mistake.predicted) for mistake in report.mistakes] + [length] * (n - len(report.mistakes))
        lengths[str(length)] = report.figures | {"read_lengths": {str(size): read.count(size) for size in sorted(set(read))}}
    curved, clean = (_wrong(model, objective, _test_images(n, SYMBOLS_READ, width, curves)) for curves in (True, False))
    counts = [[0, 0, 0] for _ in range(len(BINS) + 1)]
    for name, shares in _hidden_ink(n, width).items():
        for place, share in enumerate(shares):
            bin = counts[sum(share > bound for bound in BINS)]
            bin[0] += 1
            bin[1] += (name, place) in curved
            bin[2] += (name, place) in clean
    return {"lengths": lengths, "bins": counts}


def _wrong(model: Network, objective: Objective, captchas: Captchas) -> set[tuple[str, int]]:
    """(name, position) of each symbol that was missed or taken for another."""
    mistakes = evaluate(model, objective, captchas).mistakes
    return {(m.name, slip.position) for m in mistakes for slip in slips(m.predicted, m.true) if slip.true}


@functools.cache
def _test_images(n: int, length: int, width: int, curves: bool = True) -> Captchas:
    seed = TEST_SEED + length - SYMBOLS_READ
    return draw_captchas(draw_texts(n, seed, (length,)), seed, width, curves=curves)


@functools.cache
def _hidden_ink(n: int, width: int) -> dict[str, list[float]]:
    captchas = _test_images(n, SYMBOLS_READ, width)
    return dict(zip(captchas.names, hidden_ink(captchas.texts, TEST_SEED)))
