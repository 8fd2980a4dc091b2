"""tools/browser_test.py, as far as it needs no browser: what it looks for, and that it fails on a broken notebook."""

import re

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import browser_test
from browser_test import clear_outputs, find_chromium, judge_live, judge_page, judge_saved, live_cells

FAILURE = new_output("error", ename="ValueError", evalue="no red", traceback=["\x1b[31mValueError\x1b[0m: no red"])
FIGURE = new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"})
SLIDER = new_output("display_data", {browser_test.WIDGET: {"model_id": "1"}, "text/plain": "VBox()"})
WARNING = new_output("stream", name="stderr", text="Error displaying widget, says a warning")
SEEN = {"prompt": "[1]:", "errors": [], "complaints": [], "widgets": 0, "images": []}


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A title and these cells, executed in order."""
    for count, cell in enumerate(cells, start=1):
        cell.execution_count = count if cell.source.strip() else None
    return new_notebook(cells=[new_markdown_cell("# A title"), *cells])


def seen(*cells: dict) -> list[dict]:
    """What the page shows of a notebook made by `notebook`."""
    return [{**SEEN, "code": False}, *({**SEEN, "code": True, **cell} for cell in cells)]


# -- the browser


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_finds_a_browser_by_any_of_its_names(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(browser_test.shutil, "which", lambda asked: str(tmp_path / asked) if asked == name else None)
    assert find_chromium() == str(tmp_path / name)


def test_says_what_to_install_where_there_is_no_browser(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt install chromium"):
        find_chromium()


def test_says_which_notebooks_there_are_none_of() -> None:
    with pytest.raises(SystemExit, match="begins with 98 or 99"):
        browser_test.main(["98", "99"])


# -- before


def test_what_earlier_runs_left_is_cleared() -> None:
    book = notebook(new_code_cell("plot()", outputs=[FIGURE]))
    book.metadata["widgets"] = {"state": {}}
    clear_outputs(book)
    assert (book.cells[1].outputs, book.cells[1].execution_count) == ([], None)
    assert "widgets" not in book.metadata
    nbformat.validate(book)
    assert judge_saved(book) == ["Not executed: code cell 1:\n    plot()"], "a cleared notebook must not pass for an executed one"


def test_live_plots_are_expected_where_a_cell_itself_trains() -> None:
    cells = {
        "history = fit(model)\nprint(history)": True,
        "with Snapshots() as kept:\n    fit(model)": True,
        "def train():\n    return fit(model)": False,  # called elsewhere, if at all
        "fit(model, live=False)": False,
        "curve.fit(model)": False,
        "# fit(model)": False,
        "%time fit(model)": False,
    }
    book = notebook(*map(new_code_cell, cells))
    assert live_cells(book) == [place for place, live in enumerate(cells.values(), start=1) if live]


# -- the saved notebook


def test_a_good_notebook_has_no_problems() -> None:
    figure, slider = new_code_cell("plot()", outputs=[FIGURE, WARNING]), new_code_cell("explore()", outputs=[SLIDER])
    book = notebook(figure, new_code_cell(" "), slider)
    assert judge_saved(book) == []
    assert judge_page(book, seen({"images": [[640.0, 240.0]]}, {}, {"widgets": 4, "images": [[300.0, 100.0]]})) == []


def test_an_error_is_told_with_the_cells_source() -> None:
    book = notebook(new_code_cell("colour = 'blue'"), new_code_cell("paint('red')", outputs=[FAILURE]))
    assert judge_saved(book) == ["An error in code cell 2:\n    paint('red')\n\nValueError: no red"]


def test_an_error_may_be_what_a_cell_is_there_to_show() -> None:
    book = notebook(new_code_cell("paint('red')", outputs=[FAILURE], metadata={"tags": ["raises-exception"]}))
    assert judge_saved(book) == []
    assert judge_page(book, seen({"errors": ["ValueError: no red"]})) == []


def test_cells_that_were_not_executed_are_counted() -> None:
    book = notebook(new_code_cell("a = 1"), new_code_cell("b = 2"), new_code_cell("c = 3"))
    book.cells[2].execution_count = book.cells[3].execution_count = None
    assert judge_saved(book) == ["Not executed (2 in all): code cell 2:\n    b = 2"]


def test_a_long_cell_is_told_by_its_beginning() -> None:
    book = notebook(new_code_cell("\n".join(f"line {n}" for n in range(20)), outputs=[FAILURE]))
    [problem] = judge_saved(book)
    assert re.search(r"line 7\n    \.\.\.\n", problem) and "line 8" not in problem


# -- the page


@pytest.mark.parametrize(
    ("outputs", "page", "words"),
    [
        ([FIGURE], {"images": [[0.0, 240.0]]}, "An image has no size"),
        ([FIGURE], {"images": [[1.0, 1.0]]}, "An image has no size"),
        ([FIGURE, FIGURE], {"images": [[640.0, 240.0]]}, "2 images are in the file, 1 on the page"),
        ([SLIDER], {}, "Its widget is not drawn"),
        ([SLIDER], {"complaints": ["Loading widget..."]}, "Loading widget"),
        ([SLIDER], {"widgets": 1, "complaints": ["Error displaying widget: model not found"]}, "Error displaying widget: model"),
        ([], {"errors": ["\x1b[31mValueError\x1b[0m: no red"]}, "An error: ValueError: no red"),
    ],
)
def test_what_is_not_drawn_is_told(outputs, page, words) -> None:
    book = notebook(new_code_cell("draw()", outputs=outputs))
    assert judge_saved(book) == []
    [problem] = judge_page(book, seen(page))
    assert problem.startswith(words) and problem.endswith("in code cell 1:\n    draw()")


def test_an_error_in_the_file_is_not_told_again() -> None:
    book = notebook(new_code_cell("paint('red')", outputs=[FAILURE]))
    assert judge_page(book, seen({"errors": ["ValueError: no red"]})) == []


def test_a_page_without_all_cells_is_no_evidence() -> None:
    book = notebook(new_code_cell("a = 1"), new_code_cell("b = 2"))
    assert judge_page(book, seen({})) == ["The page shows 2 cells of 3."]


# -- live plots


@pytest.mark.parametrize(
    ("running", "problem", "redrawn"),
    [
        ([], "is missing", 0),
        ([True], "did not move", 0),
        ([True, False], "did not move", 0),  # drawn when all was over
        ([True, True], None, 1),
        ([True, True, True, False], None, 2),
    ],
)
def test_a_live_plot_must_move_while_its_cell_runs(running, problem, redrawn) -> None:
    book = notebook(new_code_cell("plot()"), new_code_cell("fit(model)"))
    pictures = [{"cell": 1, "running": True}] * 3 + [{"cell": 2, "running": state} for state in running]
    problems, counts = judge_live(book, pictures)
    assert counts == [redrawn]
    assert [problem in text for text in problems] == ([True] if problem else [])


def test_no_live_plot_is_expected_of_a_training_that_never_began() -> None:
    book = notebook(new_code_cell("fit(model)"))
    book.cells[1].execution_count = None
    assert judge_live(book, []) == ([], [])
