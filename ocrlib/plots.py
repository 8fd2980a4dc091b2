"""Figures of data, losses and mistakes. Each function returns a `Figure`, which a notebook shows when it ends a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from ocrlib.figures import BLACK, RED, SKY, Figure, LossFigure, styled
from ocrlib.statistics import align, count_equal_neighbours, ctc_min_steps, expected_shares, symbol_frequencies

if TYPE_CHECKING:
    from ocrlib.captchas import Captchas
    from ocrlib.evaluation import Report
    from ocrlib.history import History


def plot_losses(history: History, loss_name: str, from_epoch: int = 0) -> Figure:
    """Train and test loss of ``history`` after the first ``from_epoch`` epochs."""
    figure = LossFigure(loss_name, from_epoch=from_epoch)
    figure.draw_history(history)
    return figure


def image_grid(images: Sequence[Tensor], columns: int, title: str, size: float = 2.0) -> tuple[Figure, Axes]:
    """Images ``(1, H, W)`` row by row, in one Axes where cell (row, column) has its corner at (column, row).

    ``size`` is a cell's width in inches.
    """
    rows = max(-(-len(images) // columns), 1)
    tall = 0.2 + 0.275 * size  # inches, of a cell
    height = tall * rows + 0.35
    figure = Figure(size * columns, height, title)
    # One Axes for all: fifty of their own take seconds. Each image is about 4:1 like the published 200x50 pixels, so that
    # letters look the same at whatever width a network read them; above it there is room for a caption.
    ax = figure.add_axes((0.01, 0.0, 0.99, tall * rows / height))
    ax.set_axis_off()
    top = 0.225 / tall
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        pixels = image.squeeze(0).cpu().numpy()
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(column, column + 0.94, row + 0.94, row + top), aspect="auto")
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top")
    return figure, ax


def caption(ax: Axes, i: int, columns: int, text: str, **style: object) -> None:
    """Write above image ``i`` of an `image_grid`."""
    row, column = divmod(i, columns)
    top = ax.images[i].get_extent()[3] - row
    ax.text(column, row + top - 0.04, text, family="DejaVu Sans Mono", fontsize=9, va="baseline", **style)


@styled
def plot_samples(captchas: Captchas, n: int = 12, columns: int = 4) -> Figure:
    """``n`` images, spread evenly over the data set, each with its text."""
    chosen = np.unique(np.linspace(0, len(captchas) - 1, min(n, len(captchas))).round().astype(int)).tolist()
    title = f"{len(chosen)} of {len(captchas):,} images ({captchas.source}), each with its text"
    figure, ax = image_grid([captchas.images[i] for i in chosen], columns, title)
    for cell, i in enumerate(chosen):
        caption(ax, cell, columns, captchas.texts[i])
    return figure


@styled
def plot_real_and_generated(real: Captchas, generated: Captchas, n: int = 6) -> Figure:
    """The first ``n`` images of two data sets side by side; give both the same texts in the same order."""
    count = min(n, len(real), len(generated))
    pairs = [captchas.images[i] for i in range(count) for captchas in (real, generated)]
    title = f"images of two sources: {real.source} on the left, {generated.source} on the right of each pair"
    figure, ax = image_grid(pairs, 4, title)
    for cell in range(2 * count):
        caption(ax, cell, 4, (generated if cell % 2 else real).texts[cell // 2])
    return figure


@styled
def plot_mistakes(report: Report, columns: int = 5, limit: int = 100) -> Figure:
    """Every misread image (up to ``limit``) with predicted/true and its own CER; the wrong symbols are red and underlined."""
    mistakes = report.mistakes[:limit]
    if not mistakes:
        figure = Figure(6.0, 0.8, "no misread image")
        figure.text(0.5, 0.5, f"No mistake: all {report.images:,} images were read correctly.", ha="center", va="center")
        return figure
    columns = min(columns, max(len(mistakes), 3))
    shown = f"the first {limit} of " if limit < len(report.mistakes) else ""
    title = f"{shown}{len(report.mistakes)} misread of {report.images:,} images: predicted/true and CER"
    figure, ax = image_grid([mistake.image for mistake in mistakes], columns, title)
    for i, mistake in enumerate(mistakes):
        pairs = align(mistake.predicted, mistake.true)
        # Two texts of one fixed width lie on each other: the right symbols, and the wrong ones with a line under them.
        cells = [(p, p != t) for p, t in pairs if p] + [("/", False)] + [(t, p != t) for p, t in pairs if t]
        right = "".join(" " if wrong else symbol for symbol, wrong in cells)
        caption(ax, i, columns, f"{right}  CER {mistake.cer:.2f}")
        caption(ax, i, columns, "".join(symbol if wrong else " " for symbol, wrong in cells), color=RED, weight="bold")
        caption(ax, i, columns, "".join("_" if wrong else " " for _, wrong in cells), color=RED)
    return figure


def _bars(ax: Axes, names: Sequence[str], values: Sequence[float], captions: Sequence[str] = ()) -> None:
    ax.bar(range(len(names)), values, color=SKY, width=0.75)
    for x, (value, caption) in enumerate(zip(values, captions)):
        ax.annotate(caption, (x, value), (0, 2), textcoords="offset points", ha="center")
    ax.set_xticks(range(len(names)), names)
    ax.margins(y=0.12)
    middle, half = (len(names) - 1) / 2, max(len(names), 3) / 2  # a single bar would fill the whole panel
    ax.set_xlim(middle - half, middle + half)
    ax.grid(True, axis="y")


@styled
def plot_symbol_frequencies(texts: Sequence[str], slots: str | None = None) -> Figure:
    """Share of each symbol in percent; with ``slots`` also what to expect when each slot is drawn equally often.

    The expected range holds 95 of 100 draws of this size (normal approximation of the binomial).
    """
    counts, expected = symbol_frequencies(texts), expected_shares(slots) if slots else {}
    total = max(sum(counts.values()), 1)
    symbols = sorted({*counts, *expected})
    figure = Figure(9.6, 3.3, "share of each symbol in all texts")
    ax = figure.subplots()
    _bars(ax, symbols, [100 * counts.get(symbol, 0) / total for symbol in symbols])
    if slots:
        share = np.array([expected.get(symbol, 0.0) for symbol in symbols])
        spread = 196 * np.sqrt(share * (1 - share) / total)
        label = f"expected from {len(slots)} equally likely slots, with 95 % range"
        ax.errorbar(range(len(symbols)), 100 * share, spread, fmt="_", color=BLACK, markersize=13, capsize=3, label=label)
        ax.legend()
    ax.set(title=f"{total:,} symbols in {len(texts):,} texts", xlabel="symbol", ylabel="share (percent)")
    figure.tight_layout()
    return figure


@styled
def plot_neighbours(splits: Mapping[str, Sequence[str]]) -> Figure:
    """For each named list of texts: how many hold two equal neighbours, and their share in percent."""
    figure = Figure(1.8 + 1.4 * len(splits), 3.3, "texts with equal neighbours in each part")
    ax = figure.subplots()
    counts = [count_equal_neighbours(texts) for texts in splits.values()]
    sizes = [max(len(texts), 1) for texts in splits.values()]
    captions = [f"{count:,} of {size:,}" for count, size in zip(counts, sizes)]
    _bars(ax, list(splits), [100 * count / size for count, size in zip(counts, sizes)], captions)
    ax.set(title="texts with equal neighbours", ylabel="share (percent)")
    figure.tight_layout()
    return figure


@styled
def plot_lengths(texts: Sequence[str]) -> Figure:
    """How long the texts are, and how many steps CTC needs for them at least (length + equal neighbours)."""
    figure = Figure(7.2, 3.0, "length of the texts and steps CTC needs at least")
    titles = ("length of the texts", "symbols"), ("CTC needs at least", "time steps")
    for ax, measure, (title, unit) in zip(figure.subplots(1, 2), (len, ctc_min_steps), titles):
        values, counts = np.unique([measure(text) for text in texts], return_counts=True)
        _bars(ax, [str(value) for value in values], counts, [f"{count:,}" for count in counts])
        ax.set(title=title, xlabel=unit, ylabel="texts")
    figure.tight_layout()
    return figure


@styled
def plot_network_view(
    views: Mapping[str, Captchas], centres: Mapping[str, Sequence[float]] | None = None, index: int = 0
) -> Figure:
    """Image ``index`` at each size, on one scale, pixel by pixel; a red mark at the centre of each time step.

    ``views`` maps a name to the data set at that size, ``centres`` maps some of these names to the x of each step in pixels.
    """
    centres = centres or {}
    widest = max(captchas.images.shape[3] for captchas in views.values())
    gap = 14  # pixels between rows, for the caption and the marks
    tall = sum(captchas.images.shape[2] + gap for captchas in views.values()) + 5
    below = 0.55  # inches under the picture, for the axis
    figure = Figure(8.0, 7.5 * tall / widest + below, "one image at the sizes the networks see, with their time steps")
    ax = figure.add_axes((0.03, below / figure.get_figheight(), 7.5 / 8.0, 1 - below / figure.get_figheight()))
    top = 0
    for name, captchas in views.items():
        pixels = captchas.images[index].squeeze(0).cpu().numpy()
        top, (height, width) = top + gap, pixels.shape
        steps = centres.get(name, ())
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, top + height, top), interpolation="nearest")
        ax.text(0, top - 1, f"{name}: {width} x {height} pixels" + (f", {len(steps)} steps" if len(steps) else ""), va="bottom")
        ax.plot(np.asarray(steps) + 0.5, np.full(len(steps), top + height + 1.5), "^", color=RED, markersize=5, clip_on=False)
        top += height
    ax.set(xlim=(0, widest), ylim=(tall, 0), xlabel="x (pixels)", yticks=[], aspect="equal")
    ax.spines["left"].set_visible(False)
    return figure


@styled
def plot_ink(captchas: Captchas) -> Figure:
    """Mean darkness over all images, and its profile along x and y. 0 is white, 255 is black."""
    darkness = 255 - captchas.images[:, 0].float().mean(0).cpu().numpy()  # (H, W)
    height, width = darkness.shape
    figure = Figure(9.0, 3.6, "where the ink is: mean image with column and row profiles")
    shape = {"width_ratios": (4, 1), "height_ratios": (1, 1.6), "wspace": 0.08, "hspace": 0.15}
    (above, corner), (ax, beside) = figure.subplots(2, 2, sharex="col", sharey="row", gridspec_kw=shape)
    corner.set_axis_off()
    ax.imshow(darkness, cmap="gray_r", extent=(0, width, height, 0), aspect="auto")
    above.fill_between(np.arange(width) + 0.5, darkness.mean(0), step="mid", color=SKY)
    beside.fill_betweenx(np.arange(height) + 0.5, darkness.mean(1), step="mid", color=SKY)
    above.set_title(f"mean darkness of {len(captchas):,} images ({captchas.source}): 0 white, 255 black")
    above.set(ylabel="column mean", ylim=(0, None))
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)")
    beside.set(xlabel="row mean", xlim=(0, None))
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.14, top=0.92)
    return figure
