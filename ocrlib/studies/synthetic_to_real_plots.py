"""Figures of real beside generated captchas: pairs, a blind test, statistics, and the CER by real images trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ocrlib.captchas import Captchas
from ocrlib.plots import BLACK, BLUE, RED, Figure, caption, image_grid, styled
from ocrlib.studies.plots import WIDTH, finished


@styled
def plot_pairs(real: Captchas, generated: Captchas, n: int = 6) -> Figure:
    """The first ``n`` images of two sets with the same texts, enlarged: real left, generated right."""
    n = min(n, len(real), len(generated))
    images = [captchas.images[i] for i in range(n) for captchas in (real, generated)]
    figure, ax = image_grid(images, 2, f"{n} pairs of real (left) and generated (right) images", size=4.7)
    return figure


@styled
def plot_blind(captchas: Captchas, columns: int = 3) -> Figure:
    """The images in their order, numbered from 1."""
    figure, ax = image_grid(list(captchas.images), columns, "which of these are real?", size=3.0)
    for i in range(len(captchas)):
        caption(ax, i, columns, str(i + 1))
    return figure


@styled
def plot_statistics(real: Captchas, generated: Captchas) -> Figure:
    """Of each pixel over all images, in grey levels 0 to 255: means, their difference, and that of the standard deviations.

    Below are the means over columns and over rows, as darkness.
    """
    pixels = [captchas.images[:, 0].float() for captchas in (real, generated)]
    means, deviations = [part.mean(0).numpy() for part in pixels], [part.std(0).numpy() for part in pixels]
    figure = Figure(9.6, 6.4, "statistics of real and generated images: means, differences, column and row profiles")
    figure.subplots_adjust(left=0.07, right=0.955, bottom=0.08, top=0.95, hspace=0.42, wspace=0.16)
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
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=9.5)
    for ax, axis, name in ((by_column, 0, "x (pixels)"), (by_row, 1, "y (pixels)")):
        for values, label, colour, style in zip(means, ("real", "generated"), (BLUE, RED), ("-", "--")):
            ax.plot(255 - values.mean(axis), style, color=colour, label=label, linewidth=1.5)
        ax.set(xlabel=name, ylabel="mean darkness", ylim=(0, None))
        ax.grid(True)
        ax.legend()
    return figure


@styled
def plot_transfer(pretrained: Mapping[int, Sequence[float]], alone: Mapping[int, Sequence[float]]) -> Figure:
    """CER by the number of real images, with and without generated ones before: each run is a dot, lines join the medians."""
    ax = Figure(WIDTH, 4.0, "CER against real images trained on, with and without pre-training on generated images").subplots()
    counts = sorted({*pretrained, *alone})
    least = min(cer for part in (pretrained, alone) for cers in part.values() for cer in cers if cer > 0) / 2  # drawn for 0
    lines = (alone, "real images alone", RED, "s"), (pretrained, "generated images first", BLUE, "o")
    for part, label, colour, marker in lines:
        x = [i for i, n in enumerate(counts) if n in part]
        runs = [np.maximum(part[n], least) for n in counts if n in part]
        ax.plot(x, [np.median(cers) for cers in runs], color=colour, marker=marker, label=label, linewidth=1.6)
        for at, cers in zip(x, runs):
            ax.plot(np.full(len(cers), at), cers, ".", color=colour, alpha=0.45)
    ax.axhline(least, color=BLACK, linewidth=0.6, linestyle=":")
    ax.annotate("no error", (0, least), (2, 3), textcoords="offset points", fontsize=8)
    ax.set_xticks(range(len(counts)), map(str, counts))
    ax.set(yscale="log", xlabel="real images trained on", ylabel="CER", title="what a real image is worth")
    return finished(ax, grid="y", legend="inside")
