"""Open the numbered notebooks in JupyterLab in a browser without a window, run them as readers do, and look at what is drawn.

``make browser-test`` calls it; ``python tools/browser_test.py 03 05`` takes these two only. Copies without outputs are run,
under the smoke budget, so the notebooks in ``notebooks/`` stay as they are. Pictures for a person to look at go to
``build/browser/``. nbval sees what a kernel answers; this sees what JupyterLab makes of it: widgets, figures, a plot that moves.
"""

from __future__ import annotations

import argparse
import ast
import re
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat import NotebookNode

from lab_page import LabError, LabPage, Server, serve, tail
from run_notebooks import find_data, shown
from tasks import ROOT, copy_notebooks, make_paths_absolute, say, smoke_environment
from terminal import Status, describe_seconds

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BUILD = ROOT / "build" / "browser"
LIMIT = 600  # seconds a notebook may take
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]  # containers run as root and have little shared memory
WINDOW = {"width": 1400, "height": 3000}
WIDGET = "application/vnd.jupyter.widget-view+json"


def find_chromium() -> str:
    """The browser's command; exits and says what to install where there is none."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    sys.exit(
        f"No browser here: none of {', '.join(BROWSERS)} is on the PATH, and this test downloads none.\n"
        "On Debian: sudo apt install chromium. On Fedora: sudo dnf install chromium. Elsewhere install Chrome or Chromium,\n"
        "and put it on the PATH under one of these names."
    )


def clear_outputs(notebook: NotebookNode) -> None:
    """Remove what earlier runs left: what is seen then was made in this one."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def is_run(cell: NotebookNode) -> bool:
    """Whether Run All Cells executes it: it passes over empty cells."""
    return cell.cell_type == "code" and bool(cell.source.strip())


def may_fail(cell: NotebookNode) -> bool:
    """Whether an error is what the cell is there to show."""
    return "raises-exception" in cell.metadata.get("tags", [])


def excerpt(notebook: NotebookNode, place: int) -> str:
    """Which cell it is and how its source begins; the number counts code cells from 1."""
    number = sum(cell.cell_type == "code" for cell in notebook.cells[: place + 1])
    lines = notebook.cells[place].source.splitlines()
    return "\n".join([f"code cell {number}:"] + ["    " + line for line in lines[:8] + ["..."] * (len(lines) > 8)])


def without_colours(text: str) -> str:
    """A traceback as plain text."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def live_cells(notebook: NotebookNode) -> list[int]:
    """Places of the cells that call ``fit`` themselves: a live plot moves under them while they run."""
    return [place for place, cell in enumerate(notebook.cells) if is_run(cell) and _trains(cell.source)]


def _trains(source: str) -> bool:
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a line for IPython, such as %time
        return False
    calls = [node for statement in statements for node in ast.walk(statement) if not isinstance(statement, ast.FunctionDef)]
    named = [node for node in calls if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fit"]
    return any("live" not in {keyword.arg for keyword in call.keywords} for call in named)


def judge_saved(notebook: NotebookNode) -> list[str]:
    """What is wrong with a notebook that was run and saved: errors, and cells that were not executed."""
    problems, missing = [], []
    for place, cell in enumerate(notebook.cells):
        if not is_run(cell):
            continue
        if cell.execution_count is None:
            missing.append(place)
        for output in cell.outputs:
            if output.output_type == "error" and not may_fail(cell):
                trace = without_colours("\n".join(output.traceback)).strip() or f"{output.ename}: {output.evalue}"
                problems.append(f"An error in {excerpt(notebook, place)}\n\n{trace}")
    if missing:
        more = f" ({len(missing)} in all)" if len(missing) > 1 else ""
        problems.append(f"Not executed{more}: {excerpt(notebook, missing[0])}")
    return problems


def judge_page(notebook: NotebookNode, cells: list[dict]) -> list[str]:
    """What is wrong with what the page shows of a saved notebook; ``cells`` is what `LabPage.cells` found."""
    if len(cells) != len(notebook.cells):
        return [f"The page shows {len(cells)} cells of {len(notebook.cells)}."]
    problems = []
    for place, (cell, seen) in enumerate(zip(notebook.cells, cells)):
        if not is_run(cell):
            continue
        kinds = [set(output.get("data", {})) for output in cell.outputs]
        figures = sum(any(kind.startswith("image/") for kind in data) and not data & {WIDGET, "text/html"} for data in kinds)
        said = [*seen["complaints"]]
        if not may_fail(cell) and not any(output.output_type == "error" for output in cell.outputs):  # those are told already
            said += [f"an error: {without_colours(text).strip()}" for text in seen["errors"]]
        if any(WIDGET in data for data in kinds) and not seen["widgets"] and not said:
            said.append("its widget is not drawn")
        if len(seen["images"]) < figures:
            said.append(f"{figures} images are in the file, {len(seen['images'])} on the page")
        # One pixel holds the place of a live plot until there is something to draw.
        said += ["an image has no size" for width, height in seen["images"] if min(width, height) <= 1]
        problems += [f"{text[0].upper()}{text[1:]}, in {excerpt(notebook, place)}" for text in said]
    return problems


def judge_live(notebook: NotebookNode, pictures: list[dict]) -> tuple[list[str], list[int]]:
    """Problems of the live plots, and how often each was redrawn while its cell was running; see `LabPage.pictures`."""
    begun = [place for place in live_cells(notebook) if notebook.cells[place].execution_count is not None]
    counts = {place: sum(seen["cell"] == place and seen["running"] for seen in pictures) for place in begun}
    problems = [
        f"The live plot {'did not move' if count else 'is missing'} while it ran, in {excerpt(notebook, place)}"
        for place, count in counts.items()
        if count < 2
    ]
    return problems, [max(count - 1, 0) for count in counts.values()]


def check(browser: Browser, server: Server, path: Path, status: Status, title: str) -> list[str]:
    """Run one notebook in JupyterLab; return what is wrong with it, and leave pictures of it."""
    from playwright.sync_api import Error as PlaywrightError

    for old in BUILD.glob(f"{path.stem}-*.png"):
        old.unlink()
    cells = nbformat.read(path, as_version=4).cells
    total = sum(map(is_run, cells))
    began, problems = time.monotonic(), []
    context = browser.new_context(viewport=WINDOW)
    page = LabPage(context, server, path)
    try:
        status.show(f"{title}: opening")
        page.open(len(cells))
        try:
            page.run_all(LIMIT, lambda done: status.show(f"{title}: {done} of {total} cells"))
        except LabError as error:
            problems.append(str(error))
        page.settle()
        page.save()
        notebook = nbformat.read(path, as_version=4)
        live, redrawn = judge_live(notebook, page.pictures())
        problems += judge_saved(notebook)
        problems += judge_page(notebook, page.cells()) + live
        moved = f", live plot changes: {', '.join(map(str, redrawn))}" if redrawn else ""
        count = page.photograph(BUILD)
        said = f"{total} cells in {describe_seconds(time.monotonic() - began)}{moved}, {count} screenshot{'s' * (count > 1)}"
    except (LabError, PlaywrightError) as error:
        said = f"broken off after {describe_seconds(time.monotonic() - began)}"
        problems.append(f"{error}\nJupyterLab's last lines:\n{tail(BUILD / 'jupyterlab.log')}")
        with suppress(PlaywrightError):  # the page may be gone
            page.page.screenshot(path=BUILD / f"{path.stem}-1.png")
    finally:
        with suppress(PlaywrightError):  # or the server
            server.stop_kernels(context)
        context.close()
    status.clear()
    say(f"{title}: {'FAILED' if problems else 'passed'}, {said}")
    return problems


def main(arguments: list[str] | None = None) -> None:
    """Test the notebooks whose names begin with one of the arguments; all without arguments."""
    parser = argparse.ArgumentParser(description="Run the numbered notebooks in JupyterLab in a browser.")
    parser.add_argument("beginnings", nargs="*", metavar="NOTEBOOK", help="a name or its beginning, such as 02; all without")
    beginnings = tuple(parser.parse_args(arguments).beginnings) or ("",)
    names = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb") if path.name.startswith(beginnings))
    if not names:
        sys.exit(f"No notebook in notebooks/ is named NN_topic.ipynb and begins with {' or '.join(beginnings)}.")
    chromium = find_chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit('Playwright is missing. `make browser-test` installs it; so does: pip install -e ".[browser]"')
    make_paths_absolute()
    environment = smoke_environment()
    with tempfile.TemporaryDirectory(prefix="ocrlib-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / "notebooks"
        copy_notebooks(folder)
        for name in names:
            notebook = nbformat.read(folder / name, as_version=4)
            clear_outputs(notebook)
            nbformat.write(notebook, folder / name)
        find_data(folder, environment)
        status, problems = Status(), {}
        say(f"Pictures of {len(names)} notebook{'s' * (len(names) > 1)} go to {shown(BUILD)}; the notebooks stay as they are.")
        try:
            with serve(folder, Path(temporary) / "home", environment, BUILD / "jupyterlab.log") as server:
                with sync_playwright() as playwright:
                    # Ctrl-C ends this script, which closes the browser; without a browser it would report a failure.
                    browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, handle_sigint=False)
                    for number, name in enumerate(names, start=1):
                        title = f"[{number}/{len(names)}] {Path(name).stem}"
                        problems[name] = check(browser, server, folder / name, status, title)
                    browser.close()
        except LabError as error:
            sys.exit(str(error))
    failed = {name: found for name, found in problems.items() if found}
    for name, found in failed.items():
        say(f"\n##### {name} #####\n\n" + "\n\n".join(found))
    if failed:
        sys.exit(f"\nFAILED: {len(failed)} of {len(names)} notebooks: {', '.join(failed)}")
    say(f"All {len(names)} passed.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
