"""Make the notebooks, as they stand with their outputs, into a website in ``site/``. ``make html`` calls it; nothing is executed.

Every page is one file: styles, script and pictures are in it, so that it reads the same from a disk, a server or a USB stick.
"""

from __future__ import annotations

import html
import re
import string
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import nbformat

from notebook_html import Heading, plain, render_markdown, render_notebook
from site_check import find_faults
from tasks import ROOT, say

PARTS = Path(__file__).resolve().parent / "page"
LINK = re.compile(r'<a\b([^>]*?)\bhref="([^"]*)"([^>]*)>(.*?)</a>', re.DOTALL)
KEYS = (
    '<p class="note">The times are those of a full run. Keys: <kbd>←</kbd> and <kbd>→</kbd> turn pages, '
    "<kbd>p</kbd> makes all larger for a projector.</p>"
)


@dataclass
class Page:
    """A page without its frame. ``short`` is what other pages call it."""

    file: str
    title: str
    short: str
    body: str
    headings: list[Heading] = field(default_factory=list)


def read_notebook(path: Path) -> Page:
    """The page of one notebook."""
    body, headings = render_notebook(nbformat.read(path, as_version=4), path.parent)
    title = next((plain(heading.words) for heading in headings if heading.level == 1), path.stem)
    return Page(f"{path.stem}.html", title, title.partition(":")[0].strip(), body, headings)


def read_index(readme: Path) -> Page:
    """The first page: the README's title, picture and opening paragraph, and its map of the series."""
    text = readme.read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    rows = re.search(r"^## The series\n+((?:\|.*\n)+)", text, re.MULTILINE)
    if not title or not rows:
        sys.exit(f"{readme.name} has no title, or no table right under its heading 'The series': the first page is made of them.")
    opening = re.search(r"\n\n([A-Z*].+?)\n\n", text, re.DOTALL)
    shown = re.search(r"^!\[.+$", text, re.MULTILINE)
    pieces = [match.group(part) for match, part in [(title, 0), (opening, 1), (shown, 0), (rows, 1)] if match]
    body = render_markdown("\n\n".join(pieces), readme.parent)
    body = re.sub(r'<a class="anchor-link".*?</a>', "", body)
    return Page("index.html", plain(title.group(1)), "Contents", f'<div class="jp-RenderedMarkdown">{body}{KEYS}</div>')


def lead_links(text: str) -> str:
    """Links to notebooks lead to their pages, those to the README to the first page; other files of the project have none."""

    def lead(match: re.Match[str]) -> str:
        before, href, after, words = match.groups()
        target, _, anchor = href.partition("#")
        name = PurePosixPath(target)
        if not target or re.match(r"[a-z]+:|//", href, re.IGNORECASE):
            return match.group()
        if name.suffix == ".ipynb":
            href = f"{name.stem}.html" + (f"#{anchor}" if anchor else "")
        elif name.name == "README.md":
            href = "index.html"
        else:
            return words
        return f'<a{before}href="{href}"{after}>{words}</a>'

    return LINK.sub(lead, text)


# -- frames


def list_headings(page: Page) -> str:
    """The page's contents: sections, and what is in them."""
    entries, deepest = [], 2  # what stands before the first section is in none
    for heading in page.headings:
        deepest = 3 if heading.level == 2 else deepest
        if heading.level in (2, 3):
            level = min(heading.level, deepest)
            entries.append(f'<li class="level-{level}"><a href="#{heading.anchor}">{heading.words}</a></li>')
    if not entries:
        return ""
    return (
        '<nav class="toc" aria-label="On this page"><details><summary>On this page</summary><ol>\n'
        + "\n".join(entries)
        + "\n</ol></details></nav>"
    )


def frame(page: Page, before: Page | None, after: Page | None) -> str:
    """The whole page, with the bar on top that leads to its neighbours."""
    turns = {"prev": before, "next": after}
    bar = {
        "prev": f'<a class="turn" href="{before.file}">← <span>{html.escape(before.short)}</span></a>' if before else "",
        "next": f'<a class="turn" href="{after.file}"><span>{html.escape(after.short)}</span> →</a>' if after else "",
        "home": '<a href="index.html">Contents</a>' if before else "Contents",
    }
    if before and before.file == "index.html":
        bar["prev"] = ""  # "Contents" is beside it
    return string.Template((PARTS / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(page.title),
        turns="\n".join(f'<link rel="{rel}" href="{to.file}">' for rel, to in turns.items() if to),
        style=(PARTS / "page.css").read_text(encoding="utf-8"),
        script=(PARTS / "page.js").read_text(encoding="utf-8"),
        toc=list_headings(page),
        kind="with-toc" if page.headings else "plain",
        body=lead_links(page.body),
        **bar,
    )


def make_site(notebooks: Path, readme: Path, site: Path) -> list[str]:
    """Write the site and return what is wrong with it, one line each. Pages of an earlier time go; other files stay."""
    paths = sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
    pages = [read_index(readme), *map(read_notebook, paths)]
    site.mkdir(parents=True, exist_ok=True)
    for path in site.glob("*.html"):
        path.unlink()
    for page, before, after in zip(pages, [None, *pages], [*pages[1:], None]):
        (site / page.file).write_text(frame(page, before, after), encoding="utf-8")
    private = [str(place) for place in [ROOT, Path.home()] if len(place.parts) > 2]
    unlisted = [path.name for path in paths if f"({notebooks.name}/{path.name})" not in readme.read_text(encoding="utf-8")]
    missing = [f"index.html: {name} is not in the table of {readme.name}" for name in unlisted]
    return [*missing, *find_faults(site, private)]


def main() -> None:
    """Make it from this project's notebooks, and say where it is, or what is wrong with it."""
    site = ROOT / "site"
    faults = make_site(ROOT / "notebooks", ROOT / "README.md", site)
    count = len(list(site.glob("*.html"))) - 1
    say(f"{count} notebooks, one page each, and the contents: open site/index.html")
    if faults:
        sys.exit("\nNot all is well:\n" + "\n".join(f"  {fault}" for fault in faults))


if __name__ == "__main__":
    main()
