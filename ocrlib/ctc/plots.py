"""Figures of alignments: the lattice, classes at each time step, a network as it learns, and how rightly sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from ocrlib.ctc.alignments import collapse, flow, lattice_rows, posterior
from ocrlib.ctc.decoding import ReliabilityBin
from ocrlib.plots import BLACK, BLUE, RED, SKY, Figure, styled
from ocrlib.texts import Alphabet

GREY = "#999999"  # the blank
_SHARE = LinearSegmentedColormap.from_list("share", ["white", BLUE])  # 0 to 1
_CHANGE = LinearSegmentedColormap.from_list("change", [RED, "white", BLUE])  # -1 to 1
_SEEN = 0.05  # a class that never gets more than this has no row of its own


def spell(path: Sequence[int], alphabet: Alphabet) -> str:
    """A path as people write it: a symbol for each step, `-` for the blank."""
    return "".join("-" if index == alphabet.blank else alphabet.decode([index]) for index in path)


def _letters(ax: Axes, indices: Sequence[int], alphabet: Alphabet) -> None:
    ax.set_yticks(range(len(indices)), spell(indices, alphabet), family="DejaVu Sans Mono")
    for label, index in zip(ax.get_yticklabels(), indices):
        label.set_color(GREY if index == alphabet.blank else BLACK)


@styled
def plot_lattice(log_probs: Tensor, text: str, alphabet: Alphabet) -> Figure:
    """All paths that spell ``text`` over log_probs ``(T, C)``: a dot's area and a line's width are shares of the paths.

    The shares are those after the probabilities: posterior probability of a row at a step, and of a move between two.
    Raises ``ValueError`` when no path spells the text.
    """
    target = alphabet.encode(text)
    rows = lattice_rows(target, alphabet.blank)
    at, moves = posterior(log_probs, target).numpy(), flow(log_probs, target).numpy()  # (T, S), (T - 1, S, S)
    steps = len(at)
    figure = Figure(min(1.4 + 0.55 * steps, 9.6), 1.2 + 0.3 * len(rows), f"lattice of {steps} steps for {text}, with its paths")
    ax = figure.subplots()
    t, start, end = np.nonzero(moves > 0)
    lines = np.stack([np.stack([t, start], 1), np.stack([t + 1, end], 1)], 1)  # (lines, 2 ends, x and y)
    colours = [BLUE if rows[row] != alphabet.blank else GREY for row in end]
    ax.add_collection(LineCollection(lines, linewidths=0.4 + 5 * moves[t, start, end], colors=colours, alpha=0.75))
    t, row = np.nonzero(at > 0)  # a dot for each place a path can be in
    colours = [BLUE if rows[r] != alphabet.blank else GREY for r in row]
    ax.scatter(t, row, 6 + 150 * at[t, row], colours, zorder=3)
    _letters(ax, rows, alphabet)
    ax.set(xlim=(-0.6, steps - 0.4), ylim=(len(rows) - 0.4, -0.6), xlabel="time step", ylabel="symbol or blank")
    ax.set_title(f"paths of {steps} steps that spell {text}", loc="left")
    ax.xaxis.get_major_locator().set_params(integer=True)
    figure.tight_layout()
    return figure


def _rows_to_show(panels: Sequence[Tensor], alphabet: Alphabet, most: int = 12) -> list[int]:
    """The classes with a share worth a row in any panel, the blank last; the largest ``most`` where there are more."""
    largest = torch.stack([panel.abs().amax(0) for panel in panels]).amax(0)  # (C,)
    largest[alphabet.blank] = torch.inf
    chosen = [index for index in largest.argsort(descending=True, stable=True)[:most].tolist() if largest[index] > _SEEN]
    return sorted(chosen, key=lambda index: (index == alphabet.blank, index))


@styled
def plot_classes(
    panels: Mapping[str, Tensor],
    alphabet: Alphabet,
    image: Tensor | None = None,
    centres: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """Named shares ``(T, C)`` of the classes at each time step, one under the other; below 0 is red.

    With an ``image`` ``(1, H, W)`` above them, each step stands at its ``centres`` in pixels. Classes that never matter
    are left out.
    """
    shares = [panel.detach().cpu() for panel in panels.values()]
    steps = len(shares[0])
    x = np.arange(steps) if centres is None else np.asarray(centres) + 0.5  # pixel x reaches from x to x + 1
    shown = _rows_to_show(shares, alphabet)
    tall = 0.17 * len(shown) + 0.36  # inches a panel
    above = 0.0 if image is None else 8.4 * image.shape[-2] / image.shape[-1] + 0.1
    height = 0.62 + 0.3 * bool(title) + above + len(shares) * tall
    figure = Figure(9.6, height, f"{title + ': ' if title else ''}{' and '.join(panels)} at each of {steps} time steps")
    top = height - 0.08 - 0.3 * bool(title)
    edges = np.concatenate([[x[0] - (x[1] - x[0]) / 2], (x[1:] + x[:-1]) / 2, [x[-1] + (x[-1] - x[-2]) / 2]])
    limits = (edges[0], edges[-1])
    if title:
        figure.suptitle(title, x=0.06, y=1 - 0.08 / height, ha="left", va="top")
    if image is not None:
        limits = (min(edges[0], 0), max(edges[-1], image.shape[-1]))
        ax = figure.add_axes((0.06, (top - above + 0.1) / height, 0.875, (above - 0.1) / height))
        pixels = image.squeeze(0).cpu().numpy()
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, pixels.shape[1], pixels.shape[0], 0), aspect="auto")
        ax.set_xlim(limits)
        ax.set_axis_off()
        top -= above
    for name, panel in zip(panels, shares):
        ax = figure.add_axes((0.06, (top - tall + 0.08) / height, 0.875, (tall - 0.32) / height))
        values, signed = panel[:, shown].T.numpy(), bool((panel < -1e-6).any())
        mesh = ax.pcolormesh(edges, np.arange(len(shown) + 1) - 0.5, values, vmin=-1 if signed else 0, vmax=1,
                             cmap=_CHANGE if signed else _SHARE, edgecolors="#EEEEEE", linewidth=0.5)  # fmt: skip
        beside = figure.add_axes((0.95, ax.get_position().y0, 0.01, ax.get_position().height))
        figure.colorbar(mesh, cax=beside, ticks=(-1, 0, 1) if signed else (0, 0.5, 1))  # longer numbers would be cut off
        _letters(ax, shown, alphabet)
        ax.set(xlim=limits, ylim=(len(shown) - 0.5, -0.5))
        ax.set_title(name, loc="left", pad=3)
        ax.tick_params(length=0, labelbottom=False)
        top -= tall
    ax.tick_params(labelbottom=True)
    ax.set_xlabel("time step" if centres is None else "x (pixels); each column of cells is a time step")
    return figure


@styled
def plot_snapshots(
    logits: Mapping[int, Tensor], alphabet: Alphabet, image: Tensor, centres: Sequence[float], merge: bool = True
) -> Figure:
    """One image ``(1, H, W)`` as it is read after so many training steps: logits ``(T, C)`` by the number of steps.

    For each, the probability of the blank as a grey band, that of the best symbol as a bar with its letter. ``merge`` says
    whether equal neighbours are read as one, as CTC does and cross-entropy does not.
    """
    x, width = np.asarray(centres) + 0.5, image.shape[-1]
    above, tall = 6.8 * image.shape[-2] / width, 0.52  # inches
    height = above + tall * len(logits) + 0.62
    figure = Figure(9.6, height, f"an image, and what the network says of it after {', '.join(map(str, logits))} training steps")
    ax = figure.add_axes((0.15, 1 - (above + 0.05) / height, 6.8 / 9.6, above / height))
    pixels = image.squeeze(0).cpu().numpy()
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, pixels.shape[0], 0), aspect="auto")
    limits = (min(x[0] - 2, 0), max(x[-1] + 2, width))
    ax.set_xlim(limits)
    ax.set_axis_off()
    for i, (step, values) in enumerate(logits.items()):
        ax = figure.add_axes((0.15, 1 - (above + 0.15 + tall * (i + 1)) / height, 6.8 / 9.6, (tall - 0.1) / height))
        shares = values.float().softmax(1)
        blank, (best, which) = shares[:, alphabet.blank].numpy(), _best_symbol(shares, alphabet)
        ax.fill_between(x, blank, step="mid", color="#DDDDDD", label="blank")
        ax.bar(x, best, width=0.55 * (x[1] - x[0]), color=SKY, label="best symbol")
        for place, share, index in zip(x, best, which):
            if share > 0.15:
                ax.text(place, min(share, 0.62), alphabet.decode([index]), ha="center", va="bottom", fontsize=9, weight="bold")
        path = values.argmax(1).tolist()
        reading = alphabet.decode(collapse(path, alphabet.blank) if merge else path)
        ax.text(1.01, 0.5, _shorten(reading) or "(nothing)", transform=ax.transAxes, va="center", family="DejaVu Sans Mono")
        ax.text(-0.045, 0.5, f"step {step:,}", transform=ax.transAxes, va="center", ha="right")
        ax.set(xlim=limits, ylim=(0, 1.05), yticks=[0, 1], xticks=[])
        ax.tick_params(labelsize=7, length=2)
    ax.set_xticks(np.linspace(0, width, 5).round().astype(int))
    ax.set_xlabel("x (pixels); grey: probability of the blank, blue: of the best symbol; right: what is read")
    return figure


def _best_symbol(shares: Tensor, alphabet: Alphabet) -> tuple[np.ndarray, list[int]]:
    """The greatest share at each step but the blank's, and whose it is."""
    symbols = shares.clone()
    symbols[:, alphabet.blank] = -1
    best = symbols.max(1)
    return best.values.numpy(), best.indices.tolist()


def _shorten(text: str, most: int = 10) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@styled
def plot_plateau(losses: Mapping[str, Sequence[float]], blanks: Mapping[str, Mapping[int, float]], floor: float) -> Figure:
    """Named runs: the loss of each training step (nats per symbol), and by steps done the share of time steps whose
    likeliest class is the blank: 1 on the plateau, where nothing is read.

    ``floor`` is the least loss of a network that says the same whatever the image.
    """
    figure = Figure(9.6, 3.3, f"the blank plateau: loss and share of blank time steps as training goes, {', '.join(losses)}")
    left, right = figure.subplots(1, 2)
    for (name, values), colour, style in zip(losses.items(), (BLUE, RED, BLACK), ("-", "--", ":")):
        window = min(5, len(values))
        means = np.convolve(values, np.full(window, 1 / window), "valid")
        left.plot(np.arange(window, len(values) + 1), means, color=colour, linestyle=style, linewidth=1.6, label=name)
        steps = blanks[name]
        right.plot(list(steps), list(steps.values()), color=colour, linestyle=style, marker=".", linewidth=1.4, label=name)
    left.axhline(floor, color="#666666", linewidth=1, linestyle="-.", label=f"without looking: {floor:.2f}")
    left.set(title="loss, mean of 5 steps", xlabel="training step", ylabel="loss (nats per symbol)", ylim=(0, 2.5 * floor))
    right.set(title="time steps whose likeliest class is the blank", xlabel="training step", ylabel="share", ylim=(0, 1.03))
    for ax in (left, right):
        ax.set_xlim(0, None)
        ax.grid(True)
    left.legend()
    figure.tight_layout()
    return figure


@styled
def plot_reliability(bins: Mapping[str, Sequence[ReliabilityBin]]) -> Figure:
    """Share of right readings against their mean confidence, with 95 % intervals; on the diagonal a network knows itself."""
    figure = Figure(5.6, 4.4, f"share of right readings against confidence: {', '.join(bins)}")
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="as sure as right")
    for (name, groups), colour, marker in zip(bins.items(), (BLUE, RED, BLACK), "osD"):
        x, y = np.array([group.confidence for group in groups]), np.array([group.right for group in groups])
        low, high = np.array([group.interval for group in groups]).T
        spread = np.clip([y - low, high - y], 0, None)
        ax.errorbar(x, y, spread, color=colour, marker=marker, markersize=5, capsize=3, linewidth=1.2, label=name)
    ax.set(title="reliability of the readings", xlabel="mean confidence", ylabel="share that is right")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    ax.grid(True)
    ax.legend(loc="lower right")
    figure.tight_layout()
    return figure
