"""What notebook 01 shows of the data: symbols, lengths, equal neighbours, ink, and the sizes that the networks see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from ocrlib.plots import BLACK, RED, SKY, Figure, caption, image_grid, styled
from ocrlib.texts import count_equal_neighbours, ctc_min_steps, symbol_frequencies

if TYPE_CHECKING:
    from ocrlib.captchas import Captchas


class ChiSquared(NamedTuple):
    """The result of `chi_squared_symbols`: the statistic, its degrees of freedom and the p-value."""

    statistic: float
    degrees: int
    p: float


def expected_shares(slots: str) -> dict[str, float]:
    """The share of each symbol, from 0 to 1, when every character of `slots` is drawn equally often."""
    if not slots:
        raise ValueError("slots is empty; expected the characters that texts are drawn from, such as 'abcc'.")
    return {symbol: count / len(slots) for symbol, count in symbol_frequencies([slots]).items()}


def chi_squared_symbols(texts: Iterable[str], slots: str) -> ChiSquared:
    """Pearson's chi-squared test: were the symbols of `texts` drawn from `slots`, each slot equally often?

    A symbol that stands twice in `slots` is expected twice as often. A small p-value speaks against it.
    Raises ValueError when a text holds a symbol that no slot can give, or when there is nothing to test.
    """
    from scipy.stats import chisquare  # only here: importing scipy.stats takes about a second

    shares = expected_shares(slots)
    counts = symbol_frequencies(texts)
    total = sum(counts.values())
    strange = sorted(set(counts) - set(shares))
    if strange:
        raise ValueError(f"The texts hold {strange}, which slots={slots!r} can never give; add them to slots.")
    if total == 0 or len(shares) < 2:
        raise ValueError(f"The test needs at least one text and two different slots; got {total} symbols and slots={slots!r}.")
    result = chisquare([counts.get(symbol, 0) for symbol in shares], [share * total for share in shares.values()])
    return ChiSquared(float(result.statistic), len(shares) - 1, float(result.pvalue))


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


def _bars(ax: Axes, names: Sequence[str], values: Sequence[float], captions: Sequence[str] = ()) -> None:
    ax.bar(range(len(names)), values, color=SKY, width=0.75)
    for x, (value, words) in enumerate(zip(values, captions)):
        ax.annotate(words, (x, value), (0, 2), textcoords="offset points", ha="center")
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
