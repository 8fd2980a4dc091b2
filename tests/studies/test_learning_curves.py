"""Thresholds of learning curves, counted by hand on made-up curves."""

import math
from types import SimpleNamespace

import pytest

from ocrlib.studies.learning_curves import WINDOW, moving_average, plateau, steps_to


def record(**figures):
    return SimpleNamespace(figures=figures)


def test_smoothed_losses_begin_when_the_window_is_full():
    assert moving_average([float(i) for i in range(WINDOW + 1)], WINDOW).tolist() == pytest.approx([4.5, 5.5])


def test_the_plateau_ends_when_the_mean_loss_stays_below():
    down = [2.0] * 30 + [0.0] * 20  # the mean of ten is below log 2 once seven of them are 0
    assert plateau(record(train_loss=down), math.log(2)) == 37
    assert plateau(record(train_loss=[0.0] * 20 + down), math.log(2)) == 57  # below, above again, below: only the last counts
    assert plateau(record(train_loss=[0.0] * 30), math.log(2)) == WINDOW
    assert plateau(record(train_loss=[2.0] * 30), math.log(2)) == math.inf
    assert plateau(record(train_loss=down), 1.9) == 31, "a higher floor is crossed sooner"


def test_the_first_time_a_level_was_seen():
    run = record(cers=[[13, 1.0], [26, 0.5], [39, 0.2], [52, 0.3]])
    assert [steps_to(run, level) for level in (1.0, 0.5, 0.25, 0.1)] == [13, 26, 39, math.inf]
