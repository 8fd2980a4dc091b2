"""Changing training images at random, a whole batch at once and where it lies, so that none is seen twice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class RandomAffine:
    """Moves, turns, slants and stretches each image of a batch by amounts of its own.

    Each amount is drawn uniformly from ± the value given: ``shift`` in pixels along x and y, ``degrees`` of rotation,
    ``shear`` in pixels sideways a pixel down, ``scale`` as a share of the size, drawn for width and height apart. What comes
    in from outside repeats the border. (torchvision's transforms draw once for a batch, or cost a Python call an image.)
    """

    shift: tuple[float, float] = (2.0, 1.0)
    degrees: float = 1.0
    shear: float = 0.05
    scale: float = 0.04

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(N, 1, H, W)`` float to images of the same shape and device."""
        n, _, height, width = images.shape
        # Drawn on the CPU, whatever the device: the same seed then gives the same changes everywhere.
        x, y, turn, slant, wide, high = torch.rand(6, n).mul(2).sub(1)
        turn, slant = turn * (self.degrees * torch.pi / 180), slant * self.shear
        # From a pixel of the result to where it is taken from, both axes scaled to -1..1; small angles: sin a = a, cos a = 1.
        along = torch.stack([1 + wide * self.scale, (slant + turn) * (height / width), x * (2 * self.shift[0] / width)])
        down = torch.stack([-turn * (width / height), 1 + high * self.scale, y * (2 * self.shift[1] / height)])
        columns, rows = (torch.arange(1, 2 * size, 2, device=images.device) / size - 1 for size in (width, height))
        grid = images.new_empty(n, height, width, 2)
        for axis, factors in enumerate((along, down)):
            by_column, by_row, moved = factors.to(images.device, non_blocking=True)[:, :, None, None]  # each (N, 1, 1)
            # By hand, since affine_grid multiplies matrices of three columns, which is slow on a CPU.
            torch.add(by_column * columns, by_row * rows[:, None] + moved, out=grid[..., axis])
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
