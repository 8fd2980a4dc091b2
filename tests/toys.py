"""Small things to train in tests: a data set of made-up images and a network that learns it in seconds."""

import os
import signal
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ocrlib import Alphabet, Captchas
from ocrlib.networks import RecurrentNetwork, conv

ALPHABET = Alphabet("abc")


def toy_captchas(n: int = 12, seed: int = 0, width: int = 24, length: int = 2) -> Captchas:
    """Images whose left and right halves have the grey level of their symbol, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(1, 4, (n, length), generator=generator)
    levels = (indices * 60).repeat_interleave(width // length, 1)  # (N, W)
    noise = torch.randint(0, 20, (n, 1, 32, width), generator=generator)
    images = (levels[:, None, None, :] + noise).to(torch.uint8)
    texts = [ALPHABET.decode(row) for row in indices.tolist()]
    return Captchas(images, texts, [f"{i:03}.png" for i in range(n)], "synthetic", "toy images")


class ToyCTC(RecurrentNetwork):
    """As the real networks, two layers deep: 6 steps at width 24. Has batch norm and dropout, whose states count too."""

    objective = "CTC"
    channels = 4
    dropout = 0.1

    def __init__(self, classes: int = 4) -> None:
        super().__init__(classes)
        self.rnn = nn.LSTM(self.channels, 8, num_layers=2, bidirectional=True, dropout=self.dropout)
        self.head = nn.Linear(16, classes)

    def stack(self) -> list[nn.Module]:
        return [conv(1, 4, stride=2), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.MaxPool2d((8, 1))]


class ToyCE(ToyCTC):
    """2 steps at width 24."""

    objective = "CrossEntropy"

    def stack(self) -> list[nn.Module]:
        return [*super().stack(), nn.MaxPool2d((1, 3))]


def weights(model: nn.Module) -> Tensor:
    """All parameters and buffers as one vector."""
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def stop_after(step: int | None) -> Callable[[Tensor], Tensor]:
    """An augmentation that presses Ctrl-C during this step, counted from 1 (never: None), and leaves the images as they are."""
    calls = iter(range(1, 1_000_000))

    def augment(images: Tensor) -> Tensor:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return images

    return augment


class Operations(TorchDispatchMode):
    """Collects the names of torch's operations."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*arguments, **(options or {}))
