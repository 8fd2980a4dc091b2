"""Figures of repeated runs beside what was reported, and of the images that are misread again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ocrlib.captchas import Captchas
from ocrlib.plots import BLACK, BLUE, PALE, RED, Figure, caption, image_grid, styled


@styled
def plot_repetitions(
    rows: Mapping[str, Mapping[str, Sequence[float]]], reported: Mapping[str, tuple[float, float, float]], title: str
) -> Figure:
    """A panel for each name of ``rows``: its kinds of runs below each other, a dot for each run's CER.

    ``reported`` has for each name the reported CER, drawn as a line, and the interval that it has by its test set's size, a
    band.
    """
    figure = Figure(8.2, 0.6 + 1.45 * len(rows), f"{title}: CER of each run beside the reported CER, for " + ", ".join(rows))
    panels = np.atleast_1d(figure.subplots(len(rows), 1))
    for ax, (name, kinds) in zip(panels, rows.items()):
        cer, low, high = reported[name]
        ax.axvspan(low, high, color=PALE, alpha=0.45, linewidth=0, label="95 % interval of the reported CER")
        ax.axvline(cer, color=BLACK, linewidth=1.2, label="reported CER")
        for y, cers in enumerate(kinds.values()):
            cers = np.asarray(cers, dtype=float)
            # Runs of one CER side by side, so that they can be counted.
            beside = np.array([0.16 * (cers[:i] == value).sum() for i, value in enumerate(cers)])
            ax.plot(cers, y + beside, "os^D"[y % 4], color=(BLUE, RED)[y % 2], markersize=5.5, alpha=0.85)
        ax.set_yticks(range(len(kinds)), kinds)
        greatest = max([high, *(value for cers in kinds.values() for value in cers)])
        ax.set(xlim=(0, 1.06 * greatest), ylim=(-0.5, len(kinds) - 0.2), xlabel="CER")
        ax.set_title(name, loc="left")
        ax.grid(True, axis="x")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8.5)
    figure.tight_layout()
    return figure


@styled
def plot_captioned(captchas: Captchas, captions: Sequence[str], title: str, columns: int = 3, size: float = 3.0) -> Figure:
    """Every image with a caption of its own above it, row by row, each ``size`` inches wide.

    Raises ``ValueError`` for another number of captions than images.
    """
    if len(captions) != len(captchas):
        raise ValueError(f"Each image needs a caption, got {len(captions)} captions for {len(captchas)} images.")
    figure, ax = image_grid(list(captchas.images), columns, title, size)
    for i, words in enumerate(captions):
        caption(ax, i, columns, words)
    return figure
