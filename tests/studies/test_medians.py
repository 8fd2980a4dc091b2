"""Medians with intervals, and paired tests: held against tables, and against counting."""

from itertools import product

import numpy as np
import pytest

from ocrlib.studies.intervals import median_interval, paired


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


def test_refuses_what_is_no_pair():
    with pytest.raises(ValueError, match="2 values and 1 others"):
        paired([1, 2], [1])
    with pytest.raises(ValueError, match="no value"):
        median_interval([])
