"""The losses as they fall: one figure that is redrawn while training goes, or a line an epoch outside a notebook."""

from __future__ import annotations

import sys
from base64 import b64decode
from time import perf_counter
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from ocrlib.history import History

SHORTEST_WAIT = 1.0  # seconds between two redraws
WAIT_PER_COST = 100  # a redraw that takes 0.05 s is followed by 5 s without one: about 1 % of the time goes into drawing

# One transparent pixel: it holds the place of a picture that would only show empty axes, and drawing those takes time.
NOTHING_YET = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNgYAAAAAMAASsJTYQAAAAASUVORK5CYII=")


def in_ipython() -> bool:
    """Whether outputs can be pictures: in a notebook's kernel, but neither in plain Python nor in IPython's terminal."""
    module = sys.modules.get("IPython")  # where nobody has imported it, we are not in it
    shell = module.get_ipython() if module else None
    return shell is not None and not any(cls.__name__ == "TerminalInteractiveShell" for cls in type(shell).__mro__)


class LivePlot:
    """Two panels, train loss a step and test loss an epoch, redrawn through one display handle as training goes.

    Make it before training, so that the slow part (importing matplotlib, laying out) is done by then; call `update` as
    often as you like. The axes begin after ``from_epoch`` epochs. Outside a notebook it prints one line an epoch.
    """

    def __init__(self, loss_name: str, title: str | None = None, from_epoch: int = 0) -> None:
        self.loss_name, self.title = loss_name, title
        self._history: History | None = None  # the latest, which `close` may still have to draw
        self._printed = from_epoch
        self._drawn = (0, 0)  # steps and epochs in the picture
        self._figure = None
        if in_ipython():
            from IPython.display import display

            from ocrlib.figures import LossFigure

            self._figure = LossFigure(loss_name, title, from_epoch)
            data, metadata = self._figure.bundle(NOTHING_YET)
            # Data and not the figure itself: IPython's own formatter would lay out and draw it twice.
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
            self._next = perf_counter() + SHORTEST_WAIT

    def update(self, history: History, force: bool = False) -> None:
        """Show ``history``: at most once a second, less often where drawing is slow, at once with ``force``."""
        if self._figure is None:
            self._print_lines(history)
            return
        self._history = history
        began = perf_counter()
        if force or began >= self._next:
            self._draw()
            ended = perf_counter()
            self._next = ended + max(SHORTEST_WAIT, WAIT_PER_COST * (ended - began))

    def close(self) -> None:
        """Draw what `update` held back, and let go of the figure; the picture stays."""
        if self._figure is not None:
            self._draw()
        self._figure = None

    def _draw(self) -> None:
        history = self._history
        size = (len(history.train_loss), history.epochs) if history else self._drawn
        if size != self._drawn:
            self._figure.draw_history(history)
            data, metadata = self._figure.bundle()
            self._handle.update(data, metadata=metadata, raw=True)
            self._drawn = size

    def _print_lines(self, history: History) -> None:
        for epoch in range(self._printed, history.epochs):
            steps = history.steps_per_epoch[epoch]
            first = sum(history.steps_per_epoch[:epoch])
            mean = sum(history.train_loss[first : first + steps]) / steps
            name = f"{self.title}, epoch" if self.title else "epoch"
            tqdm.write(  # and not print, which would cut a progress bar in two
                f"{name} {epoch + 1}: {self.loss_name} {mean:.4f} (train, mean of {steps} steps), "
                f"{history.test_loss[epoch]:.4f} (test), {history.seconds[epoch]:.1f} s"
            )
        self._printed = max(self._printed, history.epochs)
