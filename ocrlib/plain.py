"""The plain procedure, as one would first write it: every image is opened, decoded and resized each time it is needed.

It trains as `ocrlib.fit` does, on the same batches, to the same losses; it is here to be measured against, and to be read first.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, default_collate

from ocrlib.captchas import Captchas
from ocrlib.download import cache_folder
from ocrlib.history import History
from ocrlib.images import shrink
from ocrlib.objectives import Objective


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
