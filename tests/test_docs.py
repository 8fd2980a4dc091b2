"""The website: Sphinx makes all of it without a warning, and no page needs another host."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from website import ROOT, make_site

pytest.importorskip("myst_nb", reason="Sphinx is not installed: pip install -e '.[docs]'")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


class Page(HTMLParser):
    """What a page loads, and the alt texts of its pictures."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded, self.alts = [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        facts = dict(attributes)
        if tag in ("script", "img", "iframe", "source") and "src" in facts:
            self.loaded.append(facts["src"])
        if tag == "link" and facts.get("rel") not in ("next", "prev", "index", "search", "author", "canonical"):
            self.loaded.append(facts["href"])
        if tag == "img":
            self.alts.append(facts["alt"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return make_site(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    """All pages by their path in the site."""
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


@pytest.fixture
def docs(monkeypatch) -> None:
    """The modules of docs/ can be imported."""
    monkeypatch.syspath_prepend(ROOT / "docs")


def alts_of(path: Path) -> list[str]:
    """The alt texts of a notebook's figures."""
    outputs = [output for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] for output in cell.get("outputs", [])]
    found = [output["metadata"].get("image/png", {}).get("alt") for output in outputs if "image/png" in output.get("data", {})]
    return [alt for alt in found if alt]


def test_there_is_a_page_for_all_that_is_read(pages) -> None:
    assert {"index.html", "README.html", "README.ru.html", "CONTRIBUTING.html", "CHANGELOG.html", "api/index.html"} <= set(pages)
    assert {f"notebooks/{path.stem}.html" for path in NOTEBOOKS} <= set(pages)


def test_the_start_page_leads_to_all_and_shows_three_pictures(site, pages) -> None:
    page = pages["index.html"]
    links = set(re.findall(r'<a class="reference internal" href="([^"#]+)', page.text))
    assert {"README.html", "README.ru.html", *(f"notebooks/{path.stem}.html" for path in NOTEBOOKS)} <= links
    pictures = [target for target in page.loaded if target.startswith("_images/start_")]
    assert [Path(target).name[:8] for target in pictures] == ["start_00", "start_06", "start_07"]
    assert page.alts == [alts_of(next(path for path in NOTEBOOKS if path.name[:2] == name))[0] for name in ("00", "06", "07")]


def test_the_first_picture_is_a_figure_not_that_in_place_of_a_widget(docs) -> None:
    from start import first_picture

    widget = {"data": {"image/png": "AAAA"}, "metadata": {}}
    figure = {"data": {"image/png": "aW1n"}, "metadata": {"image/png": {"alt": "a figure\nof peaks"}}}
    cells = [{"cell_type": "markdown"}, {"outputs": [{"output_type": "stream", "text": "hello"}, widget]}]
    assert first_picture("00_x.ipynb", [*cells, {"outputs": [figure]}]) == (b"img", "a figure of peaks")
    with pytest.raises(ValueError, match="00_x.ipynb has no picture for the start page; execute it"):
        first_picture("00_x.ipynb", cells)


def test_nothing_is_loaded_from_another_host(site, pages) -> None:
    outside = {(name, target) for name, page in pages.items() for target in page.loaded if re.match(r"(\w+:)?//", target)}
    assert outside == set()
    styles = {path.name: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    assert styles
    assert {name for name, text in styles.items() if re.search(r"(url\(|@import )[\"']?(https?:)?//", text)} == set()
    assert [name for name, page in pages.items() if "require.min.js" in page.text or "jupyter-widgets" in page.text] == []


def test_figures_keep_their_alt_texts(pages) -> None:
    for path in NOTEBOOKS:
        assert set(alts_of(path)) <= set(pages[f"notebooks/{path.stem}.html"].alts), path.name
    assert [name for name, page in pages.items() if not all(page.alts)] == []


def test_the_words_below_a_widget_are_its_alt_text_whatever_they_hold(docs) -> None:
    from conf import WIDGET, alts, settle

    boxes = {
        "box": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_image", "IPY_MODEL_words"]}},
        "image": {"model_name": "ImageModel", "state": {}, "buffers": [{"data": "iVBORw0K"}]},
        "words": {"model_name": "HTMLModel", "state": {"value": "<small>the text&#x27;s path, a &lt; b</small>"}},
    }
    before = set(alts)
    settle({"data": {WIDGET: {"model_id": "box"}}}, boxes)
    assert [alts.pop(new) for new in set(alts) - before] == ["the text's path, a < b"]


def test_a_table_stays_in_columns_and_all_else_is_wrapped(docs) -> None:
    from boxes import fit_boxes

    def box(classes: str, inside: str) -> str:
        return f'<div class="{classes}"><div class="highlight"><pre>{inside}</pre>'

    table = "a     1\nbcd   2"
    assert fit_boxes(box("output stream", table)) == box("output stream", table).replace(
        "<pre>", '<pre class="table-box" style="--columns: 7">'
    )
    code = '<span class="k">if</span> a:  # one\n  b   # &lt;two&gt;\n'
    assert fit_boxes(box("highlight-python", code)) == (
        '<div class="highlight-python"><div class="highlight"><pre class="line-box">'
        '<span class="box-line" style="--indent: 0ch"><span class="k">if</span> a:  # one\n</span>'
        '<span class="box-line" style="--indent: 2ch">  b   # &lt;two&gt;\n</span></pre>'
    )
    unfinished = '<span class="k">if\na</span>'
    assert fit_boxes(box("highlight-python", unfinished)) == box("highlight-python", unfinished)
    wide = "\n".join("a" * 120 + "   " + "b" * 20 for _ in range(2))
    assert "table-box" not in fit_boxes(box("output stream", wide))


def test_formulas_are_left_to_the_mathjax_in_the_site(site, pages) -> None:
    page = pages["notebooks/05_ctc_step_by_step.html"]
    assert page.text.count('class="math notranslate') > 10
    scripts = [target.partition("?")[0] for target in page.loaded if "tex-svg" in target]
    assert scripts and (site / "notebooks" / scripts[0]).resolve().is_file()


def test_the_search_finds_the_blank_plateau(site) -> None:
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    for word in ["blank", "plateau"]:
        places = [index[kind].get(word, []) for kind in ["terms", "titleterms"]]  # one place is a number, several are a list
        found = {index["docnames"][place] for some in places for place in ([some] if isinstance(some, int) else some)}
        assert {"notebooks/02_crnn", "notebooks/06_how_a_network_learns_ctc"} <= found, word


def test_the_package_is_described(pages) -> None:
    index = pages["api/index.html"].text
    assert re.search(r'<a class="reference internal" href="ocrlib.training.html#ocrlib.training.fit"', index)
    assert "Euclidean norm of all gradients" in pages["api/ocrlib.training.html"].text


def test_a_page_is_for_reading(pages) -> None:
    """What is said to the tests is left out, and so is the list of contents: the page has one. Solutions are folded."""
    text = pages["notebooks/02_crnn.html"].text
    assert "NBVAL" not in text
    assert [name for name, page in pages.items() if "<strong>Contents:" in page.text] == []
    assert "<details class='solutions'><summary>Show the solutions</summary>" in text


def test_code_that_jupyterlab_folds_is_folded(pages) -> None:
    """The first figure of a notebook is shown without its code. Solutions are folded as a whole, so their code isn't."""
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        shown = cells[: next(n for n, cell in enumerate(cells) if "".join(cell["source"]).startswith("## Solutions"))]
        hidden = [cell for cell in shown if cell["metadata"].get("jupyter", {}).get("source_hidden")]
        assert pages[f"notebooks/{path.stem}.html"].text.count("Show the code") == len(hidden), path.name


def test_the_network_reads_in_the_browser_with_what_the_site_has(site, pages) -> None:
    """What it reads is tested in the browser: `make browser-test`."""
    if "try_it.html" not in pages:
        pytest.skip("npm is missing, or its registry can't be reached")
    scripts = [target for target in pages["try_it.html"].loaded if "_static/try_it/" in target]
    assert [Path(target).name for target in scripts] == ["runtime.js", "files.js", "reading.js", "page.js"]
    assert all((site / target).is_file() for target in scripts)


def test_without_npm_the_site_goes_without_that_page(docs, tmp_path, monkeypatch, capsys) -> None:
    from try_it import make_page

    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert make_page(tmp_path, tmp_path / "static", tmp_path / "npm") is False
    assert capsys.readouterr().out.splitlines() == [
        "The website goes without the page on which the network reads. It needs npm, which comes with Node.js."
    ]
    assert list(tmp_path.iterdir()) == []
