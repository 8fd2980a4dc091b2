"""Receptive fields: the part of the image that a time step depends on, by the layers and by gradients."""

import torch
from torch import Tensor, nn

from ocrlib.networks import Network, axes


def step_windows(model: Network, width: int) -> Tensor:
    """``(T, 2)`` int64: the first and the last pixel column of each time step's receptive field.

    It follows from the layers: a kernel of k widens the window by k - 1 times the distance of its inputs in pixels. Windows
    at the border reach beyond the image, into the padding.
    """
    size = apart = 1
    for layer in model.convolutions:
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            kernel, stride, _ = axes(layer)[1]  # along the width
            size += (kernel - 1) * apart
            apart *= stride
    first = model.step_centres(width) - (size - 1) / 2
    return torch.stack([first, first + size - 1], 1).long()


def squared_gradients(model: Network, images: Tensor, step: int, seed: int = 0) -> Tensor:
    """``(N, H, W)``: squared derivatives of the features at ``step`` by each pixel of images ``(N, 1, H, W)``.

    They are the sum over the channels, estimated without bias from one backward pass of the channels' sum with random signs,
    in which the mixed products cancel on average (M. F. Hutchinson, Communications in Statistics 18, 1989). The mean over many
    images is the effective receptive field of W. Luo et al. (arXiv 1701.04128). The model computes in evaluation mode, on its
    own device; the result is on the CPU.
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
    """``(N,)``: the distance in pixels from ``centre``, to the right, of the centre of mass of each field of ``(N, H, W)``.

    NaN for a field that is 0 everywhere.
    """
    columns = fields.double().sum(1)  # (N, W)
    return columns @ torch.arange(columns.shape[1], dtype=torch.float64) / columns.sum(1) - centre
