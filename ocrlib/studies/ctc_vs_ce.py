"""The runs of the comparison of CTC with cross-entropy: what each changes in the fast recipe, and on which images it is done.

Seed k is the seed of training and of the split, so that run k of every method has the same test images, training images,
batches and first convolutions: runs come in pairs.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import History, evaluate
from ocrlib.experiments import EXPERIMENTS, ONE_CYCLE, Experiment, parts
from ocrlib.loop import Loop
from ocrlib.networks import Network
from ocrlib.objectives import CTC, CrossEntropy, Objective
from ocrlib.runtime import arithmetic, pick_budget, pick_device, seed_everything
from ocrlib.studies.errors import edit_operations
from ocrlib.studies.heads import HEADS, SYMBOLS_READ, ColumnCTC, StridedCE
from ocrlib.studies.records import Figures
from ocrlib.synthetic.generated import draw_captchas, draw_texts, hidden_ink
from ocrlib.synthetic.generator import SYMBOLS
from ocrlib.texts import Alphabet, count_equal_neighbours, symbol_frequencies

KINDS = {"plain": {}, "neighbours": {"neighbours": True}, "lengths": {"lengths": (4, 5, 6)}}  # of drawn images
SEEDS = {kind: seed for seed, kind in enumerate(KINDS, start=1)}  # 0 is that of the images that stand in for real ones


@dataclass(frozen=True)
class Trial:
    """What one run changes in the recipe "fast"; ``Trial()`` is that recipe itself, with seed 0.

    ``head`` is a key of `HEADS`. ``images`` counts the training images of the data set (None: all the recipe has), ``drawn``
    those of a ``kind`` of `KINDS` that the generator adds; steps and batches stay the same whatever their sum is. CTC's
    columns are averaged to ``pooled`` steps. In a share ``noise`` of the training texts one symbol is replaced by another.
    Without ``warm_up`` the learning rate starts at its greatest; without ``blank_bias`` the blank starts as likely as any
    symbol; with ``pretraining`` CTC's network first learns by cross-entropy, its columns averaged to one a symbol, for an
    eighth of the epochs.

    ``curve`` records the training losses, and the CER twice an epoch; ``read_drawn`` also reads generated test images: with
    and without noise curves, and of 4, 5 and 6 symbols. ``source`` is `load_captchas`'s.

    Raises ``ValueError`` for values that make no run.
    """

    head: str = "ctc"
    seed: int = 0
    images: int | None = None
    drawn: int = 0
    kind: str = "plain"
    pooled: int | None = None
    noise: float = 0.0
    warm_up: bool = True
    blank_bias: bool = True
    pretraining: bool = False
    curve: bool = False
    read_drawn: bool = False
    source: str = "auto"

    def __post_init__(self) -> None:
        for name, value, known in (("head", self.head, HEADS), ("kind", self.kind, KINDS)):
            if value not in known:
                raise ValueError(f"There is no {name} {value!r}; choose one of {sorted(known)}.")
        if self.head != "ctc" and (self.pooled or self.pretraining or not self.blank_bias):
            raise ValueError(f"pooled, pretraining and blank_bias belong to CTC, not to the head {self.head!r}.")
        if not 0 <= self.noise <= 1:
            raise ValueError(f"noise={self.noise} was given; it is a share of the training texts, from 0 to 1.")
        if self.drawn < 0 or self.pooled is not None and self.pooled < 1:
            raise ValueError(f"drawn={self.drawn} and pooled={self.pooled} were given; none can be negative, nor pooled 0.")
        if self.kind != "plain" and not self.drawn:
            raise ValueError(f"The kind {self.kind!r} is one of drawn images, and drawn=0; say how many.")
        if self.pretraining and self.kind == "lengths":
            raise ValueError("Pretraining is by cross-entropy with a step a symbol, which texts of several lengths don't allow.")
        if self.images is not None and self.images < 1:
            raise ValueError(f"images={self.images} was given; at least one is needed to train on.")

    @property
    def positions(self) -> int:
        """How many symbols the longest training text has."""
        return max(KINDS[self.kind].get("lengths", (SYMBOLS_READ,)))

    def data(self) -> tuple[Experiment, Captchas, Captchas]:
        """The recipe under the budget in force, the training images (the drawn ones mixed in) and the test images."""
        budget, recipe = pick_budget(), EXPERIMENTS["fast"]
        # Where the images are is part of the key: whoever sets OCRLIB_DATA anew gets what is there.
        captchas = _load(recipe.width, self.source, os.environ.get("OCRLIB_DATA"), os.getcwd())
        recipe, train, test = parts(recipe, captchas, self.seed)
        train = train.subset(range(min(self.images or recipe.train, recipe.train)))  # random ones: a split has no order
        if self.drawn:
            train = _mixed(train, drawn_captchas(self.kind, budget.images(self.drawn), recipe.width), self.seed)
        return recipe, _with_wrong_texts(train, self.noise, self.seed), test


@functools.lru_cache(maxsize=2)
def _load(width: int, source: str, place: str | None, folder: str) -> Captchas:
    return load_captchas(width=width, source=source)


@functools.lru_cache(maxsize=4)
def drawn_captchas(kind: str, n: int, width: int) -> Captchas:
    """``n`` drawn training images of a kind of `KINDS`, always the same ones. Kept: drawing them takes seconds."""
    return draw_captchas(draw_texts(n, SEEDS[kind], **KINDS[kind]), SEEDS[kind], width)


def _mixed(captchas: Captchas, drawn: Captchas, seed: int) -> Captchas:
    both = captchas.joined(drawn)
    return both.subset(np.random.default_rng(seed).permutation(len(both)))


def _with_wrong_texts(train: Captchas, share: float, seed: int) -> Captchas:
    """The same images; one symbol of a random ``share`` of their texts is another one."""
    rng, texts = np.random.default_rng(seed), list(train.texts)
    for i in rng.permutation(len(texts))[: round(share * len(texts))]:
        text, place = texts[i], rng.integers(len(texts[i]))
        others = [symbol for symbol in SYMBOLS if symbol != text[place]]
        texts[i] = text[:place] + others[rng.integers(len(others))] + text[place + 1 :]
    return Captchas(train.images, texts, train.names, train.source, train.contents)


SIZES = (50, 100, 200, 400, None)  # training images; None is all the recipe has
MANY = 2000  # drawn images beside all the real ones
STEPS = (10, 12, 15, 20)  # to which CTC's 24 columns are averaged
NOISES = (0.05, 0.1, 0.2)  # shares of wrong training texts
# The run that smoke tests repeat: on images that are the same everywhere, with columns averaged, so that nothing is left out.
SMOKE_JOB = {"head": "ctc", "seed": 0, "pooled": 15, "pretraining": True, "curve": True, "source": "synthetic"}


def jobs(seeds: Iterable[int] = range(10)) -> list[dict[str, Any]]:
    """Every run of the study as arguments for `compare`, each once: question after question, of each all methods seed by seed.

    The questions come in the order of their weight, so a study that is stopped early has answered the first ones in full.
    """
    trials = (trial for question in (_sizes, _remedies, _steps, _noises, _lengths) for seed in seeds for trial in question(seed))
    return [_short(trial) for trial in dict.fromkeys(trials)]


def _sizes(seed: int) -> Iterable[Trial]:
    """How many images does each head need?"""
    for head in HEADS:
        for images in reversed(SIZES):
            yield Trial(head, seed, images, curve=images is None)
        yield Trial(head, seed, drawn=MANY, read_drawn=True)


def _remedies(seed: int) -> Iterable[Trial]:
    """What shortens CTC's plateau?"""
    for warm_up, blank_bias, pretraining in product((True, False), repeat=3):
        yield Trial(seed=seed, warm_up=warm_up, blank_bias=blank_bias, pretraining=pretraining, curve=True)


def _steps(seed: int) -> Iterable[Trial]:
    """How many steps does CTC need, and do other training images help where they are scarce?"""
    for pooled in STEPS:
        yield Trial(seed=seed, pooled=pooled)
    for kind in ("plain", "neighbours"):
        yield Trial(seed=seed, drawn=MANY, kind=kind, pooled=min(STEPS))


def _noises(seed: int) -> Iterable[Trial]:
    """What do wrong training texts cost?"""
    for head in ("ctc", "attention"):
        for noise in NOISES:
            yield Trial(head, seed, noise=noise)


def _lengths(seed: int) -> Iterable[Trial]:
    """Can texts of 4 to 6 symbols be learnt?"""
    for head in ("ctc", "attention"):
        yield Trial(head, seed, drawn=MANY, kind="lengths", read_drawn=True)


def _short(trial: Trial) -> dict[str, Any]:
    """Only what isn't as by default, so that a line of the records says what is special about its run."""
    return {name: value for name, value in asdict(trial).items() if name in ("head", "seed") or value != asdict(Trial())[name]}

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
        for number in range(epochs):
            part = train.cycle(number, self.recipe.train)
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
            if self.trial.curve and (done or loop.position == len(loop.losses) // 2):
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
    return {(m.name, edit.position) for m in mistakes for edit in edit_operations(m.predicted, m.true) if edit.true}


@functools.cache
def _test_images(n: int, length: int, width: int, curves: bool = True) -> Captchas:
    seed = TEST_SEED + length - SYMBOLS_READ
    return draw_captchas(draw_texts(n, seed, (length,)), seed, width, curves=curves)


@functools.cache
def _hidden_ink(n: int, width: int) -> dict[str, list[float]]:
    captchas = _test_images(n, SYMBOLS_READ, width)
    return dict(zip(captchas.names, hidden_ink(captchas.texts, TEST_SEED)))
