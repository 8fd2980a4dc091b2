"""Execute the numbered notebooks, each in a fresh kernel: ``python tools/run_notebooks.py``, or with 02 04 behind it these two.

Under the full budget a notebook is replaced by its executed self; under ``OCRLIB_BUDGET=smoke`` a copy goes to
``build/notebooks/``. A notebook that fails is never replaced: what was run of it goes to ``build/notebooks/`` too.
"""

import os
import sys
import time

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm

from ocrlib import load_captchas, pick_budget
from tasks import ROOT, make_paths_absolute

BAR = "{desc} {percentage:3.0f}%|{bar:10}| {n_fmt} of {total_fmt} cells [{elapsed}{postfix}]"
LOG = ["--IPKernelApp.log_level=ERROR"]  # the kernel program's own warnings are no output of the code


class Runner(NotebookClient):
    """Shows a bar over cells that ends in what the kernel printed last: while it trains, the epoch."""

    async def async_execute_cell(self, cell, *arguments, **options):
        began = time.monotonic()
        await super().async_execute_cell(cell, *arguments, **options)
        if cell.cell_type == "code":
            self.seconds.append(round(time.monotonic() - began, 1))
            self.bar.update()

    def process_message(self, message, *arguments):
        content = message["content"]  # a line is printed, or is the state of a bar: an output of words alone
        text = content.get("text") or (content["data"]["text/plain"] if [*content.get("data", [])] == ["text/plain"] else "")
        if lines := text.strip().splitlines():
            self.bar.set_postfix_str(lines[-1], refresh=False)
            self.bar.update(0)  # redraws, but no more than ten times a second
        return super().process_message(message, *arguments)


def execute(path, destination, aside, facts, title):
    """Execute a notebook into the folder ``destination``; where it fails or is stopped, into ``aside``, and exit."""
    notebook, failure = nbformat.read(path, as_version=4), None
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.update(outputs=[], execution_count=None)
    # Of a bar that is redrawn a hundred times, what is seen in the end is kept. Kernels are killed: on Ctrl-C it has to be quick.
    how = {"coalesce_streams": True, "record_timing": False, "shutdown_kernel": "immediate", "extra_arguments": LOG}
    runner = Runner(notebook, kernel_name="python3", **how)
    runner.seconds, earlier = [], notebook.metadata.get("ocrlib", {})
    with tqdm(code, title, bar_format=BAR, dynamic_ncols=True, leave=False, miniters=0, disable=None) as runner.bar:
        try:
            runner.execute()
        except BaseException as error:  # Ctrl-C too, whatever nbclient makes of it
            failure = error
    if earlier.get("budget") == facts["budget"]:
        for number, (cell, before) in enumerate(zip(code[: len(runner.seconds)], earlier["cell_seconds"])):
            if "Going on from" in str(cell.outputs):  # training was loaded: whoever runs this next has to train, as before
                runner.seconds[number] = max(runner.seconds[number], before)
    for cell in code:  # what a bar leaves that was cleared
        cell.outputs = [output for output in cell.outputs if output.get("data", "a stream") != {}]
    notebook.metadata["ocrlib"] = {**facts, "cell_seconds": runner.seconds}
    target = (aside if failure else destination) / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target.with_suffix(".new"))
    os.replace(target.with_suffix(".new"), target)  # a crash or a full disk leaves the old file whole
    if not failure:
        return print(f"{title}: done in {sum(runner.seconds):.0f} s", flush=True)
    where = f"{path.name}, cell {len(runner.seconds) + 1} of {len(code)}"
    kept = f"{path.name} is as it was; what was run of it is in {target}."
    if isinstance(failure, KeyboardInterrupt) or hasattr(runner, "_async_cleanup_kernel_future"):  # nbclient was told to stop
        print(f"Stopped in {where}. {kept}")
        sys.exit(130)
    source = "\n    ".join(line for cell in code[len(runner.seconds) :][:1] for line in cell.source.splitlines()[:5])
    reason = f"{getattr(failure, 'ename', type(failure).__name__)}: {getattr(failure, 'evalue', failure)}"
    sys.exit(f"\nFAILED: {where}:\n\n    {source}\n\n{reason}\n\n{kept}")


def main(beginnings, folder=ROOT / "notebooks", aside=ROOT / "build" / "notebooks"):
    """Execute the notebooks of ``folder`` whose names begin with one of ``beginnings``; all without any."""
    paths = sorted(path for path in folder.glob("[0-9][0-9]_*.ipynb") if path.name.startswith(tuple(beginnings) or ""))
    paths or sys.exit(f"No notebook in {folder} begins with {' or '.join(beginnings)}.")
    make_paths_absolute()
    os.environ.pop("MPLBACKEND", None)  # a backend chosen for scripts would keep figures out of the notebooks
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this Python's kernel before one of the same name in the user's home
    os.chdir(folder)  # kernels start here, and look for images from here
    budget, captchas = pick_budget().name, load_captchas()
    destination = folder if budget == "full" else aside
    images = "REAL IMAGES" if captchas.source == "real" else "NO REAL IMAGES, so the figures are not those of the README"
    print(f"\n=== {images}: {captchas.contents} ===\n\n{budget} budget, executed notebooks go to {destination}", flush=True)
    for number, path in enumerate(paths, start=1):
        execute(path, destination, aside, {"budget": budget, "data": captchas.source}, f"[{number}/{len(paths)}] {path.stem}")


if __name__ == "__main__":
    main(sys.argv[1:])
