"""What went wrong in misread texts: each kind by an example, and the counts."""

import pytest

from ocrlib.studies.errors import (
    KINDS_OF_ERROR,
    count_confusions,
    count_kinds,
    count_positions,
    edit_operations,
    edits_by_text,
    misread_shares,
    missed_shares,
)

MISTAKES = [["cd5f", "cd5ff"], ["cd5", "cd5fg"], ["cdd5fg", "cd5fg"], ["cdmfg", "cdnfg"], ["bd5fg", "cd5fg"]]


@pytest.mark.parametrize(
    "read, true, expected",
    [
        ("cd5f", "cd5ff", [("", "f", 3, "missed beside its equal")]),
        ("cd5g", "cd5fg", [("", "f", 3, "missed elsewhere")]),
        ("d5fg", "cd5fg", [("", "c", 0, "missed elsewhere")]),
        ("d5fc", "cd5fc", [("", "c", 0, "missed elsewhere")]),  # the last symbol is not beside the first
        ("cd5xfg", "cd5fg", [("x", "", 3, "extra")]),
        ("cd5fgx", "cd5fg", [("x", "", 5, "extra")]),
        ("cdmfg", "cdnfg", [("m", "n", 2, "n for m, m for n")]),
        ("nd5fg", "md5fg", [("n", "m", 0, "n for m, m for n")]),
        ("cd3ff", "cd5ff", [("3", "5", 2, "another symbol")]),
        ("cd5ff", "cd5ff", []),
    ],
)
def test_each_kind(read, true, expected):
    assert edit_operations(read, true) == expected


def test_there_are_as_many_operations_as_edits():
    assert len(edit_operations("", "cd5ff")) == 5
    assert len(edit_operations("mmmmmm", "cd5ff")) == 6


def test_kinds_are_counted_in_their_order():
    counts = count_kinds(MISTAKES)
    assert list(counts) == list(KINDS_OF_ERROR)
    assert list(counts.values()) == [1, 2, 1, 1, 1]
    assert sum(count_kinds([]).values()) == 0


def test_positions_leave_out_what_is_extra():
    assert count_positions(MISTAKES) == [1, 0, 1, 2, 1]


def test_confusions_are_true_then_read():
    counts = count_confusions(MISTAKES)
    assert counts[("n", "m")] == 1 and counts[("m", "n")] == 0
    assert counts[("f", "")] == 2 and counts[("", "d")] == 1


def test_shares_of_misread_texts():
    assert misread_shares(MISTAKES, texts=50, neighbours=10) == (0.1, 0.1)
    assert misread_shares([], 50, 10) == (0, 0)
    with pytest.raises(ValueError, match="0 of 50"):
        misread_shares([], 50, 0)


def test_shares_of_missed_symbols():
    texts = ["cd5ff", "ccc5d", "cd5fc"]  # three pairs; ten symbols beside no equal: the last text's ends are not neighbours
    assert missed_shares([["cd5f", "cd5ff"], ["d5fc", "cd5fc"]], texts) == (1 / 3, 1 / 10)
    assert missed_shares([["cd5f", "cd5ff"], ["cc5d", "ccc5d"], ["cdff", "cd5ff"]], texts, readings=4) == (2 / 12, 1 / 40)
    with pytest.raises(ValueError, match="0 pairs"):
        missed_shares([], ["cd5fc"])


def test_edits_as_corrected_count_wrong_labels_that_were_read_as_they_stand():
    tested = ["2b827", "cdcb3", "mxnw4", "wgnwp"]  # the last three show edcb3, mxmw4 and wgmwp
    assert sum(edits_by_text([], tested, corrected=True)) == 3
    assert sum(edits_by_text([["edcb3", "cdcb3"], ["mxmw4", "mxnw4"]], tested, corrected=True)) == 1
    mistakes = [["edcb", "cdcb3"], ["wgmwp", "wgnwp"], ["2b82", "2b827"]]
    assert sum(edits_by_text(mistakes, tested, corrected=True)) == 3


def test_edits_of_each_text_are_in_the_order_of_the_texts_tested():
    tested = ["mxnw4", "2b827", "cdcb3"]
    mistakes = [["edcb", "cdcb3"], ["mxmw4", "mxnw4"]]
    assert edits_by_text(mistakes, tested) == [1, 0, 2]
    assert edits_by_text(mistakes, tested, corrected=True) == [0, 0, 1]
