"""The command that records a study: it does what is missing, in processes of its own, and says how much is there."""

import pytest
import study_jobs

from ocrlib import read_records
from ocrlib.studies import __main__ as command

STUDY = (study_jobs.train, [{"seed": 1}, {"seed": 2}], {"seed": 3, "epochs": 1})


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder, tmp_path):
    """One small study on few images."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "full")  # put back after the test, whatever the command sets
    monkeypatch.setattr(command, "STUDIES", {"study": STUDY})
    monkeypatch.setattr(command, "FOLDER", tmp_path)


def record(*arguments):
    command.main(["study", "--workers", "1", *arguments])


def test_it_records_what_is_missing_and_counts(tmp_path, capsys):
    path = tmp_path / "study.jsonl"
    record("--list")
    assert "study.jsonl: 0 of 2 runs recorded" in capsys.readouterr().out and not path.exists()
    record("--first", "1")
    [first] = read_records(path)
    assert (first.arguments, first.threads, first.budget) == ({"seed": 1}, 1, "full")
    assert first.figures["threads"] == 1, "a thread each, unless told otherwise"
    record("--list")
    assert "1 of 2 runs recorded; the other 1 take about 0:0" in capsys.readouterr().out
    record()
    assert [run.arguments["seed"] for run in read_records(path)] == [1, 2]


def test_the_small_run_has_a_file_and_a_budget_of_its_own(tmp_path):
    record("--smoke")
    [run] = read_records(tmp_path / "study_smoke.jsonl")
    assert (run.arguments, run.budget) == (STUDY[2], "smoke")


def test_a_file_of_runs_on_other_images_or_with_another_budget_is_not_added_to(monkeypatch, tmp_path):
    record("--first", "1")
    before = (tmp_path / "study.jsonl").read_bytes()
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    with pytest.raises(SystemExit, match=r"study.jsonl holds runs with budget full on images \w+; .* budget smoke"):
        record()
    assert (tmp_path / "study.jsonl").read_bytes() == before


def test_without_a_checkout_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "FOLDER", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match="There is no folder .*nowhere. .* checkout"):
        record()


def test_the_network_of_the_package_is_recorded_then_repeated_and_never_replaced_by_a_small_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(command, "PRETRAINED", tmp_path / "pretrained.pt")
    path = tmp_path / "pretrained.jsonl"
    command.record_or_repeat(path)
    [run] = read_records(path)
    assert run.function == "pretrained"
    command.record_or_repeat(path)
    assert "to the last bit" in capsys.readouterr().out and len(read_records(path)) == 1
    assert not (tmp_path / "pretrained.pt").exists()
