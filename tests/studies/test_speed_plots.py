import numpy as np
import pytest

from ocrlib import Race
from ocrlib.studies.speed_plots import plot_races, plot_roofline

RACES = [Race("plain", [20.0, 20.0], [0.5, 0.01]), Race("fast", [1.0, 1.0, 1.0], [0.4, 0.02, 0.0])]


def test_races_are_drawn_over_seconds_so_far():
    (ax,) = plot_races(RACES, [0.01, 0.0024], characters=1250).axes
    plain, fast, *levels = ax.get_lines()
    assert plain.get_xdata().tolist() == [20.0, 40.0] and fast.get_xdata().tolist() == [1.0, 2.0, 3.0]
    assert plain.get_ydata().tolist() == [0.5, 0.01]
    assert fast.get_ydata()[-1] == pytest.approx(0.5 / 1250)  # no mistake: half an error, where the axis can show it
    assert [line.get_ydata()[0] for line in levels] == [0.01, 0.0024]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["plain", "fast"]


def test_a_point_on_the_roof_lies_on_its_line():
    figure = plot_roofline({"at the peak": (1e6, 1e9 / 3e6)}, {"float32": 1e9})
    (ax,) = figure.axes
    roof, point = ax.get_lines()
    on_roof = np.exp(np.interp(np.log(point.get_xdata()), np.log(roof.get_xdata()), np.log(roof.get_ydata())))
    assert on_roof == pytest.approx(point.get_ydata())
    assert ax.get_legend().get_texts()[0].get_text() == "float32: 1 GFLOP/s"


def test_both_say_in_words_what_they_show():
    assert "seconds of training" in plot_races(RACES, [], 10).alt
    assert "images a second" in plot_roofline({"a": (1.0, 1.0)}, {}).alt
