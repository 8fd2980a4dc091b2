"""Figures of recorded runs: medians with intervals, single runs as dots, loss curves, confusions and kinds of errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter

from ocrlib.plots import BLACK, BLUE, RED, SKY, Figure, styled
from ocrlib.studies.intervals import Median, median_interval

COLOURS = (BLUE, RED, "#009E73", "#CC79A7", SKY, "#E69F00")  # Okabe and Ito's
MARKERS = "osD^vP"
WIDTH = 8.2  # inches


def finished(ax: Axes, grid: str = "both", legend: str | None = None, **style: object) -> Figure:
    """The figure of ``ax``, laid out, with grid lines for an axis and a legend "beside" or "inside" the axes."""
    ax.grid(True, axis=grid)
    if legend is not None:
        ax.legend(**({"loc": "center left", "bbox_to_anchor": (1.01, 0.5)} if legend == "beside" else {}), **style)
    ax.figure.tight_layout()
    return ax.figure


@styled
def plot_medians(
    series: Mapping[str, Sequence[Median]], places: Sequence[str], across: str, up: str, title: str, log: bool = True
) -> Figure:
    """A line for each of ``series``: its medians at the named ``places``, with intervals. Lines are shifted sideways.

    An infinite median is not drawn, and an interval's infinite end lies outside the picture. On a logarithmic axis zeros are
    drawn at the bottom, below all other values.
    """
    ax = Figure(WIDTH, 4.0, f"{title}; {up} against {across}, medians with 95 % intervals").subplots()
    drawn = [value for medians in series.values() for median in medians for value in median[:3]]
    least = min((value for value in drawn if 0 < value < np.inf), default=1.0) * (0.5 if log else 0)
    most = max((value for value in drawn if value < np.inf), default=1.0) * (1.5 if log else 1.08)
    for i, (name, medians) in enumerate(series.items()):
        x = np.arange(len(places)) + 0.09 * (i - (len(series) - 1) / 2)
        middle, low, high = (np.array([median[k] for median in medians]) for k in range(3))
        reached = np.isfinite(middle)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        low, high = np.maximum(low, least), np.where(np.isfinite(high), high, 2 * most)
        ax.vlines(x[reached], low[reached], high[reached], colour, linewidth=1.4, alpha=0.7)
        ax.plot(x, np.where(reached, np.maximum(middle, least), np.nan), color=colour, marker=marker, markersize=5, label=name)
    ax.set(xlabel=across, ylabel=up, title=title, ylim=(least * (0.8 if log else 1), most), yscale="log" if log else "linear")
    ax.set_xticks(range(len(places)), places)
    if log:
        _plain_numbers(ax.yaxis)
    return finished(ax, grid="y", legend="beside")


@styled
def plot_runs(groups: Mapping[str, Sequence[float]], across: str, title: str, log: bool = False) -> Figure:
    """A row for each group, a dot for each run, a line at the median; infinite values are arrows at the right edge.

    On a logarithmic axis zeros are drawn at its left end.
    """
    ax = Figure(WIDTH, 1.0 + 0.36 * len(groups), f"{title}: {across} of single runs, with medians").subplots()
    finite = [value for values in groups.values() for value in values if np.isfinite(value)]
    edge = (1.5 if log else 1.08) * max(finite, default=1.0)
    least = 0.7 * min((value for value in finite if value > 0), default=edge) if log else 0.0
    for row, values in enumerate(groups.values()):
        values = np.asarray(values, dtype=float)
        spread = row + np.linspace(-0.18, 0.18, len(values))  # so that equal values can be counted
        here = np.isfinite(values)
        ax.plot(np.maximum(values[here], least), spread[here], "o", color=BLUE, markersize=4, alpha=0.7)
        ax.plot(np.full((~here).sum(), edge), spread[~here], ">", color=RED, markersize=5)
        middle = median_interval(values).median
        ax.plot([max(min(middle, edge), least)] * 2, [row - 0.33, row + 0.33], color=BLACK, linewidth=2)
    ax.set_yticks(range(len(groups)), groups)
    ax.set(xscale="log" if log else "linear", xlabel=across, title=title)
    ax.set(xlim=(0.95 * least, 1.03 * edge), ylim=(len(groups) - 0.5, -0.5))
    if log:
        _plain_numbers(ax.xaxis)
    return finished(ax, grid="x")


@styled
def plot_loss_curves(curves: Mapping[str, Sequence[np.ndarray]], first: int, floor: float) -> Figure:
    """Training losses from step ``first`` on: each run is a thin line, the median of a name's runs a thick one.

    A dashed line marks ``floor``, the least loss of a model that ignores the images.
    """
    ax = Figure(WIDTH, 3.8, "training loss of each run, with the median of each method and the loss of blind guessing").subplots()
    for (name, runs), colour in zip(curves.items(), COLOURS):
        steps = first + np.arange(len(runs[0]))
        ax.plot(steps, np.transpose(runs), color=colour, linewidth=0.5, alpha=0.35)
        ax.plot(steps, np.median(runs, axis=0), color=colour, linewidth=2, label=name)
    ax.axhline(floor, color=BLACK, linestyle="--", linewidth=1)
    ax.text(0.99, floor, "blind guessing", transform=ax.get_yaxis_transform(), ha="right", va="bottom")
    ax.set(xlabel="training step (one batch)", ylabel="training loss (nats per symbol)", ylim=(0, 1.6 * floor))
    ax.set_title("how the training loss falls")
    return finished(ax, legend="beside")


@styled
def plot_confusions(counts: Mapping[str, Counter[tuple[str, str]]], symbols: str) -> Figure:
    """For each name, how often each true symbol (row) was taken for each other one (column); ``·`` stands for none."""
    figure = Figure(4.6 * len(counts), 4.7, "how often each true symbol was taken for another, for " + " and ".join(counts))
    names = [*symbols, "·"]
    greatest = max((n for table in counts.values() for n in table.values()), default=1)
    for ax, (name, table) in zip(figure.subplots(1, len(counts), squeeze=False).flat, counts.items()):
        matrix = np.array([[table[(true.strip("·"), read.strip("·"))] for read in names] for true in names])
        ax.imshow(matrix, cmap="Blues", vmin=0, vmax=greatest)
        for row, column in np.argwhere(matrix):
            colour = "white" if matrix[row, column] > greatest / 2 else BLACK
            ax.text(column, row, matrix[row, column], ha="center", va="center", fontsize=7, color=colour)
        for ticks in (ax.set_xticks, ax.set_yticks):
            ticks(range(len(names)), names, fontsize=8, family="DejaVu Sans Mono")
        ax.set(xlabel="read", ylabel="true", title=f"{name}: {matrix.sum()} errors")
    figure.tight_layout()
    return figure


@styled
def plot_kinds(rates: Mapping[str, Mapping[str, float]], up: str) -> Figure:
    """A stacked bar for each name, with a part for each kind of error."""
    ax = Figure(WIDTH, 3.8, f"{up} by kind of error, for each of " + ", ".join(rates)).subplots()
    bottom = np.zeros(len(rates))
    for i, kind in enumerate(next(iter(rates.values()))):
        values = np.array([parts[kind] for parts in rates.values()])
        ax.bar(range(len(rates)), values, 0.7, bottom, color=COLOURS[i % len(COLOURS)], label=kind)
        bottom += values
    ax.set_xticks(range(len(rates)), rates)
    ax.set(ylabel=up, title="what kind of errors")
    return finished(ax, grid="y", legend="beside", reverse=True)  # the legend from top to bottom, as the bars


def _plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis 0.001, 0.002, 0.005, 0.01 and so on, not by powers of ten."""
    for formatter in (axis.set_major_formatter, axis.set_minor_formatter):
        formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else ""))
