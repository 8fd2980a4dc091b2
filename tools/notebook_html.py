"""A notebook's cells as HTML: nbconvert does the work; what needs a kernel or another host is replaced by what doesn't."""

from __future__ import annotations

import base64
import html
import io
import re
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image

import formulas

WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
PICTURES = ["image/svg+xml", "image/png", "image/jpeg"]
SHOWN = ["text/html", "text/markdown", *PICTURES, "text/plain"]  # the first of these that an output has
REPR = re.compile(r"\w+\(|$")
SOLUTIONS = re.compile(r"^## Solutions[ \t]*$", re.MULTILINE)
AFTER_SOLUTIONS = re.compile(r"---|##? ")
HEADING = re.compile(r'<h([1-6]) id="([^"]*)">(.*?)<a class="anchor-link" href="[^"]*">¶</a></h\1>', re.DOTALL)
NO_KERNEL = '<p class="note">This part works only where a kernel runs: open the notebook in JupyterLab.</p>'


@dataclass
class Heading:
    """A heading in a page: its level, the anchor it has, and what it says, as HTML."""

    level: int
    anchor: str
    words: str


class PageRenderer(IPythonRenderer):
    """Markdown as nbconvert renders it, but formulas are drawn here and now."""

    def inline_math(self, body: str) -> str:  # noqa: D102
        return formulas.draw(body)

    def block_math(self, body: str) -> str:  # noqa: D102
        return formulas.draw(body, block=True)

    def latex_environment(self, name: str, body: str) -> str:  # noqa: D102
        return formulas.draw(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)


def render_markdown(source: str, folder: Path, attachments: dict | None = None) -> str:
    """Markdown as HTML; pictures that lie in ``folder`` are put into it, and a wide table scrolls by itself."""
    renderer = PageRenderer(escape=False, embed_images=True, path=str(folder), attachments=attachments)
    text = MarkdownWithMath(renderer=renderer).render(source)
    return re.sub(r"<table>.*?</table>", r'<div class="wide">\g<0></div>', text, flags=re.DOTALL)


class CellsExporter(HTMLExporter):
    """The cells alone, in the markup of JupyterLab: head, styles and scripts are the site's own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(template_name="lab", template_file="base.html.j2", exclude_input_prompt=True, exclude_output_prompt=True)
        self.folder = folder

    @pass_context
    def markdown2html(self, context, source: str) -> str:  # noqa: D102
        return render_markdown(source, self.folder, context.get("cell", {}).get("attachments"))


# -- outputs


def plain(text: str) -> str:
    """HTML without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()


def picture(mime: str, data: str, alt: str) -> str:
    """An ``<img>`` that holds its picture. It knows its size: a page can make room for it, and show it larger with its text."""
    if mime == "image/svg+xml":
        data = base64.b64encode(data.encode()).decode()
        return f'<img src="data:{mime};base64,{data}" alt="{html.escape(alt or "picture")}">'
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        width, height = image.size
    alt = html.escape(alt or f"picture of {width} x {height} pixels")
    size = f'width="{width}" height="{height}" style="--w: {width}"'
    return f'<img src="data:{mime};base64,{"".join(data.split())}" alt="{alt}" {size}>'


def picture_of_widget(view: dict, widgets: dict) -> str:
    """The picture that a widget showed when its notebook was saved, and the words under it as its alt; "" where there is none."""
    waiting, image, words = [view.get("model_id")], None, ""
    while waiting:
        model = widgets.get(waiting.pop(0), {})
        state = model.get("state", {})
        waiting += re.findall(r"IPY_MODEL_(\w+)", str(state.get("children", "")))
        if model.get("model_name") == "HTMLModel":
            words = words or plain(state.get("value", ""))
        if model.get("model_name") == "ImageModel":
            kept = [buffer["data"] for buffer in model.get("buffers", []) if "value" in str(buffer.get("path"))]
            image = image or (any(kept) and (f"image/{state.get('format', 'png')}", kept[0]))
    return picture(*image, words) if image else ""


def settle(output: NotebookNode, widgets: dict) -> None:
    """Leave one kind of data in an output: one that a page without a kernel can show."""
    found = [mime for mime in SHOWN if mime in output.data]
    only_repr = found in ([], ["text/plain"]) and REPR.match(output.data.get("text/plain", ""))  # a bar's text can be read
    if WIDGET in output.data and only_repr:
        output.data = {"text/html": picture_of_widget(output.data[WIDGET], widgets) + NO_KERNEL}
    elif found and found[0] in PICTURES:
        alt = output.metadata.get(found[0], {}).get("alt") or output.metadata.get("alt", "")
        output.data = {"text/html": picture(found[0], output.data[found[0]], alt)}
    else:
        output.data = {mime: output.data[mime] for mime in found[:1]}


# -- cells


def split_cells(cells: list[NotebookNode]) -> list[list[NotebookNode]]:
    """The cells with the heading of the solutions, the solutions, and what follows them."""
    opening, solutions, closing = [], [], []
    place = opening
    for cell in cells:
        heading = SOLUTIONS.search(cell.source) if cell.cell_type == "markdown" and place is opening else None
        if heading:
            opening.append(nbformat.v4.new_markdown_cell(cell.source[: heading.end()]))
            place, cell = solutions, nbformat.v4.new_markdown_cell(cell.source[heading.end() :].strip())
        elif place is solutions and cell.cell_type == "markdown" and AFTER_SOLUTIONS.match(cell.source):
            place = closing
        if cell.source.strip() or cell.get("outputs"):
            place.append(cell)
    return [opening, solutions, closing]


def render_notebook(notebook: NotebookNode, folder: Path) -> tuple[str, list[Heading]]:
    """A notebook's cells as HTML, the solutions folded away, and the headings in them."""
    notebook = deepcopy(notebook)
    widgets = notebook.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"(?m)^# NBVAL_\w+\n?", "", cell.source)  # said to the tests, not to readers
            for output in cell.outputs:
                if "data" in output:
                    settle(output, widgets)
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    exporter = CellsExporter(folder)
    parts = []
    for cells in split_cells(notebook.cells):
        notebook.cells = cells
        parts.append(exporter.from_notebook_node(notebook)[0] if cells else "")
    opening, solutions, closing = parts
    if solutions:
        solutions = f'<details class="solutions"><summary>Show the solutions</summary>\n{solutions}\n</details>\n'
    return number_headings(opening + solutions + closing)


def number_headings(text: str) -> tuple[str, list[Heading]]:
    """Give headings that say the same anchors of their own; return the HTML and its headings."""
    headings: list[Heading] = []

    def number(match: re.Match[str]) -> str:
        level, anchor, words = match.groups()
        count = sum(re.sub(r"--\d+$", "", heading.anchor) == anchor for heading in headings)
        anchor += f"--{count + 1}" if count else ""
        headings.append(Heading(int(level), anchor, words))
        link = f'<a class="anchor-link" href="#{anchor}" aria-label="Link to this section">¶</a>'
        return f'<h{level} id="{anchor}">{words}{link}</h{level}>'

    return HEADING.sub(number, text), headings
