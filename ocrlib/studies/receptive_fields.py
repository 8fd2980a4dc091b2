"""Where in the image a time step looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ocrlib.networks import Network, axes


def _along_the_width(model: Network) -> list[tuple[int, int, int]]:
    """(kernel, stride, padding) of each convolution and pool."""
    return [axes(layer)[1] for layer in model.convolutions if isinstance(layer, (nn.Conv2d, nn.MaxPool2d))]


def step_windows(model: Network, width: int) -> Tensor:
    """``(T, 2)`` int64: the first and the last pixel column that each time step of the convolutions can see.

    By the layers alone: a kernel of k widens the window by k - 1 times the distance of its inputs in pixels. Windows at the
    rim reach beyond the image, into the padding.
    """
    size = apart = 1
    for kernel, stride, _ in _along_the_width(model):
        size += (kernel - 1) * apart
        apart *= stride
    first = model.step_centres(width) - (size - 1) / 2
    return torch.stack([first, first + size - 1], 1).long()


def squared_gradients(model: Network, images: Tensor, step: int, seed: int = 0) -> Tensor:
    """``(N, H, W)``: how strongly each pixel of images ``(N, 1, H, W)`` moves what the convolutions say at ``step``, squared.

    The squared derivatives of all channels together, estimated without bias from one backward pass: of the channels' sum with
    random signs, in which the mixed products cancel on average (M. F. Hutchinson, Communications in Statistics 18, 1989).
    Many images and their mean show the effective receptive field of W. Luo et al. (arXiv 1701.04128). The model is in
    evaluation mode meanwhile, and reads a copy of the images on its own device; the answer is on the CPU.
    """
    device = next(model.parameters()).device
    training, images = model.training, images.detach().to(device, torch.float32, copy=True).requires_grad_()
    model.eval()
    try:
        features = model.columns(images)[step]  # (N, channels)
        signs = torch.randint(0, 2, features.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        (gradient,) = torch.autograd.grad((features * signs.to(features)).sum(), images)
    finally:
        model.train(training)
    return gradient.square().squeeze(1).cpu()


def off_centre(fields: Tensor, centre: float) -> Tensor:
    """``(N,)``: how many pixels right of ``centre`` the mean of each field ``(H, W)`` of ``(N, H, W)`` lies, by weight.

    NaN for a field that is 0 everywhere.
    """
    columns = fields.double().sum(1)  # (N, W)
    return columns @ torch.arange(columns.shape[1], dtype=torch.float64) / columns.sum(1) - centre
