"""Boxes of code and output as wide as their column: tables in a smaller font, all else wrapped, with a hanging indent."""

import re
from html import unescape

WIDEST = 130  # columns of a table; more would need a font too small to read, so they are wrapped
BOX = re.compile(r'<div class="([^"]*)"><div class="highlight"><pre>(.*?)</pre>', re.DOTALL)


def fit_boxes(body: str) -> str:
    """The HTML of a page, each box in it made ready for site.css: ``--columns`` of a table, ``--indent`` of any other line."""
    return BOX.sub(fit_box, body)


def fit_box(found: re.Match) -> str:
    """One box: ``found[1]`` are its classes, ``found[2]`` is the inside. Code is no table, even where its comments line up."""
    classes, inside = found.groups()
    start = f'<div class="{classes}"><div class="highlight">'
    lines = inside.removesuffix("\n").split("\n")
    plain = [unescape(re.sub("<.*?>", "", line)) for line in lines]
    columns = max(map(len, plain))
    if columns <= WIDEST and re.search("output|highlight-text", classes) and is_table(plain):
        return f'{start}<pre class="table-box" style="--columns: {columns}">{inside}</pre>'
    if any(line.count("<span") != line.count("</span>") for line in lines):  # a colour that goes on in the next line
        return found[0]
    indents = [len(line) - len(line.lstrip()) for line in plain]
    wrapped = [f'<span class="box-line" style="--indent: {indent}ch">{line}\n</span>' for indent, line in zip(indents, lines)]
    return f'{start}<pre class="line-box">{"".join(wrapped)}</pre>'


def is_table(lines: list[str]) -> bool:
    """Whether something in these lines stands in columns: the same gap in two lines, one below the other."""
    gaps = [{gap.end() for gap in re.finditer(r"(?<=\S) {2,}(?=\S)", line)} for line in lines]
    return any(above & below for above, below in zip(gaps, gaps[1:]))
