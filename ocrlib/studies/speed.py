"""The speed benchmark: seconds of training to a CER, the plain procedure to compare with, and operations per image."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, default_collate

from ocrlib.captchas import Captchas, shrink
from ocrlib.evaluation import History, evaluate
from ocrlib.experiments import REPORTED_SEED, Experiment, train_on
from ocrlib.networks import Network
from ocrlib.objectives import Objective
from ocrlib.runtime import progress

TRAINING = 3  # times the work of the forward pass: gradients by weights and by inputs take as many operations each


@dataclass(frozen=True)
class Race:
    """Seconds of each epoch's training (with its test loss, without the CER's measurement) and the CER after it."""

    title: str
    seconds: list[float]
    cers: list[float]

    @property
    def seconds_an_epoch(self) -> float:
        """The median over the epochs: the first one of a process is slower, because memory is allocated."""
        return float(torch.tensor(self.seconds).median())

    def epochs_to(self, cer: float) -> int | None:
        """Epochs until the CER was first at most ``cer``; None when it never was."""
        return next((epoch for epoch, reached in enumerate(self.cers, start=1) if reached <= cer), None)

    def seconds_to(self, cer: float) -> float | None:
        """Seconds of training until the CER was first at most ``cer``; None when it never was."""
        epochs = self.epochs_to(cer)
        return None if epochs is None else sum(self.seconds[:epochs])


def race(recipe: Experiment, train: Captchas, test: Captchas, seed: int = REPORTED_SEED, until: float | None = None) -> Race:
    """Train by ``recipe`` and measure the CER on ``test`` after every epoch; stop early once it is at most ``until``.

    The images must have the recipe's width. Measuring the CER takes none of the seconds. Recipes are chosen by these CERs,
    so ``test`` must be images that no reported figure is measured on. Raises ``KeyboardInterrupt`` when it is stopped.
    """
    steps_an_epoch, cers = -(-len(train) // recipe.batch_size), []

    def measure(model: Network, objective: Objective, step: int) -> bool:
        if step % steps_an_epoch:
            return False
        cers.append(evaluate(model, objective, test).cer)
        return until is not None and cers[-1] <= until

    whole = replace(recipe, epochs=(sum(recipe.epochs),))  # `until` ends one call of `fit`
    return Race(recipe.title, train_on(whole, train, test, seed, after_step=measure).history.seconds, cers)


class PlainCaptchas(Dataset):
    """The images of ``captchas``, read from their ``files`` (by name, see `image_files`) each time an item is asked for.

    Item ``i`` is (image ``(1, H, W)`` float32 in 0..255, text), of the size that the images of ``captchas`` have.
    """

    def __init__(self, captchas: Captchas, files: dict[str, Path]) -> None:
        self.files, self.texts = [files[name] for name in captchas.names], captchas.texts
        self.height, self.width = captchas.images.shape[2:]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        with Image.open(self.files[index]) as image:
            pixels = shrink(image, self.width, self.height)  # (H, W) uint8
        return torch.from_numpy(pixels).float().unsqueeze(0), self.texts[index]


def fit_plain(
    model: nn.Module, objective: Objective, train: PlainCaptchas, test: PlainCaptchas, optimizer: Optimizer,
    epochs: int, batch_size: int, clip_norm: float | None = None,
) -> History:  # fmt: skip
    """The plain procedure: train ``model`` for ``epochs`` epochs and return its history, as `ocrlib.fit` does.

    The test images are read once, before the clock starts, and pass through the network as one batch.
    """
    device = next(model.parameters()).device
    loader = DataLoader(train, batch_size, shuffle=True)
    test_images, test_texts = default_collate([*test])
    history = History()
    for _ in range(epochs):
        began = time.perf_counter()
        model.train()
        for images, texts in progress(loader, quiet=True, desc=type(model).__name__, unit="step"):
            targets, target_lengths = objective.prepare(texts, device)
            logits = model(images.to(device))  # (T, N, C)
            loss = objective.loss(logits, targets, target_lengths)
            optimizer.zero_grad()
            loss.backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            history.train_loss.append(loss.item())  # waits for the device, at every step
        model.eval()
        with torch.no_grad():
            test_loss = objective.loss(model(test_images.to(device)), *objective.prepare(test_texts, device))
        history.test_loss.append(test_loss.item())
        history.steps_per_epoch.append(len(loader))
        history.seconds.append(time.perf_counter() - began)
    return history


def image_files(captchas: Captchas, folder: Path) -> dict[str, Path]:
    """Save each of ``captchas`` into ``folder``, as PNG with four channels like the published ones; the files by name.

    Load them at the published size, ``load_captchas(height=50)``: files are shrunk when they are read.
    """
    files = {name: folder / f"{Path(name).stem}.png" for name in captchas.names}
    for image, file in zip(captchas.images, files.values()):
        Image.fromarray(image[0].cpu().numpy()).convert("RGBA").save(file)
    return files


def peak_flops(device: torch.device, dtype: torch.dtype = torch.float32, size: int = 2048, seconds: float = 2.0) -> float:
    """Floating-point operations a second of a large matrix product, an upper bound for what convolutions reach.

    The fastest of the products of (size, size) matrices that fit into ``seconds``, after one that is not timed.
    """
    a, b = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))

    def seconds_taken() -> float:
        began = time.perf_counter()
        float((a @ b)[0, 0])  # fetching a number waits for the device
        return time.perf_counter() - began

    seconds_taken()
    times = [seconds_taken()]
    while sum(times) < seconds:
        times.append(seconds_taken())
    return 2 * size**3 / min(times)
