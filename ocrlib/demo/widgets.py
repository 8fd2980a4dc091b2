"""Widgets for notebooks with a running kernel: sliders that choose a figure; boxes that read a typed text or an image file."""

from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from io import BytesIO
from itertools import count

import numpy as np
from PIL import Image as PillowImage

from ocrlib.checkpoints import TrainedModel
from ocrlib.ctc.plots import plot_classes
from ocrlib.evaluation import Readable, as_tensor, predict, read
from ocrlib.plots import BLUE, Figure, finished, styled
from ocrlib.runtime import extra
from ocrlib.synthetic.generator import SYMBOLS, render_captcha

with extra("notebooks"):
    from ipywidgets import HTML, Button, DOMWidget, FileUpload, HBox, Image, SelectionSlider, Text, VBox

LENGTH = 5  # symbols: the pretrained network was trained on texts of this length
LARGEST = 4_000_000  # bytes of a file; a captcha has 10,000


def explore(draw: Callable[..., Figure], **choices: Sequence[object]) -> VBox:
    """A slider for each named list of choices, and below them the figure that ``draw(name=choice, ...)`` returns.

    The first choice of each list is shown first. Each figure is drawn when it is first chosen, and then kept. Where no kernel
    runs the sliders do nothing, so put a fixed figure beside them. Raises ``ValueError`` without choices or for an empty list.
    """
    if not choices or not all(map(len, choices.values())):
        raise ValueError(f"Each slider needs at least one choice, got {choices}.")
    sliders = []
    for name, values in choices.items():
        options = [(str(value), place) for place, value in enumerate(values)]
        sliders.append(SelectionSlider(options=options, description=name, continuous_update=False))

    def drawn(*places: int) -> Figure:
        return draw(**{name: choices[name][place] for name, place in zip(choices, places)})

    return VBox([*sliders, live_figure(drawn, lambda: [slider.value for slider in sliders], *sliders)])


def plot_reading(image: Readable, model: TrainedModel) -> Figure:
    """The image as the network sees it, the class probabilities at each time step, and the reading. Raises as `read` does."""
    pixels = as_tensor(image, model.width, fit=model.fit)
    shares = predict(model.network, pixels)[:, 0].softmax(1).cpu()  # (T, C)
    (found,) = read(image, model)
    return plot_classes({f"read as {found}": shares}, model.alphabet, pixels[0], model.network.step_centres(model.width))


@styled
def plot_peaks(image: Readable, model: TrainedModel) -> Figure:
    """The image, below it the probability of each class at each time step, and beside them the reading. Raises as `read` does.

    Each symbol that is the likeliest class at a step is named above its bar; the blank's bars are grey.
    """
    pixels = as_tensor(image, model.width, fit=model.fit)
    shares = predict(model.network, pixels)[:, 0].softmax(1).cpu().numpy()  # (T, C)
    (found,) = read(image, model)
    x = model.network.step_centres(model.width).numpy() + 0.5  # pixel x reaches from x to x + 1
    alt = f"an image, the class probabilities at each of {len(x)} time steps, and the reading {found}"
    figure = Figure(9.6, 2.9, alt, layout="none")
    above, below = figure.add_axes((0.07, 0.5, 0.62, 0.48)), figure.add_axes((0.07, 0.17, 0.62, 0.3))
    extent = (0, model.width, 0, 1)
    above.imshow(pixels[0, 0].numpy(), cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="bilinear")
    above.set_axis_off()
    blank, best = model.alphabet.blank, shares.argmax(1).tolist()
    for index in sorted({*best, blank}):
        below.bar(x, shares[:, index], 0.8 * (x[1] - x[0]), color="#CCCCCC" if index == blank else BLUE)
    for t, index in enumerate(best):
        if index != blank:
            name = model.alphabet.decode([index])
            below.text(x[t], shares[t, index] + 0.06, name, color=BLUE, ha="center", weight="bold", size=13)
    finished(below, "y", xlim=(0, model.width), ylim=(0, 1.5), yticks=(0, 0.5, 1), ylabel="probability")
    below.set_xticks(x, range(1, len(x) + 1), fontsize=8)
    below.set_xlabel(f"{len(x)} time steps; grey: the blank, which says that no new symbol is here")
    figure.text(0.85, 0.66, "the network reads", ha="center", size=12)
    figure.text(0.85, 0.42, found.text, ha="center", size=34, weight="bold", color=BLUE, family="DejaVu Sans Mono")
    return figure


def draw_text(text: str, seed: int = 0) -> PillowImage.Image:
    """A text as a captcha. Raises ``ValueError`` if it has not five symbols, or a symbol that captchas don't have."""
    text = text.strip()
    strange = sorted(set(text) - set(SYMBOLS))
    if strange or len(text) != LENGTH:
        problem = f"{''.join(strange)!r} is not among them" if strange else f"{text!r} has {len(text)}"
        raise ValueError(f"Type {LENGTH} of these symbols: {SYMBOLS}. {problem}.")
    return render_captcha(text, np.random.default_rng(seed))


def type_and_read(model: TrainedModel, text: str = "cd5ff") -> VBox:
    """A box for a text, which is drawn as a captcha and read. A button draws it again, with other noise curves."""
    box, again = Text(value=text, description="text", continuous_update=False), Button(description="draw it again")
    seeds = count()
    output = live_figure(lambda *drawn: plot_reading(draw_text(*drawn), model), lambda: (box.value, next(seeds)), box, again)
    return VBox([HBox([box, again]), output])


def drop_and_read(model: TrainedModel) -> VBox:
    """A button that uploads an image file from the reader's computer; the image is read and shown."""
    button = FileUpload(accept="image/*", multiple=False, description="an image file")

    def reading(content: bytes) -> Figure:
        if len(content) > LARGEST:
            raise ValueError(f"The file has {len(content):,} bytes; at most {LARGEST:,} were expected. Cut the text out of it.")
        try:
            picture = PillowImage.open(BytesIO(content))
            picture.load()
        except Exception as error:  # a damaged file can make Pillow's readers raise nearly anything
            raise ValueError("That is no picture that can be read; a PNG or JPEG file was expected.") from error
        return plot_reading(picture, model)

    return VBox([button, live_figure(reading, lambda: [bytes(file["content"]) for file in button.value], button)])


def live_figure(draw: Callable[..., Figure], arguments: Callable[[], Sequence[object]], *controls: DOMWidget) -> VBox:
    """A box that shows ``draw(*arguments())``, or its ``ValueError`` in words, and does so again when a control is used.

    Without arguments the box stays as it is, empty at first. The figures of all arguments are kept as PNG.
    """
    image = Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})  # in its own size, not stretched
    words, box = HTML(), VBox([])

    @cache
    def rendered(*given: object) -> tuple[bytes, str]:
        figure = draw(*given)
        return figure.bundle()[0]["image/png"], f"<small>{escape(figure.alt)}</small>"

    def show(event: object = None) -> None:
        try:
            if given := arguments():
                image.value, words.value = rendered(*given)
                box.children = [image, words]
        except ValueError as error:
            words.value, box.children = f"<b>{escape(str(error))}</b>", [words]

    for control in controls:
        control.on_click(show) if isinstance(control, Button) else control.observe(show, names="value")
    show()
    return box
