"""Widgets for CTC with a running kernel: the lattice of a text, and a game that looks for the likeliest path of a text."""

from collections.abc import Sequence
from math import exp

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from ocrlib.ctc.alignments import collapse, gradient, list_paths, log_likelihood, soft_alignment
from ocrlib.ctc.plots import plot_classes, plot_lattice
from ocrlib.demo.widgets import Pictured, live_figure
from ocrlib.plots import Figure
from ocrlib.runtime import extra
from ocrlib.texts import Alphabet, ctc_min_steps

with extra("notebooks"):
    from ipywidgets import FloatSlider, HBox, IntSlider, Text, ToggleButtons

VIEWS = ("alpha", "beta", "posterior", "gradient")
MOST_STEPS, MOST_SYMBOLS = 10, 5  # with more of them the numbers in the figure are too small to read


def steady_log_probs(alphabet: Alphabet, steps: int, blank: float) -> Tensor:
    """``(T, C)`` float64 of a network that says the same at each step: the blank's probability, all symbols share the rest."""
    shares = torch.full((steps, len(alphabet)), (1 - blank) / (len(alphabet) - 1), dtype=torch.float64)
    shares[:, alphabet.blank] = blank
    return shares.log()


def draw_lattice(text: str, steps: int, blank: float, view: str, column: int, alphabet: Alphabet) -> Figure:
    """One of the `VIEWS` of `steady_log_probs`. Raises ``ValueError``, for learners, when the text can't be shown or written."""
    strange = sorted(set(text) - set(alphabet.symbols))
    if strange or len(text) > MOST_SYMBOLS:
        raise ValueError(f"Type at most {MOST_SYMBOLS} of these symbols: {alphabet.symbols}.")
    if ctc_min_steps(text) > steps:
        needed = ctc_min_steps(text)
        raise ValueError(f"{text} needs {needed} time steps, and there are {steps}. Give it more steps, or shorten the text.")
    log_probs, target = steady_log_probs(alphabet, steps, blank), alphabet.encode(text)
    if view != "gradient":
        return plot_lattice(log_probs, text, alphabet, view, min(column, steps - 1))
    panels = {"softmax": log_probs.exp(), f"soft alignment with {text}": soft_alignment(log_probs, target, alphabet.blank)}
    return plot_classes(panels | {"gradient: the difference": gradient(log_probs, target, alphabet.blank)}, alphabet)


def explore_lattice(text: str = "cff", steps: int = 6, alphabet: Alphabet | None = None) -> Pictured:
    """A box for a text, and sliders for the time steps and the blank's probability; below them one of the `VIEWS`.

    The slider ``column`` fills alpha from the left up to this step, and beta from the right. Words explain what can't be drawn.
    """
    alphabet = alphabet or Alphabet("5cdfmn")
    box = Text(value=text, description="text", continuous_update=False)
    view = ToggleButtons(options=VIEWS, style={"button_width": "80px"})
    length = IntSlider(steps, 1, MOST_STEPS, description="T (steps)", continuous_update=False)
    blank = FloatSlider(1 / len(alphabet), min=0.05, max=0.95, step=0.05, description="P(blank)", continuous_update=False)
    column = IntSlider(2, 0, MOST_STEPS - 1, description="column", continuous_update=False)
    controls = [box, length, blank, view, column]

    def arguments() -> Sequence[object]:
        return box.value.strip(), length.value, round(blank.value, 4), view.value, column.value

    output = live_figure(lambda *given: draw_lattice(*given, alphabet), arguments, *controls)
    return Pictured([HBox([box, length, blank]), HBox([view, column]), output])


def read_guess(path: str, text: str, log_probs: Tensor, alphabet: Alphabet) -> str:
    """What a path, `-` for the blank, spells under log_probs ``(T, C)``, and how its probability compares with the text's.

    It lists all paths of the text, so give it few steps. Raises ``ValueError``, for learners, for a path that isn't one.
    """
    if len(path) != len(log_probs) or set(path) - set(alphabet.symbols) - {"-"}:
        raise ValueError(f"A path has {len(log_probs)} symbols, each one of {alphabet.symbols} or the blank -.")
    steps = torch.arange(len(log_probs))
    classes = [alphabet.blank if symbol == "-" else alphabet.encode(symbol)[0] for symbol in path]
    own = float(log_probs[steps, classes].sum())
    read = alphabet.decode(collapse(classes, alphabet.blank))
    words = f"{path} reads {read or '(nothing)'}; its probability is {exp(own):.2g}"
    if read != text:
        return f"{words}. That is not {text}: try another path."
    target = alphabet.encode(text)
    paths = list_paths(target, len(log_probs), alphabet.blank)
    likelier = sum(float(log_probs[steps, list(other)].sum()) > own + 1e-9 for other in paths)
    share = exp(own - float(log_likelihood(log_probs, target, alphabet.blank)))
    verdict = f"{likelier} of the {len(paths)} paths are likelier." if likelier else "Found: no path of this text is likelier."
    return f"{words}, {share:.1%} of that of the text. {verdict}"


def plot_guess(path: str, text: str, log_probs: Tensor, alphabet: Alphabet) -> Figure:
    """The probabilities ``(T, C)`` with the cells of the path framed, and `read_guess` as title. Raises as that does."""
    words = read_guess(path, text, log_probs, alphabet)
    figure = plot_classes({"softmax, and your path": log_probs.exp()}, alphabet, title=words)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    for step, symbol in enumerate(path):
        if symbol in shown:
            frame = Rectangle((step - 0.5, shown.index(symbol) - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2.2)
            figure.axes[0].add_patch(frame)
    figure.alt = words
    return figure


def alignment_game(log_probs: Tensor, text: str, alphabet: Alphabet, path: str) -> Pictured:
    """A box in which a path is edited, and `plot_guess` of it. The task is to find the likeliest path that reads ``text``."""
    box = Text(value=path, description="path", continuous_update=False)
    output = live_figure(lambda guess: plot_guess(guess, text, log_probs, alphabet), lambda: [box.value.strip()], box)
    return Pictured([box, output])
