"""How far a run of the notebooks is: an estimate of the time left, and the line that shows it."""

from __future__ import annotations

import shutil
import sys
import time

QUIET_SECONDS = 10  # a log file, which cannot be redrawn, gets a line no more often than this


def describe_seconds(seconds: float) -> str:
    """45 s, 12 min, 1 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Estimate:
    """How long the rest takes: the last recorded time of each cell, scaled by how this machine compares so far.

    ``recorded`` has a list of seconds per code cell for each notebook; None where nothing is known.
    """

    def __init__(self, recorded: list[list[float] | None]) -> None:
        self.recorded = recorded
        self.spent = self.expected = 0.0

    def cell_done(self, notebook: int, cell: int, seconds: float) -> None:
        """Learn from a finished cell."""
        self.spent += seconds
        self.expected += self._cell(notebook, cell)

    def seconds_left(self, notebook: int, cell: int, elapsed: float, training_left: float | None) -> float | None:
        """Seconds until the last notebook ends, at ``elapsed`` seconds of a cell; None while nothing is known.

        ``training_left`` is what a training loop in this cell says of itself; it knows better than the record.
        """
        if any(cells is None for cells in self.recorded[notebook:]):
            return None
        spent, expected = self.spent, self.expected
        if training_left is not None:
            spent, expected = spent + elapsed + training_left, expected + self._cell(notebook, cell)
        # Below some seconds the quotient is noise: imports from a cold disk, mostly.
        pace = spent / expected if expected > 10 else 1.0
        this = self._cell(notebook, cell) * pace - elapsed if training_left is None else training_left
        rest = sum(self.recorded[notebook][cell + 1 :]) + sum(map(sum, self.recorded[notebook + 1 :]))
        return max(this, 0.0) + rest * pace

    def _cell(self, notebook: int, cell: int) -> float:
        cells = self.recorded[notebook] or []
        return cells[cell] if cell < len(cells) else 0.0


class Status:
    """One line at the foot of a terminal, redrawn; in a log file a new line at most every `QUIET_SECONDS`."""

    def __init__(self) -> None:
        self.terminal = sys.stdout.isatty()
        self.text, self.width, self.last = "", 0, -float("inf")

    def show(self, text: str) -> None:
        """Replace the line."""
        if self.terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            print("\r" + text.ljust(self.width), end="", flush=True)
            self.width = len(text)
        elif text != self.text and time.monotonic() - self.last >= QUIET_SECONDS:
            self.text, self.last = text, time.monotonic()
            print(text, flush=True)

    def clear(self) -> None:
        """Make room for an ordinary line; what is shown next begins a new one."""
        if self.terminal:
            print("\r" + " " * self.width + "\r", end="", flush=True)
        self.width, self.last = 0, -float("inf")
