"""Nested cross-validation: each image is read once, and by networks that were neither trained nor chosen with it."""

import json

import pytest

from ocrlib.evaluation import Report
from ocrlib.studies import cross_validation as cv


def test_folds_are_a_partition_of_the_images():
    parts = cv.folds(1070, seed=1)
    assert sorted(sum(parts, [])) == list(range(1070)) and {len(part) for part in parts} == {214}
    assert [len(part) for part in cv.folds(12, seed=1)] == [3, 3, 2, 2, 2]
    assert parts == cv.folds(1070, seed=1) != cv.folds(1070, seed=2)


def test_every_fold_of_three_seeds_once():
    assert len(cv.jobs()) == 15 and {job["seed"] for job in cv.jobs()} == {1, 2, 3}
    assert {job["fold"] for job in cv.jobs()} == set(range(5))


@pytest.fixture
def watched(monkeypatch, captcha_folder):
    """Runs on twelve images; notes which texts each training saw, and which each candidate was tried on."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    seen = {"trained": [], "tried": []}
    train_on, evaluate = cv.train_on, cv.evaluate

    def watching_train_on(recipe, train, test, seed):
        seen["trained"].append(set(train.texts))
        return train_on(recipe, train, test, seed)

    def watching_evaluate(model, objective, captchas):
        seen["tried"].append(set(captchas.texts))
        return evaluate(model, objective, captchas)

    monkeypatch.setattr(cv, "train_on", watching_train_on)
    monkeypatch.setattr(cv, "evaluate", watching_evaluate)
    return seen


def test_no_training_and_no_choice_touches_the_fold(watched, monkeypatch, captcha_folder):
    monkeypatch.setattr(cv, "CANDIDATES", dict(list(cv.CANDIDATES.items())[:2]))
    texts = sorted(path.stem for path in captcha_folder.iterdir())
    test = {texts[i] for i in cv.folds(12, seed=1)[2]}
    figures = cv.cross_validate(seed=1, fold=2)
    assert figures["images"] == len(test) and {true for _, true, *_ in figures["mistakes"]} <= test
    assert all(not trained & test for trained in watched["trained"])
    assert watched["trained"][-cv.MEMBERS :] == [set(texts) - test] * cv.MEMBERS, "the committee has all the other folds"
    assert len(watched["tried"]) == 2 * cv.TRIED_ON
    for tried, trained in zip(watched["tried"], watched["trained"]):
        assert not tried & test and not tried & trained
    assert json.loads(json.dumps(figures)) == figures


def test_the_candidate_with_the_fewest_edits_is_chosen_and_of_equals_the_first(watched, monkeypatch):
    edits = iter([3, 1, 2, 0, 2, 0, 2, 2])  # two folds for each of four candidates: 4, 2, 2 and 4
    report = Report(cer=0.0, edits=0, characters=10, exact=1.0, images=2, interval=(0.0, 1.0), mistakes=[])
    monkeypatch.setattr(cv, "evaluate", lambda *_: cv.replace(report, edits=next(edits)))
    figures = cv.cross_validate(seed=1, fold=0)
    assert [tried["edits"] for tried in figures["tried"].values()] == [4, 2, 2, 4]
    assert figures["chosen"] == list(cv.CANDIDATES)[1]


def test_exactly_read_images_are_counted_against_labels_as_given_and_corrected(monkeypatch):
    monkeypatch.setattr(cv, "corrections", lambda: {"aaaan": None, "bbbbn": None, "ccccn": None})
    mended = {"aaaan": "aaaam", "bbbbn": "bbbbm", "ccccn": "ccccm"}
    monkeypatch.setattr(cv, "correct", lambda texts: [mended.get(text, text) for text in texts])
    folds = [
        {"images": 100, "mistakes": [["aaaam", "aaaan", 0.9, 0.1], ["22222", "33333", 0.9, 0.1]]},  # one rightly, one wrongly
        {"images": 100, "mistakes": [["bbbbw", "bbbbn", 0.9, 0.1]]},  # wrong either way; ccccn was read as it is given
    ]
    assert cv.count_exact(folds) == 200 - 3
    assert cv.count_exact(folds, corrected=True) == 200 - 3
    folds[1]["mistakes"].append(["ccccm", "ccccn", 0.9, 0.1])
    assert (cv.count_exact(folds), cv.count_exact(folds, corrected=True)) == (200 - 4, 200 - 2)
