"""Sliders under a picture, for notebooks whose kernel is running."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from ipywidgets import HTML, Image, SelectionSlider, VBox

from ocrlib.figures import Figure


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
