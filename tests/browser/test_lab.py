"""Notebooks in JupyterLab, as readers run them. `make browser-test` asks for this; plain pytest passes it over.

nbval sees what a kernel answers; this sees what JupyterLab makes of it: widgets, figures, a live plot that moves.
"""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from tasks import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install nbformat")
pytest.importorskip("pytest_playwright", reason="pytest-playwright is missing: `make browser-test` installs it.")
VARIABLES = {"OCRLIB_BUDGET": "smoke", "OCRLIB_DOWNLOAD": "0", "OCRLIB_RUNS": "", "JUPYTER_PREFER_ENV_PATH": "1"}
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of view stay in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # nothing pops up over the page
}
ERROR = "[data-mime-type='application/vnd.jupyter.stderr']"  # JupyterLab draws an error as it draws stderr, on a pink ground
LAST_PROMPT = "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].at(-1).textContent"
END = f'document.querySelector("{ERROR}") || /\\d/.test({LAST_PROMPT})'
# Each picture that a cell shows while it runs: its place in the notebook, and the picture.
WATCH = """() => {
    window.seen = {};
    setInterval(() => document.querySelectorAll('.jp-Notebook .jp-Cell').forEach((cell, place) => {
        if (cell.querySelector('.jp-InputPrompt')?.textContent.includes('*'))
            cell.querySelectorAll('.jp-OutputArea img').forEach(image => (window.seen[place] ??= new Set()).add(image.src));
    }), 50);
}"""
# A file that is let go over an element; and a picture that is copied, as a screenshot is.
DROP = """(element, [content, name]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name, { type: 'image/png' }));
    element.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
COPY = """async () => {
    const canvas = new OffscreenCanvas(80, 20);
    canvas.getContext('2d').fillRect(0, 0, 40, 20);
    const picture = await canvas.convertToBlob({ type: 'image/png' });
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': picture })]);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Copies of the notebooks without outputs: what is seen then was made now."""
    folder = shutil.copytree(
        ROOT / "notebooks", tmp_path_factory.mktemp("lab") / "notebooks", ignore=shutil.ignore_patterns(".*", "runs")
    )
    for path in folder.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        nbformat.write(notebook, path)
    return folder


@pytest.fixture(scope="module")
def lab(folder):
    """The address of a notebook in a JupyterLab in that folder, for `str.format`; the settings are its own."""
    home, token = folder.parent / "home", secrets.token_hex()
    for name, settings in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    own = {f"JUPYTER_{name}_DIR": str(home / name) for name in ["CONFIG", "DATA", "RUNTIME"]}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home), "IPYTHONDIR": str(home)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
    server = subprocess.Popen(command, cwd=folder, env={**os.environ, **VARIABLES, **own, "JUPYTER_TOKEN": token})
    ends = time.monotonic() + 120
    while not (found := list((home / "RUNTIME").glob("jpserver-*.json"))):
        assert server.poll() is None and time.monotonic() < ends, "JupyterLab did not start; its lines are above"
        time.sleep(0.2)
    port = json.loads(found[0].read_text())["port"]
    # Each notebook has a workspace of its own, in which nothing else is open.
    yield f"http://127.0.0.1:{port}/lab/workspaces/{{0}}/tree/{{0}}.ipynb?token={token}"
    server.terminate()
    server.wait(timeout=60)


def start(page, address, width=1400, height=3000):
    """Open a notebook, and begin to run all its cells."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(address, timeout=120_000)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=120_000)
    page.wait_for_function("document.querySelector('.jp-Toolbar-kernelName')?.textContent.startsWith('Python')", timeout=120_000)
    page.evaluate(WATCH)
    choose(page, "Run", "Run All Cells")


def choose(page, menu, entry):
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_text(entry, exact=True).click()


def run_all(page, address, **size):
    """Open a notebook, run all its cells, and wait until widgets are drawn."""
    start(page, address, **size)
    # Cells run one after another, and none after an error: the end is an error, or a number at the last one.
    page.wait_for_function(END, timeout=600_000)
    page.wait_for_timeout(3000)  # widgets are drawn after the kernel has answered


def picture_of(name):
    path = ROOT / "build" / "browser" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(
    "name, live_plots, widgets", [("00_start_here", 0, 1), ("03_modified_crnn", 1, 0), ("05_ctc_step_by_step", 0, 2)]
)
def test_a_notebook_runs_to_its_end(name, live_plots, widgets, folder, lab, page):
    run_all(page, lab.format(name))
    page.screenshot(path=picture_of(name))
    assert page.locator(ERROR).all_inner_texts() == []
    moved = page.evaluate("Object.values(window.seen).map(pictures => pictures.size)")
    assert sum(count >= 2 for count in moved) >= live_plots, f"pictures seen in each cell while it ran: {moved}"
    drawn = page.locator(".jp-OutputArea .jupyter-widgets:visible").count()
    assert drawn >= widgets and page.get_by_text("Error displaying widget").count() == 0


def test_a_text_and_a_file_are_read_in_00_without_scrolling(folder, lab, page, tmp_path):
    run_all(page, lab.format("00_start_here"), width=1280, height=720)
    typed, uploaded = (
        page.locator(".jp-CodeCell", has_text=name).last for name in ("type_and_read(model)", "upload_and_read(model)")
    )

    def said(cell, words, name):
        """Wait for the words below the picture; the cell then fits the window. Returns the picture's address."""
        cell.get_by_text(words).wait_for(timeout=60_000)
        cell.scroll_into_view_if_needed()
        page.screenshot(path=picture_of(f"00_{name}"))
        top, bottom = (cell.locator(part).bounding_box() for part in (".jp-InputArea", ".jp-OutputArea"))
        visible = page.locator(".jp-Notebook .jp-WindowedPanel-outer").first.bounding_box()
        assert visible["y"] <= top["y"] and bottom["y"] + bottom["height"] <= visible["y"] + visible["height"]
        return cell.locator("img").get_attribute("src")

    box = typed.get_by_role("textbox").last
    box.fill("W2N7E")
    box.press("Enter")
    first = said(typed, "w2n7e was drawn in small letters", "typed")
    box.press("Enter")
    page.wait_for_function("([image, before]) => image.src !== before", arg=[typed.locator("img").element_handle(), first])
    Image.new("L", (400, 300), 230).save(path := tmp_path / "my picture.png")
    with page.expect_file_chooser() as chooser:
        uploaded.get_by_role("button", name="choose an image file").click()
    chooser.value.set_files(path)
    said(uploaded, "my picture.png: 400 x 300 pixels, with margins added", "chosen")

    area = uploaded.get_by_text("or drop one here")
    area.evaluate(DROP, [base64.b64encode(path.read_bytes()).decode(), "dropped.png"])
    said(uploaded, "dropped.png: 400 x 300 pixels", "dropped")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    area.evaluate(COPY)
    area.click()
    page.keyboard.press("Control+V")
    said(uploaded, "image.png: 80 x 20 pixels", "pasted")
    assert uploaded.count() == 1 and page.locator(ERROR).all_inner_texts() == []


def test_the_stop_button_in_the_middle_of_02_loses_nothing(folder, lab, page):
    def trained():
        """The checkpoints at the end of both trainings."""
        [runs] = (folder / "runs").iterdir()
        states = [torch.load(runs / name, weights_only=True) for name in ("crnn_first.pt", "crnn_then.pt")]
        shutil.rmtree(folder / "runs")
        return states

    address, training = lab.format("02_crnn"), page.locator(".jp-CodeCell", has_text="after_step=keep_readings").last
    run_all(page, address)
    assert page.locator(ERROR).all_inner_texts() == []
    undisturbed = trained()
    start(page, address)
    training.locator(".jp-InputPrompt", has_text="*").wait_for(timeout=600_000)
    page.wait_for_function("Object.values(window.seen).at(-1)?.size > 1", timeout=600_000)  # its plot has moved
    choose(page, "Kernel", "Interrupt Kernel")
    page.wait_for_selector(ERROR, timeout=60_000)
    page.screenshot(path=picture_of("02_stopped"))
    [said] = page.locator(ERROR).all_inner_texts()
    assert said.startswith("Stopped after ") and said.endswith(": run the same cell again to go on from here.")
    assert training.locator(ERROR).count() == 1
    training.locator(".jp-InputArea-editor").click()
    choose(page, "Run", "Run Selected Cell and All Below")
    page.wait_for_function(END, timeout=600_000)
    assert page.locator(ERROR).count() == 0 and "Going on from" in training.inner_text()
    for before, now in zip(undisturbed, trained()):
        assert all(before["history"][name] == now["history"][name] for name in ("train_loss", "test_loss"))
        assert all(torch.equal(weights, now["model"][name]) for name, weights in before["model"].items())
