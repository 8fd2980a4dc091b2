"""Figures of the open questions of notebook 08: receptive fields, CER by size, and images beside drawn texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from ocrlib.plots import BLACK, BLUE, RED, Figure, styled
from ocrlib.studies.intervals import median_interval
from ocrlib.studies.plots import COLOURS, MARKERS, WIDTH, finished
from ocrlib.synthetic.generator import symbol_middles
from ocrlib.synthetic.template_matching import darkness, match_template


@styled
def plot_fields(fields: Mapping[str, tuple[Tensor, tuple[int, int], float]]) -> Figure:
    """A picture for each name: the squared gradients ``(H, W)`` of a step, dark where they are large, and its window.

    The window is given as its first and last column and its centre, and drawn as two red lines and a dotted one. A curve below
    has the sums over the columns.
    """
    figure = Figure(9.0, 2.1 * len(fields), "how strongly each pixel moves one time step, for " + ", ".join(fields))
    rim = {"left": 0.02, "right": 0.98, "top": 1 - 0.1 / len(fields), "bottom": 0.21 / len(fields)}
    outer = figure.add_gridspec(len(fields), 1, hspace=0.5, **rim)
    for (name, (gradients, (first, last), centre)), cell in zip(fields.items(), outer):
        inner = cell.subgridspec(2, 1, height_ratios=(2, 1), hspace=0.08)
        ax, below = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
        strength = gradients.sqrt().numpy()
        height, width = strength.shape
        ax.imshow(strength, cmap="Blues", extent=(0, width, height, 0), aspect="auto")
        columns = strength.sum(0)
        below.fill_between(np.arange(width) + 0.5, columns / columns.max(), color=COLOURS[0], alpha=0.6, linewidth=0)
        for axis in (ax, below):
            axis.axvline(centre + 0.5, color=BLACK, linewidth=1, linestyle=":")
            for x in (first, last + 1):
                axis.axvline(x, color=RED, linewidth=1.4)
            axis.set(xlim=(0, width), yticks=[])
        ax.set_xticks([])
        ax.set_title(f"{name}: window of {last - first + 1} columns", loc="left", fontsize=10)
        below.set_ylim(0, 1.1)
        below.set_xlabel("x (pixels)", labelpad=1)
    return figure


@styled
def plot_looking(looks: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], image: Tensor) -> Figure:
    """A panel for each name: the centres of the steps' windows and receptive fields, and the middles of the symbols.

    ``looks`` has the figures of each name's runs, see `ocrlib.studies.open_questions.train_to_look`. ``image`` ``(1, H, W)``
    is the background.
    """
    figure = Figure(WIDTH, 1.9 * len(looks) + 0.5, "where the steps of trained networks look, for " + ", ".join(looks))
    panels = np.atleast_1d(figure.subplots(len(looks), 1, sharex=True))
    height, width = image.shape[1:]
    for ax, (name, runs) in zip(panels, looks.items()):
        ax.imshow(image[0].cpu().numpy(), cmap="gray", vmin=-350, vmax=255, extent=(0, width, 0, len(runs) + 1), aspect="auto")
        for kind, x, colour, line in (
            ("middle of the step's window", runs[0]["centres"], BLACK, ":"),
            ("middle of the symbol it reads", runs[0]["symbols_at"], RED, "-"),
        ):
            # Pixel x reaches from x to x + 1.
            ax.vlines(np.add(x, 0.5), 0, len(runs) + 1, colour, linestyle=line, linewidth=1.6, label=kind)
        for row, run in enumerate(runs, 1):
            label = "where it looks, a row for each seed" if row == 1 else None
            ax.plot(np.add(run["looks_at"], 0.5), np.full(len(run["looks_at"]), row), "o", color=BLUE, markersize=5, label=label)
        ax.set_title(name, loc="left")
        ax.set(xlim=(0, width), ylim=(0, len(runs) + 1), yticks=[])
    panels[-1].set_xlabel("x (pixels)")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.14), ncols=3, fontsize=8.5)
    figure.tight_layout()
    return figure


@styled
def plot_sizes(series: Mapping[str, Sequence[tuple[float, Sequence[float]]]], across: str, title: str) -> Figure:
    """CER against size on a logarithmic axis: the points of each name are (size, CERs of the runs).

    Medians have intervals (`median_interval`). Each run is a dot beside them, apart from the others of its size.
    """
    ax = Figure(WIDTH, 4.2, f"{title}: CER against {across} for {', '.join(series)}").subplots()
    for (name, points), colour, marker in zip(series.items(), COLOURS, MARKERS):
        points = sorted(points)
        sizes = [size for size, _ in points]
        medians = [median_interval(cers) for _, cers in points]
        ax.plot(sizes, [m.median for m in medians], marker, color=colour, markersize=8, label=f"{name}: median")
        ax.vlines(sizes, [m.low for m in medians], [m.high for m in medians], colour, alpha=0.5)
        for size, cers in points:
            beside = size * 1.04 ** (1.5 + np.arange(len(cers)))
            ax.plot(beside, sorted(cers), ".", color=colour, alpha=0.7, markersize=6)
    ax.set(xscale="log", xlabel=across, ylabel="CER", title=title)
    ax.set_ylim(bottom=0)
    return finished(ax, legend="inside")


@styled
def plot_redrawn(images: Sequence[Tensor], texts: Sequence[tuple[str, str]], captions: Sequence[tuple[str, str, str]]) -> Figure:
    """A row for each image ``(1, 50, 200)``: the image, then its differences from each of two texts drawn by the generator.

    Grey is ink of both, red of the text alone, blue of the image alone (the noise curves always are). ``captions`` has three
    for each row. The empty margins are cut off.
    """
    middles = [symbol_middles(text) for pair in texts for text in pair]
    ends = min(found[0] for found in middles) - 20, max(found[-1] for found in middles) + 20  # half a symbol and a margin
    figure = Figure(9.4, 1.35 * len(images), "images beside the two texts they may show: " + ", ".join(map("/".join, texts)))
    axes = figure.subplots(len(images), 3, squeeze=False)
    for row, image, pair, words in zip(axes, images, texts, captions):
        pictures = image[0].cpu().numpy(), *(_differences(image, text) for text in pair)  # the last two have colours
        for ax, picture, caption in zip(row, pictures, words):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto")
            ax.set_xlim(*ends)
            ax.set_title(caption, fontsize=9, family="DejaVu Sans Mono", loc="left", pad=2)
            ax.set_axis_off()
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.22 / figure.get_figheight(), bottom=0.01, hspace=0.3, wspace=0.03)
    return figure


def _differences(image: Tensor, text: str) -> np.ndarray:
    """``(50, 200, 3)`` in 0..1: grey where image and text agree, red for the text alone, blue for the image alone."""
    dark, ink = darkness(image), match_template(image, text).ink
    parts = (np.minimum(dark, ink), (0.72, 0.72, 0.72)), (ink - dark, (0.84, 0.2, 0.0)), (dark - ink, (0.0, 0.45, 0.7))
    picture = np.ones((*dark.shape, 3))
    for amount, colour in parts:
        amount = np.clip(amount, 0, 1)[..., None]
        picture = picture * (1 - amount) + np.array(colour) * amount
    return picture.clip(0, 1)
