"""Figures for CTC: lattices, class probabilities at each time step, a network during its training, and reliability diagrams."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyArrowPatch
from torch import Tensor

from ocrlib.ctc.alignments import backward, collapse, count_paths, flow, forward, lattice_rows, path_rows, posterior, transitions
from ocrlib.ctc.decoding import ReliabilityBin
from ocrlib.evaluation import centred_mean
from ocrlib.plots import BESIDE, BLACK, BLUE, RED, SKY, Figure, finished, styled
from ocrlib.texts import Alphabet

GREY = "#999999"  # the blank
_SHARE = LinearSegmentedColormap.from_list("share", ["white", BLUE])  # 0 to 1
_CHANGE = LinearSegmentedColormap.from_list("change", ["#1B7837", "white", "#762A83"])  # -1 to 1, and no blue


def spell(path: Sequence[int], alphabet: Alphabet) -> str:
    """A path as text: the symbol of each step, `-` for the blank."""
    return "".join("-" if index == alphabet.blank else alphabet.decode([index]) for index in path)


def _label_rows(ax: Axes, indices: Sequence[int], alphabet: Alphabet) -> None:
    ax.set_yticks(range(len(indices)), spell(indices, alphabet), family="DejaVu Sans Mono")
    for label, index in zip(ax.get_yticklabels(), indices):
        label.set_color(GREY if index == alphabet.blank else BLACK)


@styled
def plot_lattice(
    log_probs: Tensor, text: str, alphabet: Alphabet, show: str = "posterior", column: int | None = None,
    paths: Sequence[Sequence[int]] = (),
) -> Figure:  # fmt: skip
    """The lattice of ``text`` under log_probs ``(T, C)``: a circle for each row and time step, an arrow for each move.

    ``show`` says which probability stands in the circles: "posterior" (arrows are then as wide as the share of the paths that
    make the move), "alpha" up to step ``column``, or "beta" from there on. Dark circles hold most of their column. If ``paths``
    are given, they are drawn as coloured lines, and the circles hold the symbols. Raises ``ValueError`` when no path spells the
    text, or for another ``show``.
    """
    target, blank = alphabet.encode(text), alphabet.blank
    rows = lattice_rows(target, blank)
    if show not in ("posterior", "alpha", "beta"):
        raise ValueError(f"show={show!r}: it must be 'posterior', 'alpha' or 'beta'.")
    at, moves = posterior(log_probs, target, blank), flow(log_probs, target, blank)  # (T, S), (T - 1, S, S)
    steps, allowed = len(at), transitions(rows, blank) == 0
    if show != "posterior":
        at = (forward if show == "alpha" else backward)(log_probs, target, blank).exp()
        last = steps - 1 if column is None else column
        at[last + 1 :] *= show != "alpha"
        at[: 0 if column is None else column] *= show != "beta"
        moves = 0.3 * (allowed & (at[:-1, :, None] > 0) & (at[1:, None] > 0))
    alt = f"lattice of {steps} steps for {text}, {f'with {len(paths)} of its paths' if paths else 'with ' + show}"
    ax = Figure(min(2.1 + 0.68 * steps + 1.4 * bool(paths), 9.6), 0.95 + 0.34 * len(rows), alt).subplots()
    arrow = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 11, "shrinkB": 11, "zorder": 1}
    ends = [(-0.85, 0.5, 0, row) for row in np.flatnonzero(at[0] > 0)] if show != "beta" else []
    if at[-1].any() and show != "alpha" or show == "alpha" and column in (None, steps - 1):
        ends += [(steps - 1, row, steps - 0.15, len(rows) - 1.5) for row in (len(rows) - 2, len(rows) - 1) if at[-1, row] > 0]
    for x, y, to_x, to_y in ends:
        ax.add_patch(FancyArrowPatch((x, y), (to_x, to_y), color=BLACK, linewidth=0.8, **arrow))
    for t, row, to in np.argwhere(moves.numpy() > 0):
        width, colour = 0.4 + 4 * float(moves[t, row, to]), "#BBBBBB" if paths else GREY if rows[to] == blank else BLUE
        ax.add_patch(FancyArrowPatch((t, row), (t + 1, to), color=colour, linewidth=0.6 if paths else width, **arrow))
    for number, (path, colour) in enumerate(zip(paths, (BLUE, RED, "#009E73", "#CC79A7"))):
        shift = 0.14 * (number - (len(paths) - 1) / 2)
        ax.plot(np.arange(steps), np.add(path_rows(path, blank), shift), color=colour, linewidth=3.5, label=spell(path, alphabet))
    shares = at / at.sum(1, keepdim=True).clamp_min(torch.finfo(at.dtype).tiny)  # of each column
    t, row = np.nonzero(at.numpy() > 0)
    dark = 0.65 * shares[t, row].numpy() * (not paths)
    ax.scatter(t, row, 360, _SHARE(dark), edgecolors=np.where(np.array(rows)[row] == blank, GREY, BLUE), zorder=3)
    for x, y in zip(t, row):
        ax.text(x, y, spell([rows[y]], alphabet) if paths else _short(float(at[x, y])), ha="center", va="center", zorder=4,
                fontsize=9 if paths else 6.5)  # fmt: skip
    for x, y, word in ((-0.9, 0.5, "start"), (steps - 0.1, len(rows) - 1.5, "end")):
        ax.text(x, y, word, ha="right" if x < 0 else "left", va="center")
    _label_rows(ax, rows, alphabet)
    ax.set(xlim=(-1.6, steps + 0.5), ylim=(len(rows) - 0.4, -0.6), xticks=range(steps), xlabel="time step")
    what = {"posterior": "posterior", "alpha": "alpha: beginnings of paths", "beta": "beta: ends of paths"}[show]
    ax.set_title(f"{count_paths(text, steps):,} paths of {steps} steps read {text}{'' if paths else '; ' + what}", loc="left")
    if paths:
        ax.legend(**BESIDE, title=f"each reads {text}", prop={"family": "DejaVu Sans Mono"})
    return ax.figure


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"[1:] if value >= 0.00095 else f"{value:.0e}".replace("e-0", "e-")


def _show_image(ax: Axes, image: Tensor) -> None:
    height, width = image.shape[-2:]
    ax.imshow(image[0].cpu().numpy(), cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0), aspect="auto")
    ax.set_axis_off()


@styled
def plot_classes(
    panels: Mapping[str, Tensor], alphabet: Alphabet, image: Tensor | None = None, centres: Sequence[float] = (), title: str = ""
) -> Figure:
    """Named shares ``(T, C)`` of the classes at each time step, one panel under the other; up to 12 steps with their values.

    Probabilities are blue. A panel with negative values is a gradient: green where it is below zero, purple above. An ``image``
    ``(1, H, W)`` is shown above them; ``centres`` are then the x of each step in pixels. At most 12 classes are shown: those
    with the largest shares, all above 0.05. They stand in the order in which the last panel of probabilities reaches half of
    their largest share, so that a text is read down a staircase; then come those that this panel leaves out, then the blank.
    """
    shares = [panel.detach().cpu() for panel in panels.values()]
    steps = len(shares[0])
    largest = torch.stack([share.abs().amax(0) for share in shares]).amax(0)  # (C,)
    largest[alphabet.blank] = torch.inf
    chosen = [index for index in largest.argsort(descending=True, stable=True)[:12].tolist() if largest[index] > 0.05]
    gradients = [bool((share < -1e-6).any()) for share in shares]
    order = ([share for share, negative in zip(shares, gradients) if not negative] or shares)[-1]
    half, absent = (order >= order.amax(0) / 2).int().argmax(0).tolist(), (order.amax(0) <= 0.05).tolist()
    shown = sorted(chosen, key=lambda index: (index == alphabet.blank, absent[index], half[index] * (not absent[index]), index))
    x = np.arange(steps) if image is None else np.asarray(centres) + 0.5  # pixel x reaches from x to x + 1
    edges = np.concatenate([[x[0] - (x[1] - x[0]) / 2], (x[1:] + x[:-1]) / 2, [x[-1] + (x[-1] - x[-2]) / 2]])
    heights = [0.17 * len(shown)] * len(shares)  # inches, as all lengths here
    if image is not None:
        heights.insert(0, 8.4 * image.shape[-2] / image.shape[-1])
    alt = f"{title + ': ' if title else ''}{' and '.join(panels)} at each of {steps} time steps"
    above, between = 0.3 * bool(title) + (0.3 if image is None else 0.06), 0.32
    height = above + sum(heights) + between * (len(heights) - 1) + 0.5
    figure = Figure(9.6, height, alt, layout="none")
    figure.subplots_adjust(left=0.06, right=0.935, bottom=0.5 / height, top=1 - above / height, hspace=between / np.mean(heights))
    figure.suptitle(title, x=0.06, y=1 - 0.08 / height, ha="left", va="top")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    if image is not None:
        _show_image(axes[0], image)
    for ax, name, panel, negative in zip(axes[-len(shares) :], panels, shares, gradients):
        colours, ticks, key = (_CHANGE, (-1, 0, 1), "green: too little; purple: too much")
        if not negative:
            colours, ticks, key = (_SHARE, (0, 0.5, 1), "blue: probability")
        mesh = ax.pcolormesh(edges, np.arange(len(shown) + 1) - 0.5, panel[:, shown].T.numpy(), cmap=colours,
                             vmin=ticks[0], vmax=1, edgecolors="#EEEEEE", linewidth=0.5)  # fmt: skip
        figure.colorbar(mesh, cax=ax.inset_axes((1.015, 0, 0.012, 1)), ticks=ticks)
        _label_rows(ax, shown, alphabet)
        ax.invert_yaxis()
        ax.set_title(name, loc="left", pad=3)
        ax.set_title(key, loc="right", pad=3, fontsize=8, color="#666666")
        ax.tick_params(length=0)
        for t, row in np.ndindex(steps, len(shown)) if steps <= 12 else ():
            value = float(panel[t, shown[row]])
            colour = "white" if abs(value) > 0.55 else BLACK
            ax.text(x[t], row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xlabel("time step" if image is None else "x (pixels); each column of cells is a time step")
    return figure


@styled
def plot_snapshots(
    logits: Mapping[int, Tensor],
    alphabet: Alphabet,
    image: Tensor,
    centres: Sequence[float],
    merge: bool = True,
    width: float = 6.8,
) -> Figure:
    """One image ``(1, H, W)``, and how it is read after some numbers of training steps: ``logits`` maps them to ``(T, C)``.

    ``centres`` are the x of each time step in pixels. ``merge`` says whether equal neighbours are read as one symbol: CTC
    does so, cross-entropy does not. A symbol stands at each time step where it is the likeliest class. The image is ``width``
    inches wide, and a quarter as high, as the published images are.
    """
    x, pixels = np.asarray(centres) + 0.5, image.shape[-1]
    heights = [width / 4, *[0.4] * len(logits)]  # inches
    height = sum(heights) + 0.08 * len(logits) + 0.55
    alt = f"an image, and what the network says of it after {', '.join(map(str, logits))} training steps"
    figure = Figure(9.6, height, alt, layout="none")
    left = 0.5 - width / 2 / 9.6
    figure.subplots_adjust(left, 0.5 / height, 1 - left, 1 - 0.05 / height, hspace=0.08 / np.mean(heights))
    above, *rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _show_image(above, image)
    for ax, (step, values) in zip(rows, logits.items()):
        shares, path = values.float().softmax(1), values.argmax(1).tolist()
        ax.fill_between(x, shares[:, alphabet.blank].numpy(), step="mid", color="#DDDDDD")
        shares[:, alphabet.blank] = -1  # so that the best class is a symbol
        best = shares.amax(1).tolist()
        ax.bar(x, best, width=0.55 * (x[1] - x[0]), color=SKY)
        for place, share, index in zip(x, best, path):
            if index != alphabet.blank:
                ax.text(place, min(share, 0.55), alphabet.decode([index]), ha="center", va="bottom", fontsize=9, weight="bold")
        read = alphabet.decode(collapse(path, alphabet.blank) if merge else path)
        text = f"{read[:9]}…" if len(read) > 10 else read or "(nothing)"
        ax.text(1.02, 0.5, text, transform=ax.transAxes, va="center", family="DejaVu Sans Mono")
        ax.text(-0.055, 0.5, f"step {step:,}", transform=ax.transAxes, va="center", ha="right")
        ax.set(ylim=(0, 1.05), yticks=[0, 1])
        ax.tick_params(labelsize=7, length=2)
    ax.set(xlim=(min(x[0] - 2, 0), max(x[-1] + 2, pixels)), xticks=np.linspace(0, pixels, 5).round())
    ax.set_xlabel("x (pixels); grey: probability of the blank, blue: of the likeliest symbol; right: what is read")
    return figure


@styled
def plot_plateau(
    losses: Mapping[str, Sequence[float]], blanks: Mapping[str, Mapping[int, float]], floors: Mapping[str, float]
) -> Figure:
    """Named runs: the loss of each training step, in nats per symbol, and the share of time steps read as blank.

    ``blanks`` maps the number of training steps to that share: it is 1 on the plateau, where nothing is read. ``floors`` are
    losses that can't be undercut in some way, by name; each is a horizontal line. Of losses a centred mean of 5 is drawn.
    """
    figure = Figure(9.6, 3.3, f"the blank plateau: loss and share of blank time steps as training goes, {', '.join(losses)}")
    left, right = figure.subplots(1, 2)
    for (name, values), colour, style in zip(losses.items(), (BLUE, RED, BLACK), ("-", "--", ":")):
        means = centred_mean(values, 5)
        left.plot(np.arange(1, len(means) + 1), means, color=colour, linestyle=style, linewidth=1.6, label=name)
        right.plot(*zip(*blanks[name].items()), color=colour, linestyle=style, marker=".", linewidth=1.4)
    for (name, floor), above in zip(sorted(floors.items(), key=lambda entry: entry[1]), (False, True)):
        left.axhline(floor, color="#666666", linewidth=1)
        left.annotate(f"{name}: {floor:.2f}", (1, floor), (0, 2 if above else -2), left.get_yaxis_transform(), "offset points",
                      ha="right", va="bottom" if above else "top", fontsize=9)  # fmt: skip
    left.set(title="loss, mean of 5 steps", ylabel="loss (nats per symbol)", ylim=(0, 2.5 * max(floors.values())))
    right.set(title="time steps whose likeliest class is the blank", ylabel="share", ylim=(0, 1.03))
    finished(left, legend={}, xlim=(0, None), xlabel="training step")
    return finished(right, xlim=(0, None), xlabel="training step")


@styled
def plot_reliability(bins: Mapping[str, Sequence[ReliabilityBin]]) -> Figure:
    """Share of right readings against mean confidence, with 95 % intervals. Calibrated confidences lie on the dashed diagonal."""
    figure = Figure(9.6, 3.6, f"share of right readings against confidence: {', '.join(bins)}")
    axes = figure.subplots(1, len(bins), sharey=True, squeeze=False)[0]
    for ax, (name, groups), colour, marker in zip(axes, bins.items(), (BLUE, RED, BLACK), "osD"):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        x, y, low, high = np.array([(group.confidence, group.right, *group.interval) for group in groups]).T
        spread = np.clip([y - low, high - y], 0, None)
        ax.errorbar(x, y, spread, color=colour, marker=marker, markersize=5, capsize=3, linewidth=1.2)
        finished(ax, title=name, xlabel="mean confidence", xlim=(-0.03, 1.05), ylim=(-0.03, 1.05), aspect="equal")
    axes[0].set_ylabel("share that is right")
    return figure
