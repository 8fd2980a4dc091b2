"""Suspects: counted by hand, and the corrected labels are among the recorded ones with the evidence that their file states."""

from committed import ROOT

from ocrlib import Record, read_records
from ocrlib.data.published import corrections
from ocrlib.studies.label_errors import suspects


def fold(seed: int, mistakes: list, *members: list) -> Record:
    figures = {"mistakes": mistakes, "members_mistakes": list(members)}
    return Record("f", {"seed": seed, "fold": 0}, "full", "data", 1, "cpu", {}, figures, 1.0)


def test_two_repetitions_that_read_the_same_make_a_suspect():
    found = suspects([
        fold(1, [["aab", "aaa", 0.9, 0.1], ["ccc", "bbb", 0.5, 0.4]], [["aab", "aaa"]], [["aab", "aaa"], ["ccc", "bbb"]]),
        fold(2, [["aab", "aaa", 0.7, 0.1], ["ddd", "bbb", 0.5, 0.4]], [["aac", "aaa"]], [["aab", "aaa"]]),
        fold(3, [], [["aab", "aaa"]], []),
    ])  # fmt: skip
    assert found == [("aaa", "aab", 2, 3, 4, 6, 0.7)]


def test_one_repetition_is_no_evidence():
    assert suspects([fold(1, [["aab", "aaa", 1.0, 0.0]], [["aab", "aaa"]])]) == suspects([]) == []


def test_each_corrected_label_is_a_suspect_with_the_evidence_stated():
    folds = read_records(ROOT / "notebooks" / "records" / "07_cross_validation.jsonl")
    evidence = {suspect[:6] for suspect in suspects(folds)}
    assert {tuple(row) for row in corrections().values()} <= evidence
