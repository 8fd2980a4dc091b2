"""The networks: a convolutional stack whose columns are time steps, and a head that reads them.

The three of the study put a bidirectional LSTM before the head. They differ in their convolutional stack (`stack`), which
can be read off against the table in notebooks 02 to 04, and in what they were made for: CTC (more steps than symbols) or
per-position cross-entropy (one step a symbol). `ColumnCNN` has no LSTM: it is the fast one.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEIGHT = 32  # every stack shrinks 32 rows to one
HIDDEN = 256  # LSTM units per direction
warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")  # `_layer_by_layer`


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int] = 3, stride: int = 1, padding: int = 1) -> nn.Conv2d:
    """A convolution with the defaults of the networks' tables: 3x3, stride 1, padding 1, with bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding)


def normalised_conv(
    inputs: int, outputs: int, kernel: int | tuple[int, int] = 3, stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | None = None,
) -> list[nn.Module]:  # fmt: skip
    """A convolution, batch norm (which makes a bias useless) and ReLU; padded so that only the stride shrinks it."""
    if padding is None:
        padding = (kernel // 2, kernel // 2) if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Network(nn.Module):
    """Shared forward pass: images ``(N, 1, 32, W)`` float32 in 0..255 to logits ``(T, N, C)``.

    ``classes`` is C, blank included: ``len(alphabet)``. A subclass gives its `stack`, how columns are `read`, and the
    ``objective`` it was made for ("CTC" or "CrossEntropy"). Training takes no more than ``threads`` CPU threads.
    """

    objective: str
    threads: int = 1_000

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*self.stack())

    def stack(self) -> list[nn.Module]:
        """The convolutional layers in order; they must end at height 1 for an image 32 rows high."""
        raise NotImplementedError

    def read(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to logits ``(T, N, C)``."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, 1, 32, W)`` to logits ``(T, N, C)``. Raises as `columns` does."""
        return self.read(self.columns(images))

    def columns(self, images: Tensor) -> Tensor:
        """Images ``(N, 1, 32, W)`` to feature columns ``(T, N, channels)``.

        Raises ``ValueError`` when the images have another shape, or are too narrow to leave a step.
        """
        name = type(self).__name__
        if images.ndim != 4 or images.shape[1] != 1 or images.shape[2] != HEIGHT:
            raise ValueError(
                f"{name} reads images of shape (N, 1, {HEIGHT}, W), got {tuple(images.shape)}. "
                f"Load them with load_captchas(width=..., height={HEIGHT})."
            )
        width = images.shape[3]
        if self.steps(width) < 1:
            least = next((w for w in range(width, 10_000) if self.steps(w) >= 1), None)
            needed = f"it needs at least {least}" if least else "nor do wider ones: it was made for narrower images"
            raise ValueError(f"Images {width} pixels wide leave {name} no time step; {needed}.")
        features = self.convolutions(images)  # (N, channels, 1, T)
        return features.squeeze(2).permute(2, 0, 1)

    def along_width(self) -> list[tuple[int, int, int]]:
        """(kernel, stride, padding) along the width of each layer that can change it, in their order."""
        return [axes(layer)[1] for layer in self.convolutions if isinstance(layer, (nn.Conv2d, nn.MaxPool2d))]

    def steps(self, width: int) -> int:
        """Time steps T for images ``width`` pixels wide, by the formula in `torch.nn.Conv2d`; 0 when they are too narrow."""
        for kernel, stride, padding in self.along_width():
            width = (width + 2 * padding - kernel) // stride + 1
        return max(width, 0)

    def step_centres(self, width: int) -> Tensor:
        """``(T,)`` float64: the x in pixels, in an image ``width`` wide, of the middle of what each time step sees.

        It follows from the layers: a stride of s sets the steps s times further apart, and a kernel, less what padding gives
        back, shifts the first one. Pixel x reaches from x to x + 1, so a figure draws its centre at x + 0.5.
        """
        first, apart = 0.0, 1  # before any layer, the "steps" are the pixels
        for kernel, stride, padding in self.along_width():
            first += apart * ((kernel - 1) / 2 - padding)
            apart *= stride
        return first + apart * torch.arange(self.steps(width), dtype=torch.float64)


def input_lengths(model: nn.Module, widths: Tensor, width: int, steps: int) -> Tensor:
    """``(N,)`` int64: how many of T = ``steps`` belong to the first ``widths`` ``(N,)`` columns of images ``width`` wide."""
    lengths = -(-steps * widths // width)
    if isinstance(model, Network):  # which knows them exactly, unless it takes means of its steps
        lengths = torch.minimum(lengths, torch.tensor([model.steps(shown) for shown in widths.tolist()]))
    return lengths.clamp(min=1)


def axes(layer: nn.Conv2d | nn.MaxPool2d) -> list[tuple[int, int, int]]:
    """(kernel, stride, padding) of a layer along height and width, in its inputs."""
    settings = layer.kernel_size, layer.stride, layer.padding  # of a pool, one number for both axes
    return list(zip(*(value if isinstance(value, tuple) else (value, value) for value in settings)))


class RecurrentNetwork(Network):
    """Columns through two bidirectional LSTM layers, with ``dropout`` between them, and a linear head.

    A subclass gives the stack's output ``channels``; ``hidden`` are the LSTM's units per direction.
    """

    channels: int
    hidden: int = HIDDEN
    dropout: float = 0.0

    def __init__(self, classes: int = 37) -> None:
        super().__init__()
        self.rnn = nn.LSTM(self.channels, self.hidden, num_layers=2, bidirectional=True, dropout=self.dropout)
        self.head = nn.Linear(2 * self.hidden, classes)

    def read(self, columns: Tensor) -> Tensor:
        alone = columns.is_cuda and self.training and self.rnn.dropout > 0
        sequence = self._layer_by_layer(columns) if alone else self.rnn(columns)[0]  # (T, N, 2 * hidden)
        return self.head(sequence)  # (T, N, C)

    def _layer_by_layer(self, columns: Tensor) -> Tensor:
        """What ``rnn`` computes, but with torch's dropout between the layers.

        cuDNN's dropout has random numbers of its own. They can't be saved, and begin anew when torch's generator is set: a
        training that goes on from a checkpoint would drop other units (``get_dropout_state`` in torch's cudnn/RNN.cpp).
        """
        state = columns.new_zeros(2, columns.shape[1], self.rnn.hidden_size)
        sequence, weights = columns, list(self.rnn.parameters())
        for layer in range(2):
            if layer:
                sequence = F.dropout(sequence, self.rnn.dropout, self.training)
            own = weights[8 * layer : 8 * layer + 8]
            sequence, _, _ = torch.lstm(sequence, (state, state), own, True, 1, 0.0, self.training, True, False)
        return sequence


class CRNN(RecurrentNetwork):
    """The seven-convolution CRNN after Shi, Bai and Yao (arXiv 1507.05717), for CTC.

    8,723,749 parameters; (8, 1, 32, 100) images give logits (24, 8, 37).
    """

    objective = "CTC"
    channels = 512

    def stack(self) -> list[nn.Module]:
        return [
            conv(1, 64), nn.MaxPool2d(2), nn.ReLU(),
            conv(64, 128), nn.MaxPool2d(2), nn.ReLU(),
            conv(128, 256), nn.ReLU(),
            conv(256, 256), nn.MaxPool2d((2, 1)), nn.ReLU(),
            conv(256, 512), nn.ReLU(), nn.BatchNorm2d(512),
            conv(512, 512), nn.ReLU(), nn.BatchNorm2d(512), nn.MaxPool2d((2, 1)),
            conv(512, 512, kernel=2, padding=0),
        ]  # fmt: skip


class ModifiedCRNN(RecurrentNetwork):
    """A CRNN with strided convolutions in place of most pools, for CTC with few steps.

    3,872,037 parameters; (128, 1, 32, 176) images give logits (10, 128, 37).
    """

    objective = "CTC"
    channels = 256

    def stack(self) -> list[nn.Module]:
        return [
            conv(1, 64), nn.MaxPool2d(2), nn.ReLU(),
            conv(64, 128, stride=2), nn.ReLU(), nn.BatchNorm2d(128),
            conv(128, 256, stride=2), nn.ReLU(), nn.BatchNorm2d(256),
            conv(256, 256, stride=2), nn.ReLU(), nn.BatchNorm2d(256),
            conv(256, 256, kernel=2, padding=0),
        ]  # fmt: skip


class CECRNN(RecurrentNetwork):
    """A CRNN that ends in exactly one step a symbol, for cross-entropy.

    10,492,965 parameters; (16, 1, 32, 128) images give logits (5, 16, 37).
    """

    objective = "CrossEntropy"
    channels = 512
    dropout = 0.2

    def stack(self) -> list[nn.Module]:
        return [
            conv(1, 64), nn.MaxPool2d(2), nn.ReLU(),
            conv(64, 128), nn.MaxPool2d(2), nn.ReLU(),
            conv(128, 256), nn.MaxPool2d(2), nn.ReLU(),
            conv(256, 512, kernel=(3, 5)), nn.ReLU(), nn.BatchNorm2d(512),
            conv(512, 512, kernel=(3, 5)), nn.ReLU(), nn.BatchNorm2d(512), nn.MaxPool2d(2),
            conv(512, 512, kernel=2, padding=0),
        ]  # fmt: skip


class ColumnCNN(Network):
    """Convolutions only: small, and fast on a CPU. Every column of features is read by itself, for CTC.

    176,405 parameters; (12, 1, 32, 96) images give logits (24, 12, 37).

    Its input is normalised by the first layer. The head begins by giving the blank ``BLANK_SHARE`` of the probability: most
    columns will say "blank" in the end. Where that has to be learnt first, some runs learn nothing else (notebook 10
    counts them).
    """

    objective = "CTC"
    threads = 1  # its steps are so short that a second thread costs what it saves
    BLANK_SHARE = 0.5
    CHANNELS = (16, 32, 64, 128)

    def __init__(self, classes: int = 37) -> None:
        super().__init__()
        self.head = nn.Linear(self.CHANNELS[-1], classes)
        nn.init.zeros_(self.head.bias)
        nn.init.constant_(self.head.bias[:1], math.log(self.BLANK_SHARE / (1 - self.BLANK_SHARE) * (classes - 1)))
        self.to(memory_format=torch.channels_last)  # which bfloat16 convolutions on a CPU want

    def stack(self) -> list[nn.Module]:
        a, b, c, d = self.CHANNELS
        return [
            nn.BatchNorm2d(1, affine=False),
            *normalised_conv(1, a, kernel=5, stride=2),
            *normalised_conv(a, b, stride=2),
            *normalised_conv(b, c, stride=(2, 1)),
            *normalised_conv(c, d, kernel=(4, 3), padding=(0, 1)),
            *normalised_conv(d, d, kernel=(1, 3)),
        ]

    def read(self, columns: Tensor) -> Tensor:
        with torch.autocast(columns.device.type, enabled=False):  # the loss wants more digits than bfloat16 has
            return self.head(columns.float())


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
