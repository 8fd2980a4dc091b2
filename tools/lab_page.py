"""JupyterLab for tools/browser_test.py: a server of one's own, and the page of one notebook in a browser."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import LAB, LAB_VARIABLES

if TYPE_CHECKING:  # Playwright is an extra: the tests of what needs no browser run without it
    from playwright.sync_api import BrowserContext

START_SECONDS = 120  # for the server, and for a page and its kernel; a busy machine takes half a minute
WIDGET_SECONDS = 30  # for the widgets, after the last cell
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of view stay in the page, or nobody could look at them
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no question whether news are wanted
}
OPTIONS = ["--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.allow_root=True", "--ServerApp.log_level=WARN"]

# What is seen of each cell. A figure whose picture never came has a natural size of 0.
CELLS = """() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(cell => {
    const outputs = cell.querySelector('.jp-Cell-outputArea');
    const all = selector => outputs ? [...outputs.querySelectorAll(selector)] : [];
    return {
        code: cell.classList.contains('jp-CodeCell'),
        prompt: cell.querySelector('.jp-InputPrompt')?.textContent ?? '',
        errors: all('[data-mime-type="application/vnd.jupyter.error"]').map(node => node.textContent),
        complaints: all('.jp-OutputArea-output').map(node => node.textContent)
            .filter(text => /^(Error \\w+ widget|Loading widget)/.test(text.trim()))
            .concat(all('.jupyter-widgets-error-widget').map(() => 'a widget shows a JavaScript error')),
        widgets: all('.jupyter-widgets').length,
        images: all('img').map(image => {
            const box = image.getBoundingClientRect();
            return [Math.min(image.naturalWidth, box.width), Math.min(image.naturalHeight, box.height)];
        }),
    };
})"""

# Notes each picture a cell ever shows, and whether the cell was running then: looking now and then would miss fast ones.
WATCH = """() => {
    const seen = new Set();
    const note = image => {
        const cell = image.closest('.jp-CodeCell');
        if (!cell || !image.src || !image.closest('.jp-Cell-outputArea')) return;
        const place = [...document.querySelectorAll('.jp-Notebook .jp-Cell')].indexOf(cell);
        const key = place + ' ' + image.src;
        if (seen.has(key)) return;
        seen.add(key);
        window.pictures.push({cell: place, running: cell.querySelector('.jp-InputPrompt').textContent.includes('*')});
    };
    window.pictures = [];
    new MutationObserver(changes => {
        for (const change of changes) {
            for (const node of change.type === 'attributes' ? [change.target] : change.addedNodes) {
                if (node.tagName === 'IMG') note(node);
                else if (node.querySelectorAll) node.querySelectorAll('img').forEach(note);
            }
        }
    }).observe(document.querySelector('.jp-Notebook'), {subtree: true, childList: true, attributeFilter: ['src']});
}"""

# The indicator says idle before a kernel is chosen, too.
READY = """count => document.querySelectorAll('.jp-Notebook .jp-Cell').length == count
    && document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'
    && document.querySelector('.jp-Toolbar-kernelName').textContent != 'No Kernel'"""
# A fast cell shows its number before anybody sees its star.
BEGUN = "() => [...document.querySelectorAll('.jp-Notebook .jp-InputPrompt')].some(prompt => /[*0-9]/.test(prompt.textContent))"
SCROLLER = "document.querySelector('.jp-NotebookPanel .jp-WindowedPanel-outer')"
# Of the window, and of the notebook without the empty page that JupyterLab lets one scroll to.
SIZES = f"""() => {{
    const scroller = {SCROLLER}, last = [...scroller.querySelectorAll('.jp-Cell')].at(-1);
    const end = last.getBoundingClientRect().bottom - scroller.getBoundingClientRect().top + scroller.scrollTop;
    return [scroller.clientHeight, Math.ceil(end)];
}}"""


class LabError(Exception):
    """JupyterLab did not do what it was asked to; the message is for people."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Where a running JupyterLab is reached."""

    def __init__(self, port: int, token: str) -> None:
        self.address, self.token = f"http://127.0.0.1:{port}", token

    def stop_kernels(self, context: BrowserContext) -> None:
        """End what runs: each kernel holds torch, and a machine has room for a few only."""
        headers = {"Authorization": f"token {self.token}"}
        for session in context.request.get(f"{self.address}/api/sessions", headers=headers).json():
            context.request.delete(f"{self.address}/api/sessions/{session['id']}", headers=headers)


@contextmanager
def serve(folder: Path, home: Path, environment: dict[str, str], log: Path) -> Iterator[Server]:
    """JupyterLab as `make lab` starts it, in ``folder``, with settings in ``home`` instead of the user's.

    Raises `LabError` with the end of ``log`` when it doesn't come up.
    """
    for name, settings in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings))
    token = secrets.token_hex(24)
    names = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR"]
    own = {**{name: str(home / name.lower()) for name in names}, "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    # By a variable, because other users of this machine can read a command line.
    variables = {**environment, **LAB_VARIABLES, **own, "JUPYTER_TOKEN": token}
    command = [sys.executable, *LAB, *OPTIONS, f"--ServerApp.port={free_port()}"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as lines:
        # A session of its own: Ctrl-C is for the test, which ends the server in its own way.
        options = {"stdin": subprocess.DEVNULL, "stdout": lines, "stderr": lines, "start_new_session": True}
        process = subprocess.Popen(command, cwd=folder, env=variables, **options)
        try:
            yield Server(_wait_for_port(process, home / "jupyter_runtime_dir", log), token)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for_port(process: subprocess.Popen, runtime: Path, log: Path) -> int:
    """The port it listens on, from the file it writes when it is up: the one it was given may have been taken meanwhile."""
    ends = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        for path in runtime.glob("jpserver-*.json"):
            try:
                return json.loads(path.read_text())["port"]
            except ValueError:
                pass  # it is being written
        time.sleep(0.2)
    what = f"didn't start within {START_SECONDS} s" if process.poll() is None else "ended at once"
    raise LabError(f"JupyterLab {what}. Its last lines:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, indented."""
    return "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


class LabPage:
    """One notebook in JupyterLab, in a window of the browser. Make it, then `open`; all may raise `LabError`."""

    def __init__(self, context: BrowserContext, server: Server, path: Path) -> None:
        self.path, self.page = path, context.new_page()
        # A workspace of its own: nothing is open in it but this notebook.
        self.address = f"{server.address}/lab/workspaces/{path.stem}/tree/{path.name}?token={server.token}"

    def open(self, cells: int) -> None:
        """Open the notebook, which has so many cells, and wait for its kernel."""
        self.page.goto(self.address, wait_until="domcontentloaded", timeout=START_SECONDS * 1000)
        self._until(READY, cells, f"The notebook's {cells} cells and a kernel were not there")
        if self.page.is_visible("#jp-left-stack"):
            self.page.keyboard.press(control("B"))  # the list of files takes a quarter of the width

    def _until(self, condition: str, argument: object, otherwise: str) -> None:
        """Wait until a function of the page holds."""
        ends = time.monotonic() + START_SECONDS
        while not self.page.evaluate(condition, argument):
            self._refuse_questions()
            if time.monotonic() > ends:
                raise LabError(f"{otherwise} after {START_SECONDS} s.")
            self.page.wait_for_timeout(100)

    def _refuse_questions(self) -> None:
        """A question means that something went wrong: a kernel is missing, or died."""
        if dialog := self.page.query_selector(".jp-Dialog-content"):
            question = " ".join(dialog.inner_text().split())
            self.page.keyboard.press("Escape")  # what was run can be saved then
            raise LabError(f"JupyterLab asks: {question}")

    def cells(self) -> list[dict]:
        """What is seen of each cell; see `CELLS`."""
        return self.page.evaluate(CELLS)

    def run_all(self, seconds: float, show: Callable[[int], None]) -> None:
        """Run All Cells, and wait until no cell runs; ``show`` is told again and again how many are done.

        Raises `LabError` after ``seconds``.
        """
        self.page.evaluate(WATCH)
        self.page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        self.page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
        self._until(BEGUN, None, "Run All Cells ran nothing")
        ends = time.monotonic() + seconds
        while True:
            prompts = [cell["prompt"] for cell in self.cells() if cell["code"]]
            running = [number for number, prompt in enumerate(prompts, start=1) if "*" in prompt]
            self._refuse_questions()
            if not running:
                return
            if time.monotonic() > ends:
                raise LabError(f"Code cell {running[0]} of {len(prompts)} was not done after {seconds:.0f} s.")
            show(sum(any(map(str.isdigit, prompt)) for prompt in prompts))
            self.page.wait_for_timeout(500)

    def settle(self) -> None:
        """Wait for the widgets: they are drawn after the kernel has answered. `cells` tells of those that never are."""
        ends = time.monotonic() + WIDGET_SECONDS
        self.page.wait_for_timeout(1000)
        while any("Loading" in text for cell in self.cells() for text in cell["complaints"]) and time.monotonic() < ends:
            self.page.wait_for_timeout(500)

    def pictures(self) -> list[dict]:
        """Each distinct picture that a cell (from 0) showed since Run All Cells, in order, and whether it was ``running``."""
        return self.page.evaluate("window.pictures")

    def save(self) -> None:
        """Save the notebook to its file."""
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press(control("S"))
        ends = time.monotonic() + 30
        while self.path.stat().st_mtime_ns == before:
            if time.monotonic() > ends:
                raise LabError("Ctrl+S didn't save the notebook within 30 s.")
            self.page.wait_for_timeout(200)

    def photograph(self, folder: Path) -> int:
        """Pictures of the whole notebook, one a screenful, as ``NAME-1.png`` and so on; returns how many."""
        height, whole = self.page.evaluate(SIZES)
        step = height - 60  # a line that the edge of one picture cuts is whole in the next
        count = max(1, -(-(whole - 60) // step))
        for number in range(count):
            self.page.evaluate(f"{SCROLLER}.scrollTop = {number * step}")
            self.page.wait_for_timeout(200)
            self.page.screenshot(path=folder / f"{self.path.stem}-{number + 1}.png")
        return count


def control(key: str) -> str:
    """A shortcut as JupyterLab has it on this system."""
    return ("Meta+" if sys.platform == "darwin" else "Control+") + key.lower()
