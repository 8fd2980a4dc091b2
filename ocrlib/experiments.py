"""The reported experiments as data, and `run`, which takes one from start to end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn
from torch.optim import Adadelta, Adam, Optimizer

from ocrlib.alphabet import Alphabet
from ocrlib.captchas import Captchas, load_captchas, split
from ocrlib.evaluation import Report, evaluate
from ocrlib.history import History
from ocrlib.networks import CECRNN, CRNN, ModifiedCRNN, Network
from ocrlib.objectives import CTC, CrossEntropy, Objective
from ocrlib.runtime import Budget, pick_budget, pick_device, seed_everything
from ocrlib.training import fit


@dataclass(frozen=True)
class Experiment:
    """A recipe: network, objective, image width, split, optimizer and epochs, and the CER that was reported for it.

    ``epochs`` holds one number a call of `fit`: (20, 40) is 20 epochs, then 40 more. ``summary_shape`` is the input
    ``(N, 1, H, W)`` the network's summary is shown at.
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
    reported_cer: float
    reported_edits: int

    @property
    def settings(self) -> dict[str, str]:
        """What the recipe sets, by name, as a reader would write it."""
        return {
            "network": self.network.__name__,
            "objective": self.objective.name,
            "images": f"{self.train} to train on, {self.test} to test on, {self.width} pixels wide",
            "batch": f"{self.batch_size} images",
            "optimizer": f"{self.optimizer.__name__}, learning rate {self.learning_rate:g}",
            "clipping": f"gradient norm at most {self.clip_norm:g}" if self.clip_norm else "none",
            "epochs": ", then ".join(map(str, self.epochs)),
        }

    def make_model(self, alphabet: Alphabet) -> Network:
        return self.network(classes=len(alphabet))

    def make_optimizer(self, model: nn.Module) -> Optimizer:
        return self.optimizer(model.parameters(), lr=self.learning_rate)

    def within(self, budget: Budget, images: int) -> Experiment:
        """The same recipe shrunk to a budget and to a data set of ``images`` images; itself under the full budget.

        The shares of train and test stay; a batch never exceeds a quarter of the training images.
        """
        total = self.train + self.test
        kept = min(budget.images(total), images)
        if kept == total and budget.max_epochs is None:
            return self
        train = round(kept * self.train / total)
        return replace(
            self,
            train=train,
            test=kept - train,
            batch_size=min(self.batch_size, max(train // 4, 1)),
            epochs=tuple(budget.epochs(n) for n in self.epochs),
        )


EXPERIMENTS: dict[str, Experiment] = {
    "crnn": Experiment(
        title="CRNN",
        network=CRNN,
        objective=CTC,
        width=80,  # as run; 100 was meant
        train=820,
        test=250,
        batch_size=8,
        optimizer=Adadelta,
        learning_rate=0.08,
        epochs=(20, 40),
        clip_norm=3.0,
        summary_shape=(8, 1, 32, 100),
        reported_cer=0.0024,
        reported_edits=3,
    ),
    "modified_crnn": Experiment(
        title="ModifiedCRNN",
        network=ModifiedCRNN,
        objective=CTC,
        width=176,
        train=896,
        test=174,
        batch_size=128,
        optimizer=Adadelta,
        learning_rate=1.2,
        epochs=(40,),
        clip_norm=3.0,
        summary_shape=(128, 1, 32, 176),
        reported_cer=0.0575,
        reported_edits=50,
    ),
    "ce_crnn": Experiment(
        title="CE-CRNN",
        network=CECRNN,
        objective=CrossEntropy,
        width=128,
        train=848,
        test=222,
        batch_size=16,
        optimizer=Adam,
        learning_rate=4e-5,
        epochs=(30,),
        clip_norm=None,
        summary_shape=(16, 1, 32, 128),
        reported_cer=0.0081,
        reported_edits=9,
    ),
}


def run(
    experiment: str | Experiment,
    seed: int = 42069,
    split_seed: int = 42,
    captchas: Captchas | None = None,
    live: bool = False,
) -> Report:
    """Take a recipe from start to end: load, split, train, evaluate, under the budget in force.

    ``experiment`` is a key of `EXPERIMENTS` or an `Experiment`; ``captchas`` are loaded at its width unless given. The
    report has the training's ``history`` and ``seconds``.

    Raises ``ValueError`` for an unknown key, or images of another size than the recipe's, and ``KeyboardInterrupt`` when
    it is stopped: only `fit` with a checkpoint can be gone on with.
    """
    recipe = _look_up(experiment)
    captchas = load_captchas(width=recipe.width) if captchas is None else captchas
    if captchas.images.shape[-1] != recipe.width:
        raise ValueError(
            f"{recipe.title} reads images {recipe.width} pixels wide, these are {captchas.images.shape[-1]}. "
            f"Load them with load_captchas(width={recipe.width})."
        )
    recipe = recipe.within(pick_budget(), len(captchas))
    train, test = split(captchas.subset(range(recipe.train + recipe.test)), (recipe.train, recipe.test), split_seed)
    alphabet = Alphabet()
    objective = recipe.objective(alphabet)
    seed_everything(seed)
    model = recipe.make_model(alphabet).to(pick_device())
    optimizer = recipe.make_optimizer(model)
    history, wanted = History(), 0
    for epochs in recipe.epochs:
        history = fit(
            model, objective, train, test, optimizer,
            epochs=epochs, batch_size=recipe.batch_size, clip_norm=recipe.clip_norm,
            history=history, live=live, title=recipe.title,
        )  # fmt: skip
        if history.epochs < (wanted := wanted + epochs):
            raise KeyboardInterrupt  # stopped: half a recipe has no figures to report
    return evaluate(model, objective, test).after_training(history)


def _look_up(experiment: str | Experiment) -> Experiment:
    if isinstance(experiment, Experiment):
        return experiment
    if experiment not in EXPERIMENTS:
        raise ValueError(f"There is no experiment {experiment!r}; choose one of {sorted(EXPERIMENTS)}, or pass an Experiment.")
    return EXPERIMENTS[experiment]
