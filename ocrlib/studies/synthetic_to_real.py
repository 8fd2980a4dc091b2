"""Reading real captchas after training on generated ones: without real images, with some, and with inexact generators.

Training follows the fast recipe; an epoch is a new chunk of generated images. In the runs with real images, these make up half
of each of the last chunks.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from ocrlib.captchas import Captchas, split
from ocrlib.data.augmentation import RandomAffine
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import History, evaluate
from ocrlib.experiments import EXPERIMENTS, Experiment, parts, train_on
from ocrlib.networks import Network
from ocrlib.objectives import CTC
from ocrlib.runtime import pick_budget, pick_device, seed_everything
from ocrlib.studies.domain_randomisation import InkChange
from ocrlib.studies.records import Figures, run_figures
from ocrlib.synthetic.generated import EndlessCaptchas
from ocrlib.texts import Alphabet
from ocrlib.training import fit

CHUNKS, MIXED = 40, 10  # chunks in all, and how many of them at the end can hold real images
CHUNK = EXPERIMENTS["fast"].train  # images
REAL = (10, 30, 100, 300, 800)  # numbers of real images to train on
TEST = 270  # real images that are never trained on
SEEDS = (1, 2, 3, 4, 5)
STREAM_SEED = 1000  # plus the run's seed: the generator's seeds, which no other generated images have
# A generator that is slightly wrong in everything, and ranges around the true values, from which each image draws its own.
OFF = {"width": (1.08, 1.08), "weight": (0.4, 0.4), "x": (3.0, 3.0), "y": (2.0, 2.0)}
WIDE = {"width": (0.9, 1.2), "weight": (-0.6, 0.8), "x": (-4.0, 6.0), "y": (-3.0, 4.0), "blur": (0.0, 0.6)}
NARROW = {"width": (0.95, 1.05), "weight": (-0.3, 0.3), "x": (-2.0, 2.0), "y": (-1.5, 1.5), "blur": (0.0, 0.4)}
STYLES: dict[str, dict[str, Any]] = {
    "matched": {},
    "matched, randomised": {"change": InkChange(**NARROW)},
    "one typeface": {"faces": (0,)},
    "off": {"faces": (0,), "change": InkChange(**OFF)},
    "off, randomised": {"faces": (0,), "change": InkChange(**WIDE)},
}
SMOKE_JOB = {"seed": 0}
# Every run as arguments for `transfer`: first those with real images, then each style without augmentation.
JOBS: list[dict[str, Any]] = [
    *({"seed": seed} for seed in SEEDS),
    *({"seed": seed, "style": style, "augmented": False} for seed in SEEDS for style in STYLES),
]

ALONE_JOBS = [{"seed": seed} for seed in SEEDS]  # for `train_alone`


def transfer(seed: int, style: str = "matched", augmented: bool = True) -> Figures:
    """One training on images generated in a style of `STYLES`, as figures for `record_runs`.

    ``zero_shot`` and ``mistakes`` evaluate a network trained without real images on all real images. With the matched style
    and augmentation there are also figures on `TEST` real images, by the number of real images trained on: ``pretrained``
    where these were mixed into the last chunks, ``alone`` where the fast recipe was trained on them only.

    Raises ``ValueError`` for an unknown style.
    """
    if style not in STYLES:
        raise ValueError(f"There is no style {style!r}; choose one of {list(STYLES)}.")
    budget = pick_budget()
    chunks = min(CHUNKS, 2 * budget.epochs(CHUNKS))
    mixed = max(chunks * MIXED // CHUNKS, 1)
    augment = RandomAffine() if augmented else None
    recipe = replace(EXPERIMENTS["fast"], train=budget.images(CHUNK), epochs=(chunks,), augment=augment)
    real = load_captchas(width=recipe.width)
    real = real.subset(range(budget.images(len(real))))
    stream = EndlessCaptchas(STREAM_SEED + seed, recipe.train, recipe.width, **STYLES[style]).stream()
    training = Pretraining(recipe, seed)
    training.take(stream, chunks - mixed)
    last = [next(stream) for _ in range(mixed)]
    rest = training.copy()
    rest.take(iter(last), mixed)
    report = evaluate(rest.model, rest.objective, real)
    found = run_figures(report.after_training(rest.history))
    figures = {name: found[name] for name in ("mistakes", "history", "arithmetic")}
    figures |= {"zero_shot": report.figures, "generated": recipe.train * chunks}
    return figures | (_with_real(training, last, rest, real, seed) if style == "matched" and augmented else {})


def _with_real(training: Pretraining, last: list[Captchas], zero: Pretraining, real: Captchas, seed: int) -> dict[str, Any]:
    train, test = split(real, _sizes(real), seed)
    pretrained, alone = {"0": evaluate(zero.model, zero.objective, test).figures}, {}
    recipe = EXPERIMENTS["fast"].within(pick_budget(), len(real))
    for n in sorted({min(n, len(train)) for n in REAL}):
        some = train.subset(range(n))  # a random sample: the split is shuffled
        mixing = training.copy()
        mixing.take((half_real(chunk, some, number) for number, chunk in enumerate(last)), len(last))
        pretrained[str(n)] = evaluate(mixing.model, mixing.objective, test).figures
        # The n images are repeated, so that there are as many steps for every n.
        model, objective, _ = train_on(recipe, some.cycle(0, recipe.train), test, seed)
        alone[str(n)] = evaluate(model, objective, test).figures
    return {"pretrained": pretrained, "alone": alone}


def _sizes(real: Captchas) -> tuple[int, int]:
    """How many of the real images can be trained on, and how many are tested."""
    test = round(TEST * len(real) / 1070)
    return len(real) - test, test


def train_alone(seed: int) -> Figures:
    """The fast recipe on all real training images of `transfer`, for as many epochs as that has chunks, as figures.

    So a training on real images has about as many steps as one on generated images, and the same test images.
    """
    recipe = EXPERIMENTS["fast"]
    real = load_captchas(width=recipe.width)
    train, test = _sizes(real)
    recipe = replace(recipe, train=train, test=test, epochs=(CHUNKS,))
    recipe, train, test = parts(recipe, real, seed)
    model, objective, history = train_on(recipe, train, test, seed)
    return run_figures(evaluate(model, objective, test).after_training(history))


def half_real(chunk: Captchas, real: Captchas, number: int) -> Captchas:
    """Chunk ``number`` with its second half replaced by real captchas, which are cycled through from chunk to chunk."""
    half = len(chunk) // 2
    return chunk.subset(range(len(chunk) - half)).joined(real.cycle(number, half))


class Pretraining:
    """A training whose epochs are chunks of captchas. It can be copied at any time, to be continued in several ways.

    The learning rate's schedule runs over all ``recipe.epochs``.
    """

    def __init__(self, recipe: Experiment, seed: int) -> None:
        self.recipe, self.seed, alphabet, device = recipe, seed, Alphabet(), pick_device()
        seed_everything(seed)
        self.model: Network = recipe.make_model(alphabet).to(device)
        self.objective = CTC(alphabet)
        self.optimizer = recipe.make_optimizer(self.model)
        self.options = recipe.fit_options(self.optimizer, device)
        self.history = History()
        self.generator = torch.get_rng_state()

    def take(self, chunks: Iterator[Captchas], count: int) -> None:
        """Train on the next ``count`` chunks. Test losses are those of each chunk's first image: `fit` wants a test set."""
        torch.set_rng_state(self.generator)
        chunk = functools.lru_cache(1)(lambda epoch: next(chunks))
        self.history = fit(
            self.model, self.objective, chunk, lambda epoch: chunk(epoch).subset([0]), self.optimizer,
            epochs=count, history=self.history, live=False, raise_when_stopped=True, **self.options,
        )  # fmt: skip
        self.generator = torch.get_rng_state()

    def copy(self) -> Pretraining:
        """The same training at the same point, as an object of its own.

        It is made from the states: the scheduler of a deep copy would still change the original's optimizer.
        """
        other = Pretraining(self.recipe, self.seed)
        other.model.load_state_dict(self.model.state_dict())
        other.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        other.options["scheduler"].load_state_dict(self.options["scheduler"].state_dict())
        other.history, other.generator = self.history.copy(), self.generator.clone()
        return other
