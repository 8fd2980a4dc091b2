"""Figures: the look they share, the losses of a training (also while it runs), samples, and mistakes."""

from __future__ import annotations

import sys
from base64 import b64decode
from collections.abc import Iterable, Sequence
from io import BytesIO
from time import perf_counter

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy
from torch import Tensor

from ocrlib.captchas import Captchas
from ocrlib.evaluation import History, Report, centred_mean
from ocrlib.runtime import in_ipython
from ocrlib.synthetic.fonts import texts_as_they_stand, typed_width
from ocrlib.texts import align

# Okabe and Ito's colours: told apart with any kind of colour blindness.
BLUE, RED, SKY, BLACK = "#0072B2", "#D55E00", "#56B4E9", "#000000"
PALE = "#9BD0F1"  # SKY with white: for a band behind a line
# Set here, not taken from the reader's settings: a theme for dark notebooks would write white on our white.
LOOK = {
    "font.family": "DejaVu Sans", "font.size": 10, "text.color": BLACK, "axes.titlesize": 10.5, "axes.titlecolor": BLACK,
    "axes.facecolor": "white", "figure.facecolor": "white", "savefig.facecolor": "white", "axes.edgecolor": "#666666",
    "axes.labelcolor": BLACK, "xtick.color": "#666666", "ytick.color": "#666666", "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "text.usetex": False, "legend.frameon": True, "legend.facecolor": "white",
    "legend.edgecolor": "none",
}  # fmt: skip
BESIDE = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}  # for a legend on the right of the axes
DPI = 90  # sharp enough on a screen, and a notebook of twenty figures stays under 2 MB
styled = matplotlib.rc_context(LOOK)

SHORTEST_WAIT, LONGEST_WAIT = 1.0, 10.0  # seconds between two redraws
WAIT_PER_COST = 100  # a redraw that takes 0.05 s is followed by 5 s without one: about 1 % of the time goes into drawing

# One transparent pixel: it holds the place of a picture that would only show empty axes, and drawing those takes time.
NOTHING_YET = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNgYAAAAAMAASsJTYQAAAAASUVORK5CYII=")


class Figure(MatplotlibFigure):
    """A matplotlib figure that pyplot does not know, so nothing leaks and nothing is shown twice.

    It shows itself as one PNG in every notebook front end, whatever matplotlib's backend is. ``alt`` says in words
    what it shows, for readers who cannot see it.
    """

    def __init__(self, width: float, height: float, alt: str, layout: str = "tight") -> None:
        """Size in inches; "none" for ``layout`` where every axes has its fixed place."""
        super().__init__(figsize=(width, height), dpi=DPI, layout=layout)
        self.alt = alt

    def draw(self, renderer: RendererBase) -> None:
        """Draw with every text as it stands (see `ocrlib.synthetic.fonts`)."""
        with texts_as_they_stand(self):
            super().draw(renderer)

    def bundle(self, png: bytes | None = None) -> tuple[dict[str, bytes | str], dict[str, dict[str, str]]]:
        """Data and metadata for IPython's ``display(data, metadata=metadata, raw=True)``: one PNG and ``alt``.

        The PNG is the figure as it is now, or ``png``, to stand in for it.
        """
        if png is None:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            png = buffer.getvalue()
        return {"image/png": png, "text/plain": f"<Figure: {self.alt}>"}, {"image/png": {"alt": self.alt}}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)


def finished(ax: Axes, grid: str = "both", legend: dict[str, object] | None = None, **settings: object) -> Figure:
    """The figure of ``ax``, which gets ``settings``, grid lines for an axis, and a legend if there are settings for one."""
    ax.set(**settings)
    ax.grid(True, axis=grid)
    if legend is not None:
        ax.legend(**legend)
    return ax.figure


class LossFigure(Figure):
    """Train loss a step and test loss an epoch, side by side; built once, then `draw_history` only moves the lines.

    The axes begin after ``from_epoch`` epochs, so that the end of a long run can be seen at its own scale.
    """

    @styled
    def __init__(self, loss_name: str, title: str | None = None, from_epoch: int = 0) -> None:
        super().__init__(9.6, 3.3, f"{title + ': ' if title else ''}{loss_name} on the training and the test set", layout="none")
        self.from_epoch = from_epoch
        left, right = self.subplots(1, 2)
        # Everything has its fixed place: making matplotlib find the places anew would double the time of each redraw.
        self.subplots_adjust(left=0.085, right=0.985, bottom=0.16, top=0.82 if title else 0.9, wspace=0.23)
        if title:
            self.suptitle(title, y=0.98)
        for ax, part, unit in ((left, "training set", "step (one batch)"), (right, "test set", "epoch")):
            ax.set_title(f"{loss_name}, {part}", y=1.02)
            ax.set(xlabel=unit, ylabel="loss (nats per symbol)")
            ax.xaxis.set_label_coords(0.5, -0.13)
            ax.yaxis.set_label_coords(-0.16, 0.5)
            ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
            ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            ax.grid(True)
        self.raw = left.plot([], [], color=PALE, linewidth=0.8, label="each step")[0]
        self.mean = left.plot([], [], color=BLUE, linewidth=1.8, label="mean")[0]
        self.test = right.plot([], [], color=RED, linewidth=1.8, marker="o", markersize=3.5, label="test")[0]
        self.keys = [key for ax in self.axes for key in ax.legend(loc="upper right", borderaxespad=0.1).get_texts()]
        self.draw_history(History())

    @styled
    def draw_history(self, history: History) -> None:
        """Move the lines and the legend's last values to ``history``."""
        first = sum(history.steps_per_epoch[: self.from_epoch])
        train = np.asarray(history.train_loss[first:], dtype=float)
        test = np.asarray(history.test_loss[self.from_epoch :], dtype=float)
        window = (history.steps_per_epoch[-1] if history.steps_per_epoch else 50) // 2 * 2 + 1  # odd: it has a middle
        mean = centred_mean(train, window) if len(train) >= window else train[:0]
        latest = train[-window:].mean(keepdims=True) if len(mean) else mean  # at its ends, the line has fewer steps to go by
        self.raw.set_data(first + 1 + np.arange(len(train)), train)
        self.mean.set_data(first + 1 + np.arange(len(mean)), mean)
        self.test.set_data(self.from_epoch + 1 + np.arange(len(test)), test)
        for key, name, values in zip(self.keys, ("each step", f"mean of {window} steps", "test"), (train, latest, test)):
            key.set_text(f"{name}: {values[-1]:.3g}" if len(values) else f"{name}: none yet")
        # The first losses are so high that they would press the rest flat: means of whole windows decide. Room for the legend.
        steady = mean[window // 2 : len(mean) - window // 2] if len(mean) else train
        for ax, begin, count, values in zip(self.axes, (first, self.from_epoch), (len(train), len(test)), (steady, test)):
            ax.set_xlim(begin + 0.5, begin + max(count, 5) + 0.5)
            ax.set_ylim(0, 1.5 * (values[np.isfinite(values)].max(initial=0) or 0.8))


class LivePlot:
    """Two panels, train loss a step and test loss an epoch, redrawn through one display handle as training goes.

    Make it before training, so that the slow part (importing matplotlib, laying out) is done by then; call `update` as
    often as you like. The axes begin after ``from_epoch`` epochs. Outside a notebook it prints one line an epoch.
    """

    def __init__(self, loss_name: str, title: str | None = None, from_epoch: int = 0) -> None:
        self.loss_name, self.title = loss_name, title
        self._history = History()  # the latest, which `close` may still have to draw
        self._printed = from_epoch
        self._drawn = (0, 0)  # steps and epochs in the picture
        self._figure = None
        if in_ipython():
            from IPython.display import display

            self._figure = LossFigure(loss_name, title, from_epoch)
            data, metadata = self._figure.bundle(NOTHING_YET)
            # Data and not the figure itself: IPython's own formatter would lay out and draw it twice.
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
            self._soonest = self._next = perf_counter() + SHORTEST_WAIT

    def update(self, history: History, force: bool = False) -> None:
        """Show ``history``: at most once a second, at once with ``force``.

        Where drawing is slow it is done less often, but at least every ten seconds and after each epoch.
        """
        if self._figure is None:
            self._print_lines(history)
            return
        self._history = history
        began = perf_counter()
        if force or began >= (self._next if history.epochs == self._drawn[1] else self._soonest):
            self._draw()
            ended = perf_counter()
            self._soonest = ended + SHORTEST_WAIT
            self._next = max(self._soonest, ended + min(LONGEST_WAIT, WAIT_PER_COST * (ended - began)))

    def close(self) -> None:
        """Draw what `update` held back, and let go of the figure; the picture stays."""
        if self._figure is not None:
            self._draw()
        self._figure = None

    def _draw(self) -> None:
        size = len(self._history.train_loss), self._history.epochs
        if size != self._drawn:
            self._figure.draw_history(self._history)
            data, metadata = self._figure.bundle()
            self._handle.update(data, metadata=metadata, raw=True)
            self._drawn = size

    def _print_lines(self, history: History) -> None:
        for epoch in range(self._printed, history.epochs):
            name = f"{self.title}, epoch" if self.title else "epoch"
            bar = sys.modules.get("tqdm")  # where nobody has loaded it, no bar is there to be cut in two
            (bar.tqdm.write if bar else print)(
                f"{name} {epoch + 1}: {self.loss_name} {history.train_means[epoch]:.4f} (train, mean of "
                f"{history.steps_per_epoch[epoch]} steps), {history.test_loss[epoch]:.4f} (test), {history.seconds[epoch]:.1f} s"
            )
        self._printed = max(self._printed, history.epochs)


def plot_losses(history: History, loss_name: str, from_epoch: int = 0) -> Figure:
    """Train and test loss of ``history`` after the first ``from_epoch`` epochs."""
    figure = LossFigure(loss_name, from_epoch=from_epoch)
    figure.draw_history(history)
    return figure


@styled
def plot_images(
    images: Iterable[Tensor], title: str, captions: Sequence[str] = (), columns: int = 3, size: float = 3.0
) -> Figure:
    """Images ``(1, H, W)`` row by row, each with its caption above it if there are any; ``size`` inches a column.

    Raises ``ValueError`` for another number of captions than images.
    """
    images = list(images)
    if captions and len(captions) != len(images):
        raise ValueError(f"Each image needs a caption, got {len(captions)} captions for {len(images)} images.")
    rows = max(-(-len(images) // columns), 1)
    tall = 0.2 + 0.275 * size  # inches, of a row
    height = tall * rows + 0.35
    figure = Figure(size * columns, height, title, layout="none")
    # One Axes for all: fifty of their own take seconds. Cell (row, column) has its corner at (column, row). Each image is about
    # 4:1 like the published 200x50 pixels, so that letters look the same at whatever width a network read them.
    ax = figure.add_axes((0.01, 0.0, 0.99, tall * rows / height))
    ax.set_axis_off()
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        extent = (column, column + 0.94, row + 0.94, row + 0.225 / tall)  # room for a caption above
        ax.imshow(image.squeeze(0).cpu().numpy(), cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top")
    for image, text in zip(ax.images, captions):
        _caption(image, text)
    return figure


def _caption(image: AxesImage, text: str, place: int = 0, **style: object) -> None:
    """Write above an image, beginning ``place`` letters to the right of its edge."""
    left, _, _, top = image.get_extent()
    if place:  # a letter is 0.602 of the font's size wide
        style["transform"] = offset_copy(image.axes.transData, image.figure, x=place * 0.602 * 9, units="points")
    image.axes.text(left, top - 0.04, text, family="DejaVu Sans Mono", fontsize=9, va="baseline", **style)


def plot_samples(captchas: Captchas, n: int = 12, columns: int = 4) -> Figure:
    """``n`` images, spread evenly over the data set, each with its text."""
    chosen = np.unique(np.linspace(0, len(captchas) - 1, min(n, len(captchas))).round().astype(int)).tolist()
    source = "" if captchas.source == "own" else f" ({captchas.source})"  # who has loaded a folder knows what is in it
    title = f"{len(chosen)} of {len(captchas):,} images{source}, each with its text"
    return plot_images(captchas.images[chosen], title, [captchas.texts[i] for i in chosen], columns, size=2.0)


@styled
def plot_mistakes(report: Report, columns: int = 5, limit: int = 100) -> Figure:
    """Every misread image (up to ``limit``) with predicted/true and its own CER; the wrong symbols are red and underlined."""
    mistakes = report.mistakes[:limit]
    if not mistakes:
        figure = Figure(6.0, 0.8, "no misread image")
        figure.text(0.5, 0.5, f"No mistake: all {report.images:,} images were read correctly.", ha="center", va="center")
        return figure
    shown = f"the first {limit} of " if limit < len(report.mistakes) else ""
    title = f"{shown}{len(report.mistakes)} misread of {report.images:,} images: predicted/true and CER"
    figure = plot_images([mistake.image for mistake in mistakes], title, columns=min(columns, max(len(mistakes), 3)), size=2.0)
    for image, mistake in zip(figure.axes[0].images, mistakes):
        pairs = align(mistake.predicted, mistake.true)
        # Two texts of one fixed width lie on each other: the right symbols, and the wrong ones with a line under them.
        cells = [(p, p != t) for p, t in pairs if p] + [("/", False)] + [(t, p != t) for p, t in pairs if t]
        text, cer = "".join(symbol for symbol, _ in cells), f"  CER {mistake.cer:.2f}"
        if not text.isascii():  # symbols of other scripts have widths and directions of their own: one by one
            for i, (symbol, wrong) in enumerate(cells):
                _caption(image, symbol, typed_width(text[:i]), **({"color": RED, "weight": "bold"} if wrong else {}))
                _caption(image, "_" * (wrong * typed_width(symbol)), typed_width(text[:i]), color=RED)
            _caption(image, cer, typed_width(text))
            continue
        _caption(image, "".join(" " if wrong else symbol for symbol, wrong in cells) + cer)
        _caption(image, "".join(symbol if wrong else " " for symbol, wrong in cells), color=RED, weight="bold")
        _caption(image, "".join("_" if wrong else " " for _, wrong in cells), color=RED)
    return figure
