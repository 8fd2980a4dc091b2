"""How much a network computes, and how much of that this machine could do at best."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

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
