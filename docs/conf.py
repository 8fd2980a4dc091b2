"""Sphinx makes the website with this file: the README, the committed notebooks, and pages made from the package's docstrings.

``make html`` calls ``sphinx-build -c docs`` with an empty source folder: README and notebooks lie outside ``docs/``, so `gather`
copies them there, as pages show them. Nothing is executed. No page needs a network, and of the build only `try_it`.
"""

import base64
import hashlib
import inspect
import json
import pkgutil
import re
import shutil
import sys
from html import unescape
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from docutils import nodes
from mdit_py_plugins.anchors.index import slugify
from sphinx.errors import ConfigError
from sphinx.util.nodes import make_refnode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]  # the package beside this folder, not one that is installed from elsewhere
from boxes import fit_boxes  # noqa: E402
from start import make_start  # noqa: E402
from try_it import make_page  # noqa: E402

import ocrlib  # noqa: E402

# Of these, the Markdown files are pages; the others can be downloaded where a page links to them.
FILES = ["README.md", "README.ru.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "environment.yml"]
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
NO_KERNEL = "*These controls work where a kernel runs: open the notebook in JupyterLab.*"
NO_ALT = "The image that the code above makes."
alts = {}  # a figure's alt text by the hash of its bytes: myst-nb names its file so, and knows no alt text of an output

project = "ocrlib"
author = copyright = "The ocrlib developers"
version = release = ocrlib.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]

nb_execution_mode = "off"  # the committed outputs are what the site shows
nb_code_prompt_show, nb_code_prompt_hide = "Show the code", "Hide the code"
nb_ipywidgets_js = {}  # else myst-nb loads scripts for widgets from another host
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4  # links may lead to headings; one that leads nowhere is a warning, and `-W` makes that an error
suppress_warnings = ["myst.header"]  # a notebook opens with small headings right below its title

# MathJax 3 in one file, drawing in SVG: it loads no fonts, so that formulas also show where a page is opened from a disk.
mathjax = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"))
mathjax_path = mathjax.name

html_theme = "sphinx_book_theme"
html_title = "ocrlib"
html_static_path = [str(HERE / "site.css"), str(mathjax)]
html_css_files = ["site.css"]
html_copy_source = False  # the copies are for reading; the notebooks themselves are for running
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "navbar_persistent": [],  # the search field stands in the sidebar already
    "show_toc_level": 2,
    "use_download_button": False,
}

default_role = "py:obj"  # docstrings write `fit` and `(N, C)`: what names something becomes a link, the rest stays code
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90  # longer signatures get a line for each argument
add_module_names = False
toc_object_entries_show_parents = "hide"  # "decode()", not "CTC.decode()": the list beside a page is narrow


# -- the source folder


def gather(app) -> None:
    """Fill the source folder: the project's texts and notebooks as pages show them, and a page for each module."""
    source = Path(app.srcdir)
    if any(source.iterdir()):
        raise ConfigError("Give Sphinx an empty source folder, to be filled from the project; `make html` does.")
    for folder in ["notebooks", "api"]:
        (source / folder).mkdir()
    for name in FILES:
        (source / name).write_text(lead_links((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copytree(HERE / "badges", source / "docs" / "badges")
    for path in (ROOT / "notebooks").glob("*.png"):
        shutil.copy(path, source / "notebooks")
    for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        notebook = prepare(json.loads(path.read_text(encoding="utf-8")))
        (source / "notebooks" / path.name).write_text(json.dumps(notebook), encoding="utf-8")
    write_api(source / "api")
    static = Path(app.doctreedir, "static")
    static.mkdir(parents=True)
    try_it = make_page(source, static / "try_it", ROOT / "build" / "npm")
    make_start(HERE / "index.md", ROOT / "notebooks", source, try_it)
    app.config.html_static_path.append(str(static))


def lead_links(text: str) -> str:
    """Anchors are written as Sphinx makes them, not as Jupyter does."""
    return re.sub(r"(\]\([^)\s]*#)([^)\s]+)\)", lambda found: f"{found[1]}{slugify(found[2])})", text)


def prepare(notebook: dict) -> dict:
    """Leave out what a page doesn't need, fold the code that JupyterLab folds, and note the figures' alt texts."""
    widgets = notebook["metadata"].pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    folded = False
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = lead_links(re.sub(r"(?m)^\*\*Contents:\*\* (?:.+\n?)*", "", text))  # the sidebar has them
            folded = folded or text.startswith("## Solutions")  # `finish` folds all that follows
        elif cell["cell_type"] == "code":
            if cell["metadata"].get("jupyter", {}).get("source_hidden") and not folded:
                cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
            cell["outputs"] = [shown for output in cell["outputs"] for shown in settle(output, widgets)]
    return notebook


def settle(output: dict, widgets: dict) -> list[dict]:
    """What a page shows for an output: instead of a widget the picture in it, and a word about it."""
    data = output.get("data", {})
    if WIDGET in data:
        inside = [data[WIDGET]["model_id"]]
        for model in inside:  # the list grows: boxes hold boxes
            inside += re.findall(r"IPY_MODEL_(\w+)", json.dumps(widgets[model]["state"].get("children", "")))
        pictures = [buffer["data"] for model in inside for buffer in widgets[model].get("buffers", []) if buffer["data"]]
        words = [widgets[model]["state"]["value"] for model in inside if widgets[model]["model_name"] == "HTMLModel"]
        alt = unescape(re.sub("<.*?>", "", "".join(words))) or NO_ALT
        shown = [{"data": {"image/png": picture}, "metadata": {"image/png": {"alt": alt}}} for picture in pictures]
        shown.append({"data": {"text/markdown": NO_KERNEL}, "metadata": {}})
        return [part for new in shown for part in settle({"output_type": "display_data", **new}, widgets)]
    for mime in {"image/png", "image/jpeg"} & set(data):
        digest = hashlib.sha256(base64.b64decode("".join(data[mime]))).hexdigest()
        alts.setdefault(digest, output["metadata"].get(mime, {}).get("alt", NO_ALT))  # a widget can show a figure again
    return [output]


def write_api(folder: Path) -> None:
    """A page for each module, and one that lists them: the public names, the core, then each sub-package."""
    rooms = {"ocrlib": []}
    for found in pkgutil.walk_packages(ocrlib.__path__, "ocrlib."):
        if not found.name.rpartition(".")[2].startswith("_"):
            rooms.setdefault(found.name if found.ispkg else found.name.rpartition(".")[0], []).append(found.name)
    public = [(name, getattr(ocrlib, name)) for name in ocrlib.__all__]
    public = [f"~{value.__module__}.{name}" for name, value in public if callable(value)]
    index = ["The package", "=" * 11, "", "What ``from ocrlib import ...`` offers, then all modules.", ""]
    for title, names in [("Public names", public), *rooms.items()]:
        index += [title, "-" * len(title), "", *directive("autosummary", "nosignatures", names)]
    for room, modules in rooms.items():
        index += directive("toctree", "hidden", modules if room == "ocrlib" else [room])
        for name in modules:
            below = modules[1:] if name == room else []  # a room's modules stand below it in the sidebar
            page = [name, "=" * len(name), "", f".. automodule:: {name}", "", *directive("toctree", "hidden", below)]
            (folder / f"{name}.rst").write_text("\n".join(page), encoding="utf-8")
    (folder / "index.rst").write_text("\n".join(index), encoding="utf-8")


def directive(kind: str, option: str, names: list[str]) -> list[str]:
    """Lines of reStructuredText: a table of the names, or their place in the sidebar."""
    return [f".. {kind}::", f"   :{option}:", "", *(f"   {name}" for name in names), ""] if names else []


# -- the pages


def skip_foreign(app, what, name, member, skip, options) -> bool | None:
    """Leave out what libraries write into our classes: matplotlib's `set`, a named tuple's fields (its signature has them)."""
    foreign = inspect.isroutine(member) and not (getattr(member, "__module__", None) or "ocrlib").startswith("ocrlib")
    return True if foreign or type(member).__name__ == "_tuplegetter" else None


def finish(app, doctree) -> None:
    """Give figures their alt texts, and fold the solutions as JupyterLab does."""
    for image in doctree.findall(nodes.image):
        image["alt"] = alts.get(PurePosixPath(image["uri"]).stem, image.get("alt", ""))
    for section in doctree.findall(nodes.section):
        if section[0].astext() == "Solutions":
            section.insert(1, nodes.raw("", "<details class='solutions'><summary>Show the solutions</summary>", format="html"))
            section.append(nodes.raw("", "</details>", format="html"))


def fit_page(app, name, template, context, doctree) -> None:
    """Make the boxes of a page as wide as its column."""
    if "body" in context:
        context["body"] = fit_boxes(context["body"])


def find_public_name(app, env, node, words) -> nodes.Element | None:
    """`ocrlib.fit` is described where it is defined, as `ocrlib.training.fit`; so is `fit` in another module's docstring."""
    name = node["reftarget"].removeprefix("ocrlib.")
    module = getattr(getattr(ocrlib, name), "__module__", "") if name in ocrlib.__all__ else ""
    found = env.get_domain("py").objects.get(f"{module}.{name}")
    return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, words) if found else None


def setup(app) -> None:
    """Tell Sphinx when to call what is above."""
    app.connect("builder-inited", gather)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("doctree-read", finish)
    app.connect("html-page-context", fit_page)
    app.connect("missing-reference", find_public_name)
