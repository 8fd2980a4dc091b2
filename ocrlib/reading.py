"""Reading images with a trained network, in one call: texts, and how sure the network is of each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ocrlib.captchas import Captchas
from ocrlib.decoding import confidences
from ocrlib.evaluation import predict
from ocrlib.images import MIN_SIDE, plain, read_image, shrink
from ocrlib.models import TrainedModel
from ocrlib.networks import HEIGHT
from ocrlib.objectives import CTC, CrossEntropy

Readable = str | os.PathLike[str] | Image.Image  # a file's path, or a picture


class Text(NamedTuple):
    """What was read in an image, and the probability 0 to 1 that the network gives to just that text."""

    text: str
    confidence: float

    def __str__(self) -> str:
        return f"{self.text} ({self.confidence:.1%})"


def read(images: Readable | Iterable[Readable] | Captchas | Tensor, model: TrainedModel, batch_size: int = 64) -> list[Text]:
    """The text in each image, with its confidence, in their order.

    ``images`` are files, pictures, a mixture of both, one alone, captchas, or a uint8 tensor ``(N, 1, 32, W)``. Files and
    pictures are brought to the size that ``model`` was trained on (see `load_model`). A confidence is the sum over all
    paths for CTC and the product over all positions for cross-entropy; a network can be sure and wrong.

    Raises as `ocrlib.images.read_image` does for a file that is no picture, and ``ValueError`` for a tensor of another size
    or a thing that is no image.
    """
    pixels = as_tensor(images, model.width)
    if not len(pixels):
        return []
    logits = predict(model.network, pixels, batch_size).cpu()  # (T, N, C)
    if model.network.objective == "CTC":
        texts = CTC(model.alphabet).decode(logits)
        sure = confidences(logits, texts, model.alphabet)
    else:
        texts = CrossEntropy(model.alphabet).decode(logits)
        sure = logits.double().softmax(2).amax(2).prod(0)
    return [Text(text, confidence) for text, confidence in zip(texts, sure.tolist())]


def as_tensor(images: Readable | Iterable[Readable] | Captchas | Tensor, width: int) -> Tensor:
    """The images as a uint8 tensor ``(N, 1, 32, width)``. Raises as `read` does."""
    if isinstance(images, Captchas):
        images = images.images
    if isinstance(images, Tensor):
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != (1, HEIGHT, width):
            raise ValueError(
                f"This network reads uint8 images (N, 1, {HEIGHT}, {width}), got {images.dtype} {tuple(images.shape)}. "
                f"Load them with load_captchas(width={width}), or give files or pictures: those are resized."
            )
        return images
    if isinstance(images, (str, os.PathLike, Image.Image)):
        images = [images]
    found = [_pixels(image, width) for image in images]
    return torch.from_numpy(np.stack(found)).unsqueeze(1) if found else torch.empty(0, 1, HEIGHT, width, dtype=torch.uint8)


def _pixels(image: Readable, width: int) -> np.ndarray:
    if isinstance(image, (str, os.PathLike)):
        return read_image(image, width, HEIGHT).pixels
    if not isinstance(image, Image.Image):
        raise ValueError(f"A file's path or a picture (PIL.Image) was expected, got {type(image).__name__}.")
    if min(image.size) < MIN_SIDE:
        raise ValueError(f"A picture of {image.width} x {image.height} pixels; at least {MIN_SIDE} a side were expected.")
    return shrink(plain(image)[0], width, HEIGHT)
