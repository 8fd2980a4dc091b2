"""Widgets for notebooks with a running kernel: sliders that choose a figure; boxes that read a typed text or an image file."""

import warnings
from asyncio import get_running_loop
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from io import BytesIO
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage

from ocrlib.checkpoints import TrainedModel
from ocrlib.data.images import Readable, as_pixels
from ocrlib.data.pixels import ground_of, to_standard_mode
from ocrlib.evaluation import Text as Reading
from ocrlib.evaluation import predict, read
from ocrlib.objectives import objective_of
from ocrlib.plots import BLUE, Figure, finished, styled
from ocrlib.runtime import extra
from ocrlib.synthetic.generator import SYMBOLS, render_captcha

with extra("notebooks"):
    from anywidget import AnyWidget
    from ipywidgets import HTML, Button, DOMWidget, HBox, Image, SelectionSlider, Text, VBox
    from traitlets import Dict, Int

LENGTH = 5  # symbols: the pretrained network was trained on texts of this length
ASPECT = 4.0  # the images of the data set are four times as wide as high
TOLERANCE = 1.25  # by which factor letters may be stretched
ENTER = 0.1  # seconds in which a new text follows the message that Enter was pressed


class Pictured(VBox):
    """Controls and, last, a `live_figure`. Where no widget can be shown, as on GitHub, it is the figure."""

    def _repr_mimebundle_(self, **options: object) -> dict[str, object]:
        plain = {"text/plain": "Run this cell to use its controls."}
        if shown := self.children[-1].children[:-1]:
            plain["image/png"] = b64encode(shown[0].value).decode()
        return super()._repr_mimebundle_(**options) | plain


class ImagePicker(AnyWidget):
    """A box in which an image file of the reader's computer is chosen, dropped or pasted.

    Its ``value`` is empty, or the ``name``, ``size`` and ``content`` of the last file; without content if it is too large.
    """

    _esm = (Path(__file__).parent / "picker.js").read_text(encoding="utf-8")
    largest = Int(4_000_000).tag(sync=True)  # bytes of a file; a captcha has 10,000
    value = Dict().tag(sync=True)


def explore(draw: Callable[..., Figure], **choices: Sequence[object]) -> Pictured:
    """A slider for each named list of choices, and below them the figure that ``draw(name=choice, ...)`` returns.

    The first choice of each list is shown first. Raises ``ValueError`` without choices or for an empty list.
    """
    if not choices or not all(map(len, choices.values())):
        raise ValueError(f"Each slider needs at least one choice, got {choices}.")
    sliders = []
    for name, values in choices.items():
        options = [(str(value), place) for place, value in enumerate(values)]
        sliders.append(SelectionSlider(options=options, description=name, continuous_update=False))

    def drawn(*places: int) -> Figure:
        return draw(**{name: choices[name][place] for name, place in zip(choices, places)})

    return Pictured([*sliders, live_figure(drawn, lambda: [slider.value for slider in sliders], *sliders)])


def says(found: Reading) -> str:
    """What was read in words: "reads cd5ff (99.9%)", or "reads nothing (59.7%)" where no symbol was found."""
    return f"reads {found}" if found.text else f"reads nothing ({found.confidence:.1%})"


@styled
def plot_peaks(image: Readable, model: TrainedModel) -> Figure:
    """The image, below it the probability of each class at each time step, and beside them the reading and its confidence.

    Each symbol that is the likeliest class at a step is named above its bar; the blank's bars are grey. Raises as `read` does.
    """
    pixels, [(shown, _)] = as_pixels(image, model.width, fit=model.fit)
    reader, logits = objective_of(model.network, model.alphabet), predict(model.network, pixels).cpu()
    shares = reader.without_padding(logits, model.network, torch.tensor([shown]), model.width)[:, 0].softmax(1).numpy()  # (T, C)
    (found,) = read(image, model)
    x = model.network.step_centres(model.width).numpy() + 0.5  # pixel x reaches from x to x + 1
    alt = f"an image and the class probabilities at each of {len(x)} time steps; the network {says(found)}"
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
    style = {"weight": "bold", "color": BLUE, "family": "DejaVu Sans Mono"} if found.text else {"style": "italic"}
    size = min(34, 300 / max(len(found.text), 1))  # points, so that a long text fits too
    figure.text(0.85, 0.48, found.text or "nothing", ha="center", va="center", size=size, **style)
    figure.text(0.85, 0.27, f"confidence {found.confidence:.1%}", ha="center", size=12)
    return figure


def draw_text(text: str, seed: int = 0) -> PillowImage.Image:
    """A text as a captcha, in small letters.

    Raises ``ValueError`` if it has not five symbols, or a symbol that captchas don't have.
    """
    text = text.strip().lower()
    strange = sorted(set(text) - set(SYMBOLS))
    if strange or len(text) != LENGTH:
        problem = f"{''.join(strange)!r} is not among them" if strange else f"{text!r} has {len(text)}"
        raise ValueError(f"Type {LENGTH} of these symbols: {SYMBOLS}. {problem}.")
    return render_captcha(text, np.random.default_rng(seed))


def letter_box(picture: PillowImage.Image) -> PillowImage.Image:
    """The picture in grey, in the middle of paper of its own colour that is four times as wide as high.

    So letters keep their shape where a network stretches each image to one size. A picture of about that shape is returned as
    it is.
    """
    width, height = picture.size
    if 1 / TOLERANCE <= width / height / ASPECT <= TOLERANCE:
        return picture
    grey = to_standard_mode(picture)[0].convert("L")
    width, height = grey.size  # a photograph that was marked as rotated is upright now
    size = max(width, round(height * ASPECT)), max(height, round(width / ASPECT))
    paper = PillowImage.new("L", size, ground_of(np.asarray(grey)))
    paper.paste(grey, ((size[0] - width) // 2, (size[1] - height) // 2))
    return paper


def type_and_read(model: TrainedModel, text: str = "cd5ff") -> Pictured:
    """A box for a text, which is drawn as a captcha and read. Enter or the button draws it again, with other noise curves."""
    box = Text(value=text, description="text", continuous_update=False)
    again = Button(description="draw it again", layout={"width": "auto"})
    seeds = count()

    def reading(typed: str, seed: int) -> Figure:
        figure = plot_peaks(draw_text(typed, seed), model)
        small = " in small letters, as the images have no others" if typed != typed.lower() else ""
        (found,) = read(draw_text(typed, seed), model)
        figure.alt = f"{typed.strip().lower()} was drawn{small}. The network {says(found)}."
        return figure

    return Pictured([HBox([box, again]), live_figure(reading, lambda: (box.value, next(seeds)), box, again)])


def upload_and_read(model: TrainedModel) -> Pictured:
    """A box for an image file from the reader's computer, chosen, dropped or pasted; the image is read and shown.

    An image of another shape than the network's is put into a `letter_box`, and the words below it say so.
    """
    picker = ImagePicker()

    def reading(name: str, size: int, content: bytes) -> Figure:
        if size > picker.largest:
            raise ValueError(f"{name} has {size:,} bytes; at most {picker.largest:,} were expected. Cut the text out of it.")
        try:
            picture = PillowImage.open(BytesIO(content))
            picture.load()
        except Exception as error:  # a damaged file can make Pillow's readers raise nearly anything
            raise ValueError(f"{name} is no picture that can be read; a PNG or JPEG file was expected.") from error
        boxed = letter_box(picture) if model.fit == "stretch" else picture
        added = "" if boxed is picture else ", with margins added so that its letters keep their shape"
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always")
            figure, (found,) = plot_peaks(boxed, model), read(boxed, model)  # with the same remarks
        remarked = "".join(dict.fromkeys(f" {str(remark.message).removesuffix(': the image.')}." for remark in remarks))
        figure.alt = f"{name}: {picture.width} x {picture.height} pixels{added}. The network {says(found)}.{remarked}"
        return figure

    def chosen() -> Sequence[object]:
        return (file := picker.value) and (file["name"], file["size"], bytes(file["content"]))

    return Pictured([picker, live_figure(reading, chosen, picker)])


def live_figure(draw: Callable[..., Figure], arguments: Callable[[], Sequence[object]], *controls: DOMWidget) -> VBox:
    """A box that shows ``draw(*arguments())``, or its ``ValueError`` in words, and does so again when a control is used.

    Enter in a `Text` is a use, even of the same text. Without arguments the box stays as it is. Figures are kept as PNG.
    """
    image = Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})  # in its own size, not stretched
    words, box = HTML(), VBox([])

    @cache
    def rendered(*given: object) -> tuple[bytes, str]:
        figure = draw(*given)
        return figure.bundle()[0]["image/png"], f'<div style="line-height: 1.4">{escape(figure.alt)}</div>'

    def show(event: object = None) -> None:
        try:
            if given := arguments():
                image.value, words.value = rendered(*given)
                box.children = [image, words]
        except ValueError as error:
            words.value, box.children = f"<b>{escape(str(error))}</b>", [words]

    def entered(control: Text, content: dict[str, object], buffers: object) -> None:
        # The browser tells of Enter first, and then of the new text, which is drawn by itself.
        if content.get("event") == "submit":
            before = control.value
            get_running_loop().call_later(ENTER, lambda: control.value == before and show())

    for control in controls:
        control.on_click(show) if isinstance(control, Button) else control.observe(show, names="value")
        if isinstance(control, Text):
            control.on_msg(entered)
    show()
    return box
