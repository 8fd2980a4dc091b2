"""Figures of the open questions of notebook 09: receptive fields, where networks look, and images beside drawn texts."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from ocrlib.plots import BLACK, BLUE, RED, Figure, styled
from ocrlib.studies.plots import WIDTH
from ocrlib.synthetic.generator import symbol_middles
from ocrlib.synthetic.template_matching import darkness, match_template


@styled
def plot_fields(fields: Mapping[str, tuple[Tensor, tuple[int, int], float]]) -> Figure:
    """A picture for each name: the squared gradients ``(H, W)`` of a step, dark where they are large, and its window.

    A window is its first and last column (red lines) and its centre (dotted). A curve below has the sums over the columns.
    """
    alt = "how strongly each pixel moves one time step, for " + ", ".join(fields)
    figure = Figure(9.0, 2.1 * len(fields), alt, layout="none")
    places = {"left": 0.02, "right": 0.98, "top": 0.88, "bottom": 0.2, "hspace": 0.1, "height_ratios": (2, 1)}
    parts = figure.subfigures(len(fields), 1, squeeze=False).flat
    for part, (name, (gradients, (first, last), centre)) in zip(parts, fields.items()):
        ax, below = part.subplots(2, 1, sharex=True, gridspec_kw=places)
        strength = gradients.sqrt().numpy()
        height, width = strength.shape
        ax.imshow(strength, cmap="Blues", extent=(0, width, height, 0), aspect="auto")
        columns = strength.sum(0)
        below.fill_between(np.arange(width) + 0.5, columns / columns.max(), color=BLUE, alpha=0.6, linewidth=0)
        for axis in (ax, below):
            axis.axvline(centre + 0.5, color=BLACK, linewidth=1, linestyle=":")
            for x in (first, last + 1):
                axis.axvline(x, color=RED, linewidth=1.4)
        ax.set_title(f"{name}: window of {last - first + 1} columns", loc="left", fontsize=10)
        ax.set(xlim=(0, width), yticks=[])
        ax.tick_params(bottom=False)
        below.set(ylim=(0, 1.1), yticks=[])
        below.set_xlabel("x (pixels)", labelpad=1)
    return figure


@styled
def plot_looking(looks: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], image: Tensor) -> Figure:
    """A panel for each name: the centres of the steps' windows and receptive fields, and the middles of the symbols.

    ``looks`` has the figures of each name's runs, see `ocrlib.studies.open_questions.train_to_look`. ``image`` ``(1, H, W)``
    is the background.
    """
    figure = Figure(WIDTH, 1.9 * len(looks) + 0.5, "where the steps of trained networks look, for " + ", ".join(looks))
    panels = figure.subplots(len(looks), 1, sharex=True, squeeze=False)[:, 0]
    height, width = image.shape[1:]
    for ax, (name, runs) in zip(panels, looks.items()):
        ax.imshow(image[0].cpu().numpy(), cmap="gray", vmin=-350, vmax=255, extent=(0, width, 0, len(runs) + 1), aspect="auto")
        # Pixel x reaches from x to x + 1.
        centres, symbols, looks_at = (np.add([run[key] for run in runs], 0.5) for key in ("centres", "symbols_at", "looks_at"))
        ax.vlines(centres[0], 0, len(runs) + 1, BLACK, ":", label="middle of the step's window", linewidth=1.6)
        ax.vlines(symbols[0], 0, len(runs) + 1, RED, "-", label="middle of the symbol it reads", linewidth=1.6)
        for row, x in enumerate(looks_at, 1):
            label = "where it looks, a row for each seed" if row == 1 else None
            ax.plot(x, np.full(len(x), row), "o", color=BLUE, markersize=5, label=label)
        ax.set_title(name, loc="left")
        ax.set(xlim=(0, width), ylim=(0, len(runs) + 1), yticks=[])
    panels[-1].set_xlabel("x (pixels)")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.14), ncols=3, fontsize=8.5)
    return figure


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
