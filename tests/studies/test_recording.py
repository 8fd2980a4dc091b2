"""The command that records a notebook's runs: it does what is missing, in processes of its own, and says how much that is."""

import pytest
import study_jobs

import record
from ocrlib import Record, read_records
from ocrlib.studies.records import add_record, data_fingerprint

STUDY = record.Study("study", study_jobs.train, [{"seed": 1}, {"seed": 2}], {"seed": 3, "epochs": 1})


def test_it_records_what_is_missing_and_counts(monkeypatch, tmp_path, captcha_folder, capsys):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setattr(record, "STUDIES", {"99": STUDY})
    path = tmp_path / "study.jsonl"
    record.main(["99", "--list"], tmp_path)
    assert "0 of 2 runs recorded; how long a run takes is not known yet" in capsys.readouterr().out and not path.exists()

    record.main(["99", "--first", "1", "--workers", "1"], tmp_path)
    [first] = read_records(path)
    assert (first.arguments, first.threads, first.budget) == ({"seed": 1}, 1, "full")
    assert first.figures["threads"] == 1, "a thread each, unless told otherwise"

    record.main(["99", "--list", "--workers", "2"], tmp_path)
    assert "1 of 2 runs recorded; 1 to do take about" in capsys.readouterr().out
    record.main(["99", "--workers", "1"], tmp_path)
    assert [run.arguments["seed"] for run in read_records(path)] == [1, 2]


def test_the_small_run_has_a_file_and_a_budget_of_its_own(monkeypatch, tmp_path, captcha_folder):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "full")  # put back after the test, whatever the command sets
    monkeypatch.setattr(record, "STUDIES", {"99": STUDY})
    record.main(["99", "--smoke", "--workers", "1"], tmp_path)
    [run] = read_records(tmp_path / "study_smoke.jsonl")
    assert (run.arguments, run.budget) == (STUDY.smoke_job, "smoke")


def test_a_file_of_runs_on_other_images_or_with_another_budget_is_not_added_to(monkeypatch, tmp_path, captcha_folder):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setattr(record, "STUDIES", {"99": STUDY})
    record.main(["99", "--first", "1", "--workers", "1"], tmp_path)
    before = (tmp_path / "study.jsonl").read_bytes()
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    with pytest.raises(SystemExit, match=r"study.jsonl holds runs with budget full on images \w+; here .* budget smoke"):
        record.main(["99", "--workers", "1"], tmp_path)
    assert (tmp_path / "study.jsonl").read_bytes() == before


def test_the_time_left_is_that_of_runs_of_the_same_kind(monkeypatch, tmp_path, captcha_folder):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    here = {"budget": "full", "data": data_fingerprint(), "threads": 1, "device": "cpu", "versions": {}, "figures": {}}
    path = tmp_path / "runs.jsonl"
    for name, seconds in (("short", 10.0), ("short", 14.0), ("long", 600.0)):
        add_record(path, Record("f", {"recipe": name, "seed": int(seconds), "split_seed": 42}, **here, seconds=seconds))
    wanted = [{"recipe": "short", "seed": 1, "split_seed": 7}, {"recipe": "long", "seed": 2, "split_seed": 42}]
    assert "2 to do take about" in record.progress(path, wanted, 1)
    assert "at 306.0 s a run, 1 at a time" in record.progress(path, wanted, 1)
