"""Heads on the columns of `ColumnCNN`: one for CTC, three for cross-entropy. All else about the network is the same.

With one seed they start from the same convolutions: a head draws its weights after those.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ocrlib.networks import ColumnCNN, Network

SYMBOLS_READ = 5  # how many positions the cross-entropy heads read, unless told otherwise


def pool(columns: Tensor, count: int) -> Tensor:
    """Columns ``(T, N, channels)`` averaged over ``count`` equal shares of the width: ``(count, N, channels)``.

    A column that two shares cut goes into both, by its parts. A product of matrices: torch has no deterministic kernel on
    CUDA for the backward pass of its adaptive pooling.
    """
    edges = torch.arange(len(columns) + 1) * (count / len(columns))  # of the columns, in units of a share
    share = torch.arange(count)[:, None]
    overlap = edges[1:].clamp(max=share + 1) - edges[:-1].clamp(min=share)  # (count, T)
    return torch.einsum("pt,tnc->pnc", overlap.clamp(min=0).to(columns), columns)


class ColumnCTC(ColumnCNN):
    """`ColumnCNN` itself, or with its T columns averaged to ``pooled`` steps."""

    def __init__(self, classes: int = 37, pooled: int | None = None) -> None:
        super().__init__(classes)
        if pooled is not None and pooled < 1:
            raise ValueError(f"pooled={pooled}: ask for at least one step, or None for a step a column.")
        self.pooled = pooled

    def steps(self, width: int) -> int:
        columns = super().steps(width)
        return columns if self.pooled is None else min(self.pooled, columns)

    def read(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to logits ``(pooled, N, C)``; never more steps than columns."""
        if self.pooled is not None and self.pooled < len(columns):
            columns = pool(columns, self.pooled)
        return super().read(columns)


class PositionCNN(ColumnCNN):
    """What the cross-entropy heads share: columns are `gathered` to ``positions``, and one linear map reads each of them.

    The blank starts as likely as any symbol here: no target is blank, but where short texts are padded with it.
    """

    objective = "CrossEntropy"

    def __init__(self, classes: int = 37, positions: int = SYMBOLS_READ) -> None:
        super().__init__(classes)
        nn.init.zeros_(self.head.bias[:1])
        self.positions = positions

    def steps(self, width: int) -> int:
        """``positions`` at every width at which there are as many columns, else fewer."""
        return min(self.positions, super().steps(width))

    def gathered(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to ``(positions, N, channels)``."""
        raise NotImplementedError

    def read(self, columns: Tensor) -> Tensor:
        """Columns ``(T, N, channels)`` to logits ``(positions, N, C)``."""
        return super().read(self.gathered(columns))


class PooledCE(PositionCNN):
    """Position i is the mean of the i-th of equal shares of the width, wherever the symbols stand."""

    def gathered(self, columns: Tensor) -> Tensor:
        return pool(columns, self.positions)


class StridedCE(PositionCNN):
    """One convolution along the columns, its stride such that ``positions`` are left.

    Each position sees its own share of the columns and as much again on either side: symbols rarely stand in their share.
    The stride depends on the number of columns, so on ``width``: other widths are refused.
    """

    def __init__(self, classes: int = 37, positions: int = SYMBOLS_READ, width: int = 96) -> None:
        super().__init__(classes, positions)
        columns = ColumnCNN.steps(self, width)
        stride = columns // positions
        if stride < 1:
            raise ValueError(f"Images {width} pixels wide leave {columns} columns, too few for {positions} positions.")
        self.width = width
        kernel = columns + 2 * stride - (positions - 1) * stride  # then the last window ends with the padding
        channels = self.head.in_features
        self.gather = nn.Sequential(
            nn.Conv1d(channels, channels, kernel, stride, padding=stride, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
        )  # fmt: skip

    def steps(self, width: int) -> int:
        return super().steps(width) if width == self.width else 0

    def gathered(self, columns: Tensor) -> Tensor:
        return self.gather(columns.permute(1, 2, 0)).permute(2, 0, 1)


class AttentionCE(PositionCNN):
    """Each position has a learned query, and takes the mean of the columns weighted by how well their keys answer it.

    A column's key is made of its features and of where it is: equal features stand in many places, and "the third symbol"
    is first of all a place. Places are written as sines and cosines (A. Vaswani et al., arXiv 1706.03762, section 3.5).
    A query starts as the code of its share of the width, so that position i begins by looking about where symbol i is.
    """

    HIDDEN = 64  # length of keys and queries
    PLACES = 32.0  # the code's unit of length is 1/32 of the width, whatever the number of columns

    def __init__(self, classes: int = 37, positions: int = SYMBOLS_READ) -> None:
        super().__init__(classes, positions)
        channels = self.head.in_features
        self.key = nn.Sequential(
            nn.Linear(channels + self.HIDDEN, channels), nn.ReLU(inplace=True), nn.Linear(channels, self.HIDDEN)
        )  # fmt: skip
        self.query = nn.Parameter(self.places(positions))
        self.value = nn.Linear(channels, channels)

    def places(self, count: int) -> Tensor:
        """The code ``(count, HIDDEN)`` of the middles of ``count`` equal shares of the width."""
        place = (torch.arange(count) + 0.5) * (self.PLACES / count)
        rates = (2 * self.PLACES) ** -torch.linspace(0, 1, self.HIDDEN // 2)  # radians a unit, from 1 down
        angles = place[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], 1)

    def weights(self, columns: Tensor) -> Tensor:
        """How much of each column goes into each position: ``(N, positions, T)``, each row sums to 1."""
        steps, batch, _ = columns.shape
        code = self.places(steps).to(columns)  # (T, HIDDEN)
        placed = torch.cat([columns, code[:, None].expand(-1, batch, -1)], 2)
        keys = self.key(placed) + code[:, None]  # (T, N, HIDDEN)
        scores = torch.einsum("ph,tnh->npt", self.query, keys.float()) / self.HIDDEN**0.5
        return scores.softmax(2)

    def gathered(self, columns: Tensor) -> Tensor:
        values = self.value(columns)  # (T, N, channels)
        return torch.einsum("npt,tnc->pnc", self.weights(columns).to(values), values).relu()


HEADS: dict[str, type[Network]] = {"ctc": ColumnCTC, "pooled": PooledCE, "strided": StridedCE, "attention": AttentionCE}
