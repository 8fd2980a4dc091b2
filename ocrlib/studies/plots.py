"""Figures of recorded runs: medians with intervals, single runs as dots, and loss curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter

from ocrlib.plots import BESIDE, BLACK, BLUE, PALE, RED, SKY, Figure, finished, styled
from ocrlib.studies.intervals import Median, median_interval
from ocrlib.studies.records import Figures

COLOURS = (BLUE, RED, "#009E73", "#CC79A7", SKY, "#E69F00")  # Okabe and Ito's
MARKERS = "osD^vP*Xph<>"
WIDTH = 8.2  # inches


@styled
def plot_medians(
    series: Mapping[str, Sequence[Median]], places: Sequence[str], across: str, up: str, title: str, log: bool = True,
    height: float = 4.0, joined: bool = True,
) -> Figure:  # fmt: skip
    """A line for each of ``series``: its medians at the named ``places``, with intervals. Lines are shifted sideways.

    The figure's ``height`` is in inches. Medians that are not ``joined`` have markers only: for places without an order.
    An infinite median is not drawn, and an interval's infinite end lies outside the picture. On a logarithmic axis zeros are
    drawn at the bottom, below all other values.
    """
    ax = Figure(WIDTH, height, f"{title}; {up} against {across}, medians with 95 % intervals").subplots()
    drawn = [value for medians in series.values() for median in medians for value in median[:3] if value < np.inf]
    least = min((value for value in drawn if value > 0), default=1.0) * (0.5 if log else 0)
    most = max(drawn, default=1.0) * (1.5 if log else 1.08)
    for i, (name, medians) in enumerate(series.items()):
        x = np.arange(len(places)) + 0.09 * (i - (len(series) - 1) / 2)
        middle, low, high = np.array([median[:3] for median in medians]).clip(least).T
        reached = np.isfinite(middle)
        colour, marker, style = COLOURS[i % len(COLOURS)], MARKERS[i % len(COLOURS)], "-" if joined else "none"
        ax.vlines(x[reached], low[reached], high[reached].clip(max=2 * most), colour, linewidth=1.4, alpha=0.7)
        ax.plot(x, np.where(reached, middle, np.nan), color=colour, ls=style, marker=marker, markersize=5, label=name)
    ax.set(ylim=(least * 0.8, most), yscale="log" if log else "linear", xticks=range(len(places)), xticklabels=places)
    _plain_numbers(ax.yaxis)
    return finished(ax, grid="y", legend=BESIDE, xlabel=across, ylabel=up, title=title)


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
        x = np.clip(np.asarray(values, dtype=float), least, edge)
        here = np.isfinite(values)
        for found, height, look in ((x[here], 0.4, "o"), (x[~here], 0.6, ">")):
            place = (np.arange(len(found)) + 0.5) / max(len(found), 1) - 0.5  # so that equal values can be counted
            ax.plot(found, row + height * place, look, color=BLUE if look == "o" else RED, markersize=4, alpha=0.8)
        middle = np.clip(median_interval(values).median, least, edge)
        ax.plot([middle, middle], [row - 0.33, row + 0.33], color=BLACK, linewidth=2)
    ax.set(xscale="log" if log else "linear", xlim=(0.95 * least, 1.03 * edge), ylim=(len(groups) - 0.5, -0.5))
    _plain_numbers(ax.xaxis)
    return finished(ax, grid="x", xlabel=across, title=title, yticks=range(len(groups)), yticklabels=groups)


@styled
def plot_repetitions(
    rows: Mapping[str, Mapping[str, Sequence[float]]], reported: Mapping[str, tuple[float, float, float]], title: str
) -> Figure:
    """A panel for each name of ``rows``: its kinds of runs below each other, a dot for each run's CER.

    ``reported`` has for each name the reported CER, drawn as a line, and its 95 % interval, drawn as a band.
    """
    figure = Figure(WIDTH, 0.6 + 1.45 * len(rows), f"{title}: CER of each run beside the reported CER, for " + ", ".join(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for ax, (name, kinds) in zip(panels, rows.items()):
        cer, low, high = reported[name]
        ax.axvspan(low, high, color=PALE, alpha=0.45, linewidth=0, label="95 % interval of the reported CER")
        ax.axvline(cer, color=BLACK, linewidth=1.2, label="reported CER")
        for y, cers in enumerate(kinds.values()):
            # Runs of one CER side by side, so that they can be counted.
            beside = [y + 0.16 * list(cers[:i]).count(value) for i, value in enumerate(cers)]
            ax.plot(cers, beside, "os^D"[y % 4], color=(BLUE, RED)[y % 2], markersize=5.5, alpha=0.85)
        greatest = max([high, *(value for cers in kinds.values() for value in cers)])
        ax.set_title(name, loc="left")
        ax.set(xlim=(0, 1.06 * greatest), ylim=(-0.5, len(kinds) - 0.2))
        finished(ax, grid="x", xlabel="CER", yticks=range(len(kinds)), yticklabels=kinds)
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8.5)
    return figure


@styled
def plot_sizes(series: Mapping[str, Sequence[tuple[float, Sequence[float]]]], across: str, title: str) -> Figure:
    """CER against size, from each name's (size, CERs of the runs): medians with intervals, and each run as a dot beside them."""
    ax = Figure(WIDTH, 4.2, f"{title}: CER against {across} for {', '.join(series)}").subplots()
    for (name, points), colour, marker in zip(series.items(), COLOURS, MARKERS):
        sizes, runs = zip(*sorted(points))
        middle, low, high, _ = np.transpose([median_interval(cers) for cers in runs])
        ax.plot(sizes, middle, marker, color=colour, markersize=8, label=f"{name}: median")
        ax.vlines(sizes, low, high, colour, alpha=0.5)
        for size, cers in zip(sizes, runs):
            beside = size * 1.04 ** (1.5 + np.arange(len(cers)))
            ax.plot(beside, sorted(cers), ".", color=colour, alpha=0.7, markersize=6)
    return finished(ax, legend={}, xscale="log", ylim=(0, None), xlabel=across, ylabel="CER", title=title)


@styled
def plot_transfer(pretrained: Mapping[int, Sequence[float]], alone: Mapping[int, Sequence[float]]) -> Figure:
    """CER by the number of real images, with and without generated ones before: each run is a dot, lines join the medians."""
    ax = Figure(WIDTH, 4.0, "CER against real images trained on, with and without pre-training on generated images").subplots()
    counts = sorted({*pretrained, *alone})
    least = min(cer for part in (pretrained, alone) for cers in part.values() for cer in cers if cer > 0) / 2  # drawn for 0
    lines = (alone, "real images alone", RED, "s"), (pretrained, "generated images first", BLUE, "o")
    for part, label, colour, marker in lines:
        x, runs = zip(*((counts.index(n), np.maximum(part[n], least)) for n in sorted(part)))
        ax.plot(x, list(map(np.median, runs)), color=colour, marker=marker, label=label, linewidth=1.6)
        for at, cers in zip(x, runs):
            ax.plot(np.full(len(cers), at), cers, ".", color=colour, alpha=0.45)
    ax.axhline(least, color=BLACK, linewidth=0.6, linestyle=":")
    ax.annotate("no error", (0, least), (2, 3), textcoords="offset points", fontsize=8)
    ax.set(yscale="log", xticks=range(len(counts)), xticklabels=counts)
    return finished(ax, "y", {}, xlabel="real images trained on", ylabel="CER", title="what a real image is worth")


@styled
def plot_loss_curves(curves: Mapping[str, Sequence[np.ndarray]], first: float, floors: Mapping[str, float]) -> Figure:
    """Training losses from step ``first`` on: each run is a thin line, the median of a name's runs a thick one.

    Dashed lines with names mark the ``floors``: the least losses of models that ignore the images, in nats a symbol.
    """
    ax = Figure(WIDTH, 3.8, "training loss of each run, with the median of each method, and " + ", ".join(floors)).subplots()
    for (name, runs), colour in zip(curves.items(), COLOURS):
        steps = first + np.arange(len(runs[0]))
        ax.plot(steps, np.transpose(runs), color=colour, linewidth=0.5, alpha=0.35)
        ax.plot(steps, np.median(runs, axis=0), color=colour, linewidth=2, label=name)
    for name, floor in floors.items():
        ax.axhline(floor, color=BLACK, linestyle="--", linewidth=1)
        ax.text(0.99, floor, name, transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=9)
    ax.set(xlabel="training step (one batch)", ylabel="training loss (nats per symbol)", ylim=(0, 1.5 * max(floors.values())))
    return finished(ax, legend=BESIDE, title="how the training loss falls")


@styled
def plot_modes(curves: Sequence[Figures], ends: Mapping[str, Sequence[int]], characters: int, between: int) -> Figure:
    """Test loss and CER by epoch, from figures of `follow`, and final CERs of others. Red: more than ``between`` edits."""
    figure = Figure(WIDTH + 1.0, 4.2, f"test loss and CER by epoch of {len(curves)} trainings; where others ended", "constrained")
    losses, cers, last = figure.subplots(1, 3, width_ratios=(3, 3, 1.8))
    last.sharey(cers)
    for late, words, colour, style in ((False, "at most", BLUE, "-o"), (True, "more than", RED, "--^")):
        found = [run for run in curves if (run["edits"] > between) == late]
        dots = [(x, n / characters) for x, edits in enumerate(ends.values()) for n in edits if (n > between) == late]
        look = {"color": colour, "alpha": 0.7, "linewidth": 1, "markersize": 5}
        for run in found:
            for ax, values in ((losses, run["test_losses"]), (cers, np.divide(run["epoch_edits"], characters))):
                ax.plot(range(1, len(values) + 1), values, style, markevery=[-1], **look)
        last.plot([x + 0.14 * (i % 3 - 1) for i, (x, _) in enumerate(dots)], [cer for _, cer in dots], style[-1], **look)
        losses.plot([], [], style, color=colour, label=f"{words} {between} edits at the end: {len(found) + len(dots)} trainings")
    figure.legend(loc="outside upper center", ncols=2)
    finished(losses, xlabel="epoch", ylabel="loss (nats per symbol)", title="test loss", ylim=(0, None))
    finished(cers, xlabel="epoch", ylabel="CER", title="CER on the test images", ylim=(0, None))
    last.set(xlim=(-0.5, len(ends) - 0.5), xticks=range(len(ends)), xticklabels=ends)
    return finished(last, "y", title="final CER, elsewhere")


def _plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis 0.001, 0.002, 0.005, 0.01 and so on, not by powers of ten. A linear one stays as it is."""
    for formatter in (axis.set_major_formatter, axis.set_minor_formatter) if axis.get_scale() == "log" else ():
        formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else ""))
