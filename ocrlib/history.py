"""What a training run went through."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field

import torch


@dataclass
class History:
    """Train loss of each step, test loss, steps and seconds of each finished epoch.

    The last entries of ``train_loss`` may belong to an epoch that was stopped before its end. ``seconds`` are wall
    seconds of the epoch's steps and its test loss.
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    steps_per_epoch: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.test_loss)

    def copy(self) -> History:
        return History(**asdict(self))  # asdict copies the lists

    def digest(self) -> str:
        """A short hash of the losses: two runs that went alike, bit for bit, have the same."""
        losses = torch.tensor([*self.train_loss, *self.test_loss], dtype=torch.float64)
        return hashlib.sha256(losses.numpy().tobytes()).hexdigest()[:12]
