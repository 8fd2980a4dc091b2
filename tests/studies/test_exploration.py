"""What notebook 01 counts: is a symbol more frequent than the generator makes it?"""

import pytest

from ocrlib.studies.exploration import chi_squared_symbols, expected_shares

SLOTS = "bcde2345678gfynmnpwx"  # what the published images were drawn from


def test_a_slot_that_stands_twice_is_expected_twice():
    shares = expected_shares(SLOTS)
    assert len(shares) == 19 and shares["n"] == 0.1 and shares["m"] == 0.05
    with pytest.raises(ValueError, match="slots is empty"):
        expected_shares("")


def test_chi_squared_by_hand():
    # 12 symbols from "aab": 8 a and 4 b expected, 6 and 6 found: 4/8 + 4/4 = 1.5 with one degree of freedom.
    result = chi_squared_symbols(["aaabbb", "aaabbb"], "aab")
    assert result.statistic == pytest.approx(1.5) and result.degrees == 1
    assert result.p == pytest.approx(0.2207, abs=1e-4)  # from a table of the distribution


def test_chi_squared_counts_symbols_that_never_occur():
    assert chi_squared_symbols(["aaaa"], "ab").statistic == pytest.approx(4)


def test_chi_squared_tells_even_from_skewed():
    assert chi_squared_symbols([SLOTS] * 100, SLOTS).p == pytest.approx(1)
    assert chi_squared_symbols([SLOTS] * 100, "".join(sorted(set(SLOTS)))).p < 1e-6


def test_chi_squared_refuses_what_it_cannot_test():
    with pytest.raises(ValueError, match=r"\['z'\].*slots='ab'"):
        chi_squared_symbols(["abz"], "ab")
    with pytest.raises(ValueError, match="at least one text"):
        chi_squared_symbols([], "ab")
