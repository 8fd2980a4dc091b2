"""Recorded runs done again: what differs is named, no stranger's code is run, and to differ in the same place is a fault."""

from dataclasses import replace

import pytest
import torch
from study_jobs import train

from ocrlib import Record, record_runs, repeat
from ocrlib.studies.records import RUNS
from ocrlib.studies.repetitions import Repetition, check_repetition


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.jsonl"


@pytest.fixture(autouse=True)
def small_data(monkeypatch, captcha_folder):
    """Images whose fingerprint is quickly found."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))


@pytest.fixture
def honest(path, monkeypatch):
    """A record of a function that is in the table, with a number of threads of its own."""
    monkeypatch.setitem(RUNS, "toy", "study_jobs:train")
    return record_runs(path, [{"seed": 1}], train, threads=torch.get_num_threads() + 1)[0]


def test_repeating_an_honest_record_shows_no_difference(honest):
    elsewhere = replace(honest, figures=honest.figures | {"training_seconds": 7.0})  # time differs always
    repetition = repeat(elsewhere)
    assert repetition.differences == {}
    assert "differs" not in str(repetition) and "other" not in str(repetition)


def test_repeating_a_tampered_record_names_the_figure(honest):
    tampered = replace(honest, figures=honest.figures | {"history": "abc", "cer": 0.1})
    repetition = repeat(tampered)
    assert repetition.differences == {"history": ("abc", honest.figures["history"]), "cer": (0.1, None)}
    differing = [line.split()[0] for line in str(repetition).splitlines() if line.endswith("<- differs")]
    assert differing == ["history", "cer"]


def test_repeating_elsewhere_says_what_is_other(honest):
    said = str(repeat(replace(honest, device="cuda (a big one)", budget="smoke", data="0123")))
    for other in [
        "device: recorded with cuda (a big one)",
        "budget: recorded with smoke, repeated with full",
        "data: recorded with 0123",
    ]:
        assert f"other {other}" in said


@pytest.mark.parametrize("function", ["os:getcwd", "study_jobs:train", "ocrlib.studies.records:run_recipe", "nothing", ""])
def test_only_functions_of_the_table_are_repeated(function):
    with pytest.raises(ValueError, match="is not part of ocrlib, and is not run"):
        repeat(replace(COMPARED, function=function, arguments={}))


COMPARED = Record(
    function="ctc_vs_ce", arguments={"head": "ctc", "seed": 0, "source": "synthetic"}, budget="smoke", data="a",
    threads=1, device="cpu", versions={"torch": "2"}, figures={"arithmetic": "x86", "cer": 0.5, "seconds": 1}, seconds=1.0,
)  # fmt: skip


def repetition(cer: float, **changes) -> Repetition:
    return Repetition(COMPARED, replace(COMPARED, **{"figures": {**COMPARED.figures, "cer": cer, "seconds": 2}, **changes}))


def test_a_repetition_with_the_same_bits():
    assert "to the last bit" in check_repetition(repetition(0.5))
    assert "to the last bit" in check_repetition(repetition(0.5, threads=2))


@pytest.mark.parametrize("change", [{"threads": 2}, {"versions": {"torch": "3"}}, {"device": "cuda"}, {"budget": "full"}])
def test_a_repetition_elsewhere_may_differ(change):
    words = check_repetition(repetition(0.4, **change))
    assert "cer = 0.4, the recorded one 0.5" in words and f"other {next(iter(change))}," in words


def test_a_repetition_on_another_processor_may_differ():
    figures = {"arithmetic": "other", "cer": 0.4, "seconds": 2}
    words = check_repetition(repetition(0.4, figures=figures))
    assert "gives cer = 0.4, the recorded one 0.5" in words and "other arithmetic," in words
    assert "to the last bit" in check_repetition(repetition(0.5, figures=figures | {"cer": 0.5}))


@pytest.mark.parametrize("name", ["packages", "processor"])
def test_a_repetition_with_other_packages_may_differ(name):
    figures = {"arithmetic": "x86", name: "other", "date": "2026-11-28", "seconds": 2}
    assert f"other {name}," in check_repetition(repetition(0.4, figures=figures | {"cer": 0.4}))
    assert "to the last bit" in check_repetition(repetition(0.5, figures=figures | {"cer": 0.5}))


def test_a_repetition_in_the_same_place_may_not():
    with pytest.raises(AssertionError, match="differs"):
        check_repetition(repetition(0.4))
    with pytest.raises(AssertionError, match="differs"):
        check_repetition(repetition(0.4, data="b"))  # the generator's images are the same everywhere


def test_a_repetition_on_other_images_may_differ():
    mine = replace(COMPARED, arguments={"head": "ctc", "seed": 0})
    other = replace(mine, data="b", figures={**mine.figures, "cer": 0.4})
    assert "other data," in check_repetition(Repetition(mine, other))
