"""Nested cross-validation: each image is read once, by networks neither trained nor chosen with it."""

import json

import pytest
import torch
from committed import ROOT

from ocrlib import CTC, Alphabet, Record, read_records
from ocrlib.data.published import corrections
from ocrlib.evaluation import Report
from ocrlib.studies import cross_validation as cv


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
    assert watched["trained"][-cv.MEMBERS :] == [set(texts) - test] * cv.MEMBERS, "the ensemble has all the other folds"
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


# -- the ensemble


def steps(*probabilities: dict[str, float]) -> torch.Tensor:
    """Logits ``(T, 1, C)`` with these probabilities at each step; "" is the blank, other symbols have next to none."""
    alphabet, found = Alphabet(), torch.full((len(probabilities), 1, len(Alphabet())), 1e-12)
    for step, of_step in enumerate(probabilities):
        for symbol, probability in of_step.items():
            found[step, 0, alphabet.symbols.index(symbol) + 1 if symbol else alphabet.blank] = probability
    return found.log()


def test_the_text_that_all_find_likely_wins_over_what_one_is_sure_of():
    texts, mean = cv.read_together([steps({"a": 0.61, "b": 0.39}), steps({"a": 0.02, "b": 0.98})])
    assert texts == ["b"] and mean.item() == pytest.approx((0.39 * 0.98) ** 0.5, rel=1e-5)


def test_members_need_not_agree_where_a_symbol_stands():
    early = steps({"": 0.05, "a": 0.95}, {"": 0.95, "a": 0.05}, {"": 0.98, "a": 0.02})
    texts, mean = cv.read_together([early, early.flip(0)])
    assert texts == ["a"] and mean.item() == pytest.approx(CTC(Alphabet()).confidence(early, ["a"]).item(), rel=1e-5)
    assert CTC(Alphabet()).confidence((early + early.flip(0)) / 2, ["a"]).item() < mean.item()


def test_one_member_reads_as_it_would_alone():
    logits = torch.randn(6, 4, 37, generator=torch.Generator().manual_seed(0))
    texts, mean = cv.read_together([logits])
    assert texts == CTC(Alphabet()).decode(logits)
    assert torch.allclose(mean, CTC(Alphabet()).confidence(logits, texts))


def test_a_text_that_a_member_cannot_spell_has_no_chance():
    assert cv.mean_probability([torch.zeros(1, 1, 37), torch.zeros(3, 1, 37)], ["ab"]).tolist() == [0.0]


# -- doubtful labels


def fold(seed: int, mistakes: list, *members: list) -> Record:
    figures = {"mistakes": mistakes, "members_mistakes": list(members)}
    return Record("f", {"seed": seed, "fold": 0}, "full", "data", 1, "cpu", {}, figures, 1.0)


def test_two_repetitions_that_read_the_same_make_a_label_doubtful():
    found = cv.doubtful_labels([
        fold(1, [["aab", "aaa", 0.9, 0.1], ["ccc", "bbb", 0.5, 0.4]], [["aab", "aaa"]], [["aab", "aaa"], ["ccc", "bbb"]]),
        fold(2, [["aab", "aaa", 0.7, 0.1], ["ddd", "bbb", 0.5, 0.4]], [["aac", "aaa"]], [["aab", "aaa"]]),
        fold(3, [], [["aab", "aaa"]], []),
    ])  # fmt: skip
    assert found == [("aaa", "aab", 2, 3, 4, 9, 0.7)]


def test_one_repetition_is_no_evidence():
    assert cv.doubtful_labels([fold(1, [["aab", "aaa", 1.0, 0.0]], [["aab", "aaa"]])]) == cv.doubtful_labels([]) == []


def test_each_corrected_label_is_doubtful_with_the_evidence_stated():
    folds = read_records(ROOT / "notebooks" / "records" / "cross_validation.jsonl")
    evidence = {doubt[:6] for doubt in cv.doubtful_labels(folds)}
    assert {tuple(row) for row in corrections().values()} <= evidence
