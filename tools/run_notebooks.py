"""Execute the numbered notebooks top to bottom, each in a fresh kernel in ``notebooks/``; show how far it is.

``make notebooks`` calls it. ``python tools/run_notebooks.py 02 04`` runs these two only. Under the full budget a
notebook is replaced by its executed self; under ``OCRLIB_BUDGET=smoke`` a copy goes to ``build/notebooks/``.
A notebook that fails is never replaced: what was run of it goes to ``build/notebooks/`` too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets import default

from tasks import ROOT, make_paths_absolute, say
from terminal import Estimate, Status, describe_seconds

PROBE = """
import json, sys
from ocrlib import load_captchas, pick_budget
try:
    budget, captchas = pick_budget(), load_captchas()
except (OSError, ValueError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
print(json.dumps([budget.name, captchas.source, captchas.contents]))
"""


class ThisPython(AsyncKernelManager):
    """Starts kernels with the Python this runs on, whatever kernels are registered in the user's home."""

    @default("kernel_spec_manager")
    def _no_registered_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])


def find_data(folder: Path, environment: dict[str, str] | None = None) -> dict[str, str]:
    """Load the images once, as the notebooks will under these variables (by default this process's); say loudly which they are.

    Returns "budget": "full" or "smoke", and "data": "real" or "synthetic"; each executed notebook keeps the two.
    """
    command = [sys.executable, "-c", PROBE]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    probe = subprocess.run(command, cwd=folder, env=environment, text=True, **pipes)
    if probe.returncode != 0:
        sys.exit("\nNothing was run; the lines above say why.")
    budget, source, contents = json.loads(probe.stdout.strip().rpartition("\n")[2])
    lines = [f"REAL IMAGES: {contents}"]
    if source != "real":
        lines = [
            "NO REAL IMAGES FOUND. Everything below runs on images made by the embedded generator;",
            "its figures are not those of the README. To use the real ones, set OCRLIB_DATA to their folder.",
        ]
    rule = "=" * max(map(len, lines))
    say("\n".join(["", rule, *lines, rule, ""]))
    return {"budget": budget, "data": source}


def read_progress(path: Path) -> dict | None:
    """What a training loop last wrote to the file ``OCRLIB_PROGRESS``; None when no training is on."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


class Run:
    """Executes notebooks one after another. ``progress`` is the file that training loops write to."""

    def __init__(self, paths: list[Path], destination: Path, aside: Path, progress: Path, facts: dict[str, str]) -> None:
        self.paths, self.destination, self.aside, self.progress, self.facts = paths, destination, aside, progress, facts
        self.status = Status()
        self.estimate = Estimate([self._recorded(path) for path in paths])
        self.number = self.cell = self.cells = 0
        self.cell_began = time.monotonic()
        self.seconds: list[float] = []
        self.stopped = False

    def _recorded(self, path: Path) -> list[float] | None:
        """Seconds per cell when this notebook was last executed under the same budget, or a guess for a small one."""
        for folder in [self.destination, self.aside]:
            try:
                record = nbformat.read(folder / path.name, as_version=4).metadata["ocrlib"]
            except (OSError, ValueError, KeyError):
                continue
            if record["budget"] == self.facts["budget"]:
                return record["cell_seconds"]
        if self.facts["budget"] == "full":
            return None  # one cell may take an hour, the next nothing
        return [1.0] * sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)

    def line(self) -> str:
        """Which notebook, cell and epoch it is at, and how long the rest will take."""
        elapsed = time.monotonic() - self.cell_began
        training = read_progress(self.progress)
        text = f"[{self.number + 1}/{len(self.paths)}] {self.paths[self.number].stem}, cell {self.cell + 1} of {self.cells}"
        left = None
        if training:
            left = training["seconds_left"]
            text += f" | {training['title']}: epoch {training['epoch']} of {training['epochs']}"
            if left is not None:
                text += f", {describe_seconds(left)} left"
        total = self.estimate.seconds_left(self.number, self.cell, elapsed, left)
        return text + (f" | all: about {describe_seconds(total)} left" if total is not None else "")

    async def _watch(self) -> None:
        while True:
            self.status.show(self.line())
            await asyncio.sleep(0.5)

    async def execute(self, number: int) -> None:
        """Execute notebook ``number`` (from 0) and write it to the destination. Exits with a message where a cell fails."""
        path = self.paths[number]
        notebook = nbformat.read(path, as_version=4)
        code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]
        self.number, self.cell, self.cells, self.seconds = number, 0, len(code), []
        self.cell_began = time.monotonic()
        before = self.estimate.recorded[number] or []
        self.progress.unlink(missing_ok=True)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None

        def cell_started(cell: nbformat.NotebookNode, cell_index: int) -> None:
            self.progress.unlink(missing_ok=True)
            self.cell, self.cell_began = code.index(cell_index), time.monotonic()

        def cell_ended(cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict) -> None:
            seconds = round(time.monotonic() - self.cell_began, 1)
            if any("Going on from" in output.get("text", "") for output in cell.outputs):
                # A finished training was loaded. Whoever runs this next has to train, so the longer time is kept.
                seconds = max(seconds, *before[self.cell : self.cell + 1])
            self.seconds.append(seconds)
            self.estimate.cell_done(number, self.cell, self.seconds[-1])

        def listen_for_stop(notebook: nbformat.NotebookNode) -> None:
            def stop() -> None:
                self.stopped = True
                client.shutdown_kernel = "immediate"  # asked politely in mid-cell, a kernel prints tracebacks
                task.cancel()

            if os.name != "nt":  # Windows has no such handlers; Ctrl-C arrives as KeyboardInterrupt
                for signal_number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(signal_number, stop)

        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            kernel_manager_class=ThisPython,
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            coalesce_streams=True,  # a bar that is redrawn while a figure is updated would be stored line by line
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # warnings of the kernel program, not of the notebook's code
            on_notebook_start=listen_for_stop,
            on_cell_execute=cell_started,
            on_cell_executed=cell_ended,
        )
        environment = dict(os.environ, OCRLIB_PROGRESS=str(self.progress))
        environment.pop("MPLBACKEND", None)  # a backend chosen for scripts would keep figures out of the notebook
        watch = asyncio.ensure_future(self._watch())
        task = asyncio.ensure_future(client.async_execute(env=environment))
        try:
            await task
        except (CellExecutionError, DeadKernelError, RuntimeError, asyncio.CancelledError, KeyboardInterrupt) as error:
            self._save(notebook, self.aside / path.name)
            self.status.clear()
            self._explain(path, notebook.cells[code[self.cell]], error)
        finally:
            watch.cancel()
        self.status.clear()
        self._save(notebook, self.destination / path.name)
        say(f"[{number + 1}/{len(self.paths)}] {path.stem}: done in {describe_seconds(sum(self.seconds))}")

    def _explain(self, path: Path, cell: nbformat.NotebookNode, error: BaseException) -> None:
        where = f"cell {self.cell + 1} of {self.cells}"
        saved = f"What was run is in {shown(self.aside / path.name)}; {shown(path)} is as it was."
        if self.stopped or isinstance(error, KeyboardInterrupt):
            say(f"\nStopped in {shown(path)}, {where}. {saved}")
            sys.exit(130)
        lines = cell.source.splitlines()
        source = "\n".join("    " + line for line in lines[:5] + ["..."] * (len(lines) > 5))
        if isinstance(error, CellExecutionError):
            reason = f"{error.ename}: {error.evalue}"
        elif isinstance(error, DeadKernelError):
            reason = "The kernel died. Most often the machine ran out of memory."
        else:
            reason = f"{type(error).__name__}: {error}"
        say(f"\nFAILED: {shown(path)}, {where}:\n\n{source}\n\n{reason}\n\n{saved}")
        sys.exit(1)

    def _save(self, notebook: nbformat.NotebookNode, path: Path) -> None:
        """Write by renaming: a crash or a full disk leaves the old file whole."""
        notebook.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        notebook.metadata["ocrlib"] = {**self.facts, "cell_seconds": self.seconds}
        for output in [output for cell in notebook.cells for output in cell.get("outputs", [])]:
            if output.output_type == "stream":  # of a bar redrawn a hundred times keep what is seen in the end
                output.text = re.sub(r"(?m)^.*\r(?=[^\n])", "", output.text)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        nbformat.write(notebook, temporary)
        os.replace(temporary, path)


def shown(path: Path) -> str:
    """A path as a person in the root would type it."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


def main(arguments: list[str] | None = None, folder: Path = ROOT / "notebooks", build: Path = ROOT / "build") -> None:
    """Execute the notebooks of ``folder`` whose names begin with one of the arguments; all without arguments."""
    parser = argparse.ArgumentParser(description="Execute the numbered notebooks, top to bottom.")
    parser.add_argument("beginnings", nargs="*", metavar="NOTEBOOK", help="a name or its beginning, such as 02; all without")
    beginnings = tuple(parser.parse_args(arguments).beginnings) or ("",)
    paths = sorted(path for path in folder.glob("[0-9][0-9]_*.ipynb") if path.name.startswith(beginnings))
    if not paths:
        sys.exit(f"No notebook in {shown(folder)} is named NN_topic.ipynb and begins with {' or '.join(beginnings) or 'NN'}.")
    make_paths_absolute()
    facts = find_data(folder)
    aside = build / "notebooks"
    destination = folder if facts["budget"] == "full" else aside
    count = f"{len(paths)} notebook" + "s" * (len(paths) > 1)
    if destination == folder:
        say(f"{count}, full budget: each is replaced by its executed self.")
    else:
        say(f"{count}, {facts['budget']} budget: executed copies go to {shown(aside)}, not to {shown(folder)}.")
    runs = Path(os.environ.get("OCRLIB_RUNS") or folder / "runs") / f"{facts['budget']}-{facts['data']}"
    if runs.is_dir():
        say(f"Training goes on from the checkpoints in {shown(runs)}; what is finished there is loaded. Remove it to train anew.")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ocrlib-") as temporary:
        run = Run(paths, destination, aside, Path(temporary) / "progress.json", facts)
        for number in range(len(paths)):
            asyncio.run(run.execute(number))
    say(f"All done in {describe_seconds(time.monotonic() - began)}: {shown(destination)}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
