import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
import bench_jobs
from bench import Row, busy_warning, digits, parse, plan, ratio, rows, spread, table

TITLES = {"crnn": "CRNN", "modified_crnn": "ModifiedCRNN", "ce_crnn": "CE-CRNN", "fast": "Fast"}
ALL = list(bench.SECTIONS)


@pytest.fixture
def smoke(monkeypatch, captcha_folder):
    """The jobs' surroundings under --quick, with twelve images."""
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))


# -- arithmetic and looks


def test_the_ratio_is_that_of_the_medians():
    assert ratio([1.0, 8.0, 2.0], [4.0, 100.0, 3.0]) == 0.5


@pytest.mark.parametrize(
    ("value", "text"), [(0.00164, "0.00164"), (0, "0"), (9.876, "9.88"), (20.0, "20"), (123.4, "123"), (12345.6, "12,346")]
)
def test_digits(value, text):
    assert digits(value) == text


def test_a_spread_names_median_least_and_greatest():
    assert spread([3.0, 1.0, 2.0]) == "2 (1 to 3)"
    assert spread([2.5]) == "2.5"


def test_a_row_has_a_ratio_only_beside_something():
    assert Row("an epoch, s", [2.0], [4.0], "plain").cells() == ["an epoch, s", "2", "plain: 4", "0.500"]
    assert Row("CER", [0.0024]).cells() == ["CER", "0.0024", "", ""]


def test_columns_are_aligned():
    cells = [["what", "s"], ["an epoch", "20"]]
    assert table(cells) == "what      s\n--------  --\nan epoch  20"
    assert table(cells, markdown=True) == "| what     | s  |\n| -------- | -- |\n| an epoch | 20 |"


def test_a_busy_machine_is_told():
    assert busy_warning(1.0, cores=2) is None
    assert "1.1 on 2 cores: something else is running" in busy_warning(1.1, cores=2)


# -- what is measured, and in which order


def test_what_is_compared_takes_turns():
    names = [step.name for step in plan(["epochs"], rounds=2, seeds=1, recipes=list(TITLES))]
    once = [f"{key} {kind}" for key in bench.REPORTED for kind in ("plain", "live", "silent")]
    assert names == once * 2
    names = [step.name for step in plan(["import"], rounds=2, seeds=1, recipes=[])]
    assert names == ["import ocrlib", "import others"] * 3


def test_the_fast_recipe_has_company_throughout():
    steps = plan(["fast"], rounds=3, seeds=10, recipes=list(TITLES))
    live = [step.arguments["seed"] for step in steps if step.name == "fast live"]
    silent = [step.arguments["seed"] for step in steps if step.name == "fast silent"]
    assert live == list(range(10))
    assert silent == [0, 3, 6]
    assert [step.arguments["recipe"] for step in steps if step.name == "fast plain"] == ["crnn"] * 3


def test_without_a_fast_recipe_its_part_is_left_out():
    assert plan(["fast"], rounds=3, seeds=10, recipes=bench.REPORTED) == []


def test_each_step_is_a_job_that_takes_its_arguments():
    steps = plan(ALL, rounds=1, seeds=1, recipes=list(TITLES))
    assert {step.name.split()[-1] for step in steps} > {"plain", "live", "silent", "reading", "ocrlib", "load", "generator"}
    for step in steps:
        inspect.signature(getattr(bench_jobs, step.job)).bind(**step.arguments)


# -- the table's lines


def test_lines_for_what_was_measured_and_no_others():
    results = {
        "crnn plain": [{"seconds": 20.0, "memory": 900.0}],
        "crnn live": [{"seconds": 10.0, "shown": 0.1, "memory": 800.0, "cer": 1.0}],
        "crnn silent": [{"seconds": 8.0, "shown": 0.0, "memory": 600.0, "cer": 1.0}],
    }
    assert [row.cells() for row in rows(results, TITLES)] == [
        ["CRNN: an epoch, s", "10", "plain: 20", "0.500"],
        ["CRNN: an epoch with live plot, s", "10", "without: 8", "1.250"],
        ["CRNN: seconds inside live plot and progress, % of an epoch", "1", "", ""],
        ["CRNN: peak memory, MiB", "600", "plain: 900", "0.667"],
    ]


def test_the_fast_recipe_is_held_against_one_plain_epoch():
    results = {
        "fast live": [{"seconds": 5.0, "shown": 0.0, "cer": cer} for cer in (0.001, 0.002, 0.006)],
        "fast plain": [{"seconds": 20.0}],
        "fast reading": [{"batch 1": 500.0, "batch 256": 9000.0}],
    }
    cells = {row.what: row.cells()[1:] for row in rows(results, TITLES)}
    assert cells["Fast: training, s"] == ["5 (5 to 5)", "a plain CRNN epoch: 20", "0.250"]
    assert cells["Fast: CER"][0] == "0.002 (0.001 to 0.006)"
    assert cells["Fast: mean CER of 3 seeds"][0] == "0.003"
    assert cells["Fast: reading, batch 256, images/s"][0] == "9,000"


# -- options


def test_options_are_checked(capsys):
    for wrong in (["--only", "epochs,speed"], ["--rounds", "0"]):
        with pytest.raises(SystemExit):
            parse(wrong)
    assert "there is no section 'speed'; choose from epochs, fast," in capsys.readouterr().err
    assert parse([]).only == ALL
    assert (parse(["--quick"]).rounds, parse(["--quick", "--seeds", "4"]).seeds) == (1, 1)


# -- the jobs


def test_a_clock_notes_each_call():
    class Thing:
        def double(self, x):
            return 2 * x

    seconds = []
    bench_jobs.clock(Thing, ["double"], seconds)
    assert [Thing().double(2), Thing().double(x=3)] == [4, 6]
    assert len(seconds) == 2 and min(seconds) >= 0


@pytest.mark.filterwarnings("ignore")  # twelve images are not the published set
def test_jobs_in_this_process(smoke):
    assert bench_jobs.plain("modified_crnn")["seconds"] > 0
    assert bench_jobs.generate()["speed"] > 0
    assert bench_jobs.load()["seconds"] > 0
    assert set(bench_jobs.reading("modified_crnn")) == {"batch 1", "batch 256"}


def test_training_is_measured_with_the_plot_drawn(smoke, tmp_path):
    arguments = {"recipe": "modified_crnn", "live": True, "one_epoch": True}
    figures = bench.do("project", arguments, {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")})
    assert figures["seconds"] > figures["shown"] > 0.01  # laying the figure out alone takes more
    assert figures["cer"] > 0


def test_the_command_prints_a_table_and_writes_each_measurement(tmp_path):
    command = [sys.executable, "tools/bench.py", "--quick", "--only", "import", "--markdown", "--json", tmp_path / "all.json"]
    done = subprocess.run(command, cwd=Path(bench.__file__).parents[1], capture_output=True, text=True, check=True)
    assert "*** QUICK" in done.stdout and "load average" in done.stdout and "torchmetrics" in done.stdout
    assert "[1/2] import ocrlib\n[2/2] import others\n" in done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("| import ocrlib, s"))
    results = json.loads((tmp_path / "all.json").read_text())["passes"][0]["results"]
    assert digits(results["import ocrlib"][0]["seconds"]) in line
    assert digits(results["import others"][0]["seconds"]) in line
