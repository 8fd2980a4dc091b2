"""Which runs stand behind the error bars of the reported figures."""

import json

import pytest
from committed import ROOT

from ocrlib import EXPERIMENTS, load_captchas, read_records, run_recipe, split
from ocrlib.studies.reproduction import CURVE_JOBS, SMOKE_JOB, follow, jobs, texts_tested


def runs(recipe: str, **wanted: int) -> list[dict]:
    return [job for job in jobs() if job["recipe"] == recipe and wanted.items() <= job.items()]


def test_each_recipe_has_five_seeds_or_more_on_the_reported_split_and_three_other_splits():
    for recipe, seeds in (("crnn", 5), ("modified_crnn", 10), ("ce_crnn", 7)):
        narrow = [job for job in runs(recipe) if "width" not in job]
        assert len({job["seed"] for job in narrow if job["split_seed"] == 42}) == seeds
        assert len({job["split_seed"] for job in narrow} - {42}) == 3
        assert narrow[0] == {"recipe": recipe, "seed": 42069, "split_seed": 42}, "the reported run itself comes first"


def test_the_crnn_runs_once_at_the_width_that_was_meant():
    assert [job["seed"] for job in runs("crnn", width=100)] == [42069]
    assert EXPERIMENTS["crnn"].width == 80


def test_each_run_once():
    assert len({json.dumps(job) for job in jobs()}) == len(jobs()) and SMOKE_JOB not in jobs()


def test_the_curves_are_of_the_recorded_runs_of_one_recipe_and_of_more_seeds():
    assert {job["recipe"] for job in CURVE_JOBS} == {"modified_crnn"}
    assert [job for job in runs("modified_crnn") if job not in CURVE_JOBS] == []
    assert len({json.dumps(job) for job in CURVE_JOBS}) == len(CURVE_JOBS) == 20 and SMOKE_JOB not in CURVE_JOBS


def test_a_training_is_followed_from_epoch_to_epoch_to_the_same_bits(captcha_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "runs"))
    figures = follow(**SMOKE_JOB)
    assert len(figures["test_losses"]) == len(figures["epoch_edits"]) == 2
    assert (figures["test_losses"][-1], figures["epoch_edits"][-1]) == (figures["test_loss"], figures["edits"])
    assert figures == json.loads(json.dumps(figures)) and "mistakes" not in figures
    assert figures["history"] == run_recipe(**SMOKE_JOB)["history"], "reading between the epochs changes nothing"


@pytest.mark.parametrize("recipe, split_seed", [("crnn", 42), ("modified_crnn", 1), ("ce_crnn", 42)])
def test_the_texts_of_a_split_are_known_without_the_images(recipe, split_seed, real_folder, monkeypatch):
    monkeypatch.setenv("OCRLIB_DATA", str(real_folder))
    parts = split(load_captchas(), (EXPERIMENTS[recipe].train, EXPERIMENTS[recipe].test), split_seed)
    assert texts_tested(recipe, split_seed) == parts[1].texts


def test_what_was_misread_was_tested():
    records = read_records(ROOT / "notebooks" / "records" / "reproduction.jsonl")
    for record in records:
        tested = texts_tested(record.arguments["recipe"], record.arguments["split_seed"])
        assert len(tested) == record.figures["images"]
        assert {true for _, true in record.figures["mistakes"]} <= set(tested)
