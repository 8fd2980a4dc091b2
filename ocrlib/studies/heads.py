"""Heads for the columns of `ColumnCNN`: one for CTC, three for cross-entropy. The convolutions are the same for all.

They are initialised before the head, so with the same seed they start with the same weights.
"""

import torch
from torch import Tensor, nn

from ocrlib.networks import ColumnCNN, Network

SYMBOLS_READ = 5  # positions that the cross-entropy heads read by default


def pool(columns: Tensor, count: int) -> Tensor:
    """Columns ``(T, N, channels)`` averaged over ``count`` equal shares of the width: ``(count, N, channels)``.

    A column on the border of two shares counts in both, in proportion. This is computed as a product of matrices, because
    torch's adaptive pooling has no deterministic backward pass on CUDA.
    """
    edges = torch.arange(len(columns) + 1) * (count / len(columns))  # of the columns, in units of a share
    share = torch.arange(count)[:, None]
    overlap = edges[1:].clamp(max=share + 1) - edges[:-1].clamp(min=share)  # (count, T)
    return torch.einsum("pt,tnc->pnc", overlap.clamp(min=0).to(columns), columns)


class ColumnCTC(ColumnCNN):
    """`ColumnCNN` itself, or with its T columns `gathered` to ``pooled`` steps: the means of equal shares of the width."""

    def __init__(self, classes: int = 37, pooled: int | None = None) -> None:
        super().__init__(classes)
        if pooled is not None and pooled < 1:
            raise ValueError(f"pooled={pooled}: ask for at least one step, or None for a step per column.")
        self.pooled = pooled

    def steps(self, width: int) -> int:
        """``pooled``, or the number of columns if that is less."""
        columns = super().steps(width)
        return columns if self.pooled is None else min(self.pooled, columns)

    def gathered(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to ``(pooled, N, channels)``."""
        return pool(columns, self.pooled)

    def read(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to logits ``(min(pooled, T), N, C)``."""
        return super().read(columns if self.pooled is None or self.pooled > len(columns) else self.gathered(columns))


class PooledCE(ColumnCTC):
    """As `ColumnCTC`, for cross-entropy: position i is the mean of the columns in the i-th of equal shares of the width.

    The blank is as likely as any symbol at first, because it only occurs where short texts are padded.
    """

    objective = "CrossEntropy"

    def __init__(self, classes: int = 37, positions: int = SYMBOLS_READ) -> None:
        super().__init__(classes, positions)
        nn.init.zeros_(self.head.bias[:1])


class StridedCE(PooledCE):
    """One convolution along the columns, with a stride that leaves ``positions``.

    A window covers its share of the columns and as many columns on either side, since a symbol need not stand within its
    share. Kernel and stride depend on the number of columns, and so on ``width``; other widths are refused.
    """

    def __init__(self, classes: int = 37, positions: int = SYMBOLS_READ, width: int = 96) -> None:
        super().__init__(classes, positions)
        columns = ColumnCNN.steps(self, width)
        stride = columns // positions
        if stride < 1:
            raise ValueError(f"Images {width} pixels wide leave {columns} columns, too few for {positions} positions.")
        self.width = width
        kernel = columns + 2 * stride - (positions - 1) * stride  # so that the last window ends with the padding
        channels = self.head.in_features
        convolution = nn.Conv1d(channels, channels, kernel, stride, padding=stride, bias=False)
        self.gather = nn.Sequential(convolution, nn.BatchNorm1d(channels), nn.ReLU(inplace=True))

    def steps(self, width: int) -> int:
        return super().steps(width) if width == self.width else 0

    def gathered(self, columns: Tensor) -> Tensor:
        return self.gather(columns.permute(1, 2, 0)).permute(2, 0, 1)


class AttentionCE(PooledCE):
    """Attention: each position has a learned query and takes a weighted mean of the columns, by dot products with their keys.

    A column's key depends on its features and on its place in the image, since the order of the symbols is one of places. The
    code of a place consists of sines and cosines (A. Vaswani et al., arXiv 1706.03762, section 3.5). The query of position i is
    initialised with the code of the middle of the i-th of equal shares of the width, where symbol i stands approximately.
    """

    HIDDEN = 64  # length of keys, queries and codes
    PLACES = 32.0  # the code's unit of length is 1/32 of the width, for any number of columns

    def __init__(self, classes: int = 37, positions: int = SYMBOLS_READ) -> None:
        super().__init__(classes, positions)
        channels = self.head.in_features
        first, second = nn.Linear(channels + self.HIDDEN, channels), nn.Linear(channels, self.HIDDEN)
        self.key = nn.Sequential(first, nn.ReLU(inplace=True), second)
        self.query = nn.Parameter(self.places(positions))
        self.value = nn.Linear(channels, channels)

    def places(self, count: int) -> Tensor:
        """The code ``(count, HIDDEN)`` of the middles of ``count`` equal shares of the width."""
        place = (torch.arange(count) + 0.5) * (self.PLACES / count)
        rates = (2 * self.PLACES) ** -torch.linspace(0, 1, self.HIDDEN // 2)  # radians per unit, 1 to 1/64
        angles = place[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], 1)

    def weights(self, columns: Tensor) -> Tensor:
        """The weight of each column in each position's mean: ``(N, positions, T)``, with sums of 1 over T."""
        steps, batch, _ = columns.shape
        code = self.places(steps).to(columns)  # (T, HIDDEN)
        placed = torch.cat([columns, code[:, None].expand(-1, batch, -1)], 2)
        keys = self.key(placed) + code[:, None]  # (T, N, HIDDEN)
        scores = torch.einsum("ph,tnh->npt", self.query, keys.float()) / self.HIDDEN**0.5
        return scores.softmax(2)

    def gathered(self, columns: Tensor) -> Tensor:
        values = self.value(columns)  # (T, N, channels)
        return torch.einsum("npt,tnc->pnc", self.weights(columns).to(values), values).relu()


class WithLSTM(ColumnCNN):
    """A bidirectional LSTM between columns and head; its output is as wide as the columns. To be mixed in before the head."""

    def __init__(self, classes: int = 37) -> None:
        super().__init__(classes)
        channels = self.head.in_features
        self.rnn = nn.LSTM(channels, channels // 2, bidirectional=True)

    def read(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to the head's logits."""
        with torch.autocast(columns.device.type, enabled=False):
            return super().read(self.rnn(columns.float())[0])


class RecurrentCTC(WithLSTM, ColumnCTC):
    """`ColumnCTC` whose columns pass through an LSTM."""


class RecurrentCE(WithLSTM, AttentionCE):
    """`AttentionCE` whose columns pass through an LSTM."""


HEADS: dict[str, type[Network]] = {"ctc": ColumnCTC, "pooled": PooledCE, "strided": StridedCE, "attention": AttentionCE}
