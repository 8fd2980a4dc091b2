"""A training run between two steps: all that changes as it goes, and how it takes the next step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from ocrlib.captchas import Captchas
from ocrlib.checkpoints import random_states, restore_random_states
from ocrlib.evaluation import predict
from ocrlib.history import History
from ocrlib.objectives import Objective


def shuffled_order(n: int) -> Tensor:
    """The order ``(n,)`` in which ``DataLoader(shuffle=True)`` would take ``n`` images now, by torch's global generator.

    So training written out with a `DataLoader` (see `ocrlib.plain.fit_plain`) sees the same batches for the same seed.
    """
    return next(iter(DataLoader(range(n), batch_size=n, shuffle=True)))


class Loop:
    """Takes training steps; knows nothing of plots, files or signals (see `ocrlib.fit`).

    Images and targets lie on the device from the start. Losses are gathered there and fetched by `fetch_losses`, so that
    a step never waits for the host.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train: Captchas,
        test: Captchas,
        optimizer: Optimizer,
        batch_size: int,
        scheduler: LRScheduler | None,
        clip_norm: float | None,
        augment: Callable[[Tensor], Tensor] | None,
        autocast: torch.dtype | None,
        history: History,
    ) -> None:
        self.model, self.objective, self.optimizer, self.scheduler = model, objective, optimizer, scheduler
        self.batch_size, self.clip_norm, self.augment, self.autocast = batch_size, clip_norm, augment, autocast
        self.history = history
        self.parameters = list(model.parameters())
        self.device = self.parameters[0].device
        self.images = train.images.to(self.device)  # (N, 1, H, W) uint8
        self.targets, self.target_lengths = objective.prepare(train.texts, self.device)  # (N, L), (N,)
        self.test_images = test.images.to(self.device)
        self.test_targets = objective.prepare(test.texts, self.device)
        self.steps = -(-len(train) // batch_size)  # the last batch may be smaller
        self.losses = torch.zeros(self.steps, device=self.device)
        self.position = self.fetched = 0  # steps of this epoch taken, and losses of it fetched
        self.order: Tensor | None = None  # this epoch's order of the images; on the CPU, where CTC's targets lie
        self.elapsed, self.resumed = 0.0, time.perf_counter()  # seconds of this epoch before ``resumed``

    def step(self) -> bool:
        """Train on the next batch. True when it was the epoch's last."""
        if self.order is None:
            self._begin_epoch(shuffled_order(len(self.images)))
        batch = slice(self.position * self.batch_size, (self.position + 1) * self.batch_size)
        images = self.images[self.device_order[batch]].float()  # (N, 1, H, W), 0..255
        if self.augment is not None:
            images = self.augment(images)
        chosen = self.target_order[batch]
        with self._precision():
            logits = self.model(images)  # (T, N, C)
        loss = self.objective.loss(logits, self.targets[chosen], self.target_lengths[chosen])
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        self.losses[self.position] = loss.detach()
        self.position += 1
        return self.position == self.steps

    def fetch_losses(self) -> None:
        """Move the losses gathered on the device to the history. The only point at which training waits for the device."""
        self.history.train_loss += self.losses[self.fetched : self.position].tolist()
        self.fetched = self.position

    def end_epoch(self) -> None:
        """Measure the test loss and close the epoch."""
        with torch.no_grad():
            with self._precision():
                logits = predict(self.model, self.test_images)
            self.history.test_loss.append(float(self.objective.loss(logits, *self.test_targets)))
        self.history.steps_per_epoch.append(self.steps)
        self.history.seconds.append(self._seconds())
        self.order, self.position, self.fetched = None, 0, 0

    def weights_are_finite(self) -> bool:
        return all(bool(p.isfinite().all()) for p in self.parameters)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here, in types a checkpoint can hold."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "history": vars(self.history),
            "order": self.order,
            "position": self.position,
            "elapsed": self._seconds() if self.order is not None else 0.0,
            "random": random_states(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`: model, optimizer, schedule, history, batch order and every random generator."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.history = History(**state["history"])
        if state["order"] is not None:
            self._begin_epoch(state["order"])
        self.position = self.fetched = state["position"]
        self.elapsed = state["elapsed"]
        restore_random_states(state["random"])

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)

    def _begin_epoch(self, order: Tensor) -> None:
        self.order = order
        self.device_order, self.target_order = order.to(self.device), order.to(self.targets.device)
        self.elapsed, self.resumed = 0.0, time.perf_counter()

    def _seconds(self) -> float:
        return self.elapsed + time.perf_counter() - self.resumed
