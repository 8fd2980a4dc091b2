"""Widgets: a slider shows the figure of its choice, a text or an image file is read, and errors are shown in words."""

from datetime import datetime
from io import BytesIO

import pytest

ipywidgets = pytest.importorskip("ipywidgets", reason="needs ipywidgets: pip install ipywidgets")

from ocrlib import read
from ocrlib.checkpoints import load_pretrained
from ocrlib.demo.widgets import draw_text, drop_and_read, explore, plot_peaks, plot_reading, type_and_read
from ocrlib.plots import Figure


@pytest.fixture(scope="module")
def model():
    return load_pretrained()


def parts(box):
    """The sliders of `explore`, its picture and its words."""
    *sliders, output = box.children
    return sliders, *output.children


def dropped(content: bytes) -> dict:
    """A file as the browser hands it over."""
    return {"name": "a.png", "type": "image/png", "size": len(content), "content": content, "last_modified": datetime.now()}


def test_a_slider_a_list_and_the_figure_of_the_first_choices():
    asked = []

    def draw(epoch, image):
        asked.append((epoch, image))
        return Figure(1, 1, f"epoch {epoch} & image {image}")

    sliders, picture, words = parts(explore(draw, epoch=[0, 1.5, 3], image=range(4)))
    assert [type(slider) for slider in sliders] == [ipywidgets.SelectionSlider] * 2
    assert [slider.description for slider in sliders] == ["epoch", "image"]
    assert [label for label, _ in sliders[0].options] == ["0", "1.5", "3"]
    assert asked == [(0, 0)]
    assert bytes(picture.value).startswith(b"\x89PNG")
    assert "epoch 0 &amp; image 0" in words.value


def test_each_figure_is_drawn_once_and_kept():
    asked = []

    def draw(n):
        asked.append(n)
        figure = Figure(1, 1, f"number {n}")
        figure.text(0.5, 0.5, str(n))
        return figure

    (slider,), picture, words = parts(explore(draw, n=[5, 6, 7]))
    first = picture.value
    slider.index = 2
    assert picture.value != first and "number 7" in words.value
    slider.index = 0
    assert picture.value == first and "number 5" in words.value
    slider.index = 2
    assert asked == [5, 7]


def test_equal_choices_are_told_apart_by_their_place():
    (slider,), _, words = parts(explore(lambda value: Figure(1, 1, f"shows {value!r}"), value=[1, True]))
    slider.index = 1
    assert "shows True" in words.value


@pytest.mark.parametrize("choices", [{}, {"epoch": [1], "image": []}])
def test_a_slider_without_choices_is_refused(choices):
    with pytest.raises(ValueError, match="at least one choice"):
        explore(lambda **_: Figure(1, 1, ""), **choices)


def test_a_typed_text_is_drawn_and_read(model):
    bar, output = type_and_read(model, "cd5ff").children
    (box, again), (picture, words) = bar.children, output.children
    first = bytes(picture.value)
    assert first.startswith(b"\x89PNG") and "cd5ff" in words.value
    box.value = "w2n7e"
    second = bytes(picture.value)
    assert second != first and "w2n7e" in words.value
    again.click()
    assert bytes(picture.value) != second and "w2n7e" in words.value, "the same text with other curves"


@pytest.mark.parametrize("text, reason", [("hello", "'hlo' is not among them"), ("c5", "'c5' has 2"), ("", "'' has 0")])
def test_a_text_that_cannot_be_drawn_is_explained(model, text, reason):
    bar, output = type_and_read(model).children
    box = bar.children[0]
    box.value = text
    (words,) = output.children
    assert reason.replace("'", "&#x27;") in words.value
    with pytest.raises(ValueError, match=reason):
        draw_text(text)
    box.value = "22222"
    assert len(output.children) == 2, "the next text is drawn again"


def test_an_uploaded_image_file_is_read(model):
    button, output = drop_and_read(model).children
    assert not output.children, "a browser would show an empty picture as a broken one"
    file = BytesIO()
    draw_text("p8mx4").save(file, "PNG")
    button.value = [dropped(file.getvalue())]
    picture, words = output.children
    assert "p8mx4" in words.value and bytes(picture.value).startswith(b"\x89PNG")


def test_an_uploaded_file_that_is_no_image_is_explained(model):
    button, output = drop_and_read(model).children
    button.value = [dropped(b"no")]
    (words,) = output.children
    assert "no picture that can be read" in words.value


def test_the_figure_of_a_reading_says_what_was_read(model, tmp_path):
    picture = draw_text("cd5ff")
    picture.save(tmp_path / "mine.png")
    (found,) = read(picture, model)
    assert found.text == "cd5ff" and str(found) in plot_reading(tmp_path / "mine.png", model).alt


def test_each_peak_is_named_at_its_time_step(model):
    figure = plot_peaks(draw_text("cd5ff"), model)
    image, steps = figure.axes
    names = {round(text.get_position()[0], 6): text.get_text() for text in steps.texts}
    centres = [round(x + 0.5, 6) for x in model.network.step_centres(model.width).tolist()]
    assert "".join(names.get(x, "-") for x in centres) == "-----c-d--5-f-f---------"
    classes = [[bar.get_height() for bar in bars] for bars in steps.containers]
    assert [len(bars) for bars in classes] == [24] * 5, "the blank, 5, c, d and f"
    assert [sum(column) for column in zip(*classes)] == pytest.approx([1] * 24, abs=0.02)
    assert image.images[0].get_extent() == [0, 96, 0, 1] and steps.get_xlim() == (0, 96)
    assert figure.texts[1].get_text() == "cd5ff" and figure.alt.endswith("the reading cd5ff (100.0%)")
