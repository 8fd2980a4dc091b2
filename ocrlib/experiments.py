"""The experiments as data, reported ones and our own, and `run`, which takes one from start to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adadelta, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from ocrlib.captchas import Captchas, split
from ocrlib.data.augmentation import RandomAffine
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import History, Report, evaluate
from ocrlib.networks import CECRNN, CRNN, ColumnCNN, ModifiedCRNN, Network
from ocrlib.objectives import CTC, CrossEntropy, Objective
from ocrlib.runtime import Budget, fast_dtype, pick_budget, pick_device, seed_everything
from ocrlib.texts import Alphabet
from ocrlib.training import fit

REPORTED_SEED, REPORTED_SPLIT = 42069, 42  # of training, and of the split
MEANT_WIDTH = 100  # of the CRNN's images in pixels; as run, it was 80
# One cycle: a quarter of the steps up from a tenth of the rate, the rest down to a thousandth of it.
ONE_CYCLE = {"pct_start": 0.25, "div_factor": 10, "final_div_factor": 100}


@dataclass(frozen=True)
class Experiment:
    """A recipe: network, objective, image width, split, optimizer and epochs, and the CER that was reported for it.

    ``epochs`` holds one number a call of `fit`: (20, 40) is 20 epochs, then 40 more. ``summary_shape`` is the input
    ``(N, 1, H, W)`` the network's summary is shown at. With ``one_cycle`` the learning rate climbs to ``learning_rate``
    and sinks to almost nothing again over the whole training (L. N. Smith and N. Topin, arXiv 1708.07120); ``autocast``
    lets convolutions compute in bfloat16 on devices that have it (`fast_dtype`).
    """

    title: str
    network: type[Network]
    objective: type[Objective]
    width: int
    train: int
    test: int
    batch_size: int
    optimizer: type[Optimizer]
    learning_rate: float
    epochs: tuple[int, ...]
    clip_norm: float | None
    summary_shape: tuple[int, int, int, int]
    reported_cer: float | None = None  # None for a recipe of our own
    reported_edits: int | None = None
    optimizer_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    one_cycle: bool = False
    augment: Callable[[Tensor], Tensor] | None = None
    autocast: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """What the recipe sets, by name, as a reader would write it."""
        options = [f"{name.replace('_', ' ')} {value}" for name, value in self.optimizer_options.items()]
        return {
            "network": self.network.__name__,
            "objective": self.objective.name,
            "images": f"{self.train} to train on, {self.test} to test on, {self.width} pixels wide",
            "batch": f"{self.batch_size} images",
            "optimizer": ", ".join([f"{self.optimizer.__name__}, learning rate {self.learning_rate:g}", *options]),
            **({"schedule": "one cycle: the learning rate climbs, then sinks to almost nothing"} if self.one_cycle else {}),
            **({"augmentation": repr(self.augment)} if self.augment else {}),
            **({"precision": "bfloat16 in the convolutions, where the device has it"} if self.autocast else {}),
            "clipping": f"gradient norm at most {self.clip_norm:g}" if self.clip_norm else "none",
            "epochs": ", then ".join(map(str, self.epochs)),
        }

    def make_model(self, alphabet: Alphabet) -> Network:
        return self.network(classes=len(alphabet))

    def make_optimizer(self, model: nn.Module) -> Optimizer:
        return self.optimizer(model.parameters(), lr=self.learning_rate, **self.optimizer_options)

    def make_scheduler(self, optimizer: Optimizer) -> LRScheduler | None:
        """The schedule of the learning rate over all epochs; None for recipes that keep it as it is."""
        if not self.one_cycle:
            return None
        steps = max(-(-self.train // self.batch_size) * sum(self.epochs), 8)  # with four, OneCycleLR divides by zero
        return OneCycleLR(optimizer, self.learning_rate, total_steps=steps, cycle_momentum=False, **ONE_CYCLE)

    def fit_options(self, optimizer: Optimizer, device: torch.device) -> dict[str, Any]:
        """What `fit` is to be told beside network, objective, data, optimizer and epochs; the same for each call of it."""
        steps = {"batch_size": self.batch_size, "clip_norm": self.clip_norm, "scheduler": self.make_scheduler(optimizer)}
        autocast = fast_dtype(device) if self.autocast else None
        return {**steps, "augment": self.augment, "autocast": autocast, "title": self.title}

    def within(self, budget: Budget, images: int) -> Experiment:
        """The same recipe shrunk to a budget and to a data set of ``images`` images; itself under the full budget.

        The shares of train and test stay; a batch never exceeds a quarter of the training images.
        """
        total = self.train + self.test
        kept = min(budget.images(total), images)
        if kept == total and budget.max_epochs is None:
            return self
        train = round(kept * self.train / total)
        batch_size, epochs = min(self.batch_size, max(train // 4, 1)), tuple(map(budget.epochs, self.epochs))
        return replace(self, train=train, test=kept - train, batch_size=batch_size, epochs=epochs)


EXPERIMENTS: dict[str, Experiment] = {
    "crnn": Experiment(
        title="CRNN", network=CRNN, objective=CTC,
        width=80, train=820, test=250, batch_size=8,  # width 80 as run; 100 was meant
        optimizer=Adadelta, learning_rate=0.08, epochs=(20, 40), clip_norm=3.0,
        summary_shape=(8, 1, 32, 100), reported_cer=0.0024, reported_edits=3,
    ),
    "modified_crnn": Experiment(
        title="ModifiedCRNN", network=ModifiedCRNN, objective=CTC,
        width=176, train=896, test=174, batch_size=128,
        optimizer=Adadelta, learning_rate=1.2, epochs=(40,), clip_norm=3.0,
        summary_shape=(128, 1, 32, 176), reported_cer=0.0575, reported_edits=50,
    ),
    "ce_crnn": Experiment(
        title="CE-CRNN", network=CECRNN, objective=CrossEntropy,
        width=128, train=848, test=222, batch_size=16,
        optimizer=Adam, learning_rate=4e-5, epochs=(30,), clip_norm=None,
        summary_shape=(16, 1, 32, 128), reported_cer=0.0081, reported_edits=9,
    ),
    "fast": Experiment(
        title="Fast", network=ColumnCNN, objective=CTC,
        width=96, train=820, test=250, batch_size=12,
        optimizer=AdamW, learning_rate=0.008, epochs=(11,), clip_norm=None,
        summary_shape=(12, 1, 32, 96),
        optimizer_options={"weight_decay": 0.2, "betas": (0.9, 0.99), "fused": True},
        one_cycle=True, augment=RandomAffine(), autocast=True,
    ),
}  # fmt: skip


def run(
    experiment: str | Experiment, seed: int = REPORTED_SEED, split_seed: int = REPORTED_SPLIT,
    captchas: Captchas | None = None, live: bool = False, checkpoint: str | Path | None = None,
) -> Report:  # fmt: skip
    """Take a recipe from start to end: load, split, train, evaluate, under the budget in force.

    ``experiment`` is a key of `EXPERIMENTS` or an `Experiment`; the first ``train + test`` of the ``captchas`` are used, loaded
    at its width unless given; other alphabets: `train_on`. The report has the ``history`` and ``seconds``. With a ``checkpoint``
    a run that was stopped goes on, to the same bits; each `fit` after the first has a file of its own: `checkpoint_files`.

    Raises ``ValueError`` for an unknown key, or images of another size than the recipe's, ``CheckpointError`` for a
    checkpoint of another run, and ``KeyboardInterrupt`` when it is stopped.
    """
    if isinstance(experiment, str) and experiment not in EXPERIMENTS:
        raise ValueError(f"There is no experiment {experiment!r}; choose one of {sorted(EXPERIMENTS)}, or pass an Experiment.")
    recipe = EXPERIMENTS[experiment] if isinstance(experiment, str) else experiment
    captchas = load_captchas(width=recipe.width) if captchas is None else captchas
    if captchas.images.shape[-1] != recipe.width:
        raise ValueError(
            f"{recipe.title} reads images {recipe.width} pixels wide, these are {captchas.images.shape[-1]}. "
            f"Load them with load_captchas(width={recipe.width})."
        )
    recipe, train, test = parts(recipe, captchas, split_seed)
    trained = train_on(recipe, train, test, seed, live, checkpoint)
    return evaluate(trained.model, trained.objective, test).after_training(trained.history)


def parts(recipe: Experiment, captchas: Captchas, split_seed: int) -> tuple[Experiment, Captchas, Captchas]:
    """The recipe under the budget in force, and its training and test images, drawn from the first of ``captchas``."""
    recipe = recipe.within(pick_budget(), len(captchas))
    train, test = split(captchas.subset(range(recipe.train + recipe.test)), (recipe.train, recipe.test), split_seed)
    return recipe, train, test


class Trained(NamedTuple):
    """What a training leaves."""

    model: Network
    objective: Objective
    history: History


def train_on(
    recipe: Experiment, train: Captchas, test: Captchas, seed: int, live: bool = False, checkpoint: str | Path | None = None,
    alphabet: Alphabet | None = None, after_step: Callable[[Network, Objective, int], object] | None = None,
) -> Trained:  # fmt: skip
    """Train a recipe on ``train``, whatever split that is of, with test losses on ``test``; nothing is chosen by them.

    The recipe's schedule runs over ``recipe.train`` images: for another number ``replace`` it first. Without an ``alphabet``
    it is the default one. ``after_step`` is that of `fit`, but gets the network and its objective first. Raises as `run` does.
    """
    alphabet = alphabet or Alphabet()
    objective = recipe.objective(alphabet)
    seed_everything(seed)
    device = pick_device()
    model = recipe.make_model(alphabet).to(device)
    optimizer = recipe.make_optimizer(model)
    options = recipe.fit_options(optimizer, device)
    watch = after_step and (lambda step: after_step(model, objective, step))
    options |= {"live": live, "raise_when_stopped": True, "after_step": watch}
    history = History()
    for epochs, options["checkpoint"] in zip(recipe.epochs, checkpoint_files(recipe, checkpoint)):
        history = fit(model, objective, train, test, optimizer, epochs=epochs, history=history, **options)
    return Trained(model, objective, history)


def checkpoint_files(recipe: Experiment, checkpoint: str | Path | None) -> list[Path | None]:
    """The file of each call of `fit` that `run` makes: ``checkpoint`` itself, then -2, -3 and so on behind its name."""
    if checkpoint is None:
        return [None] * len(recipe.epochs)
    path = Path(checkpoint)
    return [path, *(path.with_stem(f"{path.stem}-{number}") for number in range(2, len(recipe.epochs) + 1))]
