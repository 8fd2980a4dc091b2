"""Figures for notebook 09: windows and redrawn texts stand where they belong."""

import numpy as np
import torch

from ocrlib.studies.open_questions_plots import plot_fields, plot_looking, plot_redrawn
from ocrlib.synthetic.generated import draw_captchas


def test_a_field_is_shown_between_the_ends_of_its_window():
    gradients = torch.zeros(32, 80)
    gradients[10:20, 30:51] = 4.0
    figure = plot_fields({"CRNN": (gradients, (30, 50), 40.0)})
    picture, below = figure.axes
    assert [float(line.get_xdata()[0]) for line in picture.lines] == [40.5, 30, 51]
    assert picture.images[0].get_array().max() == 2.0, "the root of the squared gradients"
    assert "21 columns" in picture.get_title(loc="left") and below.get_xlabel() == "x (pixels)"


def test_every_runs_looks_are_drawn_beside_centres_and_symbols():
    run = {"centres": [10.0, 20.0], "looks_at": [8.0, 17.0], "symbols_at": [8.0, 18.0]}
    figure = plot_looking({"pools": [run, {**run, "looks_at": [9.0, 19.0]}], "strides": [run]}, torch.zeros(1, 32, 40))
    pools, strides = figure.axes
    centres, symbols = pools.collections
    assert [path[0, 0] for path in centres.get_segments()] == [10.5, 20.5]
    assert [path[0, 0] for path in symbols.get_segments()] == [8.5, 18.5]
    assert [list(line.get_xdata()) for line in pools.lines] == [[8.5, 17.5], [9.5, 19.5]]
    assert len(strides.lines) == 1 and strides.get_title(loc="left") == "strides" and strides.get_xlabel() == "x (pixels)"


def test_the_wrong_text_shows_red_and_the_right_one_hardly():
    captchas = draw_captchas(["cdcb3", "mxnw4"], seed=1, width=200, height=50)
    words = [("as published", "wrong", "right")] * 2
    figure = plot_redrawn(list(captchas.images), [("edcb3", "cdcb3"), ("mxmw4", "mxnw4")], words)
    axes = np.reshape(figure.axes, (2, 3))

    def redness(ax):
        picture = ax.images[0].get_array()
        return float((picture[..., 0] - picture[..., 2]).clip(min=0).sum())

    for row in axes:
        assert row[0].images[0].get_array().shape == (50, 200)
        assert redness(row[1]) > 1.5 * redness(row[2])
    assert axes[0, 1].get_title(loc="left") == "wrong"
