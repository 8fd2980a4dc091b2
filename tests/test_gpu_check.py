"""tools/gpu_check.py runs to its end without a GPU too, where its figures mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def checked(folder, monkeypatch, *options):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    command = [sys.executable, "-W", "ignore", "tools/gpu_check.py", str(folder), *options]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return [json.loads(line) for line in (folder / "gpu_check.jsonl").read_text().splitlines()]


def test_all_parts_end_well_under_the_smoke_budget(tmp_path, monkeypatch):
    records = checked(tmp_path, monkeypatch, "--seconds", "3000")  # on a busy machine too
    assert [record for record in records if "error" in record] == []
    by_name = {name: [record for record in records if record["what"] == name] for name in {record["what"] for record in records}}
    found = {name: len(of) for name, of in by_name.items()}
    assert found == {"machine": 1, "tests": 1, "ctc": 3, "same bits": 2, "resumes": 2, "whole": 4, "epoch": 2}
    assert by_name["tests"][0]["passed"]
    assert all(record["equal"] == dict.fromkeys(record["equal"], True) for record in by_name["same bits"])
    assert all(record["equal"] for record in by_name["resumes"])


def test_nothing_is_begun_when_the_time_is_up(tmp_path, monkeypatch):
    assert {record["left_out"] for record in checked(tmp_path, monkeypatch, "--seconds", "0")} == {"the time was up"}
