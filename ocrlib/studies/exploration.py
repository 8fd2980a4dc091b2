"""Figures of data sets: symbols, time steps that texts need, ink, the sizes that networks see, real against generated images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ocrlib.captchas import Captchas
from ocrlib.plots import BLACK, BLUE, RED, SKY, Figure, finished, styled
from ocrlib.texts import ctc_min_steps, symbol_frequencies

MOST_SYMBOLS = 64  # bars with a legible letter below each


def _bars(ax: Axes, names: Sequence[str], values: Sequence[float], captions: Sequence[str], **settings: str) -> Figure:
    ax.bar_label(ax.bar(range(len(names)), values, color=SKY, width=0.75), captions, padding=2)
    ax.margins(y=0.12)
    middle, half = (len(names) - 1) / 2, max(len(names), 3) / 2  # a single bar would fill the whole panel
    ax.set(xticks=range(len(names)), xticklabels=names, xlim=(middle - half, middle + half))
    return finished(ax, grid="y", **settings)


@styled
def plot_symbol_frequencies(texts: Sequence[str], slots: str | None = None) -> Figure:
    """Share of each symbol in percent; with ``slots`` also what to expect when each slot is drawn equally often.

    The expected range holds 95 of 100 draws of this size (normal approximation of the binomial). Of more than ``MOST_SYMBOLS``
    symbols the most frequent ones are shown.
    """
    counts = symbol_frequencies(texts)
    total = max(sum(counts.values()), 1)
    every = sorted({*counts, *(slots or "")})
    symbols = sorted(sorted(every, key=lambda symbol: -counts.get(symbol, 0))[:MOST_SYMBOLS])
    ax = Figure(9.6, 3.3, "share of each symbol in all texts").subplots()
    if slots:
        share = np.array([slots.count(symbol) for symbol in symbols]) / len(slots)
        spread = 196 * np.sqrt(share * (1 - share) / total)
        label = f"expected from {len(slots)} equally likely slots, with 95 % range"
        ax.errorbar(range(len(symbols)), 100 * share, spread, fmt="_", color=BLACK, markersize=13, capsize=3, label=label)
        ax.legend()
    shares = [100 * counts.get(symbol, 0) / total for symbol in symbols]
    title = f"{total:,} symbols in {len(texts):,} texts"
    if len(every) > len(symbols):
        title += f": the {len(symbols)} most frequent of {len(every):,} different ones"
    return _bars(ax, symbols, shares, [""] * len(symbols), title=title, xlabel="symbol", ylabel="share (percent)")


@styled
def plot_min_steps(texts: Sequence[str]) -> Figure:
    """How many texts need how many time steps from CTC: one a symbol, and one more between equal neighbours."""
    ax = Figure(6.4, 3.0, "texts by the number of time steps that CTC needs at least").subplots()
    steps, counts = np.unique([ctc_min_steps(text) for text in texts], return_counts=True)
    captions = [f"{count:,}" for count in counts]
    title = f"{len(texts):,} texts by the time steps that CTC needs at least"
    return _bars(ax, steps, counts, captions, title=title, xlabel="time steps needed", ylabel="texts")


@styled
def plot_network_view(views: Mapping[str, Captchas], centres: Mapping[str, Sequence[float]] | None = None) -> Figure:
    """The first image at each size, on one scale, pixel by pixel; a red mark at the centre of each time step.

    ``views`` maps a name to the data set at that size, ``centres`` maps some of these names to the x of each step in pixels.
    """
    centres = centres or {}
    widest = max(captchas.images.shape[3] for captchas in views.values())
    gap = 14  # pixels between rows, for the caption and the marks
    tall = sum(captchas.images.shape[2] + gap for captchas in views.values()) + 5
    height = 7.5 * tall / widest + 0.55  # inches, with those below the picture for the axis
    figure = Figure(8.0, height, "one image at the sizes the networks see, with their time steps", layout="none")
    ax = figure.add_axes((0.03, 0.55 / height, 7.5 / 8.0, 1 - 0.55 / height))
    top = 0
    for name, captchas in views.items():
        pixels = captchas.images[0].squeeze(0).cpu().numpy()
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
    shape = {"width_ratios": (4, 1), "height_ratios": (1, 1.6)}
    (above, corner), (ax, beside) = figure.subplots(2, 2, sharex="col", sharey="row", **shape)
    corner.set_axis_off()
    ax.imshow(darkness, cmap="gray_r", extent=(0, width, height, 0), aspect="auto")
    above.fill_between(np.arange(width) + 0.5, darkness.mean(0), step="mid", color=SKY)
    beside.fill_betweenx(np.arange(height) + 0.5, darkness.mean(1), step="mid", color=SKY)
    title = f"mean darkness of {len(captchas):,} images ({captchas.source}): 0 white, 255 black"
    above.set(title=title, ylabel="column mean", ylim=(0, None))
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)")
    beside.set(xlabel="row mean", xlim=(0, None))
    return figure


@styled
def plot_statistics(real: Captchas, generated: Captchas) -> Figure:
    """Pixel means, their difference and that of the standard deviations, in grey levels 0 to 255; column and row means below."""
    pixels = [captchas.images[:, 0].float() for captchas in (real, generated)]
    means, deviations = [part.mean(0).numpy() for part in pixels], [part.std(0).numpy() for part in pixels]
    figure = Figure(9.6, 6.4, "statistics of real and generated images: means, differences, column and row profiles")
    *panels, by_column, by_row = figure.subplots(3, 2).flat
    pictures = (
        ("mean of the real images", means[0], "gray", 0, 255),
        ("mean of the generated images", means[1], "gray", 0, 255),
        ("difference of the means, real - generated", means[0] - means[1], "RdBu", -60, 60),
        ("difference of the standard deviations", deviations[0] - deviations[1], "RdBu", -60, 60),
    )
    for ax, (title, values, colours, low, high) in zip(panels, pictures):
        shown = ax.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
        figure.colorbar(shown, ax=ax, pad=0.02, fraction=0.04)
        ax.set(title=title, xticks=[], yticks=[])
    for ax, axis, name in ((by_column, 0, "x (pixels)"), (by_row, 1, "y (pixels)")):
        for values, label, colour, style in zip(means, ("real", "generated"), (BLUE, RED), ("-", "--")):
            ax.plot(255 - values.mean(axis), style, color=colour, label=label, linewidth=1.5)
        finished(ax, legend={}, xlabel=name, ylabel="mean darkness", ylim=(0, None))
    return figure
