"""The committed notebooks: whole, run in order on the real images, and built as every notebook of the series is.

That their code runs is not tested here: `make test` executes them with nbval, with and without the real images.
"""

import re
import statistics

import pytest
from committed import ROOT, read_committed

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install nbformat")

FOLDER = ROOT / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("[0-9][0-9]_*.ipynb"))
SERIES = [
    "00_start_here", "01_data_exploration", "02_crnn", "03_modified_crnn", "04_ce_crnn", "05_ctc_step_by_step",
    "06_how_a_network_learns_ctc", "07_ctc_vs_ce", "08_reproduction", "09_open_questions", "10_fast_training",
    "11_synthetic_to_real", "12_your_own_images",
]  # fmt: skip
OPENING = ["You will learn", "You need", "Time", "Expected result"]  # the rows of a table
FIGURE_FIRST = [*SERIES[:9], SERIES[11]]  # notebooks whose idea stands in a figure on the first screen
LOOP = "for epoch in range"  # the training loop, which is shown whole
CLOSING = ["Summary", "Try it yourself", "Exercises", "Solutions"]


@pytest.fixture(params=NAMES)
def notebook(request) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / request.param, as_version=nbformat.NO_CONVERT)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert cells, "a notebook without code"
    return cells


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def is_checked(cell: nbformat.NotebookNode) -> bool:
    """Whether nbval compares this cell's output."""
    return "nbval-check-output" in tags(cell)


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell's outputs say, one string an output."""
    return [output.get("text", "") + str(output.get("data", "")) for output in cell.outputs]


def heading(words: str) -> re.Pattern[str]:
    """Words at the start of a heading, or in bold at the start of a line."""
    return re.compile(rf"^(?:#+ |(?:[-*] )?\*\*){re.escape(words)}", re.MULTILINE | re.IGNORECASE)


def positions(headings: list[str], text: str) -> dict[str, int]:
    found = {words: heading(words).search(text) for words in headings}
    return {words: match.start() if match else -1 for words, match in found.items()}


def test_the_series_is_there() -> None:
    assert [name for name in SERIES if f"{name}.ipynb" not in NAMES] == []
    assert sorted(path.name for path in FOLDER.glob("*.ipynb")) == NAMES, "a notebook whose name does not begin with its number"


def test_is_a_valid_notebook(notebook) -> None:
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5), "no cell ids: open and save it in a current JupyterLab"
    assert notebook.metadata.kernelspec.name == "python3", "made with a kernel that readers do not have"


def test_was_run_top_to_bottom_in_a_fresh_kernel(notebook) -> None:
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"


def test_shows_no_error(notebook) -> None:
    for cell in code_cells(notebook):
        if "raises-exception" not in tags(cell):
            assert [output.ename for output in cell.outputs if output.output_type == "error"] == [], cell.source


def test_names_no_folder_of_the_machine_it_was_run_on(notebook) -> None:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    said = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs]
    assert [text for text in said if re.search(r"site-packages|(?<![\w.])/(home|root|Users|work|tmp)/|\b[A-Z]:\\", text)] == []


def test_was_not_run_with_the_smoke_budget(notebook) -> None:
    said = [text for cell in code_cells(notebook) for text in texts(cell)]
    assert [text for text in said if "SMOKE BUDGET" in text] == [], "run `make notebooks` without OCRLIB_BUDGET"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_was_run_in_full_on_the_real_images(name) -> None:
    facts = read_committed(name).metadata.get("ocrlib", {})
    assert (facts.get("budget"), facts.get("data")) == ("full", "real"), "run `make notebooks` with the real images"


def test_cells_are_short(notebook) -> None:
    cells = code_cells(notebook)
    lengths = [len(cell.source.splitlines()) for cell in cells]
    assert statistics.median(lengths) <= 6
    assert [cell.source for cell, length in zip(cells, lengths) if length > (30 if LOOP in cell.source else 25)] == []


def test_can_be_read_at_a_sitting(notebook) -> None:
    words = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(notebook.cells) <= 90 and words <= 2600


def test_opens_as_every_notebook_does(notebook) -> None:
    title, *others = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    sentence = title.source.strip().split("\n\n")[-1]  # below the heading and the links: the idea, and nothing else
    assert len(title.source.strip().split("\n\n")) == 3 and len(sentence.split()) <= 45 and "](" not in sentence
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| \S", others[0].source, re.MULTILINE)
    assert rows == OPENING


@pytest.mark.parametrize("name", FIGURE_FIRST)
def test_the_first_screen_has_a_figure_and_no_code(name) -> None:
    [first, *_] = code_cells(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4))
    assert first.metadata.get("jupyter", {}).get("source_hidden") is True
    assert [output for output in first.outputs if "image/png" in output.get("data", {})] != []


def test_closes_as_every_notebook_does(notebook) -> None:
    found = positions(CLOSING, "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"))
    assert [words for words, position in found.items() if position < 0] == []
    assert sorted(found, key=found.get) == CLOSING


def test_contents_name_all_headings_and_solutions_are_folded(notebook) -> None:
    _, table, *others = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = re.findall(r"^## (.+?)\s*$", "\n".join(cell.source for cell in others), re.MULTILINE)
    anchors = [heading.replace(" ", "-") for heading in headings if heading not in ("Solutions", "Next")]
    contents = table.source.partition("**Contents:** ")[2].partition("\n\n")[0].replace("\n", " ")
    assert [link.partition("](#")[2][:-1] for link in contents.split(" · ")] == anchors
    [solutions] = [cell for cell in others if cell.source.startswith("## Solutions")]
    assert solutions.metadata.get("jp-MarkdownHeadingCollapsed") is True


@pytest.mark.parametrize("place, name", [*enumerate(NAMES)])
def test_links_its_neighbours(place, name) -> None:
    texts = [cell.source for cell in nbformat.read(FOLDER / name, as_version=4).cells if cell.cell_type == "markdown"]
    for neighbour in NAMES[max(place - 1, 0) : place] + NAMES[place + 1 : place + 2]:
        assert f"]({neighbour})" in texts[0]
    assert f"]({(NAMES[place + 1 :] or NAMES)[0]})" in texts[-1]  # the last one leads back to the first


def test_figures_are_stored_as_images(notebook) -> None:
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            if data.get("text/plain", "").startswith("<Figure"):
                assert "image/png" in data, f"a figure that nobody can see: end the cell with something else\n{cell.source}"
                assert not is_checked(cell), f"nbval compares the text <Figure ...>\n{cell.source}"


def test_nbval_compares_something(notebook) -> None:
    checked = [cell for cell in code_cells(notebook) if is_checked(cell)]
    assert checked, "no cell has the tag nbval-check-output"
    assert [cell.source for cell in checked if not cell.outputs] == [], "marked, but there is nothing to compare"


@pytest.mark.parametrize("name", NAMES)
def test_is_small_enough_to_be_shown(name) -> None:
    assert (FOLDER / name).stat().st_size < 4_000_000, "sites that show notebooks give up on large ones; draw figures smaller"
