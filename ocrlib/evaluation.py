"""How well a network reads: its history of training, character error rate, exact match, every mistake, and reading images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from ocrlib.captchas import Captchas
from ocrlib.checkpoints import TrainedModel
from ocrlib.data.checks import only_captchas
from ocrlib.data.images import Readable, as_pixels
from ocrlib.objectives import Objective, objective_of
from ocrlib.texts import nfc

if TYPE_CHECKING:
    from ocrlib.ctc.places import DetailedText

# A spike is so many times the median, which forgives an earlier one, and so many nats a symbol above it: a loss near zero can
# double and cost nothing. In two trainings of ModifiedCRNN the edits had about doubled at 1.65 times, and not at 1.3 times.
SPIKE_TIMES, SPIKE_ABOVE = 1.5, 0.1


@dataclass
class History:
    """Train loss of each step, test loss, steps and seconds of each finished epoch, and validation loss if there was one.

    The last entries of ``train_loss`` may belong to an epoch that was stopped before its end. ``seconds`` are wall
    seconds of the epoch's steps and its test loss.
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    steps_per_epoch: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.test_loss)

    @property
    def train_means(self) -> list[float]:
        """The mean train loss of each finished epoch."""
        ends = accumulate(self.steps_per_epoch, initial=0)
        return [sum(self.train_loss[begin:end]) / (end - begin) for begin, end in pairwise(ends)]

    @property
    def spike(self) -> str | None:
        """A sentence if the last epoch's test loss, or mean train loss, is far above the median of the five before; or None."""
        for name, losses in {"test loss": self.test_loss, "mean training loss": self.train_means}.items():
            if len(losses) > 5 and losses[-1] > max(SPIKE_TIMES * (usual := median(losses[-6:-1])), usual + SPIKE_ABOVE):
                found = f"The last epoch ended on a spike: {name} {losses[-1]:.3f}, median of the five epochs before {usual:.3f}."
                return f"{found} A few epochs earlier the network probably read better: train a few epochs more."
        return None

    def copy(self) -> History:
        return History(**asdict(self))  # asdict copies the lists

    def digest(self) -> str:
        """A short hash of the losses: two runs that went alike, bit for bit, have the same."""
        losses = torch.tensor([*self.train_loss, *self.test_loss], dtype=torch.float64)
        return hashlib.sha256(losses.numpy().tobytes()).hexdigest()[:12]


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
        spike = self.history and self.history.spike
        return (
            f"CER {self.cer:.4f} ({self.edits} of {self.characters:,} characters, 95 % interval {low:.4f} to {high:.4f}), "
            f"exact match {self.exact:.4f} ({self.images - len(self.mistakes)} of {self.images} images)"
            + (f"\n{spike}" if spike else "")
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
def predict(model: nn.Module, images: Tensor, batch_size: int = 64, check: bool = True) -> Tensor:
    """Logits ``(T, N, C)``, on the model's device, of uint8 images ``(N, 1, H, W)``. Each layer's mode stays as it was.

    Raises ``FloatingPointError`` when a logit is NaN or infinite, unless ``check`` is False.
    """
    device = next(model.parameters()).device
    training = [module for module in model.modules() if module.training]
    if training:  # else it is left out: it would take a tenth of the time in which one image is read
        model.eval()
    try:
        logits = torch.cat([model(batch.to(device).float()) for batch in images.split(batch_size)], dim=1)
    finally:
        for module in training:
            module.training = True
    broken = int((~logits.amax(2).isfinite()).any(0).sum()) if check else 0
    if broken:
        raise FloatingPointError(
            f"{type(model).__name__} gives NaN or infinity for {broken} of {len(images)} images: its weights have diverged. "
            "Go back to the last checkpoint, and train on with a lower learning rate or a clip_norm."
        )
    return logits


def evaluate(model: nn.Module, objective: Objective, captchas: Captchas | Subset, batch_size: int = 64) -> Report:
    """Read every image of ``captchas``, or of a torch ``Subset`` of some, and compare with its text.

    Raises ``ValueError`` when there is no image, ``FloatingPointError`` when a logit is not a number.
    """
    captchas, texts = only_captchas("images to evaluate", captchas), []
    if len(captchas) == 0:
        raise ValueError("Nothing to evaluate: the data set holds no image.")
    # A batch at a time: with thousands of classes, the logits of all images would fill the memory.
    for images, widths in zip(captchas.images.split(batch_size), captchas.true_widths().split(batch_size)):
        logits = predict(model, images, batch_size)
        texts += objective.decode(objective.without_padding(logits, model, widths, images.shape[3]))
    return score(texts, captchas)


def score(predicted: Sequence[str], captchas: Captchas) -> Report:
    """Compare what was read, a text for each of ``captchas``, with their texts. A reading where nothing stands counts its edits.

    Raises ``ValueError`` for another number of readings than images, or where no text has a character.
    """
    if not len(predicted) == len(captchas) > 0:
        raise ValueError(f"Each image needs one reading, got {len(predicted)} readings for {len(captchas)} images.")
    predicted = list(map(nfc, predicted))
    distances = _edit_distances(predicted, captchas.texts)
    mistakes = [
        Mistake(captchas.images[i].cpu(), captchas.names[i], predicted[i], true, distances[i] / (len(true) or math.nan))
        for i, true in enumerate(captchas.texts)
        if distances[i]
    ]
    edits, characters = sum(distances), sum(map(len, captchas.texts))
    if not characters:
        raise ValueError(f"There is no character error rate: all {len(captchas)} texts are empty.")
    return Report(
        cer=float(np.float32(edits) / np.float32(characters)), edits=edits, characters=characters, mistakes=mistakes,
        exact=1 - len(mistakes) / len(captchas), images=len(captchas), interval=binomial_interval(edits, characters),
    )  # fmt: skip


def _edit_distances(predicted: list[str], true: list[str]) -> list[int]:
    try:
        from rapidfuzz.distance import Levenshtein
    except ModuleNotFoundError:  # as on machines that only train; torchmetrics' takes some hundred times as long
        from torchmetrics.functional.text import edit_distance

        return edit_distance(predicted, true, reduction="none").int().tolist()
    return [Levenshtein.distance(*pair) for pair in zip(predicted, true)]


class Text(NamedTuple):
    """What was read in an image, and the probability 0 to 1 that the network gives to just that text."""

    text: str
    confidence: float

    def __str__(self) -> str:
        return f"{self.text} ({self.confidence:.1%})"


def read(
    images: Readable | Iterable[Readable] | Captchas | Tensor, model: TrainedModel, batch_size: int = 64, *,
    allowed: Iterable[str] | None = None, pattern: str | None = None, words: Iterable[str] | None = None,
    details: bool = False, **options: object,
) -> list[Text] | list[DetailedText]:  # fmt: skip
    """The text in each image, with its confidence, in their order.

    ``images`` are files, pictures, a mixture of both, one alone, captchas, or a uint8 tensor ``(N, 1, 32, W)``. Files and
    pictures are brought to the size that ``model`` was trained on (see `load_model`), with options as of
    `ocrlib.data.images.read_image`; ``fit`` is the model's own by default. A confidence is the sum over all paths for CTC and
    the product over all positions for cross-entropy; a network can be sure and wrong.

    ``allowed="0123456789"`` reads no other symbols, ``pattern=r"[A-Z]{2}\\d{3,5}"`` only texts that match as a whole, ``words``
    only texts of a list. Confidences are then given that the text is an allowed one: see `ocrlib.ctc.constraints.Constrained`.
    ``details=True`` adds each symbol's probability and place in the original image: see `ocrlib.ctc.places.DetailedText`.

    Raises as `ocrlib.data.images.read_image` does for a file that is no picture, as `predict` does for a network of NaN, and
    ``ValueError`` for a tensor of another size, a thing that is no image, and what can't be allowed.
    """
    if not isinstance(model, TrainedModel):
        cure = "Give what load_model returns, or TrainedModel(network, alphabet, width)"
        raise ValueError(f"A network with its alphabet and width was expected, got {type(model).__name__}. {cure}.")
    reader, found = objective_of(model.network, model.alphabet), []
    if not (allowed is pattern is words is None):
        reader = import_module("ocrlib.ctc.constraints").Constrained(reader, allowed, pattern, words)
    pixels, sizes = as_pixels(images, model.width, **{"fit": model.fit, **options})
    for batch in pixels.split(batch_size) if len(pixels) else ():
        logits = predict(model.network, batch, batch_size).cpu()  # (T, n, C), of these images only: see `evaluate`
        parts = sizes[len(found) : len(found) + len(batch)]
        logits = reader.without_padding(logits, model.network, torch.tensor([shown for shown, _ in parts]), model.width)
        texts = reader.decode(logits)
        texts = list(map(Text, texts, reader.confidence(logits, texts).tolist()))
        if details:
            texts = import_module("ocrlib.ctc.places").detailed(texts, logits, reader, model.network, model.width, parts)
        found += texts
    return found


def as_tensor(images: Readable | Iterable[Readable] | Captchas | Tensor, width: int, **options: object) -> Tensor:
    """The images as a uint8 tensor ``(N, 1, 32, width)``; options as `ocrlib.data.images.read_image`. Raises as `read` does."""
    return as_pixels(images, width, **options)[0]


def centred_mean(values: Sequence[float], window: int) -> np.ndarray:
    """The mean around each value, ``(len(values),)``: of as many values before it as after it, ``window`` (odd) in all.

    At the ends it is the mean of those that are there. Raises ``ValueError`` for an even ``window``, or one below 1.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window={window}: an odd number is needed, with as many values before each as after it.")
    here, ones = slice(window // 2, window // 2 + len(values)), np.ones(window)
    return np.convolve(values, ones)[here] / np.convolve(np.ones(len(values)), ones)[here]  # sums, and of how many
