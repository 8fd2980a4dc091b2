"""Five folds of the published images, so that others can compare with the figures here.

``folds.csv`` is all that this takes, in one file: the name of each image file, its fold (0 to 4), its label as published and
as corrected. Train on four folds, read the fifth, and do so five times. The file holds `folds` with seed 1: those of
the recorded cross-validation's first repetition.
"""

from __future__ import annotations

import torch

FOLDS = 5


def folds(n: int, seed: int) -> list[list[int]]:
    """The positions 0 to n - 1 in `FOLDS` random parts, whose sizes differ by one at most."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return [order[k::FOLDS] for k in range(FOLDS)]
