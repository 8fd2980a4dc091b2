"""How well a network reads: character error rate, exact match, and every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ocrlib.captchas import Captchas
from ocrlib.history import History
from ocrlib.objectives import Objective


@dataclass(frozen=True)
class Mistake:
    """One misread image: pixels ``(1, H, W)`` uint8, its file name, what was read, what stands there, and its own CER."""

    image: Tensor
    name: str
    predicted: str
    true: str
    cer: float


@dataclass(frozen=True)
class Report:
    """Figures of one evaluation.

    ``cer`` is ``edits / characters``: summed edit distances over summed reference characters (so it can exceed 1), in
    torchmetrics' single precision. Compare ``edits`` where a hair matters.
    ``interval`` holds the 95 % Clopper-Pearson bounds of that share, as if each character were an independent trial;
    it says nothing about other training seeds. ``exact`` is the share of images read without a mistake.
    ``history`` and ``seconds`` (of training alone) are there when the report comes from `ocrlib.run`.
    """

    cer: float
    edits: int
    characters: int
    exact: float
    images: int
    interval: tuple[float, float]
    mistakes: list[Mistake] = field(repr=False)
    history: History | None = field(default=None, repr=False)
    seconds: float | None = None

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"CER {self.cer:.4f} ({self.edits} of {self.characters:,} characters, 95 % interval {low:.4f} to {high:.4f}), "
            f"exact match {self.exact:.4f} ({self.images - len(self.mistakes)} of {self.images} images)"
        )

    @property
    def figures(self) -> dict[str, float | int]:
        """What a recorded run keeps of it: ``cer``, ``edits``, ``characters``, ``exact`` and ``images``."""
        return {name: getattr(self, name) for name in ("cer", "edits", "characters", "exact", "images")}

    @property
    def misread(self) -> list[list[str]]:
        """[predicted, true] of each misread image."""
        return [[mistake.predicted, mistake.true] for mistake in self.mistakes]

    def after_training(self, history: History) -> Report:
        """The same report with the history of the training that led to it."""
        return replace(self, history=history, seconds=sum(history.seconds))


def binomial_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a share (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934)."""
    from scipy.stats import binomtest

    low, high = binomtest(min(successes, trials), trials).proportion_ci(confidence, method="exact")
    return float(low), float(high)


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 64) -> Tensor:
    """Logits ``(T, N, C)`` of uint8 images ``(N, 1, H, W)``, on the model's device, in evaluation mode.

    The model is left in the mode it was in.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        return torch.cat([model(batch.to(device).float()) for batch in images.split(batch_size)], dim=1)
    finally:
        model.train(training)


def evaluate(model: nn.Module, objective: Objective, captchas: Captchas, batch_size: int = 64) -> Report:
    """Read every image of ``captchas`` and compare with its text.

    Raises ``ValueError`` when there is no image, ``FloatingPointError`` when a logit is not a number.
    """
    if len(captchas) == 0:
        raise ValueError("Nothing to evaluate: the data set holds no image.")
    logits = predict(model, captchas.images, batch_size)
    broken = int(logits.isnan().any(2).any(0).sum())
    if broken:
        raise FloatingPointError(
            f"{type(model).__name__} gives NaN for {broken} of {len(captchas)} images: its weights have diverged. "
            "Go back to the last checkpoint, and train on with a lower learning rate or a clip_norm."
        )
    return score(objective.decode(logits), captchas)


def score(predicted: Sequence[str], captchas: Captchas) -> Report:
    """Compare what was read, a text for each of ``captchas``, with their texts. Raises ``ValueError`` for another number."""
    from torchmetrics.functional.text import char_error_rate, edit_distance

    if not len(predicted) == len(captchas) > 0:
        raise ValueError(f"Each image needs one reading, got {len(predicted)} readings for {len(captchas)} images.")
    distances = edit_distance(predicted, captchas.texts, reduction="none").int().tolist()
    mistakes = [
        Mistake(captchas.images[i].cpu(), captchas.names[i], predicted[i], true, distances[i] / len(true))
        for i, true in enumerate(captchas.texts)
        if distances[i]
    ]
    edits, characters = sum(distances), sum(map(len, captchas.texts))
    return Report(
        cer=float(char_error_rate(predicted, captchas.texts)),
        edits=edits,
        characters=characters,
        exact=1 - len(mistakes) / len(captchas),
        images=len(captchas),
        interval=binomial_interval(edits, characters),
        mistakes=mistakes,
    )
