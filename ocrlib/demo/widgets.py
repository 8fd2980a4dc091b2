"""Sliders under a picture, for notebooks whose kernel is running."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from io import BytesIO
from itertools import count
from typing import Any

import numpy as np
from ipywidgets import HTML, Button, FileUpload, HBox, Image, SelectionSlider, Text, VBox
from PIL import Image as PillowImage

from ocrlib.checkpoints import TrainedModel
from ocrlib.ctc.plots import plot_classes
from ocrlib.evaluation import Readable, as_tensor, predict, read
from ocrlib.plots import Figure
from ocrlib.synthetic.generator import SYMBOLS, render_captcha


def explore(draw: Callable[..., Figure], **choices: Sequence[Any]) -> VBox:
    """A slider for each named list of choices, and the figure that ``draw(name=choice, ...)`` gives for them.

    It begins with the first of each. A figure is drawn when it is first asked for, and kept. Under it stands in words what it
    shows. The widget moves only where a kernel runs: put a fixed picture beside it that says the same.

    Raises ``ValueError`` without choices, or for an empty list of them.
    """
    empty = [name for name, values in choices.items() if not len(values)]
    if empty or not choices:
        raise ValueError(f"Each slider needs at least one choice; there is none for {empty or 'any'}.")
    sliders = {
        name: SelectionSlider(
            options=[(str(value), place) for place, value in enumerate(values)], description=name, continuous_update=False
        )
        for name, values in choices.items()
    }
    picture, words = Image(format="png"), HTML()
    kept: dict[tuple[Any, ...], tuple[bytes, str]] = {}

    def show(change: object = None) -> None:
        chosen = {name: choices[name][slider.index] for name, slider in sliders.items()}
        key = tuple(slider.index for slider in sliders.values())
        if key not in kept:
            figure = draw(**chosen)
            kept[key] = figure.bundle()[0]["image/png"], figure.alt
        picture.value, words.value = kept[key][0], f"<small>{escape(kept[key][1])}</small>"

    for slider in sliders.values():
        slider.observe(show, names="index")
    show()
    return VBox([*sliders.values(), picture, words])

LENGTH = 5  # symbols that the pretrained network has learnt to expect
LARGEST = 4_000_000  # bytes of a file; a captcha has 10,000


def plot_reading(image: Readable, model: TrainedModel) -> Figure:
    """An image at the size the network sees, under what it says at each of its steps, and what that reads as.

    Raises as `ocrlib.read` does.
    """
    pixels = as_tensor(image, model.width)
    shares = predict(model.network, pixels)[:, 0].softmax(1).cpu()  # (T, C)
    (found,) = read(pixels, model)
    centres = model.network.step_centres(model.width)
    return plot_classes({f"read as {found}": shares}, model.alphabet, image=pixels[0], centres=centres)


def draw_text(text: str, seed: int = 0) -> PillowImage.Image:
    """A text as a captcha. Raises ``ValueError`` for another number of symbols than five, or one that captchas don't have."""
    text = text.strip()
    strange = sorted(set(text) - set(SYMBOLS))
    if strange or len(text) != LENGTH:
        problem = f"{''.join(strange)!r} is not among them" if strange else f"{text!r} has {len(text)}"
        raise ValueError(f"Type {LENGTH} of these symbols: {SYMBOLS}. {problem}.")
    return render_captcha(text, np.random.default_rng(seed))


def type_and_read(model: TrainedModel, text: str = "cd5ff") -> VBox:
    """A box to type in: the text is drawn as a captcha, with other noise curves each time, and read; a button draws it again."""
    box, again = Text(value=text, description="text", continuous_update=False), Button(description="draw it again")
    turns = count()

    def draw() -> Figure:
        return plot_reading(draw_text(box.value, next(turns)), model)

    place, show = _shown(draw)
    box.observe(lambda change: show(), names="value")
    again.on_click(lambda button: show())
    show()
    return VBox([HBox([box, again]), place])


def drop_and_read(model: TrainedModel) -> VBox:
    """A button that takes an image file, from wherever the browser runs, and reads it."""
    button = FileUpload(accept="image/*", multiple=False, description="an image file")

    def draw() -> Figure:
        content = bytes(button.value[0]["content"])
        if len(content) > LARGEST:
            raise ValueError(f"The file has {len(content):,} bytes; at most {LARGEST:,} were expected. Cut the text out of it.")
        try:
            picture = PillowImage.open(BytesIO(content))
            picture.load()
        except Exception as error:  # a damaged file can make Pillow's readers raise nearly anything
            raise ValueError("That is no picture that can be read; a PNG or JPEG file was expected.") from error
        return plot_reading(picture, model)

    place, show = _shown(draw)
    button.observe(lambda change: show() if button.value else None, names="value")
    return VBox([button, place])


def _shown(draw: Callable[[], Figure]) -> tuple[VBox, Callable[[], None]]:
    """A place that is empty at first, and a function that draws the picture there anew, or says in words what went wrong."""
    picture, words, place = Image(format="png"), HTML(), VBox([])

    def show() -> None:
        try:
            figure = draw()
        except ValueError as error:
            words.value, place.children = f"<b>{escape(str(error))}</b>", [words]
        else:
            picture.value = figure.bundle()[0]["image/png"]
            words.value, place.children = f"<small>{escape(figure.alt)}</small>", [picture, words]

    return place, show
