"""A training run from step to step: all that changes as it goes. `ocrlib.fit` drives it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader

from ocrlib import graphs
from ocrlib.captchas import Captchas
from ocrlib.checkpoints import random_states, restore_random_states
from ocrlib.data import checks
from ocrlib.data.checks import Epochs
from ocrlib.evaluation import History, predict
from ocrlib.networks import parameter_count
from ocrlib.objectives import Objective

# Images (N, 1, H, W) uint8, targets (N, L) and target_lengths (N,), and on the CPU the widths (N,) that show something.
OnDevice = tuple[Tensor, tuple[Tensor, Tensor], Tensor]


def shuffled_order(n: int) -> Tensor:
    """The order ``(n,)`` in which ``DataLoader(shuffle=True)`` would take ``n`` images now, by torch's global generator.

    So training written out with a `DataLoader` sees the same batches for the same seed.
    """
    return next(iter(DataLoader(range(n), batch_size=n, shuffle=True)))


@dataclass(eq=False, repr=False)
class Loop:
    """Takes training steps. It knows no plots, files or signals.

    Images and targets lie on the device. Losses are gathered there and fetched by `fetch_losses`, so that a step never
    waits for the host.
    """

    model: nn.Module
    objective: Objective
    train: Epochs
    test: Epochs
    optimizer: Optimizer
    batch_size: int
    scheduler: LRScheduler | None
    clip_norm: float | None
    augment: Callable[[Tensor], Tensor] | None
    autocast: torch.dtype | None
    history: History
    validation: Captchas | None = None
    keep_best: bool = False

    def __post_init__(self) -> None:
        self.best: dict[str, Any] | None = None  # epoch and weights of the lowest validation loss
        self.validated = len(self.history.validation_loss)  # epochs before this call, which choose nothing in it
        self.validation_set: OnDevice | None = None
        self.plateau = isinstance(self.scheduler, ReduceLROnPlateau)
        for group in self.optimizer.param_groups if self.plateau else ():
            group.setdefault("initial_lr", group["lr"])  # as other schedules do; it is a part of the run's identity
        self.parameters = list(self.model.parameters())
        self.device = next(iter(self.parameters), torch.empty(0)).device
        self.loaded: tuple[Captchas, Captchas] | None = None  # whose images lie on the device
        self.position = self.fetched = 0  # steps of this epoch taken, and losses of it fetched
        self.order: Tensor | None = None  # this epoch's order of the images; on the CPU, where CTC's targets lie
        self.elapsed, self.resumed = 0.0, time.perf_counter()  # seconds of this epoch before ``resumed``
        static = graphs.MODE == "static" or (graphs.MODE == "graph" and self.device.type == "cuda")
        self.static_step = graphs.StaticStep(self._train_on, self.parameters, graphs.MODE == "graph") if static else None
        graphs.prepare(self.optimizer, self.device, scheduled=self.scheduler is not None)

    def step(self) -> bool:
        """Train on the next batch. True when it was the epoch's last."""
        if self.order is None:
            self._begin_epoch()
        batch = slice(self.position * self.batch_size, (self.position + 1) * self.batch_size)
        images = self.images[self.device_order[batch]].float()  # (N, 1, H, W), 0..255
        if self.augment is not None:
            images = self.augment(images)
        chosen = self.target_order[batch]
        prepared = images, self.targets[chosen], self.target_lengths[chosen]
        if self.static_step and not self.padded:
            loss = self.static_step(*prepared)
        else:
            loss = self._train_on(*prepared, self.widths[self.order[batch]] if self.padded else None)
        if self.scheduler is not None and not self.plateau:
            self.scheduler.step()
        self.losses[self.position] = loss
        self.position += 1
        return self.position == len(self.losses)

    def _train_on(self, images: Tensor, targets: Tensor, target_lengths: Tensor, widths: Tensor | None = None) -> Tensor:
        """The scalar loss of a batch, and one step of the optimizer. Without ``widths`` a CUDA graph can hold all of it."""
        with self._precision():
            logits = self.model(images)  # (T, N, C)
        if widths is not None:
            logits = self.objective.without_padding(logits, self.model, widths, images.shape[3])
        loss = self.objective.loss(logits, targets, target_lengths)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def fetch_losses(self) -> None:
        """Move the losses gathered on the device to the history. The only point at which training waits for the device."""
        if self.position > self.fetched:
            self.history.train_loss += self.losses[self.fetched : self.position].tolist()
            self.fetched = self.position

    def end_epoch(self) -> None:
        """Measure the test loss, and that of validation images, keep the best weights, and close the epoch."""
        self.history.test_loss.append(self._loss_on(*self.test_set))
        if self.validation is not None:
            if self.validation_set is None:
                self.validation_set = self._on_device(self.validation)
            self.history.validation_loss.append(self._loss_on(*self.validation_set))
            if self.keep_best and self.waited == 0:
                weights = {name: value.cpu().clone() for name, value in self.model.state_dict().items()}
                self.best = {"epoch": self.history.epochs, "weights": weights}
        if self.plateau:
            self.scheduler.step((self.history.validation_loss if self.validation is not None else self.history.test_loss)[-1])
        self.history.steps_per_epoch.append(len(self.losses))
        self.history.seconds.append(self._seconds())
        self.order, self.position, self.fetched = None, 0, 0

    @property
    def waited(self) -> int:
        """Epochs of this run since the one with its lowest validation loss."""
        losses = [loss if loss == loss else math.inf for loss in self.history.validation_loss[self.validated :]]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def off_the_clock(self, after_step: Callable[[int], object]) -> bool:
        """Call ``after_step`` with the steps taken so far, and leave its seconds out of the epoch's."""
        began = time.perf_counter()
        ended = after_step(len(self.history.train_loss) + self.position - self.fetched) is True
        self.resumed += time.perf_counter() - began
        return ended

    def identity(self) -> dict[str, str]:
        """What must be equal for a run to go on from a checkpoint, by names that a reader knows."""
        shapes = repr([(key, tuple(value.shape)) for key, value in self.model.state_dict().items()])
        layers = hashlib.sha256(shapes.encode()).hexdigest()[:8]
        identity = {
            "network": f"{type(self.model).__name__}, {parameter_count(self.model):,} parameters, layers {layers}",
            "objective": repr(self.objective),
            "optimizer": checks.describe(self.optimizer, self.optimizer.defaults),
            "parameter groups": checks.describe_groups(self.optimizer, scheduled=self.scheduler is not None),
            "schedule": checks.describe_schedule(self.scheduler) if self.scheduler else "none",
            "batch size": str(self.batch_size),
            "gradient clipping": str(self.clip_norm),
            "augmentation": checks.describe_callable(self.augment) if self.augment else "none",
            "training images": checks.describe_images(self.train),
            "test images": checks.describe_images(self.test),
            "seed": str(torch.initial_seed()),
            "training before this call": f"{self.history.epochs} epochs, {self.history.digest()}",
        }
        if self.validation is not None:
            kept = ", best weights kept" if self.keep_best else ""
            identity["validation images"] = checks.describe_images(self.validation) + kept
        return identity if self.autocast is None else {**identity, "precision": str(self.autocast)}

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
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`: model, optimizer, schedule, history, batch order and every random generator."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        graphs.prepare(self.optimizer, self.device, scheduled=self.scheduler is not None)
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.history = History(**state["history"])
        if state["order"] is not None:
            self._begin_epoch(state["order"])
        self.position = self.fetched = state["position"]
        self.elapsed = state["elapsed"]
        self.best = state.get("best")  # files of an earlier version have none
        restore_random_states(state["random"])

    def _begin_epoch(self, order: Tensor | None = None) -> None:
        """Bring the epoch's images to the device, unless they lie there, and draw their ``order`` unless it is given."""
        given = {"train": self.train, "test": self.test}
        train, test = (checks.as_captchas(of(self.history.epochs)) if callable(of) else of for of in given.values())
        for name, captchas in {"train": train, "test": test}.items():
            if callable(given[name]):
                checks.check(name, captchas, self.model, self.objective, self.batch_size)
        if self.loaded != (train, test):
            self.images, (self.targets, self.target_lengths), self.widths = self._on_device(train)
            self.padded = bool((self.widths < self.images.shape[3]).any())
            if self.static_step:  # on a GPU, CTC then takes the route that a graph can hold
                self.targets, self.target_lengths = self.targets.to(self.device), self.target_lengths.to(self.device)
            self.test_set = self._on_device(test)
            self.losses = torch.zeros(-(-len(train) // self.batch_size), device=self.device)  # the last batch may be smaller
            self.loaded = train, test
        self.order = shuffled_order(len(train)) if order is None else order
        self.device_order, self.target_order = self.order.to(self.device), self.order.to(self.targets.device)
        self.elapsed, self.resumed = 0.0, time.perf_counter()

    def _on_device(self, captchas: Captchas) -> OnDevice:
        return captchas.images.to(self.device), self.objective.prepare(captchas.texts, self.device), captchas.true_widths()

    @torch.no_grad()
    def _loss_on(self, images: Tensor, targets: tuple[Tensor, Tensor], widths: Tensor) -> float:
        with self._precision():
            logits = predict(self.model, images, check=False)  # a loss that isn't a number is the loop's business
        logits = self.objective.without_padding(logits, self.model, widths, images.shape[3])
        return float(self.objective.loss(logits, *targets))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)

    def _seconds(self) -> float:
        return self.elapsed + time.perf_counter() - self.resumed
