"""tools/bench.py: what it measures and in which order, and the table it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench


def test_what_is_compared_takes_turns():
    sections = bench.plan(rounds=2, seeds=3)
    turns = [(key, whose) for key in bench.REPORTED for whose in ("plain", "ocrlib")]
    assert [(key, whose) for _, _, _, key, whose in sections["epochs"]] == turns * 2
    assert [(key, seed) for _, _, _, key, _, seed in sections["fast"]] == [(k, n) for n in range(3) for k in ("crnn", "fast")]


def test_a_spread_names_median_least_and_greatest():
    assert bench.spread([3.0, 1.0, 2.0]) == "2 (1 to 3)"
    assert bench.spread([0.00164]) == "0.00164 (0.00164 to 0.00164)"
    assert bench.spread([12345.6]) == "12,346 (12,346 to 12,346)"


def test_each_network_is_measured(monkeypatch, captcha_folder):
    """In this process, with twelve images under the smoke budget."""
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    for whose in ("plain", "ocrlib"):
        assert bench.train("modified_crnn", whose)["s"] > 0
    assert set(bench.train("fast", "ocrlib", seed=1)) == {"s", "CER"}
    assert bench.read("fast", 256)["images/s"] > 0


def test_ocrlib_is_measured_beside_each_library(monkeypatch, captcha_folder):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setattr(bench, "timeit", lambda work, number: work() and 0.5 * number)  # once, for half a second
    turns = [(whose, code) for _, whose, code, _ in bench.plan(rounds=1, seeds=1)["peers"]]
    assert turns == [(whose, code) for _, code, peer in bench.PEERS for whose in (peer, "ocrlib")]
    for whose, code in turns:
        if bench.find_spec(whose):
            assert code(whose)["ms"] == pytest.approx(500 / 64 if code is bench.search else 500)


def test_a_library_that_is_missing_is_left_out_with_a_word(monkeypatch, captcha_folder, capsys):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setattr(bench, "PEERS", [("score, 10,000 texts", bench.score, "a_library_that_nobody_has")])
    for name in ("OCRLIB_DOWNLOAD", "OCRLIB_BUDGET", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
    bench.main(["--quick", "--only", "peers"])
    printed = capsys.readouterr().out
    assert "left out: a_library_that_nobody_has." in printed
    assert re.search(r"\| score, 10,000 texts, ms +\| [\d.]+ \([\d.]+ to [\d.]+\) +\| \| \|", printed)


def test_the_command_prints_medians_and_their_ratio():
    command = [sys.executable, "tools/bench.py", "--quick", "--only", "import"]
    done = subprocess.run(command, cwd=Path(bench.__file__).parents[1], capture_output=True, text=True, check=True)
    number = r"([\d.,]+) \([\d.,]+ to [\d.,]+\)"
    ours, others, ratio = re.search(rf"\| import, s +\| {number} +\| torch.*: {number} +\| ([\d.]+)", done.stdout).groups()
    assert abs(float(ours) / float(others) - float(ratio)) < 0.01
