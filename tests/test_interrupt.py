"""The stop button in a notebook: one plain line that ends "Run All"; the same cell then goes on to the same bits."""

import sys

import pytest

NotebookClient = pytest.importorskip("nbclient", reason="needs nbclient: pip install nbclient").NotebookClient
nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install nbformat")

SETUP = """
import sys
sys.path[:0] = {path!r}
import torch
from ocrlib import CTC, fit, seed_everything
from toys import ALPHABET, ToyCTC, stop_after, toy_captchas, weights

def train(checkpoint, stop=None):
    seed_everything(1)
    model = ToyCTC()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    data = toy_captchas(12), toy_captchas(4, seed=1)
    return model, fit(
        model, CTC(ALPHABET), *data, optimizer, epochs=3, batch_size=4, live=False,
        checkpoint=checkpoint, augment=stop_after(stop),
    )
"""


def test_the_stop_button_ends_run_all_with_one_line_and_the_same_cell_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = [
        SETUP.format(path=[path for path in sys.path if path]),
        "model, history = train('run.pt', stop=4)",
        "model, history = train('run.pt')",
        "whole, undisturbed = train('whole.pt')\n"
        "print(history.digest() == undisturbed.digest(), bool(torch.equal(weights(model), weights(whole))))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, allow_errors=True, kernel_name="python3").execute()
    setup, stopped, again, compared = (cell.outputs for cell in notebook.cells)
    assert not setup and [output.output_type for output in stopped] == ["error"], "an error ends Run All"
    [line] = stopped[0].traceback
    assert line == "Stopped after 1 of 3 epochs (4 steps). Saved to run.pt: run the same cell again to go on from here."
    assert [output.text for output in again] == ["Going on from run.pt: 1 of 3 epochs were done.\n"]
    assert [output.text for output in compared] == ["True True\n"]
