"""Stopping between two steps instead of in the middle of one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm import tqdm

from ocrlib.captchas import Captchas
from ocrlib.checkpoints import (
    CheckpointError,
    load_checkpoint,
    random_states,
    refuse_other_run,
    restore_random_states,
    save_checkpoint,
)
from ocrlib.evaluation import History, predict
from ocrlib.networks import parameter_count
from ocrlib.objectives import Objective
from ocrlib.plots import LivePlot, in_ipython
from ocrlib.runtime import keep_freed_memory


class DeferredInterrupt:
    """Turns the first Ctrl-C (or Jupyter's stop button) into a request; a second one stops at once.

    ``with DeferredInterrupt() as interrupt:`` then look at ``interrupt.requested`` between steps. An optimizer's step
    that is cut in half leaves weights that belong to no step and can't be repeated. Outside the main thread signals
    can't be caught, and nothing changes.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous = None

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)


class Progress:
    """A bar over epochs in IPython (elsewhere the live plot prints a line an epoch), and the file ``OCRLIB_PROGRESS``.

    That file, when the environment variable names one, holds one JSON object: title, epoch, epochs, seconds_left.
    """

    def __init__(self, title: str, done: int, total: int, visible: bool) -> None:
        self.title, self.total, self.first = title, total, done
        self.began = time.perf_counter()
        show = visible and in_ipython()
        self.bar = tqdm(total=total, initial=done, desc=title, unit="epoch", disable=not show, ncols=90, mininterval=1.0)
        path = os.environ.get("OCRLIB_PROGRESS")
        self.file = Path(path) if path else None
        self._tell(done)

    def epoch_done(self, epoch: int, test_loss: float) -> None:
        self.bar.set_postfix_str(f"test loss {test_loss:.4f}", refresh=False)
        self.bar.update(epoch - self.bar.n)
        self._tell(epoch)

    def close(self) -> None:
        self.bar.close()

    def _tell(self, epoch: int) -> None:
        if self.file is None:
            return
        trained = epoch - self.first
        left = (time.perf_counter() - self.began) / trained * (self.total - epoch) if trained else None
        state = {"title": self.title, "epoch": epoch, "epochs": self.total, "seconds_left": left}
        try:
            temporary = self.file.with_suffix(".new")
            temporary.write_text(json.dumps(state))
            temporary.replace(self.file)
        except OSError:
            self.file = None  # a progress display must never stop a training run


def shuffled_order(n: int) -> Tensor:
    """The order ``(n,)`` in which ``DataLoader(shuffle=True)`` would take ``n`` images now, by torch's global generator.

    So training written out with a `DataLoader` (see `ocrlib.studies.speed.fit_plain`) sees the same batches for the same seed.
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

FETCH_SECONDS = 1.0  # how often losses are fetched, checked and drawn while an epoch runs
SAVE_SECONDS = 10.0  # at most one checkpoint in this time, but for the last


class DivergedError(ArithmeticError):
    """Training met a loss or a weight that is not a finite number. ``history`` holds the run up to there."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message, history)  # both, so that it survives the way back from a worker process
        self.history = history

    def __str__(self) -> str:
        return self.args[0]


def gradient_norm(model: nn.Module) -> float:
    """Euclidean norm of all gradients taken together: what ``clip_norm`` bounds. 0.0 before the first backward pass."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return float(nn.utils.get_total_norm(gradients)) if gradients else 0.0


def fit(
    model: nn.Module,
    objective: Objective,
    train: Captchas,
    test: Captchas,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int,
    scheduler: LRScheduler | None = None,
    clip_norm: float | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    autocast: torch.dtype | None = None,
    history: History | None = None,
    checkpoint: str | Path | None = None,
    fresh: bool = False,
    stop_when_diverged: bool = True,
    live: bool = True,
    title: str | None = None,
) -> History:
    """Train ``model`` for ``epochs`` epochs and return its history; call again with ``history=`` to go on.

    Each epoch takes the training images in a new random order, in batches ``(N, 1, H, W)`` of float32 in 0..255 (the last
    may be smaller), then measures the loss on the whole test set. ``scheduler`` steps after every batch, ``augment`` maps
    a batch to one of the same shape, ``clip_norm`` bounds the gradient's norm, ``autocast`` names a type that the network
    computes in where it is safe (see `torch.autocast`; weights stay float32). ``live`` shows the losses as they come.

    ``checkpoint`` names a file to save to and to go on from: a run that was stopped continues at the step it was saved
    at, a finished one is loaded instead of trained again; ``fresh=True`` starts over. Stopping the kernel (Ctrl-C) ends
    training after the step in hand, saves, and returns the history so far.

    Raises ``ValueError`` for arguments that can't work, ``CheckpointError`` for a checkpoint of another run, and
    ``DivergedError`` when a loss or a weight is no longer finite (unless ``stop_when_diverged=False``).
    """
    _check_arguments(model, objective, train, test, epochs, batch_size)
    keep_freed_memory()
    history = history.copy() if history else History()
    loop = Loop(model, objective, train, test, optimizer, batch_size, scheduler, clip_norm, augment, autocast, history)
    first, last = history.epochs, history.epochs + epochs
    keeper = _Keeper(Path(checkpoint), _identity(loop, train, test)) if checkpoint is not None else None
    if keeper and not fresh:
        keeper.restore(loop, last)
    name = title or type(model).__name__
    plot = LivePlot(objective.name, name, from_epoch=first) if live else None
    progress = Progress(name, loop.history.epochs, last, visible=live)
    model.train()
    try:
        with DeferredInterrupt() as interrupt:
            fetched = time.perf_counter()
            while loop.history.epochs < last and not interrupt.requested:
                epoch_done = loop.step()
                if epoch_done or interrupt.requested or time.perf_counter() - fetched > FETCH_SECONDS:
                    loop.fetch_losses()
                    if stop_when_diverged:
                        _check_losses(loop.history, keeper)
                    if epoch_done:
                        loop.end_epoch()
                        progress.epoch_done(loop.history.epochs, loop.history.test_loss[-1])
                    if plot:
                        plot.update(loop.history)
                    if keeper:
                        keeper.save(loop, stop_when_diverged, now=interrupt.requested or loop.history.epochs == last)
                    fetched = time.perf_counter()
    finally:
        progress.close()
        if plot:
            plot.update(loop.history, force=True)
            plot.close()
    if loop.history.epochs < last:
        print(_how_to_go_on(loop.history, last, keeper))
    return loop.history


class _Keeper:
    """Writes a run's checkpoint now and then, and takes a run back to it."""

    def __init__(self, path: Path, identity: dict[str, str]) -> None:
        self.path, self.identity = path, identity
        self.saved = time.perf_counter()

    def restore(self, loop: Loop, last: int) -> None:
        if not self.path.exists():
            return
        state = load_checkpoint(self.path)
        refuse_other_run(self.path, state.pop("identity"), self.identity)
        epochs = len(state["history"]["test_loss"])
        if epochs > last:
            raise CheckpointError(
                f"The checkpoint {self.path} holds {epochs} epochs, more than the {last} asked for. Ask for at least "
                f"{epochs}, give another checkpoint=path, or pass fresh=True to start over and replace the file."
            )
        loop.restore(state)
        print(f"Going on from {self.path}: {epochs} of {last} epochs were done.")

    def save(self, loop: Loop, check_weights: bool, now: bool) -> None:
        if not now and time.perf_counter() - self.saved < SAVE_SECONDS:
            return
        # The loss that was just fetched was finite, but the step after it may have broken the weights.
        if check_weights and not loop.weights_are_finite():
            raise DivergedError(_diverged("A weight", loop.history, len(loop.history.train_loss), self), loop.history)
        save_checkpoint(self.path, {"identity": self.identity, **loop.state()})
        self.saved = time.perf_counter()


def _identity(loop: Loop, train: Captchas, test: Captchas) -> dict[str, str]:
    """What must be equal for a run to go on from a checkpoint: name of the thing to what it is, as a reader would say it."""
    shapes = repr([(key, tuple(value.shape)) for key, value in loop.model.state_dict().items()])
    identity = {
        "network": f"{type(loop.model).__name__}, {parameter_count(loop.model):,} parameters, layers {_short_hash(shapes)}",
        "objective": repr(loop.objective),
        "optimizer": _describe(loop.optimizer, loop.optimizer.defaults),
        "schedule": _describe(loop.scheduler, _fixed(loop.scheduler.state_dict())) if loop.scheduler else "none",
        "batch size": str(loop.batch_size),
        "gradient clipping": str(loop.clip_norm),
        "augmentation": _describe_callable(loop.augment) if loop.augment else "none",
        "training images": f"{len(train)} images, {train.fingerprint()}",
        "test images": f"{len(test)} images, {test.fingerprint()}",
        "seed": str(torch.initial_seed()),
        "training before this call": f"{loop.history.epochs} epochs, {loop.history.digest()}",
    }
    return identity if loop.autocast is None else {**identity, "precision": str(loop.autocast)}


def _describe_callable(thing: Callable) -> str:
    """A function's name, or an object's own description; its type where that would hold an address in memory."""
    described = repr(thing) if type(thing).__repr__ is not object.__repr__ else type(thing).__name__
    return getattr(thing, "__qualname__", described)


def _fixed(schedule: dict[str, Any]) -> dict[str, Any]:
    """The entries of a schedule's state that say which schedule it is, not how far it has come."""
    plain = {key: value for key, value in schedule.items() if isinstance(value, (int, float, str, list))}
    return {key: value for key, value in plain.items() if key != "last_epoch" and not key.startswith("_")}


def _describe(thing: object, settings: dict[str, Any]) -> str:
    return f"{type(thing).__name__}({', '.join(f'{key}={value}' for key, value in settings.items())})"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _check_arguments(
    model: nn.Module, objective: Objective, train: Captchas, test: Captchas, epochs: int, batch_size: int
) -> None:
    for name, captchas in {"train": train, "test": test}.items():
        if len(captchas) == 0:
            raise ValueError(f"The {name} set holds no image; split the data so that it has at least one.")
    if epochs < 1:
        raise ValueError(f"epochs={epochs}: ask for at least one.")
    if not 1 <= batch_size <= len(train):
        raise ValueError(f"batch_size={batch_size}: it must be between 1 and the {len(train)} training images.")
    for captchas in (train, test):
        objective.check(model, captchas.images.shape[-1], captchas.texts)


def _check_losses(history: History, keeper: _Keeper | None) -> None:
    # From the end backwards: NaN stays once it is there, and only the last second's losses are new.
    finite = torch.tensor(history.train_loss[-10_000:]).isfinite()
    if not bool(finite.all()):
        step = len(history.train_loss) - len(finite) + int((~finite).nonzero()[0]) + 1
        raise DivergedError(_diverged("The training loss", history, step, keeper), history)


def _diverged(what: str, history: History, step: int, keeper: _Keeper | None) -> str:
    saved = f"The last good checkpoint is {keeper.path}." if keeper and keeper.path.exists() else "No checkpoint was kept."
    return (
        f"{what} is not finite any more at step {step}, in epoch {history.epochs + 1}. {saved} "
        "A lower learning rate or a clip_norm usually mends this; stop_when_diverged=False goes on regardless."
    )


def _how_to_go_on(history: History, last: int, keeper: _Keeper | None) -> str:
    done = f"Stopped after {history.epochs} of {last} epochs ({len(history.train_loss):,} steps)."
    if keeper:
        return f"{done} Saved to {keeper.path}: run the same cell again to go on from here."
    return f"{done} To go on: fit(..., epochs={last - history.epochs}, history=history)."
