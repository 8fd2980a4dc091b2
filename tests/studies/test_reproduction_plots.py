"""Figures of repeated runs: every run is a dot at its place, and captions belong to their images."""

import numpy as np
import pytest
from toys import toy_captchas

from ocrlib.studies.reproduction_plots import plot_captioned, plot_repetitions

ROWS = {"CRNN": {"seeds": [0.002, 0.004, 0.004], "splits": [0.001]}, "CE": {"seeds": [0.02], "splits": []}}
REPORTED = {"CRNN": (0.0024, 0.0005, 0.007), "CE": (0.01, 0.005, 0.018)}


def test_every_run_is_a_dot_and_equal_ones_stand_beside_each_other():
    figure = plot_repetitions(ROWS, REPORTED, "all runs")
    first, second = figure.axes
    line, seeds, splits = first.lines
    assert list(line.get_xdata()) == [0.0024, 0.0024]
    assert list(seeds.get_xdata()) == [0.002, 0.004, 0.004] and len(set(seeds.get_ydata())) == 2
    assert list(splits.get_xdata()) == [0.001] and round(float(splits.get_ydata()[0])) == 1
    assert [label.get_text() for label in first.get_yticklabels()] == ["seeds", "splits"]
    assert second.get_xlim()[1] > 0.02, "runs beyond the band are in the picture"
    assert "CRNN" in figure.alt and "CE" in figure.alt


def test_each_image_has_its_caption():
    captchas = toy_captchas(4)
    figure = plot_captioned(captchas, ["one", "two", "three", "four"], "four images", columns=3)
    [ax] = figure.axes
    assert [text.get_text() for text in ax.texts] == ["one", "two", "three", "four"] and len(ax.images) == 4
    assert ax.texts[3].get_position()[0] == 0 and np.floor(ax.texts[3].get_position()[1]) == 1, "the fourth begins a row"


def test_a_caption_too_few_is_refused():
    with pytest.raises(ValueError, match="1 captions for 4 images"):
        plot_captioned(toy_captchas(4), ["one"], "four images")
