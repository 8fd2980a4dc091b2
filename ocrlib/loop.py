"""A training run from step to step: all that changes as it goes. `ocrlib.fit` drives it."""

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
from ocrlib.checkpoints import random_states, restore_random_states, run_identity
from ocrlib.evaluation import History, predict
from ocrlib.objectives import Objective

Epochs = Captchas | Callable[[int], Captchas]  # the images of every epoch, or a function of the epoch's number, from 0


def shuffled_order(n: int) -> Tensor:
    """The order ``(n,)`` in which ``DataLoader(shuffle=True)`` would take ``n`` images now, by torch's global generator.

    So training written out with a `DataLoader` sees the same batches for the same seed.
    """
    return next(iter(DataLoader(range(n), batch_size=n, shuffle=True)))


class Loop:
    """Takes training steps. It knows no plots, files or signals.

    Images and targets lie on the device. Losses are gathered there and fetched by `fetch_losses`, so that a step never
    waits for the host.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train: Epochs,
        test: Epochs,
        optimizer: Optimizer,
        batch_size: int,
        scheduler: LRScheduler | None,
        clip_norm: float | None,
        augment: Callable[[Tensor], Tensor] | None,
        autocast: torch.dtype | None,
        history: History,
    ) -> None:
        self.model, self.objective, self.optimizer, self.scheduler = model, objective, optimizer, scheduler
        self.train, self.test, self.batch_size, self.clip_norm = train, test, batch_size, clip_norm
        self.augment, self.autocast, self.history = augment, autocast, history
        self.parameters = list(model.parameters())
        self.device = self.parameters[0].device
        self.loaded: tuple[Captchas, Captchas] | None = None  # whose images lie on the device
        self.position = self.fetched = 0  # steps of this epoch taken, and losses of it fetched
        self.order: Tensor | None = None  # this epoch's order of the images; on the CPU, where CTC's targets lie
        self.elapsed, self.resumed = 0.0, time.perf_counter()  # seconds of this epoch before ``resumed``

    def step(self) -> bool:
        """Train on the next batch. True when it was the epoch's last."""
        if self.order is None:
            self._begin_epoch()
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
        return self.position == len(self.losses)

    def fetch_losses(self) -> None:
        """Move the losses gathered on the device to the history. The only point at which training waits for the device."""
        if self.position > self.fetched:
            self.history.train_loss += self.losses[self.fetched : self.position].tolist()
            self.fetched = self.position

    def end_epoch(self) -> None:
        """Measure the test loss and close the epoch."""
        with torch.no_grad():
            with self._precision():
                logits = predict(self.model, self.test_images)
            self.history.test_loss.append(float(self.objective.loss(logits, *self.test_targets)))
        self.history.steps_per_epoch.append(len(self.losses))
        self.history.seconds.append(self._seconds())
        self.order, self.position, self.fetched = None, 0, 0

    def off_the_clock(self, after_step: Callable[[int], object]) -> bool:
        """Call ``after_step`` with the steps taken so far, and leave its seconds out of the epoch's."""
        began = time.perf_counter()
        ended = after_step(len(self.history.train_loss) + self.position - self.fetched) is True
        self.resumed += time.perf_counter() - began
        return ended

    def weights_are_finite(self) -> bool:
        return all(bool(p.isfinite().all()) for p in self.parameters)

    def identity(self) -> dict[str, str]:
        """What must be equal for a run to go on from a checkpoint."""
        parts = self.model, self.objective, self.optimizer, self.scheduler, self.batch_size, self.clip_norm, self.augment
        before = f"{self.history.epochs} epochs, {self.history.digest()}"
        return run_identity(*parts, self.autocast, self.train, self.test, before)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here, in types that a checkpoint can hold."""
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

    def _begin_epoch(self, order: Tensor | None = None) -> None:
        """Bring the epoch's images to the device, unless they lie there, and draw their ``order`` unless it is given."""
        given = {"train": self.train, "test": self.test}
        train, test = (of(self.history.epochs) if callable(of) else of for of in given.values())
        for name, captchas in {"train": train, "test": test}.items():
            if callable(given[name]):
                check(name, captchas, self.model, self.objective, self.batch_size)
        if self.loaded != (train, test):
            self.images = train.images.to(self.device)  # (N, 1, H, W) uint8
            self.targets, self.target_lengths = self.objective.prepare(train.texts, self.device)  # (N, L), (N,)
            self.test_images = test.images.to(self.device)
            self.test_targets = self.objective.prepare(test.texts, self.device)
            self.losses = torch.zeros(-(-len(train) // self.batch_size), device=self.device)  # the last batch may be smaller
            self.loaded = train, test
        self.order = shuffled_order(len(train)) if order is None else order
        self.device_order, self.target_order = self.order.to(self.device), self.order.to(self.targets.device)
        self.elapsed, self.resumed = 0.0, time.perf_counter()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)

    def _seconds(self) -> float:
        return self.elapsed + time.perf_counter() - self.resumed


def check(name: str, captchas: Captchas, model: nn.Module, objective: Objective, batch_size: int) -> None:
    """Refuse a "train" or "test" set, before training, that can't work. Raises ``ValueError``."""
    if len(captchas) == 0:
        raise ValueError(f"The {name} set holds no image; split the data so that it has at least one.")
    if name == "train" and not 1 <= batch_size <= len(captchas):
        raise ValueError(f"batch_size={batch_size}: it must be between 1 and the {len(captchas)} training images.")
    objective.check(model, captchas.images.shape[-1], captchas.texts)
