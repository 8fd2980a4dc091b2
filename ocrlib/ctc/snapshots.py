"""What a network says of a few images while it is being trained."""

from __future__ import annotations

import copy
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Snapshots:
    """Keeps the logits of ``images`` every so many training steps: a context around `fit`.

    ``logits`` maps the number of training steps done to the logits ``(T, N, C)`` float32, on the CPU, of the images
    ``(N, 1, H, W)``. They come from a twin of the network, so that training itself goes on to the same bits as without.
    In the twin, batch norm takes its mean and variance from the images themselves: the running ones of evaluation lag behind
    in the first epochs, and would show their lag instead of what the network has learned. Give it 30 images or more.

    Raises ``ValueError`` for ``every`` below 1.
    """

    def __init__(self, model: nn.Module, images: Tensor, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every={every}: take a snapshot at every step (1) or more rarely.")
        self.model, self.images, self.every = model, images, every
        self.logits: dict[int, Tensor] = {}
        self.steps = 0  # taken in training so far

    def __enter__(self) -> Snapshots:
        self._twin = copy.deepcopy(self.model).eval()
        for layer in self._twin.modules():
            if isinstance(layer, _BatchNorm):
                layer.train()
        self._hook = self.model.register_forward_hook(self._after_forward)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the last snapshot, and let go of the network."""
        self._hook.remove()
        if kind is None:
            self._keep()

    def _after_forward(self, model: nn.Module, inputs: object, output: object) -> None:
        if not model.training:
            return  # the test loss after an epoch
        if self.steps % self.every == 0:
            self._keep()  # the weights are those before this step
        self.steps += 1

    @torch.no_grad()
    def _keep(self) -> None:
        device = next(self.model.parameters()).device
        # Batch norm has updated its running averages in this very step; the twin's own batch statistics make that harmless.
        self._twin.load_state_dict(self.model.state_dict())
        with torch.autocast(device.type, enabled=False):
            self.logits[self.steps] = self._twin(self.images.to(device).float()).float().cpu()
