"""The runs of the comparison of CTC with cross-entropy. Each is the recipe "fast" with a few changes, a `Trial`.

A trial's seed is the seed of its training and of its split. So trials with the same seed have the same test images, training
images, batches and initial convolutions, and can be compared in pairs.
"""

import functools
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import History, evaluate
from ocrlib.experiments import EXPERIMENTS, ONE_CYCLE, Experiment, Trained, parts
from ocrlib.networks import Network
from ocrlib.objectives import CTC, CrossEntropy, Objective
from ocrlib.runtime import pick_budget, pick_device, seed_everything
from ocrlib.studies.errors import edit_operations
from ocrlib.studies.heads import HEADS, SYMBOLS_READ, ColumnCTC
from ocrlib.studies.records import Figures, run_figures
from ocrlib.synthetic.generated import draw_captchas, draw_texts, hidden_ink
from ocrlib.synthetic.generator import SYMBOLS
from ocrlib.texts import Alphabet, count_equal_neighbours, symbol_frequencies
from ocrlib.training import fit

KINDS = {"plain": {}, "neighbours": {"neighbours": True}, "lengths": {"lengths": (4, 5, 6)}}  # options of `draw_texts`
SEEDS = {kind: seed for seed, kind in enumerate(KINDS, start=1)}  # of the generator; `load_captchas` uses its seed 0
TEST_SEED = 10  # of the generated test images of 5 symbols; those of 4 and 6 symbols have 9 and 11
TEST_IMAGES = 300
BINS = (0.0, 0.05, 0.1, 0.2)  # shares of a symbol's ink under noise curves: none, up to 5 %, 10 %, 20 %, more


@dataclass(frozen=True)
class Trial:
    """What one run changes in the recipe "fast"; ``Trial()`` is that recipe itself, with seed 0.

    ``head`` is a key of `HEADS`. ``images`` limits the training images taken from the data set, ``drawn`` counts generated
    images of a ``kind`` of `KINDS` that are added to them; neither changes the number of steps. ``pooled`` is the number of
    steps that CTC's columns are averaged to. In a share ``noise`` of the training texts one symbol is replaced by another.
    Without ``warm_up`` the learning rate starts at its greatest value. Without ``blank_bias`` the blank is as likely as any
    symbol at first. With ``pretraining`` CTC's network is trained by cross-entropy for the first eighth of the epochs, with
    its columns averaged to one a symbol.

    ``curve`` records the training losses, and the CER twice an epoch. ``read_drawn`` also evaluates on generated images: with
    and without noise curves, and of 4, 5 and 6 symbols. ``source`` is `load_captchas`'s.

    Raises ``ValueError`` for values that would be ignored, and for a ``noise`` that is no share.
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
        if self.head != "ctc" and (self.pooled or self.pretraining or not self.blank_bias):
            raise ValueError(f"pooled, pretraining and blank_bias belong to CTC, not to the head {self.head!r}.")
        if self.kind != "plain" and not self.drawn:
            raise ValueError(f"The kind {self.kind!r} is one of drawn images, and drawn=0; say how many.")
        if not 0 <= self.noise <= 1:
            raise ValueError(f"noise={self.noise} was given; it is a share of the training texts, from 0 to 1.")

    def data(self) -> tuple[Experiment, Captchas, Captchas]:
        """The recipe under the budget in force, the training images (mixed with the drawn ones) and the test images."""
        budget, recipe = pick_budget(), EXPERIMENTS["fast"]
        recipe, train, test = parts(recipe, load_captchas(width=recipe.width, source=self.source), self.seed)
        train = train.subset(range(min(self.images or recipe.train, recipe.train)))  # a random sample: the split is shuffled
        if self.drawn:
            options = KINDS[self.kind]
            train = train.joined(_drawn(budget.images(self.drawn), SEEDS[self.kind], recipe.width, **options))
            train = train.subset(np.random.default_rng(self.seed).permutation(len(train)))
        return recipe, _with_wrong_texts(train, self.noise, self.seed), test


@functools.lru_cache(maxsize=8)
def _drawn(n: int, seed: int, width: int, curves: bool = True, **options: Any) -> Captchas:
    """Generated images of ``n`` texts, drawn with the ``options`` of `draw_texts`. Cached, because drawing them takes seconds."""
    return draw_captchas(draw_texts(n, seed, **options), seed, width, curves=curves)


def _with_wrong_texts(train: Captchas, share: float, seed: int) -> Captchas:
    """The same images; in a random ``share`` of their texts one symbol is replaced by another."""
    rng, texts = np.random.default_rng(seed), list(train.texts)
    for i in rng.permutation(len(texts))[: round(share * len(texts))]:
        text, place = texts[i], rng.integers(len(texts[i]))
        others = [symbol for symbol in SYMBOLS if symbol != text[place]]
        texts[i] = text[:place] + others[rng.integers(len(others))] + text[place + 1 :]
    return Captchas(train.images, texts, train.names, train.source, train.contents)


SIZES = (50, 100, 200, 400, None)  # training images; None is all the recipe has
MANY = 2000  # generated images added to the real ones
STEPS = (10, 12, 15, 20)  # to which CTC's 24 columns are averaged
NOISES = (0.05, 0.1, 0.2)  # shares of wrong training texts
# The trials of each question, without their seeds; the most important questions first.
QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "How many training images does each head need?": [
        trial
        for head in HEADS
        for trial in (
            *({"head": head, "images": images, "curve": images is None} for images in reversed(SIZES)),
            {"head": head, "drawn": MANY, "read_drawn": True},
        )
    ],
    "What shortens CTC's plateau?": [
        {"warm_up": warm_up, "blank_bias": blank_bias, "pretraining": pretraining, "curve": True}
        for warm_up, blank_bias, pretraining in product((True, False), repeat=3)
    ],
    "How many steps does CTC need, and do more training images help where steps are few?": [
        *({"pooled": pooled} for pooled in STEPS),
        *({"drawn": MANY, "kind": kind, "pooled": min(STEPS)} for kind in ("plain", "neighbours")),
    ],
    "What do wrong training texts cost?": [{"head": head, "noise": noise} for head in ("ctc", "attention") for noise in NOISES],
    "Can texts of 4 to 6 symbols be learnt?": [
        {"head": head, "drawn": MANY, "kind": "lengths", "read_drawn": True} for head in ("ctc", "attention")
    ],
}  # fmt: skip
# The run that smoke tests repeat: on generated images, which are the same on every machine, and with all phases of training.
SMOKE_JOB = {"head": "ctc", "seed": 0, "pooled": 15, "pretraining": True, "curve": True, "source": "synthetic"}


# Every run as arguments for `compare`, each once: question by question, within a question seed by seed. A run names its head,
# its seed, and what is not the default.
JOBS: list[dict[str, Any]] = [
    {name: value for name, value in vars(trial).items() if name in ("head", "seed") or value != getattr(Trial, name)}
    for trial in dict.fromkeys(
        Trial(seed=seed, **trial) for question in QUESTIONS.values() for seed in range(10) for trial in question
    )
]


class PaddedCrossEntropy(CrossEntropy):
    """Cross-entropy for texts of up to T symbols: shorter ones are padded with the blank."""

    def misfit(self, model: Network, width: int, texts: list[str], widths: torch.Tensor | None = None) -> str | None:
        longest, positions = max(texts, key=len), model.steps(width)
        fits = len(longest) <= positions
        return None if fits else f"{longest!r} has more symbols than the {positions} positions of {type(model).__name__}."

    def loss(self, logits: torch.Tensor, targets: torch.Tensor, target_lengths: torch.Tensor) -> torch.Tensor:
        """As in `CrossEntropy`, over all T positions, those of the padding included."""
        missing = logits.shape[0] - targets.shape[1]
        return super().loss(logits, nn.functional.pad(targets, (0, max(missing, 0)), value=self.alphabet.blank), target_lengths)


def compare(**arguments: Any) -> Figures:
    """One run, ``Trial(**arguments)``, under the budget in force, as figures for `record_runs`.

    ``symbols`` counts each symbol of the test texts, ``neighbours`` the test texts with equal neighbours. With ``curve``
    there are also ``train_loss``, of each step in nats per symbol, and ``cers``, [step, CER on the test images].
    """
    trial = Trial(**arguments)
    recipe, train, test = trial.data()
    (model, objective, history), cers = _train(trial, recipe, train, test)
    report = evaluate(model, objective, test).after_training(history)
    curve = {"train_loss": [round(loss, 4) for loss in history.train_loss], "cers": cers}
    return {
        **run_figures(report, "train_loss", "test_loss"),
        "symbols": symbol_frequencies(test.texts),
        "neighbours": count_equal_neighbours(test.texts),
        "steps": len(history.train_loss),
        **(curve if trial.curve else {}),
        **(_read_drawn(model, objective, recipe.width) if trial.read_drawn else {}),
    }


def make_model(trial: Trial, alphabet: Alphabet) -> Network:
    """The network of a trial, initialised with torch's current random state."""
    if trial.head != "ctc":
        longest = max(KINDS[trial.kind].get("lengths", (SYMBOLS_READ,)))  # of the training texts
        return HEADS[trial.head](len(alphabet), longest)
    model = ColumnCTC(len(alphabet), trial.pooled)
    if not trial.blank_bias:
        nn.init.zeros_(model.head.bias[:1])
    return model


def _train(trial: Trial, recipe: Experiment, train: Captchas, test: Captchas) -> tuple[Trained, list[list[float]]]:
    """Train; with ``trial.curve`` also measure [step, CER] in the middle and at the end of each epoch."""
    alphabet, device = Alphabet(), pick_device()
    seed_everything(trial.seed)
    model = make_model(trial, alphabet).to(device)
    optimizer = recipe.make_optimizer(model)
    options = recipe.fit_options(optimizer, device) | {"live": False, "raise_when_stopped": True}
    if not trial.warm_up:
        steps = options["scheduler"].total_steps
        schedule = ONE_CYCLE | {"pct_start": 0.0}  # the same decrease, without the increase before it
        options["scheduler"] = OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, cycle_momentum=False, **schedule)
    steps_an_epoch, cers = -(-recipe.train // recipe.batch_size), []

    def fit_by(objective: Objective, epochs: int, history: History) -> History:
        def measure(step: int) -> None:
            if step % steps_an_epoch in (0, steps_an_epoch // 2):
                cers.append([step, round(evaluate(model, objective, test).cer, 6)])

        images = functools.partial(train.cycle, size=recipe.train)  # epochs have the recipe's size, whatever that of ``train``
        watch = {"after_step": measure if trial.curve else None}
        return fit(model, objective, images, test, optimizer, epochs=epochs, history=history, **watch, **options)

    epochs, history = sum(recipe.epochs), History()
    if trial.pretraining:
        model.pooled = SYMBOLS_READ
        history = fit_by(PaddedCrossEntropy(alphabet), max(round(epochs / 8), 1), history)
        model.pooled = trial.pooled
    objective = CTC(alphabet) if trial.head == "ctc" else PaddedCrossEntropy(alphabet)
    return Trained(model, objective, fit_by(objective, epochs - history.epochs, history)), cers


def _read_drawn(model: Network, objective: Objective, width: int) -> dict[str, Any]:
    """The errors on generated images: of 4, 5 and 6 symbols, and of 5 with and without noise curves.

    ``bins`` has three counts for each range of `BINS`: symbols with that share of their ink under noise curves, how many of
    them were misread, and how many were misread in the same images without the curves.
    """
    n = pick_budget().images(TEST_IMAGES)
    lengths = {}
    for length in (4, 5, 6):
        report = evaluate(model, objective, _drawn(n, TEST_SEED + length - SYMBOLS_READ, width, lengths=(length,)))
        read = [len(mistake.predicted) for mistake in report.mistakes] + [length] * (n - len(report.mistakes))
        lengths[str(length)] = report.figures | {"read_lengths": {str(size): read.count(size) for size in sorted(set(read))}}
    captchas = _drawn(n, TEST_SEED, width)
    curved, clean = _misread(model, objective, captchas), _misread(model, objective, _drawn(n, TEST_SEED, width, curves=False))
    groups: list[set[tuple[str, int]]] = [set() for _ in range(len(BINS) + 1)]
    for name, shares in zip(captchas.names, hidden_ink(captchas.texts, TEST_SEED)):
        for position, share in enumerate(shares):
            groups[sum(share > bound for bound in BINS)].add((name, position))
    return {"lengths": lengths, "bins": [[len(group), len(group & curved), len(group & clean)] for group in groups]}


def _misread(model: Network, objective: Objective, captchas: Captchas) -> set[tuple[str, int]]:
    """(name, position) of each symbol that was missed or taken for another."""
    mistakes = evaluate(model, objective, captchas).mistakes
    return {(m.name, edit.position) for m in mistakes for edit in edit_operations(m.predicted, m.true) if edit.true}
