"""Logits of a few images, kept while the network is trained."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Snapshots:
    """Keeps the logits of ``images`` every so many training steps: ``with Snapshots(model, images) as snapshots: fit(...)``.

    ``logits`` maps the number of finished training steps to the logits ``(T, N, C)`` float32, on the CPU, of the images
    ``(N, 1, H, W)``. A copy of the network computes them, so training gives the same bits as without snapshots. In the copy,
    batch norm uses mean and variance of these images: the running averages, which evaluation uses, are too old in the first
    epochs. Give it 30 images or more. Raises ``ValueError`` for ``every`` below 1.
    """

    def __init__(self, model: nn.Module, images: Tensor, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every={every}: take a snapshot every 1 or more steps.")
        self.model, self.images, self.every = model, images, every
        self.logits: dict[int, Tensor] = {}
        self.steps = 0  # training steps begun

    def __enter__(self) -> Snapshots:
        self._copy = copy.deepcopy(self.model).eval()
        for layer in self._copy.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.train()
        self._hook = self.model.register_forward_hook(self._after_forward)
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        """Take the last snapshot, unless there was an error, and stop watching the network."""
        self._hook.remove()
        if kind is None:
            self._keep()

    def _after_forward(self, model: nn.Module, inputs: object, output: object) -> None:
        if model.training:  # and not in an evaluation, such as the test loss after an epoch
            if self.steps % self.every == 0:
                self._keep()  # with the weights before this step
            self.steps += 1

    @torch.no_grad()
    def _keep(self) -> None:
        device = next(self.model.parameters()).device
        # Batch norm has already updated its running averages in this step. The copy does not use them.
        self._copy.load_state_dict(self.model.state_dict())
        with torch.autocast(device.type, enabled=False):
            self.logits[self.steps] = self._copy(self.images.to(device).float()).float().cpu()
