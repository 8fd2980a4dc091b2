"""Read real captchas after training on generated ones: with no real image, with some, and with generators of other kinds.

The training is the fast recipe's, over chunks of generated images instead of epochs. For the runs with real images, these are
mixed into the last chunks: half of each.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from ocrlib.captchas import Captchas, split
from ocrlib.data.augmentation import RandomAffine
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import History, evaluate
from ocrlib.experiments import EXPERIMENTS, Experiment, train_on
from ocrlib.loop import Loop
from ocrlib.networks import Network
from ocrlib.objectives import CTC
from ocrlib.runtime import arithmetic, fast_dtype, pick_budget, pick_device, seed_everything
from ocrlib.studies.domain_randomisation import InkChange
from ocrlib.studies.records import Figures
from ocrlib.synthetic.generated import EndlessCaptchas
from ocrlib.texts import Alphabet

CHUNKS, MIXED = 40, 10  # chunks of generated images in all, and those at the end that real ones are mixed into
CHUNK = EXPERIMENTS["fast"].train  # images
REAL = (10, 30, 100, 300, 800)  # real images added
TEST = 270  # real images that are never trained on
SEEDS = (1, 2, 3, 4, 5)
STREAM_SEED = 1000  # plus the run's: the generator's seeds, apart from those of all other generated images
# A generator that is a little off in everything, and the same with each amount drawn from a range that holds the truth.
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


def jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `transfer`: with real images for each seed, then each style without augmentation."""
    found: list[dict[str, Any]] = [{"seed": seed} for seed in SEEDS]
    return found + [{"seed": seed, "style": style, "augmented": False} for seed in SEEDS for style in STYLES]


def transfer(seed: int, style: str = "matched", augmented: bool = True) -> Figures:
    """One training on generated images, as figures for `record_runs`.

    ``zero_shot`` is the reading of all real images by a network that saw none of them, and ``mistakes`` its [predicted, true].
    With the matched style and augmentation, ``pretrained`` and ``alone`` also have figures on `TEST` images by the number of
    real images trained on: mixed in at the end, and alone by the fast recipe.

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
    figures = {
        "zero_shot": report.figures,
        "mistakes": report.misread,
        "generated": recipe.train * chunks,
        "history": rest.history.digest(),
        "arithmetic": arithmetic(),
    }
    return figures | (_with_real(training, last, rest, real, seed) if style == "matched" and augmented else {})


def _with_real(training: Pretraining, last: list[Captchas], zero: Pretraining, real: Captchas, seed: int) -> dict[str, Any]:
    held_out = round(TEST * len(real) / 1070)
    train, test = split(real, (len(real) - held_out, held_out), seed)
    pretrained, alone = {"0": evaluate(zero.model, zero.objective, test).figures}, {}
    recipe = EXPERIMENTS["fast"].within(pick_budget(), len(real))
    for n in sorted({min(n, len(train)) for n in REAL}):
        some = train.subset(range(n))  # random ones: a split has no order
        mixing = training.copy()
        mixing.take((half_real(chunk, some, number) for number, chunk in enumerate(last)), len(last))
        pretrained[str(n)] = evaluate(mixing.model, mixing.objective, test).figures
        # Whatever n is, as many steps as the recipe has: the n images over and over.
        repeated = some.subset([i % n for i in range(recipe.train)])
        model, objective, _ = train_on(recipe, repeated, test, seed)
        alone[str(n)] = evaluate(model, objective, test).figures
    return {"pretrained": pretrained, "alone": alone}


def half_real(chunk: Captchas, real: Captchas, number: int) -> Captchas:
    """A chunk whose second half are real captchas, taken in turn from chunk ``number`` to the next."""
    half = len(chunk) // 2
    return chunk.subset(range(len(chunk) - half)).joined(real.cycle(number, half))


class Pretraining:
    """A training on chunks of captchas, under one schedule over all ``recipe.epochs`` of them; can be copied on the way."""

    def __init__(self, recipe: Experiment, seed: int) -> None:
        self.recipe, self.seed, alphabet, self.device = recipe, seed, Alphabet(), pick_device()
        seed_everything(seed)
        self.model: Network = recipe.make_model(alphabet).to(self.device)
        self.objective = CTC(alphabet)
        self.optimizer = recipe.make_optimizer(self.model)
        self.scheduler = recipe.make_scheduler(self.optimizer)
        self.history = History()
        self.generator = torch.get_rng_state()

    def take(self, chunks: Iterator[Captchas], count: int) -> None:
        """Train on the next ``count`` chunks."""
        torch.set_rng_state(self.generator)
        self.model.train()
        for _ in range(count):
            chunk = next(chunks)
            loop = Loop(
                self.model, self.objective, chunk, chunk.subset([0]), self.optimizer, history=self.history,
                batch_size=self.recipe.batch_size, clip_norm=self.recipe.clip_norm, scheduler=self.scheduler,
                augment=self.recipe.augment, autocast=fast_dtype(self.device) if self.recipe.autocast else None,
            )  # fmt: skip
            while not loop.step():
                pass
            loop.fetch_losses()
            loop.end_epoch()
        self.generator = torch.get_rng_state()

    def copy(self) -> Pretraining:
        """The same training at the same point, to go on with by itself.

        By its states: a deep copy's optimizer would step the original, to which its schedule has bound it.
        """
        other = Pretraining(self.recipe, self.seed)
        other.model.load_state_dict(self.model.state_dict())
        other.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        other.scheduler.load_state_dict(self.scheduler.state_dict())
        other.history, other.generator = self.history.copy(), self.generator.clone()
        return other
