"""A discriminator: a network trained to tell real captchas from generated ones, on whole images or on parts of them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrlib.captchas import Captchas
from ocrlib.evaluation import binomial_interval
from ocrlib.networks import normalised_conv
from ocrlib.runtime import pick_device, progress, seed_everything

EPOCHS, BATCH, RATE = 5, 32, 0.003


class Discriminator(nn.Module):
    """Images ``(N, 1, H, W)`` in 0..255 to logits ``(N,)`` of their being real. 23,473 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(1, affine=False),
            *normalised_conv(1, 16, stride=2),
            *normalised_conv(16, 32, stride=2),
            *normalised_conv(32, 64, stride=2),
        )
        self.head = nn.Linear(64, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images).mean((2, 3))).squeeze(1)


def train_discriminator(real: Captchas, generated: Captchas, seed: int, epochs: int = EPOCHS) -> Discriminator:
    """Train on real and generated captchas of the same texts; with other texts it could tell them apart by these.

    Raises ``ValueError`` unless there are equally many of both.
    """
    if len(real) != len(generated) or not len(real):
        raise ValueError(f"As many real as generated captchas are needed, got {len(real)} and {len(generated)}.")
    seed_everything(seed)
    device = pick_device()
    model = Discriminator().to(device)
    images = torch.cat([real.images, generated.images]).to(device)
    truth = (torch.arange(len(images)) < len(real)).float().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(images) // BATCH))
    for _ in progress(range(epochs), quiet=True, desc="Discriminator", unit="epoch"):
        for batch in torch.randperm(len(images)).to(device).split(BATCH):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(images[batch].float()), truth[batch]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def real_probabilities(model: Discriminator, captchas: Captchas) -> Tensor:
    """``(N,)``: the probability of each image's being real."""
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device).float()) for part in captchas.images.split(256)]).sigmoid().cpu()


def accuracy(model: Discriminator, real: Captchas, generated: Captchas) -> tuple[float, tuple[float, float]]:
    """The share of images classified correctly, and its 95 % interval; 0.5 is guessing."""
    right = int((real_probabilities(model, real) > 0.5).sum() + (real_probabilities(model, generated) <= 0.5).sum())
    total = len(real) + len(generated)
    return right / total, binomial_interval(right, total)
