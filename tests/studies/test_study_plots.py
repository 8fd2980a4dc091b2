"""What the figures of recorded runs show: the numbers in their lines, dots, bars and cells."""

import numpy as np
import pytest

from ocrlib.studies.intervals import Median
from ocrlib.studies.plots import (
    plot_loss_curves,
    plot_medians,
    plot_modes,
    plot_repetitions,
    plot_runs,
    plot_sizes,
    plot_transfer,
)

INF = np.inf
ROWS = {"CRNN": {"seeds": [0.002, 0.004, 0.004], "splits": [0.001]}, "CE": {"seeds": [0.02], "splits": []}}
REPORTED = {"CRNN": (0.0024, 0.0005, 0.007), "CE": (0.01, 0.005, 0.018)}


def medians_figure(**options):
    series = {
        "CTC": [Median(0.5, 0.4, 0.6, 10), Median(0.0, 0.0, 0.1, 10)],
        "CE": [Median(0.2, 0.1, INF, 10), Median(INF, 0.3, INF, 10)],
    }
    return plot_medians(series, ["50", "100"], "images", "CER", "learning curves", **options)


def test_medians_and_their_intervals():
    (ax,) = medians_figure().axes
    ctc, ce = ax.get_lines()
    assert ctc.get_ydata().tolist() == [0.5, 0.05]  # a zero stands at half the least of the rest
    assert ce.get_ydata()[0] == 0.2 and np.isnan(ce.get_ydata()[1])
    assert np.round(ctc.get_xdata()).tolist() == np.round(ce.get_xdata()).tolist() == [0, 1]
    bars = [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()]
    assert bars == [[0.4, 0.6], [0.05, 0.1]]
    (open_ended,) = ax.collections[1].get_segments()
    assert open_ended[0, 1] == 0.1 and open_ended[1, 1] > ax.get_ylim()[1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["CTC", "CE"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["50", "100"]
    assert medians_figure(height=3.0).get_figheight() == 3.0
    assert {line.get_linestyle() for line in ax.get_lines()} == {"-"}
    assert {line.get_linestyle() for line in medians_figure(joined=False).axes[0].get_lines()} == {"None"}


def test_runs_on_a_logarithmic_axis_lose_no_zero():
    (ax,) = plot_runs({"a": [0.1, 0.001], "b": [0.0]}, "CER", "runs", log=True).axes
    assert ax.get_xscale() == "log" and ax.get_xlim()[0] < 0.0007 < ax.get_xlim()[1]
    assert ax.get_lines()[3].get_xdata().tolist() == [0.7 * 0.001]


def test_a_linear_axis_begins_at_zero():
    (ax,) = medians_figure(log=False).axes
    assert ax.get_ylim()[0] == 0 and ax.get_lines()[0].get_ydata()[1] == 0
    assert all(label.get_text() for label in ax.get_yticklabels())


def test_each_run_is_a_dot_and_the_lost_ones_stand_at_the_edge():
    (ax,) = plot_runs({"with": [3.0, 1.0, 2.0], "without": [5.0, INF, INF]}, "steps", "plateau").axes
    dots, arrows = ax.get_lines()[0::3], ax.get_lines()[1::3]
    assert [line.get_xdata().tolist() for line in dots] == [[3, 1, 2], [5]]
    assert [len(line.get_xdata()) for line in arrows] == [0, 2]
    assert arrows[1].get_xdata().min() > 5
    assert np.ptp(arrows[1].get_ydata()) == pytest.approx(0.3), "two arrows don't cover each other"
    assert ax.get_lines()[2].get_xdata().tolist() == [2, 2], "the median"
    assert ax.get_ylim() == (1.5, -0.5), "rows from top to bottom"


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


def test_sizes_are_in_order_and_every_run_has_a_place_of_its_own():
    figure = plot_sizes({"CRNN": [(1e6, [0.002, 0.004, 0.002]), (1e4, [0.0, 0.02, 0.03])]}, "parameters", "how small")
    [ax] = figure.axes
    line, *dots = ax.lines
    assert list(line.get_xdata()) == [1e4, 1e6] and list(line.get_ydata()) == [0.02, 0.002]
    places = {(x, y) for dot in dots for x, y in zip(dot.get_xdata(), dot.get_ydata())}
    assert sorted(y for _, y in places) == [0.0, 0.002, 0.002, 0.004, 0.02, 0.03]
    assert all(abs(np.log10(x / size)) < 0.2 for dot, size in zip(dots, (1e4, 1e6)) for x in dot.get_xdata())
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("log", "linear", "parameters")
    assert ax.get_ylim()[0] == 0


def test_no_run_is_lost_where_its_cer_is_zero():
    figure = plot_transfer({10: [0.0, 0.01], 0: [0.02, 0.04]}, {10: [0.5, 0.6]})
    [ax] = figure.axes
    dots = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "."])
    assert sorted(dots) == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.5, 0.6])
    assert all(list(line.get_xdata()) == sorted(line.get_xdata()) for line in ax.lines), "from few images to many"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "10"] and ax.get_yscale() == "log"


def test_loss_curves_have_their_median_and_the_floors():
    runs = [np.array([3.0, 2.0]), np.array([3.0, 1.0]), np.array([6.0, 0.0])]
    (ax,) = plot_loss_curves({"CTC": runs}, first=5.5, floors={"entropy": 2.9, "blind": 3.2}).axes
    *single, median, lower, upper = ax.get_lines()
    assert [line.get_ydata().tolist() for line in single] == [run.tolist() for run in runs]
    assert (median.get_xdata().tolist(), median.get_ydata().tolist()) == ([5.5, 6.5], [3.0, 1.0])
    named = [(line.get_ydata()[0], text.get_text()) for line, text in zip((lower, upper), ax.texts)]
    assert named == [(2.9, "entropy"), (3.2, "blind")]


def test_trainings_that_end_high_are_told_from_those_that_end_low():
    curves = [
        {"test_losses": [3.0, 0.4], "epoch_edits": [80, 6], "edits": 6},
        {"test_losses": [3.0, 1.3], "epoch_edits": [80, 26], "edits": 26},
    ]
    figure = plot_modes(curves, {"CPU": [5, 25, 7], "GPU": [4]}, characters=100, between=15)
    losses, cers, last = figure.axes
    assert [list(line.get_ydata()) for line in losses.lines if len(line.get_ydata())] == [[3.0, 0.4], [3.0, 1.3]]
    assert [list(line.get_ydata()) for line in cers.lines] == [[0.8, 0.06], [0.8, 0.26]]
    assert list(cers.lines[0].get_xdata()) == [1, 2], "epochs count from 1"
    assert [sorted(line.get_ydata()) for line in last.lines] == [[0.04, 0.05, 0.07], [0.25]]
    assert [sorted(map(round, line.get_xdata())) for line in last.lines] == [[0, 0, 1], [0]]
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in cers.lines}) == 2
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["at most 15 edits at the end: 4 trainings", "more than 15 edits at the end: 2 trainings"]
    assert "CER by epoch of 2 trainings" in figure.alt
    assert len(plot_modes([], {"CPU": [5]}, characters=100, between=15).axes) == 3, "before any was recorded"


def test_figures_say_in_words_what_they_show():
    assert "CER against images" in medians_figure().alt
    assert "steps of single runs" in plot_runs({"a": [1.0]}, "steps", "plateau").alt
