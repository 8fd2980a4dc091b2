"""The live plot under a fake clock and a fake notebook: how often it draws, what it shows, and what it prints elsewhere."""

import subprocess
import sys
from io import BytesIO
from types import SimpleNamespace

import pytest
from PIL import Image

from ocrlib import plots as live
from ocrlib.evaluation import History
from ocrlib.plots import LivePlot, in_ipython


def history(epochs, steps=4, extra=0):
    train = [1 / (i + 1) for i in range(epochs * steps + extra)]
    return History(train, [0.5 - 0.01 * epoch for epoch in range(epochs)], [steps] * epochs, [2.0] * epochs)


@pytest.fixture
def notebook(monkeypatch):
    """A clock that only the test and drawing move, and a display that only counts."""
    world = SimpleNamespace(now=100.0, cost=0.005, shown=[], updated=[])

    def display(data, *, metadata, raw, display_id):
        assert raw and display_id
        world.shown.append((data, metadata))

        def update(data, *, metadata, raw):
            world.now += world.cost
            world.updated.append(data)

        return SimpleNamespace(update=update)

    monkeypatch.setattr(live, "in_ipython", lambda: True)
    monkeypatch.setattr(live, "perf_counter", lambda: world.now)
    monkeypatch.setattr("IPython.display.display", display)
    return world


def drawn_lines(plot):
    figure = plot._figure
    return [list(zip(*line.get_data())) for line in (figure.raw, figure.mean, figure.test)]


def test_one_display_with_a_png_and_words(notebook):
    plot = LivePlot("CTC loss", "CRNN")
    plot.update(history(1), force=True)
    plot.close()
    [(data, metadata)] = notebook.shown
    with Image.open(BytesIO(data["image/png"])) as placeholder:
        assert placeholder.convert("RGBA").getpixel((0, 0))[3] == 0  # nothing to see before there is a loss
    assert set(data) == {"image/png", "text/plain"}
    assert data["text/plain"] == "<Figure: CRNN: CTC loss on the training and the test set>"
    assert "CTC loss" in metadata["image/png"]["alt"]
    with Image.open(BytesIO(notebook.updated[0]["image/png"])) as drawn:
        assert drawn.width > 600


def test_it_draws_at_most_once_a_second(notebook):
    plot = LivePlot("CTC loss")
    for step in range(100):  # ten seconds, a step each tenth
        notebook.now += 0.1 - 1e-9
        plot.update(history(0, extra=step + 1))
    assert 8 <= len(notebook.updated) <= 10


def test_slow_drawing_is_done_less_often(notebook):
    notebook.cost = 0.2
    plot = LivePlot("CTC loss")
    for step in range(1000):  # a hundred seconds
        notebook.now += 0.1
        plot.update(history(0, extra=step + 1))
    assert 3 <= len(notebook.updated) <= 6
    assert len(notebook.updated) * notebook.cost <= 0.03 * 100


def test_force_draws_at_once_and_close_draws_what_was_held_back(notebook):
    plot = LivePlot("CTC loss")
    plot.update(history(1), force=True)
    plot.update(history(1), force=True)  # nothing new
    assert len(notebook.updated) == 1
    plot.update(history(2))  # within the second: held back
    assert len(notebook.updated) == 1
    plot.close()
    assert len(notebook.updated) == 2
    plot.close()
    assert len(notebook.updated) == 2


def test_the_picture_holds_the_history_from_where_the_call_began(notebook):
    plot = LivePlot("CTC loss", from_epoch=2)
    run = history(3, extra=2)
    plot.update(run, force=True)
    each, _, test = drawn_lines(plot)
    assert each == [(step, run.train_loss[step - 1]) for step in range(9, 15)]
    assert test == [(3, run.test_loss[2])]


def test_nothing_reaches_pyplot(notebook):
    plot = LivePlot("CTC loss")
    plot.close()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_outside_a_notebook_one_line_an_epoch(capsys):
    plot = LivePlot("CTC loss", "CRNN")
    for run in (history(0, extra=3), history(1), history(1, extra=1), history(3)):
        plot.update(run)
    plot.update(history(3), force=True)
    plot.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0] == "CRNN, epoch 1: CTC loss 0.5208 (train, mean of 4 steps), 0.5000 (test), 2.0 s"
    assert lines[2].startswith("CRNN, epoch 3: CTC loss 0.0963 ") and "0.4800 (test)" in lines[2]


def test_outside_a_notebook_earlier_epochs_are_not_repeated(capsys):
    plot = LivePlot("CTC loss", from_epoch=2)
    plot.update(history(3))
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 3"]


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    class TerminalInteractiveShell:
        pass

    class Kernel:
        pass

    for shell, expected in ((None, False), (TerminalInteractiveShell(), False), (Kernel(), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_ipython() is expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert in_ipython() is False


def test_importing_the_package_imports_no_matplotlib():
    code = "import sys, ocrlib, ocrlib.plots; print([m for m in ('matplotlib', 'IPython', 'scipy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_in_a_real_kernel_the_stored_output_is_one_picture():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = """
from ocrlib.evaluation import History
from ocrlib.plots import LivePlot
plot, run = LivePlot("CTC loss"), History()
for epoch in range(3):
    run.train_loss += [1.0, 0.5]; run.test_loss.append(0.4); run.steps_per_epoch.append(2); run.seconds.append(0.1)
    plot.update(run, force=True)
plot.close()
"""
    cells = [
        nbformat.v4.new_code_cell(code),
        nbformat.v4.new_code_cell("from ocrlib.plots import plot_losses\nplot_losses(run, 'x')"),
    ]
    done = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
    for cell in done.cells:
        [output] = cell.outputs
        assert output.output_type == "display_data" and set(output.data) == {"image/png", "text/plain"}
    assert done.cells[0].outputs[0].metadata["image/png"]["alt"] == "CTC loss on the training and the test set"
