"""Sliders: moving one shows the figure that belongs to it."""

import pytest
from ipywidgets import HTML, Image, SelectionSlider

from ocrlib.demo.widgets import explore
from ocrlib.plots import Figure


def parts(box, kind):
    return [child for child in box.children if isinstance(child, kind)]


def test_a_slider_a_choice_and_the_first_figure():
    asked = []

    def draw(epoch, image):
        asked.append((epoch, image))
        return Figure(1, 1, f"epoch {epoch} & image {image}")

    box = explore(draw, epoch=[0, 1.5, 3], image=range(4))
    epoch, image = parts(box, SelectionSlider)
    assert (epoch.description, image.description) == ("epoch", "image")
    assert [label for label, _ in epoch.options] == ["0", "1.5", "3"]
    assert asked == [(0, 0)]
    assert bytes(parts(box, Image)[0].value).startswith(b"\x89PNG")
    assert "epoch 0 &amp; image 0" in parts(box, HTML)[0].value


def test_moving_a_slider_draws_once_and_keeps():
    asked = []

    def draw(n):
        asked.append(n)
        figure = Figure(1, 1, f"number {n}")
        figure.text(0.5, 0.5, str(n))
        return figure

    box = explore(draw, n=[5, 6, 7])
    (slider,), (picture,), (words,) = parts(box, SelectionSlider), parts(box, Image), parts(box, HTML)
    first = picture.value
    slider.index = 2
    assert picture.value != first and "number 7" in words.value
    slider.index = 0
    assert picture.value == first and "number 5" in words.value
    slider.index = 2
    assert asked == [5, 7]


def test_choices_that_are_equal_are_told_apart_by_their_place():
    box = explore(lambda value: Figure(1, 1, f"shows {value!r}"), value=[1, True])
    parts(box, SelectionSlider)[0].index = 1
    assert "shows True" in parts(box, HTML)[0].value


def test_a_slider_without_choices_is_refused():
    with pytest.raises(ValueError, match=r"at least one choice; there is none for \['image'\]"):
        explore(lambda **_: Figure(1, 1, ""), epoch=[1], image=[])
    with pytest.raises(ValueError, match="there is none for any"):
        explore(lambda: Figure(1, 1, ""))
