"""Spreads, against figures worked out by hand and against simulation."""

import numpy as np
import pytest

from ocrlib.studies.intervals import count_prediction_interval, spread, value_prediction_interval


def test_mean_and_interval_by_hand():
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.deviation, found.least, found.greatest, found.count) == (2.0, 1.0, 1.0, 3.0, 3)
    assert found.high - found.mean == pytest.approx(4.302653 / 3**0.5)  # Student's t, two degrees of freedom
    assert found.low == pytest.approx(2 * found.mean - found.high)
    assert found.holds(1.0) and found.holds(2.5) and not found.holds(3.1)


def test_equal_values_have_no_spread():
    assert spread([0.5, 0.5])[:6] == (0.5, 0.0, 0.5, 0.5, 0.5, 0.5)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_value_has_no_spread_to_speak_of(values):
    with pytest.raises(ValueError, match="at least two"):
        spread(values)


def test_the_interval_of_the_mean_covers_it_as_often_as_promised():
    draws = np.random.default_rng(0).normal(7.0, 2.0, (2000, 5))
    covered = [found.low <= 7.0 <= found.high for found in map(spread, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_the_next_value_falls_where_it_is_predicted():
    draws = np.random.default_rng(0).normal(7.0, 2.0, (2000, 6))
    bounds = [value_prediction_interval(values[:5]) for values in draws]
    assert np.mean([low <= value <= high for (low, high), value in zip(bounds, draws[:, 5])]) == pytest.approx(0.95, abs=0.015)
    low, high = value_prediction_interval([1.0, 2.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2.0) and (high - low) / 2 == pytest.approx(4.302653 * (4 / 3) ** 0.5)


def test_a_second_lot_falls_where_it_is_predicted():
    rng = np.random.default_rng(0)
    hits = []
    for share in rng.beta(0.5, 0.5, 2000):
        first, second = rng.binomial([1250, 1250], share)
        low, high = count_prediction_interval(first, 1250, 1250)
        hits.append(low <= second <= high)
    assert np.mean(hits) == pytest.approx(0.955, abs=0.02)  # counts are whole: a little more than 95 %
