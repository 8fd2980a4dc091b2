"""The recorded runs are those of commit c069c38: only their functions have other names, and every study finds its runs."""

import hashlib
import json
import shutil

import pytest
from committed import ROOT

from ocrlib import read_records, record_runs
from ocrlib.studies import records
from ocrlib.studies.__main__ import STUDIES
from ocrlib.studies.records import RUNS

RECORDS = ROOT / "notebooks" / "records"
# SHA-256 of all lines of a file without the field "function", and how many lines there are. Computed at c069c38.
LINES = {
    "pretrained": ("42a358af655df8be", 1),
    "ctc_vs_ce": ("6c328ff6b0058ca5", 450),
    "ctc_vs_ce_smoke": ("3e3755278a372d3f", 1),
    "cross_validation": ("846a4777844d146a", 15),
    "reproduction": ("1125f04059995212", 44),
    "reproduction_smoke": ("d28817837ede8aa7", 1),
    "receptive_fields": ("803cdea89ae4303e", 10),
    "remedies": ("b70872e1c20fa48f", 17),
    "variants": ("ee782ec26e7f5f7b", 37),
    "variants_smoke": ("7d0558e9d787932c", 1),
    "synthetic_to_real": ("3ff15464a0106b26", 30),
    "synthetic_to_real_smoke": ("6e5aafa42a8950cd", 1),
    "curves": ("c901ac66634f11a2", 2),
    "curves_smoke": ("39251dabafc69dc1", 1),
    "peers": ("b773eb9eb1ebacf3", 6),
    "gpu": ("2e43db4f82b2c0ab", 24),  # no study: measured outside the project, at that commit
    "real_alone": ("213dbdf564a6edf7", 5),
    "real_alone_smoke": ("2982c89d86c4c47c", 1),
    "tuning": ("6b49ecd082ceb9c0", 50),
    "tuning_smoke": ("c8c2c6832c9be488", 1),
    "keras_example": ("4354bd3c0cd8a3d8", 5),
    "water": ("3f568487c8aacd26", 10),
}
# SHA-256 of the figures of a study's jobs, in their order, and how many jobs were never run. Those of the
# studies that c069c38 had were computed with its code.
FIGURES = {
    "pretrained": ("bb9ba49c249f8b15", 0),
    "ctc_vs_ce": ("e65de3dcd16ba8bf", 0),
    "cross_validation": ("19dfdaa9635c9940", 0),
    "reproduction": ("803f8e3d5793af18", 6),
    "receptive_fields": ("986608bcd01901f9", 0),
    "remedies": ("ddc94018e400d134", 23),
    "variants": ("19c329052389ff88", 11),
    "synthetic_to_real": ("1c780b38957f1077", 0),
    "real_alone": ("db5816bb4e3f29df", 0),
    "curves": ("a1f2f347fb238c27", 18),
    "tuning": ("b5164e27ee950e66", 0),
    "keras_example": ("a3794557bb9c7fdb", 0),
    "water": ("d5863587cfe41154", 0),
}
SMOKE_FIGURES = {
    "ctc_vs_ce": "fa19435ae82f2bc3",
    "reproduction": "5b4819d564edf20e",
    "variants": "6692dce5c37f0c9e",
    "synthetic_to_real": "ffebb6c22ebc92a1",
    "real_alone": "15c6315e8fb1642d",
    "curves": "fad95ad6865081a4",
    "tuning": "b92c95a1a038c214",
}


def digest(values) -> str:
    lines = "\n".join(json.dumps(value, sort_keys=True) for value in values)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def test_every_file_is_known():
    assert {path.stem for path in RECORDS.glob("*.jsonl")} == set(LINES)


@pytest.mark.parametrize("file", LINES)
def test_only_the_function_of_a_line_has_changed(file):
    lines = [json.loads(line) for line in (RECORDS / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line.pop("function") for line in lines} <= (set(RUNS) if file != "gpu" else {"gpu"})
    assert (digest(lines), len(lines)) == LINES[file]


def find(monkeypatch, tmp_path, file, budget, function, jobs):
    """What `record_runs` gives for the jobs, on the data of the file; a run that it would have to do has no figures."""
    path = shutil.copy(RECORDS / f"{file}.jsonl", tmp_path)
    [data] = {record.data for record in read_records(path)}
    monkeypatch.setenv("OCRLIB_BUDGET", budget)
    monkeypatch.setattr(records, "data_fingerprint", lambda: data)
    missing = []

    def not_run(function, plan):
        missing.append(plan)
        return plan

    monkeypatch.setattr(records, "run_plan", not_run)
    found = record_runs(path, jobs, function)
    return [record.figures for record in found if record.figures], len(missing)


@pytest.mark.parametrize("name", FIGURES)
def test_every_job_of_a_study_finds_its_record(name, monkeypatch, tmp_path):
    figures, missing = find(monkeypatch, tmp_path, name, "full", *STUDIES[name][:2])
    assert (digest(figures), missing) == FIGURES[name]


@pytest.mark.parametrize("name", SMOKE_FIGURES)
def test_the_smoke_job_of_a_study_finds_its_record(name, monkeypatch, tmp_path):
    function, _, smoke_job = STUDIES[name]
    figures, missing = find(monkeypatch, tmp_path, f"{name}_smoke", "smoke", function, [smoke_job])
    assert (digest(figures), missing) == (SMOKE_FIGURES[name], 0)


def test_the_published_images_are_those_of_the_records(real_folder, monkeypatch):
    monkeypatch.setenv("OCRLIB_DATA", str(real_folder))
    assert {record.data for record in read_records(RECORDS / "ctc_vs_ce.jsonl")} == {records.data_fingerprint()}
