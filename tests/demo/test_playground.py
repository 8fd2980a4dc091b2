"""The boxes of notebook 00: what is typed or dropped is read, and what can't be is said in words."""

from datetime import datetime
from io import BytesIO

import pytest
from PIL import Image

from ocrlib import read
from ocrlib.checkpoints import load_pretrained
from ocrlib.demo.widgets import draw_text, drop_and_read, plot_reading, type_and_read


@pytest.fixture(scope="module")
def model():
    return load_pretrained()


def png(picture) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def dropped(content: bytes) -> dict:
    """A file as the browser hands it over."""
    return {"name": "a.png", "type": "image/png", "size": len(content), "content": content, "last_modified": datetime.now()}


def test_what_is_typed_is_drawn_and_read(model):
    bar, place = type_and_read(model, "cd5ff").children
    (box, again), (picture, words) = bar.children, place.children
    first = bytes(picture.value)
    assert first.startswith(b"\x89PNG") and "cd5ff" in words.value
    box.value = "w2n7e"
    second = bytes(picture.value)
    assert second != first and "w2n7e" in words.value
    again.click()
    assert bytes(picture.value) != second and "w2n7e" in words.value, "the same text under other curves"


@pytest.mark.parametrize("text, reason", [("hello", "'hlo' is not among them"), ("c5", "'c5' has 2"), ("", "'' has 0")])
def test_what_cannot_be_drawn_is_said_in_words(model, text, reason):
    bar, place = type_and_read(model).children
    box = bar.children[0]
    box.value = text
    (words,) = place.children
    assert reason.replace("'", "&#x27;") in words.value
    with pytest.raises(ValueError, match=reason):
        draw_text(text)
    box.value = "22222"
    assert len(place.children) == 2, "and the next text is drawn again"


def test_a_dropped_file_is_read(model):
    button, place = drop_and_read(model).children
    assert not place.children, "a browser would draw an empty picture as a broken one"
    button.value = [dropped(png(draw_text("p8mx4")))]
    picture, words = place.children
    assert "p8mx4" in words.value and bytes(picture.value).startswith(b"\x89PNG")


@pytest.mark.parametrize("content, reason", [(b"no", "no picture that can be read"), (b"0" * 4_000_001, "at most 4,000,000")])
def test_a_dropped_file_that_is_none_is_said_in_words(model, content, reason):
    button, place = drop_and_read(model).children
    button.value = [dropped(content)]
    (words,) = place.children
    assert reason in words.value


def test_a_reading_says_what_was_read(model, tmp_path):
    picture = draw_text("cd5ff")
    picture.save(tmp_path / "mine.png")
    figure = plot_reading(tmp_path / "mine.png", model)
    (found,) = read(picture, model)
    assert found.text == "cd5ff" and str(found) in figure.alt
    assert isinstance(picture, Image.Image)
