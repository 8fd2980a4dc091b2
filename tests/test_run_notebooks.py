"""tools/run_notebooks.py, on small notebooks beside a stand-in for ocrlib."""

from pathlib import Path

import nbformat
import pytest

import run_notebooks
from run_notebooks import Estimate, Run, describe_seconds, read_progress

STAND_IN = """
import os, types
def pick_budget(): return types.SimpleNamespace(name=os.environ.get("OCRLIB_BUDGET") or "full")
def load_captchas(): return types.SimpleNamespace(source=os.environ["STAND_IN_SOURCE"], contents="two images")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("OCRLIB_BUDGET", raising=False)
    monkeypatch.setenv("STAND_IN_SOURCE", "synthetic")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "ocrlib.py").write_text(STAND_IN)  # kernels and the search for data start in this folder
    return tmp_path / "notebooks"


def write(folder: Path, name: str, *sources: str) -> bytes:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, folder / name)
    return (folder / name).read_bytes()


def execute(folder: Path, *arguments: str) -> None:
    run_notebooks.main(list(arguments), folder=folder, build=folder.parent / "build")


def outputs(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in cells if cell.cell_type == "code"]


def test_replaces_notebooks_under_the_full_budget(folder, capsys) -> None:
    write(folder, "01_a.ipynb", "kept = 1", "import os\nprint(os.path.basename(os.getcwd()))")
    write(folder, "02_b.ipynb", "print('kept' in globals())", r"print('1 %\r50 %\r100 %')")
    execute(folder)
    assert outputs(folder / "01_a.ipynb") == ["", "notebooks\n"]
    assert outputs(folder / "02_b.ipynb") == ["False\n", "100 %\n"]  # a fresh kernel; a bar as it is seen in the end
    facts = nbformat.read(folder / "02_b.ipynb", as_version=4).metadata["ocrlib"]
    assert (facts["budget"], facts["data"], len(facts["cell_seconds"])) == ("full", "synthetic", 2)
    said = capsys.readouterr().out
    assert "NO REAL IMAGES" in said
    assert said.index("[1/2] 01_a: done") < said.index("[2/2] 02_b: done") < said.index("All done")


BAR = r"""
import sys
from IPython.display import HTML, display
figure = display(HTML("drawn"), display_id=True)
for done in range(3):
    print(f"\r{done} of 2", end="", file=sys.stderr, flush=True)
    figure.update(HTML(f"drawn {done}"))
"""


def test_a_bar_redrawn_between_updates_of_a_figure_is_stored_once(folder) -> None:
    write(folder, "01_a.ipynb", BAR)
    execute(folder)
    assert outputs(folder / "01_a.ipynb") == ["2 of 2"]


def test_a_training_that_was_loaded_keeps_the_time_it_took(folder) -> None:
    write(folder, "02_b.ipynb", "print('Going on from runs/b.pt: 2 of 2 epochs were done.')", "print('anything else')")
    notebook = nbformat.read(folder / "02_b.ipynb", as_version=4)
    notebook.metadata["ocrlib"] = {"budget": "full", "data": "synthetic", "cell_seconds": [370.0, 50.0]}
    nbformat.write(notebook, folder / "02_b.ipynb")
    execute(folder)
    loaded, other = nbformat.read(folder / "02_b.ipynb", as_version=4).metadata["ocrlib"]["cell_seconds"]
    assert loaded == 370.0 and other < 50.0


def test_leaves_notebooks_alone_under_the_smoke_budget(folder, monkeypatch, capsys) -> None:
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("STAND_IN_SOURCE", "real")
    before = write(folder, "01_a.ipynb", "print(1)")
    execute(folder)
    assert (folder / "01_a.ipynb").read_bytes() == before
    assert outputs(folder.parent / "build" / "notebooks" / "01_a.ipynb") == ["1\n"]
    said = capsys.readouterr().out
    assert "REAL IMAGES: two images" in said
    assert "executed copies go to" in said


def test_says_which_cell_failed_and_keeps_what_was_run(folder, capsys) -> None:
    before = write(folder, "01_a.ipynb", "print('before')", "colour = 'red'\nint(colour)", "print('after')")
    write(folder, "02_b.ipynb", "print('never')")
    with pytest.raises(SystemExit) as ended:
        execute(folder)
    assert ended.value.code == 1
    assert (folder / "01_a.ipynb").read_bytes() == before
    assert outputs(folder.parent / "build" / "notebooks" / "01_a.ipynb") == ["before\n", "", ""]
    said = capsys.readouterr().out
    for words in ["01_a.ipynb, cell 2 of 3", "int(colour)", "ValueError: invalid literal", "01_a.ipynb is as it was"]:
        assert words in said
    assert "02_b" not in said


def test_says_that_a_kernel_died(folder, capsys) -> None:
    write(folder, "01_a.ipynb", "import os\nos._exit(1)")
    with pytest.raises(SystemExit) as ended:
        execute(folder)
    assert ended.value.code == 1
    assert "The kernel died" in capsys.readouterr().out


def test_runs_the_named_notebooks_only(folder) -> None:
    write(folder, "01_a.ipynb", "print(1)")
    write(folder, "02_b.ipynb", "print(2)")
    execute(folder, "02")
    assert (outputs(folder / "01_a.ipynb"), outputs(folder / "02_b.ipynb")) == ([""], ["2\n"])
    with pytest.raises(SystemExit, match="begins with 07"):
        execute(folder, "07")


def test_stops_before_the_first_notebook_when_the_images_cannot_be_loaded(folder, monkeypatch) -> None:
    monkeypatch.delenv("STAND_IN_SOURCE")
    before = write(folder, "01_a.ipynb", "print(1)")
    with pytest.raises(SystemExit, match="Nothing was run"):
        execute(folder)
    assert (folder / "01_a.ipynb").read_bytes() == before


def test_shows_the_epoch_that_training_wrote_down(folder, tmp_path) -> None:
    write(folder, "01_a.ipynb", "1", "2")
    progress = tmp_path / "progress.json"
    run = Run([folder / "01_a.ipynb"], folder, folder, progress, {"budget": "full", "data": "real"})
    run.cells = 2
    assert run.line() == "[1/1] 01_a, cell 1 of 2"
    progress.write_text('{"title": "CRNN", "epoch": 0, "epochs": 20, "seconds_left": null}')
    assert run.line() == "[1/1] 01_a, cell 1 of 2 | CRNN: epoch 0 of 20"
    progress.write_text('{"title": "CRNN", "epoch": 3, "epochs": 20, "seconds_left": 100.0}')
    assert run.line() == "[1/1] 01_a, cell 1 of 2 | CRNN: epoch 3 of 20, 2 min left"


def test_half_written_progress_is_no_progress(tmp_path) -> None:
    assert read_progress(tmp_path / "none") is None
    (tmp_path / "half").write_text('{"title": "CR')
    assert read_progress(tmp_path / "half") is None


def test_estimates_from_recorded_times_and_this_machines_pace() -> None:
    estimate = Estimate([[20.0, 40.0], [100.0]])
    assert estimate.seconds_left(0, 0, elapsed=5, training_left=None) == 155
    estimate.cell_done(0, 0, seconds=40)  # half as fast as recorded
    assert estimate.seconds_left(0, 1, elapsed=10, training_left=None) == 70 + 200
    assert estimate.seconds_left(1, 0, elapsed=500, training_left=None) == 0
    # Training knows better than the record: 10 s + 170 s instead of 40 s, so the pace is (40 + 180) / (20 + 40).
    assert estimate.seconds_left(0, 1, elapsed=10, training_left=170) == pytest.approx(170 + 100 * 220 / 60)
    assert Estimate([[1.0], None]).seconds_left(0, 0, elapsed=0, training_left=None) is None


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3900, "1 h 05 min")])
def test_seconds_in_words(seconds, words) -> None:
    assert describe_seconds(seconds) == words
