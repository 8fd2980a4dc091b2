"""tools/make_site.py: two small notebooks become pages; then the series itself."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import formulas
import make_site
from notebook_html import WIDGET, WIDGET_STATE, picture_of_widget
from site_check import find_faults
from tasks import ROOT

README = """# A series: on letters

Notebooks about **letters**.
Two of them.

![three letters](notebooks/letters.png)

## The series

| | notebook | what it is about | two CPU cores |
|---|---|---|---|
| 01 | [First](notebooks/01_first.ipynb) | the letter `a` | 1 min |
| 02 | [Second](notebooks/02_second.ipynb) | the letter `b` | 12 min |

More is to come.
"""
OPENING = r"""# 01 · First: the letter a

[README](../README.md) · [02 Second →](02_second.ipynb) · [further down](#Once-more) · [there](02_second.ipynb#A-part)
· [a file](../tools/tasks.py) · [elsewhere](https://example.org/page)

## A part
With $\alpha_t$ in a line, and $$\frac{1}{2}$$ in its own. | $\nosuchcommand$

## A part
## Once more

| a | b |
|---|---|
| 1 | 2 |
"""
CLOSING = """## Exercises
1. Why?

## Solutions
Because, says the *first* solution."""


class Pictures(HTMLParser):
    """The alt text and the style of each picture in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append((dict(attributes)["alt"], dict(attributes)["style"]))


def png(width: int) -> str:
    file = io.BytesIO()
    Image.new("L", (width, 20)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def shown(data: dict, **metadata: dict):
    return new_output("display_data", data, metadata=metadata)


def first() -> nbformat.NotebookNode:
    state = {
        "box": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_image", "IPY_MODEL_words"]}},
        "image": {"model_name": "ImageModel", "state": {"format": "png"}, "buffers": [{"path": ["value"], "data": png(33)}]},
        "words": {"model_name": "HTMLModel", "state": {"value": "<small>what the &amp; slider shows</small>"}},
    }
    outputs = [
        new_output("stream", text="2 < 3\n"),
        shown({"image/png": png(720), "text/plain": "<Figure>"}, **{"image/png": {"alt": 'the letter "a"'}}),
        shown({"image/png": png(40), "text/plain": "<Image>"}),
        shown({WIDGET: {"model_id": "box"}, "text/plain": "VBox(children=())"}),
        shown({WIDGET: {"model_id": "gone"}, "text/plain": "100%|####| 11/11"}),
        shown({"application/javascript": "alert(1)"}),
    ]
    return new_notebook(
        cells=[
            new_markdown_cell(OPENING),
            new_code_cell("# NBVAL_CHECK_OUTPUT\nprint('2 < 3')", outputs=outputs),
            new_markdown_cell(CLOSING),
            new_code_cell("answer = 42  # a solution"),
            new_markdown_cell("---\nNext: [02](02_second.ipynb)."),
            new_code_cell("free_memory()"),
        ],
        metadata={"widgets": {WIDGET_STATE: {"state": state}}},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "notebooks").mkdir()
    (folder / "README.md").write_text(README, encoding="utf-8")
    (folder / "notebooks" / "letters.png").write_bytes(base64.b64decode(png(50)))
    nbformat.write(first(), folder / "notebooks" / "01_first.ipynb")
    second = new_notebook(cells=[new_markdown_cell("# 02 · Second: the letter b\n## A part\n[back](01_first.ipynb#A-part--2)")])
    nbformat.write(second, folder / "notebooks" / "02_second.ipynb")
    (folder / "site").mkdir()
    for name in ["03_old.html", "CNAME"]:
        (folder / "site" / name).write_text("of an earlier time")
    faults = make_site.make_site(folder / "notebooks", folder / "README.md", folder / "site")
    assert faults == []
    return folder


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "site" / "01_first.html").read_text(encoding="utf-8")


def test_there_is_a_page_a_notebook_and_nothing_of_an_earlier_time(folder):
    assert sorted(path.name for path in (folder / "site").iterdir()) == ["01_first.html", "02_second.html", "CNAME", "index.html"]


def test_the_first_page_is_made_of_the_readme(folder):
    index = (folder / "site" / "index.html").read_text(encoding="utf-8")
    assert "<title>A series: on letters</title>" in index
    assert "<strong>letters</strong>.\nTwo of them.</p>" in index
    assert 'alt="three letters"' in index
    assert '<a href="02_second.html">Second</a></td>\n  <td>the letter <code>b</code></td>\n  <td>12 min</td>' in index
    assert "More is to come" not in index


def test_links_lead_to_pages(page):
    links = {words: href for href, words in re.findall(r'<a href="([^"]*)">([^<]*)</a>', page)}
    assert links["README"] == "index.html"
    assert links["02 Second →"] == links["02"] == "02_second.html"
    assert links["there"] == "02_second.html#A-part"
    assert links["further down"] == "#Once-more"
    assert links["elsewhere"] == "https://example.org/page"
    assert "a file" not in links
    assert "· a file ·" in page, "a file that is not in the site: the words stay, the link goes"


def test_each_page_leads_to_its_neighbours(folder, page):
    second = (folder / "site" / "02_second.html").read_text(encoding="utf-8")
    assert '<link rel="prev" href="index.html">\n<link rel="next" href="02_second.html">' in page
    assert '<a class="turn" href="02_second.html"><span>02 · Second</span> →</a>' in page
    assert '<a class="turn" href="01_first.html">← <span>01 · First</span></a>' in second
    assert 'rel="next"' not in second
    assert '<a href="index.html">Contents</a>' in page


def test_headings_are_listed_and_have_anchors_of_their_own(page):
    listed = re.findall(r'<li class="level-2"><a href="#([^"]+)">([^<]+)</a>', page)
    assert listed == [
        ("A-part", "A part"), ("A-part--2", "A part"), ("Once-more", "Once more"), ("Exercises", "Exercises"),
        ("Solutions", "Solutions"),
    ]  # fmt: skip
    assert all(f'<h2 id="{anchor}">' in page for anchor, _ in listed)


def test_pictures_say_what_they_show(page):
    assert Pictures(page).found == [
        ('the letter "a"', "--w: 720"), ("picture of 40 x 20 pixels", "--w: 40"), ("what the & slider shows", "--w: 33"),
    ]  # fmt: skip


def test_a_widget_is_replaced_by_what_it_showed(page):
    assert "This part works only where a kernel runs" in page
    assert "100%|####| 11/11" in page, "a bar's text can be read"
    assert [words for words in ["VBox(", "vnd.jupyter.widget", "alert(1)", "model_id"] if words in page] == []


def test_what_is_said_to_the_tests_is_left_out(page):
    assert "NBVAL" not in page
    assert "2 &lt; 3\n" in page


def test_formulas_are_drawn(page):
    assert 'role="img"' in re.search(r'<span [^>]*aria-label="\\alpha_t"[^>]*>', page).group()
    assert re.search(r'<span [^>]*class="formula block"', page)
    assert '<code class="formula">\\nosuchcommand</code>' in page
    assert not re.search(r"\$\S", re.search(r"<main.*</main>", page, re.DOTALL).group())


def test_a_formula_is_as_large_as_its_letters():
    wide, narrow = (float(re.search(r"width: ([\d.]+)em", formulas.draw(tex)).group(1)) for tex in ["x = y + z", "x"])
    assert 0.3 < narrow < 0.8 < 3 * narrow < wide
    sunk = float(re.search(r"vertical-align: (-[\d.]+)em", formulas.draw("p_i")).group(1))
    assert -0.5 < sunk < -0.1


def test_solutions_are_folded(page):
    folded = re.search(r'<details class="solutions"><summary>Show the solutions</summary>(.*?)</details>', page, re.DOTALL)[1]
    assert "the <em>first</em> solution" in folded
    assert "42" in folded
    assert "Next:" not in folded
    assert page.index('id="Exercises"') < page.index('id="Solutions"') < page.index("<details class") < page.index("Next:")
    assert page.index("Next:") < page.index("free_memory")


def test_pages_need_no_other_host_and_know_the_dark(page):
    style, script = (re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1) for tag in ["style", "script"])
    assert "http" not in style + script
    assert "@media (prefers-color-scheme: dark)" in style
    assert re.search(r"main img \{[^}]*background: #ffffff", style)
    assert re.search(r"\.projector pre \{[^}]*1\.15", style)
    assert page.count("<script") == 1
    assert re.findall(r'(?:src|srcset)="(?!data:)', page) == []


def test_no_page_names_the_folder_it_was_made_in(folder):
    assert [path.name for path in (folder / "site").glob("*.html") if str(folder) in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html">', "a link to other.html, which is not there"),
        ('<a href="#nowhere">', "a link to #nowhere; page.html has no such anchor"),
        ('<p id="a"></p><a href="page.html#b">', "a link to page.html#b; page.html has no such anchor"),
        ('<p id="a"></p><p id="a"></p>', "two elements have the id a"),
        ('<img src="data:image/png;base64,">', "an <img> without alt text"),
        ('<script src="https://cdn.example.org/x.js"></script>', "<script src> fetches https://cdn.example.org/x.js"),
        ('<img alt="x" src="//example.org/x.png">', "<img src> fetches //example.org/x.png"),
        ('<link rel="stylesheet" href="https://example.org/x.css">', "<link href> fetches https://example.org/x.css"),
        ("<style>@import 'https://example.org/x.css';</style>", "a style sheet that fetches something"),
        ("<style>p { background: url(x.png) }</style>", "a style sheet that fetches something"),
        ('<p style="background: url(//example.org)">', "a style that fetches something: background: url(//example.org)"),
        ("<p>/home/me/x</p>", "/home/me is a place on this machine"),
    ],
)
def test_faults_are_found(tmp_path, body, fault):
    (tmp_path / "page.html").write_text(body)
    assert list(find_faults(tmp_path, ["/home/me"])) == [f"page.html: {fault}"]


def test_no_fault_is_made_up(tmp_path):
    links = '<p id="a%20b"></p><a href="#a%20b"></a><a href="https://example.org"></a><a href="mailto:a@b.c"></a>'
    (tmp_path / "page.html").write_text(f"<style>i {{ background: url(data:,) }}</style>{links}<code>@import url(x)</code>")
    assert list(find_faults(tmp_path, ["/home/me"])) == []


def test_a_notebook_that_the_map_lacks_is_told(folder, tmp_path):
    (folder / "README.md").write_text(README.replace("| 02 | [Second](notebooks/02_second.ipynb)", "| 02 | Second"))
    faults = make_site.make_site(folder / "notebooks", folder / "README.md", tmp_path)
    assert faults == ["index.html: 02_second.ipynb is not in the table of README.md"]
    (folder / "README.md").write_text("# Nothing else")
    with pytest.raises(SystemExit, match="README.md has no title, or no table"):
        make_site.make_site(folder / "notebooks", folder / "README.md", tmp_path)


def test_the_series_is_without_fault(tmp_path):
    assert make_site.make_site(ROOT / "notebooks", ROOT / "README.md", tmp_path) == []
    text = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html"))
    assert re.findall(r'<code class="formula[^>]*>.*?</code>', text) == [], "matplotlib can't draw these"


def test_a_widget_whose_picture_is_empty_yet_shows_none():
    image = {"model_name": "ImageModel", "state": {"format": "png"}, "buffers": [{"data": "", "path": ["value"]}]}
    widgets = {"box": {"state": {"children": ["IPY_MODEL_image"]}}, "image": image}
    assert picture_of_widget({"model_id": "box"}, widgets) == ""
