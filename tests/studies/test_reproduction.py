"""Which runs stand behind the error bars of the reported figures."""

import json

import pytest
from committed import ROOT

from ocrlib import EXPERIMENTS, Record, load_captchas, read_records, split
from ocrlib.studies.reproduction import SMOKE_JOB, jobs, select, texts_tested


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


def test_runs_are_found_by_split_and_width_in_the_order_they_were_planned():
    plan = jobs()
    records = [Record("f", job, "full", "data", 1, "cpu", {}, {}, 1.0) for job in reversed(plan)]

    def found(**wanted):
        return [record.arguments for record in select(records, **wanted)]

    assert found(recipe="ce_crnn") == [job for job in plan if job["recipe"] == "ce_crnn"]
    assert [job["seed"] for job in found(recipe="crnn", split_seed=42)] == [42069, 1, 2, 3, 4]
    assert [job["split_seed"] for job in found(recipe="crnn", other_splits=True)] == [1, 2, 3]
    assert {job["width"] for job in found(recipe="crnn", width=100)} == {100}


@pytest.mark.parametrize("recipe, split_seed", [("crnn", 42), ("modified_crnn", 1), ("ce_crnn", 42)])
def test_the_texts_of_a_split_are_known_without_the_images(recipe, split_seed, real_folder, monkeypatch):
    monkeypatch.setenv("OCRLIB_DATA", str(real_folder))
    parts = split(load_captchas(), (EXPERIMENTS[recipe].train, EXPERIMENTS[recipe].test), split_seed)
    assert texts_tested(recipe, split_seed) == parts[1].texts


def test_every_planned_run_is_recorded():
    records = read_records(ROOT / "notebooks" / "records" / "07_reproduction.jsonl")
    assert sorted(map(json.dumps, jobs())) == sorted(json.dumps(record.arguments) for record in records)


def test_what_was_misread_was_tested():
    records = read_records(ROOT / "notebooks" / "records" / "07_reproduction.jsonl")
    for record in records:
        tested = texts_tested(record.arguments["recipe"], record.arguments["split_seed"])
        assert len(tested) == record.figures["images"]
        assert {true for _, true in record.figures["mistakes"]} <= set(tested)


def test_runs_that_were_not_planned_come_last_and_defaults_count():
    """`run_recipe` has defaults, so a record need not name its split."""
    given = [{"recipe": "crnn", "seed": 7}, SMOKE_JOB, {"recipe": "crnn", "seed": 42069, "split_seed": 42}]
    records = [Record("f", job, "full", "data", 1, "cpu", {}, {}, 1.0) for job in given]
    assert [record.arguments for record in select(records, "crnn", split_seed=42)] == [given[2], given[0]]
    assert [record.arguments for record in select(records, "modified_crnn", other_splits=True)] == [SMOKE_JOB]
