"""Where in the image a time step looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ocrlib.networks import Network


def step_centres(model: Network, width: int) -> Tensor:
    """``(T,)`` float64: the x in pixels of an image ``width`` wide around which each time step of the convolutions looks.

    It follows from the layers alone: one with stride s sets steps s times further apart, and its kernel, beyond what
    padding gives back, shifts the first one. Pixel x reaches from x to x + 1, so its own centre is drawn at x + 0.5.
    """
    first, apart = 0.0, 1  # before any layer, "steps" are pixels
    for layer in model.convolutions:
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            sizes = layer.kernel_size, layer.stride, layer.padding
            kernel, stride, padding = (size[1] if isinstance(size, tuple) else size for size in sizes)
            first += apart * ((kernel - 1) / 2 - padding)
            apart *= stride
    return first + apart * torch.arange(model.steps(width), dtype=torch.float64)
