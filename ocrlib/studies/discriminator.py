"""A network told to tell real captchas from generated ones: how often it can, and from which part of the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrlib.captchas import Captchas
from ocrlib.evaluation import binomial_interval
from ocrlib.networks import normalised_conv
from ocrlib.runtime import pick_device, seed_everything

EPOCHS, BATCH, RATE = 5, 32, 0.003


class Detective(nn.Module):
    """Images ``(N, 1, H, W)`` in 0..255 to ``(N,)``: above 0 "real", below 0 "generated". 23,473 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(1, affine=False),
            *normalised_conv(1, 16, stride=2),
            *normalised_conv(16, 32, stride=2),
            *normalised_conv(32, 64, stride=2),
        )
        self.verdict = nn.Linear(64, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.verdict(self.layers(images).mean((2, 3))).squeeze(1)


def train_detective(real: Captchas, generated: Captchas, seed: int, epochs: int = EPOCHS) -> Detective:
    """Train on equally many of both; give both the same texts, or it learns the texts. Raises ``ValueError`` otherwise."""
    if len(real) != len(generated) or not len(real):
        raise ValueError(f"As many real as generated captchas are needed, got {len(real)} and {len(generated)}.")
    seed_everything(seed)
    device = pick_device()
    detective = Detective().to(device)
    images = torch.cat([real.images, generated.images]).to(device)
    truth = (torch.arange(len(images)) < len(real)).float().to(device)
    optimizer = torch.optim.AdamW(detective.parameters(), lr=RATE)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).to(device).split(BATCH):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(detective(images[batch].float()), truth[batch]).backward()
            optimizer.step()
            schedule.step()
    return detective.eval()


@torch.no_grad()
def verdicts(detective: Detective, captchas: Captchas) -> Tensor:
    """``(N,)``: the probability that the detective gives to each image being real."""
    device = next(detective.parameters()).device
    return torch.cat([detective(part.to(device).float()) for part in captchas.images.split(256)]).sigmoid().cpu()


def share_right(detective: Detective, real: Captchas, generated: Captchas) -> tuple[float, tuple[float, float]]:
    """The share of images that it takes for what they are, and its 95 % interval; 0.5 is guessing."""
    right = int((verdicts(detective, real) > 0.5).sum() + (verdicts(detective, generated) <= 0.5).sum())
    total = len(real) + len(generated)
    return right / total, binomial_interval(right, total)


def windowed(captchas: Captchas, rows: slice, columns: slice) -> Captchas:
    """The same captchas with everything outside a window turned grey: what can be told from that part alone?"""
    images = torch.full_like(captchas.images, 128)
    images[..., rows, columns] = captchas.images[..., rows, columns]
    return Captchas(images, captchas.texts, captchas.names, captchas.source, f"a window of {captchas.contents}")


def averaged(captchas: Captchas, side: int) -> Captchas:
    """The same captchas, squares of ``side`` x ``side`` pixels averaged to one."""
    images = F.avg_pool2d(captchas.images.float(), side).round().to(torch.uint8)
    return Captchas(images, captchas.texts, captchas.names, captchas.source, f"{captchas.contents}, shrunk")
