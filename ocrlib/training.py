"""`fit`, the one training loop: for any network, either objective and any optimizer. It shows its losses, saves, and goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ocrlib.captchas import Captchas
from ocrlib.checkpoints import Checkpointer
from ocrlib.data.checks import Epochs, check_optimizer, checked
from ocrlib.evaluation import History
from ocrlib.loop import Loop
from ocrlib.objectives import Objective
from ocrlib.runtime import in_ipython, progress

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
    train: Epochs,
    test: Epochs,
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
    raise_when_stopped: bool = False,
    live: bool = True,
    title: str | None = None,
    after_step: Callable[[int], object] | None = None,
    validation: Captchas | None = None,
    keep_best: bool = False,
    patience: int | None = None,
) -> History:
    """Train ``model`` for ``epochs`` epochs and return its history; call again with ``history=`` to go on.

    Each epoch takes the training images in a new random order, in batches ``(N, 1, H, W)`` of float32 in 0..255 (the last
    may be smaller), then measures the loss on the whole test set. ``train`` and ``test`` can also be functions that give an
    epoch's images by its number, counted from 0 over the whole history. ``scheduler`` steps after every batch, a
    ``ReduceLROnPlateau`` after every epoch, with its test loss. ``augment`` maps a batch to one of the same shape, ``clip_norm``
    bounds the gradient's norm, ``autocast`` names a type that the network computes in where it is safe (see `torch.autocast`;
    weights stay float32). ``live`` shows the losses as they come. ``after_step`` is called with the number of steps in the
    history after each of them, at an epoch's end after the test loss; its time does not count, and training ends where it
    returns True. A `History.spike` is printed.

    ``validation`` images, none of them in ``test``, are there to choose by: their loss is measured after each epoch
    (``history.validation_loss``). With ``keep_best`` the network ends with the weights of the epoch where it was lowest, with
    ``patience`` training ends when that many epochs in a row did not lower it; a plateau schedule then follows it.

    ``checkpoint`` names a file to save to and to go on from: a run that was stopped continues at the step it was saved
    at, a finished one is loaded instead of trained again; ``fresh=True`` starts over. Ctrl-C or the stop button ends training
    after the current step, saves, and returns the history so far; with ``raise_when_stopped``, and in a notebook where there
    is a checkpoint, it raises `TrainingStopped` instead: what follows must not report half a training.

    Raises ``ValueError`` for arguments that can't work, ``CheckpointError`` for a checkpoint of another run, and
    ``DivergedError`` when a loss or a weight is no longer finite (unless ``stop_when_diverged=False``).
    """
    train, test, validation = checked(model, objective, train, test, validation, epochs, batch_size, patience, keep_best)
    history = history.copy() if history else History()
    how = optimizer, batch_size, scheduler, clip_norm, augment, autocast
    loop = Loop(model, objective, train, test, *how, history, validation, keep_best)
    first, last, impatient = history.epochs, history.epochs + epochs, patience or float("inf")
    checkpointer = Checkpointer(checkpoint, loop.identity()) if checkpoint is not None else None
    state = checkpointer.load(last) if checkpointer and not fresh else None
    check_optimizer(model, optimizer, scheduler)
    if state:
        loop.restore(state)
    name = title or type(model).__name__
    plot = None
    if live:
        from ocrlib.plots import LivePlot  # here, because matplotlib takes long to import

        plot = LivePlot(objective.name, name, first)
    shown = {"total": last, "initial": loop.history.epochs, "desc": name, "unit": "epoch"}
    bar = progress(quiet=not live, **shown) if in_ipython() else None  # elsewhere the live plot prints a line an epoch
    model.train()
    threads = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(threads, getattr(model, "threads", threads)))
    try:
        with _DeferredInterrupt() as interrupt:
            fetched, ended = time.perf_counter(), False
            while loop.history.epochs < last and not interrupt.requested and not ended and not loop.waited >= impatient:
                epoch_done = loop.step()
                if epoch_done or interrupt.requested or time.perf_counter() - fetched > FETCH_SECONDS:
                    loop.fetch_losses()
                    if stop_when_diverged:
                        _check_losses(loop.history, checkpointer)
                    if epoch_done:
                        loop.end_epoch()
                        if bar is not None:
                            bar.set_postfix_str(f"test loss {loop.history.test_loss[-1]:.4f}", refresh=False)
                            bar.update(loop.history.epochs - bar.n)
                    elif bar is not None:
                        bar.refresh()  # its seconds go on in a long epoch
                    if plot:
                        plot.update(loop.history)
                    now = interrupt.requested or loop.history.epochs == last or loop.waited >= impatient
                    if checkpointer and (now or time.perf_counter() - checkpointer.saved > SAVE_SECONDS):
                        # The loss that was just fetched was finite, but the step after it may have broken the weights.
                        if stop_when_diverged and not all(bool(p.isfinite().all()) for p in loop.parameters):
                            raise _diverged("A weight", loop.history, len(loop.history.train_loss), checkpointer)
                        checkpointer.save(loop.state())
                    fetched = time.perf_counter()
                if after_step is not None:
                    ended = loop.off_the_clock(after_step)
            loop.fetch_losses()
            if checkpointer and interrupt.requested:  # perhaps within `after_step`, behind the last save
                checkpointer.save(loop.state())
    finally:
        torch.set_num_threads(threads)
        if bar is not None:
            bar.close()
        if plot:
            plot.update(loop.history, force=True)
            plot.close()
    if loop.history.epochs < last and not ended and not loop.waited >= impatient:
        saved = checkpointer and f"Saved to {checkpointer.path}: run the same cell again to go on from here."
        how = saved or f"To go on: fit(..., epochs={last - loop.history.epochs}, history=history)."
        stopped = f"Stopped after {loop.history.epochs} of {last} epochs ({len(loop.history.train_loss):,} steps). {how}"
        if raise_when_stopped or (checkpointer and in_ipython()):
            raise TrainingStopped(stopped)
        print(stopped)
    elif loop.best:
        model.load_state_dict(loop.best["weights"])
        found, epoch = loop.history.validation_loss[-1 - loop.waited], loop.best["epoch"]
        print(f"Kept the weights of epoch {epoch} of {loop.history.epochs}, with the lowest validation loss: {found:.4f}.")
    elif loop.history.spike:
        print(loop.history.spike)
    return loop.history


class TrainingStopped(KeyboardInterrupt):
    """The stop button was pressed. As an error it ends "Run All"; IPython shows its one line in place of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class _DeferredInterrupt:
    """Turns the first Ctrl-C (or Jupyter's stop button) into a request; a second one stops at once.

    An optimizer's step that is cut in half leaves weights that belong to no step and can't be repeated. Outside the main
    thread signals can't be caught, and nothing changes.
    """

    def __enter__(self) -> _DeferredInterrupt:
        self.requested, main = False, threading.current_thread() is threading.main_thread()
        self._previous = signal.signal(signal.SIGINT, self._request) if main else None
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *error: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)


def _check_losses(history: History, checkpointer: Checkpointer | None) -> None:
    # From the end backwards: NaN stays once it is there, and only the last second's losses are new.
    finite = torch.tensor(history.train_loss[-10_000:]).isfinite()
    if not bool(finite.all()):
        step = len(history.train_loss) - len(finite) + int((~finite).nonzero()[0]) + 1
        raise _diverged("The training loss", history, step, checkpointer)


def _diverged(what: str, history: History, step: int, checkpointer: Checkpointer | None) -> DivergedError:
    kept = checkpointer and checkpointer.path.exists()
    saved = f"The last good checkpoint is {checkpointer.path}." if kept else "No checkpoint was kept."
    message = (
        f"{what} is not finite any more at step {step}, in epoch {history.epochs + 1}. {saved} "
        "A lower learning rate or a clip_norm usually mends this; stop_when_diverged=False goes on regardless."
    )
    return DivergedError(message, history)
