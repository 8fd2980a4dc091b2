"""Intervals and paired tests, against tables, figures worked out by hand, and simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import binom

from ocrlib.studies.intervals import (
    count_prediction_interval,
    interval_over_images,
    mean_interval,
    median_interval,
    paired,
    permutation_p,
    value_prediction_interval,
)

# -- medians and pairs


def test_ten_values():
    found = median_interval([9, 0, 8, 1, 7, 2, 6, 3, 5, 4])
    assert found == (4.5, 1, 8, 10)  # from the second least to the second greatest
    assert str(found) == "4.5000 (1.0000 to 8.0000)"


def test_few_values_have_wide_bounds():
    assert median_interval([3, 1, 2]) == (2, 1, 3, 3)
    assert median_interval([0.5]) == (0.5, 0.5, 0.5, 1)


def test_runs_that_never_got_there():
    assert median_interval([1.0, 2.0, np.inf]) == (2, 1, np.inf, 3)
    assert median_interval([np.inf] * 10) == (np.inf, np.inf, np.inf, 10)
    assert median_interval([1.0] + [np.inf] * 9) == (np.inf, np.inf, np.inf, 10), "the second least is infinite already"


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for _, low, high, _ in (median_interval(rng.normal(size=10)) for _ in range(400))]
    assert 0.95 <= np.mean(covered) <= 1.0


def test_the_p_value_is_the_share_of_signs_as_uneven():
    differences = np.array([1.0, 2, 3, 4, 5, -6, 7, 8])
    ranks, signs = np.abs(differences), np.array(list(product([-1, 1], repeat=8)))
    sums = np.abs((signs * ranks).sum(1))
    assert paired(differences, np.zeros(8)).p == pytest.approx(np.mean(sums >= abs(differences.sum())))


def test_all_better_is_the_least_p_of_ten_pairs():
    found = paired(np.arange(10) + 1.0, np.zeros(10))
    assert found.p == pytest.approx(2 / 1024)
    assert found.difference == (5.5, 2, 9, 10)


def test_equal_values_do_not_differ():
    assert paired([0.1, 0.2], [0.1, 0.2]).p == 1
    assert paired([0.3, 0.1], [0.1, 0.3]).difference.median == 0


def test_equal_differences_of_float32_tie():
    edits = np.array([[3, 5, 4, 9, 2, 8, 7, 6], [1, 2, 2, 6, 3, 6, 4, 7]])
    cers = (edits / np.float32(1250)).astype(np.float32)
    assert paired(*map(list, cers)).p == paired(*map(list, edits)).p


def test_refuses_what_is_no_pair():
    with pytest.raises(ValueError, match="shorter"):
        paired([1, 2], [1])
    with pytest.raises(ValueError, match="no value"):
        median_interval([])


def test_rows_of_a_table_are_paired_by_their_place():
    import pandas

    pairs = pandas.Series([3.0, 1.0], index=[0, 1]), pandas.Series([2.0, 0.5], index=[7, 8])
    assert paired(*pairs).difference[:3] == (0.75, 0.5, 1.0)


# -- counts in two groups


@pytest.mark.parametrize("marked", [(1, 0, 0, 0, 1, 0, 0), (0, 0, 1, 1, 0, 1, 0), (0,) * 7, (1,) * 7])
def test_the_p_of_counts_is_the_share_of_all_ways_to_mark_them(marked):
    counts = [0, 3, 1, 0, 2, 5, 0]
    sums = np.array([sum(chosen) for chosen in combinations(counts, sum(marked))])
    share = np.mean(np.abs(sums - sums.mean()) >= abs(np.dot(counts, marked) - sums.mean()) - 1e-9)
    assert permutation_p(counts, marked) == pytest.approx(share)


def test_counts_of_one_are_hypergeometric():
    assert permutation_p([1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]) == pytest.approx(2 / 20)  # all or none of three
    with pytest.raises(ValueError, match="shorter"):
        permutation_p([1, 0], [True])


# -- means and predictions


def test_mean_and_interval_by_hand():
    found = mean_interval([1.0, 2.0, 3.0])
    assert (found.mean, found.least, found.greatest, found.count) == (2.0, 1.0, 3.0, 3)
    assert found.high - found.mean == pytest.approx(4.302653 / 3**0.5)  # Student's t, two degrees of freedom
    assert found.low == pytest.approx(2 * found.mean - found.high)


def test_equal_values_have_no_mean_interval():
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5, 0.5, 0.5, 0.5, 2)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_value_has_no_interval(values):
    with pytest.raises(ValueError, match="at least two"):
        mean_interval(values)


def test_the_interval_of_the_mean_covers_it_as_often_as_promised():
    draws = np.random.default_rng(0).normal(7.0, 2.0, (2000, 5))
    covered = [found.low <= 7.0 <= found.high for found in map(mean_interval, draws)]
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


def test_an_interval_over_images_is_that_of_the_binomial_distribution():
    run = {f"image {i}": float(i < 20) for i in range(100)}  # 20 of 100: a draw has as many as a binomial with p = 0.2
    low, high = binom.interval(0.95, 100, 0.2)
    assert interval_over_images([run], draws=20_000) == pytest.approx((low / 100, high / 100), abs=0.011)


def test_an_image_that_several_runs_tested_is_drawn_for_all_of_them():
    run = {f"image {i}": float(i < 20) for i in range(100)}
    others = [{f"image {100 * k + i}": float(i < 20) for i in range(100)} for k in range(4)]
    (low, high), (low_4, high_4) = interval_over_images([run]), interval_over_images(others)
    assert interval_over_images([run] * 4) == pytest.approx((low, high)), "the same images again tell nothing new"
    assert high_4 - low_4 == pytest.approx((high - low) / 2, rel=0.1), "four times as many images do"


def test_the_same_value_in_all_images_has_no_spread():
    assert interval_over_images([{"a": 0.2, "b": 0.2}, {"b": 0.4, "c": 0.4, "d": 0.4}]) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize("runs", [[], [{}], [{"a": 0.0}, {}]])
def test_without_images_there_is_no_interval_over_them(runs):
    with pytest.raises(ValueError, match="no image"):
        interval_over_images(runs)
