"""Widgets: a slider shows the figure of its choice, a text or an image file is read, and errors are shown in words."""

import asyncio
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

ipywidgets = pytest.importorskip("ipywidgets", reason="needs ipywidgets: pip install ipywidgets")

from ocrlib import read
from ocrlib.checkpoints import load_pretrained
from ocrlib.demo import widgets
from ocrlib.demo.widgets import draw_text, explore, letter_box, plot_peaks, type_and_read, upload_and_read
from ocrlib.plots import Figure


@pytest.fixture(scope="module")
def model():
    return load_pretrained()


def parts(box):
    """The sliders of `explore`, its picture and its words."""
    *sliders, output = box.children
    return sliders, *output.children


def uploaded(content: bytes, name: str = "a.png") -> dict:
    """A file as the browser hands it over."""
    return {"name": name, "size": len(content), "content": memoryview(content)}


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
    assert first.startswith(b"\x89PNG")
    assert ">cd5ff was drawn. The network reads cd5ff (100.0%).<" in words.value
    box.value = "w2n7e"
    second = bytes(picture.value)
    assert second != first and "w2n7e was drawn. The network reads w2n7e" in words.value
    again.click()
    assert bytes(picture.value) != second and "w2n7e was drawn" in words.value, "the same text with other curves"


def test_enter_draws_the_same_text_anew_and_a_new_one_once(model, monkeypatch):
    monkeypatch.setattr(widgets, "ENTER", 0)
    asked = []
    monkeypatch.setattr(widgets, "draw_text", lambda *drawn: asked.append(drawn) or draw_text(*drawn))
    monkeypatch.setattr(widgets, "read", lambda *_: read(draw_text("cd5ff"), model))
    bar, _ = type_and_read(model, "cd5ff").children
    box, _ = bar.children

    async def enter(text):
        """The browser's messages: the key, then the text if it is another one."""
        box._handle_custom_msg({"event": "submit"}, [])
        box.value = text
        await asyncio.sleep(0.01)

    for text in ("cd5ff", "w2n7e", "w2n7e"):
        asyncio.run(enter(text))
    assert asked[::2] == [("cd5ff", 0), ("cd5ff", 1), ("w2n7e", 2), ("w2n7e", 3)]


def test_large_letters_are_drawn_as_small_ones(model):
    bar, output = type_and_read(model, " CD5ff ").children
    _, words = output.children
    assert "cd5ff was drawn in small letters, as the images have no others. The network reads cd5ff" in words.value


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
    picker, output = upload_and_read(model).children
    assert not output.children, "a browser would show an empty picture as a broken one"
    file = BytesIO()
    draw_text("p8mx4").save(file, "PNG")
    picker.value = uploaded(file.getvalue(), "<my>.png")
    picture, words = output.children
    assert bytes(picture.value).startswith(b"\x89PNG")
    assert ">&lt;my&gt;.png: 200 x 50 pixels. The network reads p8mx4 (" in words.value


def test_an_uploaded_file_that_is_no_image_is_explained(model):
    picker, output = upload_and_read(model).children
    picker.value = uploaded(b"no")
    (words,) = output.children
    assert words.value == "<b>a.png is no picture that can be read; a PNG or JPEG file was expected.</b>"


def test_of_a_file_that_is_too_large_the_size_is_named(model):
    picker, output = upload_and_read(model).children
    picker.value = {"name": "film.png", "size": 4_000_001, "content": memoryview(b"")}
    (words,) = output.children
    assert words.value == "<b>film.png has 4,000,001 bytes; at most 4,000,000 were expected. Cut the text out of it.</b>"


def test_an_image_of_another_shape_gets_margins_and_one_of_bare_paper_reads_nothing(model):
    picker, output = upload_and_read(model).children
    file = BytesIO()
    Image.new("L", (400, 300), 230).save(file, "PNG")
    picker.value = uploaded(file.getvalue())
    _, words = output.children
    said = "400 x 300 pixels, with margins added so that its letters keep their shape. The network reads nothing (100.0%)."
    assert f"{said} Hardly anything in it can be seen.<" in words.value


@pytest.mark.parametrize("size, boxed, corner", [((60, 60), (240, 60), (90, 0)), ((800, 100), (800, 200), (0, 50))])
def test_a_letter_box_has_the_colour_of_the_paper(size, boxed, corner):
    picture = Image.new("RGB", size, (200, 200, 200))
    picture.putpixel((30, 30), (0, 0, 0))
    found = letter_box(picture)
    assert (found.mode, found.size) == ("L", boxed)
    ink = np.argwhere(np.asarray(found) != 200)
    assert ink.tolist() == [[corner[1] + 30, corner[0] + 30]]


def test_a_picture_of_the_shape_of_a_captcha_is_left_as_it_is():
    for size in ((200, 50), (161, 50), (250, 50)):
        picture = Image.new("RGB", size)
        assert letter_box(picture) is picture


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
    assert figure.texts[1].get_text() == "cd5ff" and figure.alt.endswith("the network reads cd5ff (100.0%)")


def test_where_no_widget_can_be_shown_there_is_its_picture(model):
    shown = type_and_read(model, "cd5ff")
    bundle = shown._repr_mimebundle_()
    assert b64decode(bundle["image/png"]) == shown.children[-1].children[0].value
    assert "application/vnd.jupyter.widget-view+json" in bundle and "VBox" not in bundle["text/plain"]
    assert "image/png" not in upload_and_read(model)._repr_mimebundle_()  # nothing was read yet
