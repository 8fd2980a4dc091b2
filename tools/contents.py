"""Give every notebook its contents, its way on and its folded solutions: ``python tools/contents.py``.

Writes, from the headings that are there, a list of contents into the opening cell, and links to the neighbours at the top and
at the end; puts "Solutions" into a cell of its own that JupyterLab shows folded. No code and no output is touched, so nothing
has to be run again. ``tests/test_notebooks.py`` holds the notebooks to it.
"""

from __future__ import annotations

import copy
import re

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tasks import ROOT, say

FOLDED = {"jp-MarkdownHeadingCollapsed": True}
CONTENTS = re.compile(r"\n+### Contents\n(?:.*\n?)*?(?=\n### |\Z)")


def main() -> None:
    """Bring all notebooks into form, and say which were not."""
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    titles = {path.stem: title_of(nbformat.read(path, as_version=4)) for path in paths}
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        formed = in_form(notebook, path.stem, titles)
        if formed != notebook:
            nbformat.write(formed, path)
            say(f"{path.name}: brought into form")


def title_of(notebook: NotebookNode) -> str:
    """The first heading, such as "02 · CRNN: reading a word"."""
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE).group(1)


def in_form(notebook: NotebookNode, stem: str, titles: dict[str, str]) -> NotebookNode:
    """A copy of the notebook with contents, links and folded solutions. ``titles`` has those of the whole series, in order."""
    notebook = copy.deepcopy(notebook)
    _part_solutions(notebook)
    _write_end(notebook, stem, titles)
    _write_top(notebook, stem, titles)
    return notebook


def _part_solutions(notebook: NotebookNode) -> None:
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and (found := re.search(r"^## Solutions$", cell.source, re.MULTILINE)):
            before = cell.source[: found.start()].rstrip()
            if before:
                solutions = new_markdown_cell(cell.source[found.start() :].rstrip(), id=f"solutions-{cell.id}"[:64])
                cell.source = before
                notebook.cells.insert(place + 1, solutions)
                cell = solutions
            cell.metadata.update(FOLDED)
            return
    raise ValueError("The notebook has no heading '## Solutions'.")


def _write_end(notebook: NotebookNode, stem: str, titles: dict[str, str]) -> None:
    """The last markdown cell: a heading, so that folding the solutions doesn't fold it away, and the way on."""
    order = list(titles)
    place = order.index(stem)
    if place + 1 < len(order):
        following = order[place + 1]
        words = f"## Next\n[{titles[following]}]({following}.ipynb)"
    else:
        words = "## Next\nBack to [00 · Start here](00_start_here.ipynb), or to the [README](../README.md)."
    last = next(cell for cell in reversed(notebook.cells) if cell.cell_type == "markdown")
    if not last.source.startswith(("---\n", "## Next")):
        raise ValueError(f"The last text of {stem} should begin with '## Next'.")
    last.source = words


def _write_top(notebook: NotebookNode, stem: str, titles: dict[str, str]) -> None:
    first = notebook.cells[0]
    order = [None, *titles, None]  # before the first and after the last stands the README
    place = order.index(stem)
    before, after = (
        f"[{arrow.format(_short(titles[other]))}]({other}.ipynb)" if other else "[README](../README.md)"
        for arrow, other in (("← {}", order[place - 1]), ("{} →", order[place + 1]))
    )
    lines = CONTENTS.sub("", first.source).split("\n")
    links = next(i for i, line in enumerate(lines) if " · " in line and "](" in line and not line.startswith("#"))
    lines[links] = f"{before} · {after}"
    texts = [cell.source for cell in notebook.cells[1:] if cell.cell_type == "markdown"]
    headings = [heading for text in texts for heading in _headings(text) if heading not in ("Solutions", "Next")]
    listed = "\n".join(f"- [{_plain(heading)}](#{heading.replace(' ', '-')})" for heading in headings)
    first.source = "\n".join(lines).rstrip() + f"\n\n### Contents\n{listed}"


def _headings(text: str) -> list[str]:
    """Headings of the second level, outside code."""
    return re.findall(r"^## (.+?)\s*$", re.sub(r"(?s)```.*?```", "", text), re.MULTILINE)


def _plain(heading: str) -> str:
    return heading.replace("[", "(").replace("]", ")")


def _short(title: str) -> str:
    """ "02 CRNN" from "02 · CRNN: reading a word"."""
    return title.replace(" ·", "").partition(":")[0]


if __name__ == "__main__":
    main()
