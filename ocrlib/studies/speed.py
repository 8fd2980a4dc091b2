"""How fast a recipe gets there: CER after every epoch beside the seconds of training it took."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, default_collate

from ocrlib.captchas import Captchas, shrink
from ocrlib.data.download import cache_folder
from ocrlib.evaluation import History, evaluate
from ocrlib.experiments import Experiment
from ocrlib.objectives import Objective
from ocrlib.runtime import pick_device, seed_everything
from ocrlib.texts import Alphabet
from ocrlib.training import fit


@dataclass(frozen=True)
class Race:
    """Seconds of each epoch's training (test loss included, the CER's measurement not) and the CER after it."""

    title: str
    seconds: list[float]
    cers: list[float]

    @property
    def seconds_an_epoch(self) -> float:
        """The median epoch: the first one of a process allocates and the machine may have hiccups."""
        return float(torch.tensor(self.seconds).median())

    def epochs_to(self, cer: float) -> int | None:
        """Epochs until the CER was first at most ``cer``; None when it never was."""
        return next((epoch for epoch, reached in enumerate(self.cers, start=1) if reached <= cer), None)

    def seconds_to(self, cer: float) -> float | None:
        """Seconds of training until the CER was first at most ``cer``; None when it never was."""
        epochs = self.epochs_to(cer)
        return None if epochs is None else sum(self.seconds[:epochs])

    def at_pace(self, seconds_an_epoch: float, title: str) -> Race:
        """The same learning at another speed: for a change that makes steps slower or faster but learns the same."""
        return Race(title, [seconds_an_epoch] * len(self.cers), self.cers)


def race(recipe: Experiment, train: Captchas, test: Captchas, seed: int = 42069, until: float | None = None) -> Race:
    """Train by ``recipe`` and measure the CER on ``test`` after every epoch; stop early once it is at most ``until``.

    The images must have the recipe's width. The clock runs while `fit` does. Being watched so often, ``test`` is no test set
    any more: take images that no figure is reported on.
    """
    seed_everything(seed)
    device, alphabet = pick_device(), Alphabet()
    model, objective = recipe.make_model(alphabet).to(device), recipe.objective(alphabet)
    optimizer = recipe.make_optimizer(model)
    options = recipe.fit_options(optimizer, device)
    history, cers = History(), []
    for _ in range(sum(recipe.epochs)):
        history = fit(model, objective, train, test, optimizer, epochs=1, history=history, live=False, **options)
        if history.epochs == len(cers):
            raise KeyboardInterrupt  # stopped within the epoch
        cers.append(evaluate(model, objective, test).cer)
        if until is not None and cers[-1] <= until:
            break
    return Race(recipe.title, history.seconds, cers)


class PlainCaptchas(Dataset):
    """The images of ``captchas``, but read from ``files`` (by name, see `image_files`) again for each item.

    Item ``i`` is (image ``(1, H, W)`` float32 in 0..255, text), of the size the images of ``captchas`` have.
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
    model: nn.Module,
    objective: Objective,
    train: PlainCaptchas,
    test: PlainCaptchas,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    clip_norm: float | None = None,
) -> History:
    """Train ``model`` for ``epochs`` epochs and return its history: steps, losses and seconds as `ocrlib.fit` has them.

    The test images are read once, before the clock starts, and pass through the network as one batch.
    """
    device = next(model.parameters()).device
    loader = DataLoader(train, batch_size, shuffle=True)
    test_images, test_texts = default_collate([*test])
    history = History()
    for _ in range(epochs):
        began = time.perf_counter()
        model.train()
        for images, texts in loader:
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
    """An image file for each of ``captchas``, by name: real images' own files, made images saved into ``folder``.

    Give it captchas of the published size, ``load_captchas(height=50)``, since files are shrunk when they are read.
    Real images are looked for where `ocrlib.load_captchas` looks; those from elsewhere, or an archive, are saved too.
    """
    for place in _places() if captchas.source == "real" else ():
        files = {name: place / name for name in captchas.names}
        if all(map(os.path.isfile, files.values())):  # no error for a folder that may not be read
            return files
    files = {name: folder / f"{Path(name).stem}.png" for name in captchas.names}
    for image, file in zip(captchas.images, files.values()):
        Image.fromarray(image[0].cpu().numpy()).convert("RGBA").save(file)  # the published ones are stored as RGBA
    return files


def _places() -> Iterator[Path]:
    """Folders that may hold the real images, and the folders in them."""
    named = os.environ.get("OCRLIB_DATA")
    places = [Path(named).expanduser()] if named else []
    for place in [*places, *(parent / "data" for parent in (Path.cwd(), *Path.cwd().parents)), cache_folder()]:
        yield place
        yield from map(Path, sorted(glob.glob(os.path.join(glob.escape(str(place)), "*", ""))))

TRAINING = 3  # forward, then the gradient by the weights and the gradient by the inputs: as much work each


def flops_per_image(model: nn.Module, width: int, height: int = 32) -> int:
    """Floating-point operations of one image's way through convolutions, LSTMs and linear layers; a multiply-add is two.

    An LSTM of h units takes 8 h (inputs + h) a step, layer and direction: four gates, each sees the inputs and the units.
    Everything else (batch norm, pools, activations) moves memory rather than computes, and is left out.
    """
    device, training = next(model.parameters()).device, model.training
    counts = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        if isinstance(layer, nn.Conv2d):
            counts.append(2 * output.numel() * layer.weight[0].numel())
        elif isinstance(layer, nn.Linear):
            counts.append(2 * output.numel() * layer.in_features)
        elif isinstance(layer, nn.LSTM):
            directions = 2 if layer.bidirectional else 1
            below = [layer.input_size] + [directions * layer.hidden_size] * (layer.num_layers - 1)
            steps = len(inputs[0])
            counts.extend(steps * directions * 8 * layer.hidden_size * (size + layer.hidden_size) for size in below)

    handles = [layer.register_forward_hook(count) for layer in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 1, height, width, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return sum(counts)


def peak_flops(device: torch.device, dtype: torch.dtype = torch.float32, size: int = 2048, seconds: float = 2.0) -> float:
    """Floating-point operations a second of a large matrix product: the most that convolutions can hope for.

    The best of the products of (size, size) matrices that fit into ``seconds``, after one that warms up.
    """
    a, b = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    best, began = float("inf"), time.perf_counter()
    for turn in range(1000):
        started = time.perf_counter()
        float((a @ b)[0, 0])  # fetching a number waits for the device
        ended = time.perf_counter()
        if turn:
            best = min(best, ended - started)
            if ended - began > seconds:
                break
    return 2 * size**3 / best
