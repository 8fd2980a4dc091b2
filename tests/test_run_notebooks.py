"""tools/run_notebooks.py, on small notebooks and with made-up images."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install nbformat")
pytest.importorskip("nbclient", reason="needs nbclient: pip install nbclient")
psutil = pytest.importorskip("psutil", reason="needs psutil: pip install psutil")

import run_notebooks

TOOLS = Path(run_notebooks.__file__).parent


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the notebooks lie; under the full budget, with generated images."""
    monkeypatch.delenv("OCRLIB_BUDGET", raising=False)
    monkeypatch.chdir(tmp_path)  # and back again afterwards
    monkeypatch.setattr(run_notebooks, "load_captchas", lambda: SimpleNamespace(source="synthetic", contents="two images"))
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks"


def write(folder: Path, name: str, *sources: str, **facts: object) -> bytes:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in sources]
    if facts:
        notebook.metadata["ocrlib"] = facts
    nbformat.write(notebook, folder / name)
    return (folder / name).read_bytes()


def execute(folder: Path, *beginnings: str) -> None:
    run_notebooks.main(beginnings, folder=folder, aside=folder.parent / "build")


def outputs(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in cells if cell.cell_type == "code"]


BAR = """
from IPython.display import HTML, display
from ocrlib.runtime import progress
figure = display(HTML("drawn"), display_id=True)
for leave in (False, True):
    with progress(total=2, mininterval=0, leave=leave, bar_format="{n_fmt} of {total}") as bar:
        for done in range(2):
            bar.update()
            figure.update(HTML(f"drawn {done}"))
"""


def test_replaces_notebooks_under_the_full_budget(folder, capsys):
    write(folder, "01_a.ipynb", "kept = 1", "import os, sys\nprint(os.path.basename(os.getcwd()), sys.executable)")
    write(folder, "02_b.ipynb", "print('kept' in globals())", BAR)
    execute(folder)
    assert outputs(folder / "01_a.ipynb") == ["", f"notebooks {sys.executable}\n"]
    assert outputs(folder / "02_b.ipynb") == ["False\n", ""]  # a fresh kernel
    figure, bar = nbformat.read(folder / "02_b.ipynb", as_version=4).cells[2].outputs
    assert figure.data["text/html"] == "drawn 1"
    assert bar.data == {"text/plain": "2 of 2"}  # as it is seen in the end; of the other, which was cleared, nothing is left
    facts = nbformat.read(folder / "02_b.ipynb", as_version=4).metadata["ocrlib"]
    assert (facts["budget"], facts["data"], len(facts["cell_seconds"])) == ("full", "synthetic", 2)
    said = capsys.readouterr().out
    assert "NO REAL IMAGES" in said and said.index("[1/2] 01_a: done") < said.index("[2/2] 02_b: done")


def test_leaves_notebooks_alone_under_the_smoke_budget(folder, monkeypatch):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    before = write(folder, "01_a.ipynb", "print(1)")
    execute(folder)
    assert (folder / "01_a.ipynb").read_bytes() == before
    assert outputs(folder.parent / "build" / "01_a.ipynb") == ["1\n"]


def test_a_training_that_was_loaded_keeps_the_time_it_took(folder):
    sources = ["print('Going on from runs/b.pt: 2 of 2 epochs were done.')", "print('anything else')"]
    write(folder, "02_b.ipynb", *sources, budget="full", data="synthetic", cell_seconds=[370.0, 50.0])
    execute(folder)
    loaded, other = nbformat.read(folder / "02_b.ipynb", as_version=4).metadata["ocrlib"]["cell_seconds"]
    assert loaded == 370.0 and other < 50.0


def test_a_notebook_that_fails_is_kept_and_told(folder):
    before = write(folder, "01_a.ipynb", "print('before')", "colour = 'red'\nint(colour)", "print('after')")
    write(folder, "02_b.ipynb", "print('never')")
    with pytest.raises(SystemExit) as ended:
        execute(folder)
    assert (folder / "01_a.ipynb").read_bytes() == before
    assert outputs(folder.parent / "build" / "01_a.ipynb") == ["before\n", "", ""]
    for words in ["FAILED: 01_a.ipynb, cell 2 of 3", "    int(colour)", "ValueError: invalid literal", "01_a.ipynb is as it was"]:
        assert words in ended.value.code  # a text: the exit status is 1
    assert outputs(folder / "02_b.ipynb") == [""]


def test_says_that_a_kernel_died(folder):
    write(folder, "01_a.ipynb", "import os\nos._exit(1)")
    with pytest.raises(SystemExit, match="(?s)01_a.ipynb, cell 1 of 1.*Kernel died"):
        execute(folder)


def test_runs_the_named_notebooks_only(folder):
    write(folder, "01_a.ipynb", "print(1)")
    write(folder, "02_b.ipynb", "print(2)")
    execute(folder, "02")
    assert (outputs(folder / "01_a.ipynb"), outputs(folder / "02_b.ipynb")) == ([""], ["2\n"])
    with pytest.raises(SystemExit, match="begins with 07"):
        execute(folder, "07")


TRAINING = """
import time
from tqdm import tqdm
for epoch in tqdm(range(600), desc="CRNN", mininterval=0):
    time.sleep(0.1)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of Unix")
def test_shows_the_epoch_and_stops_at_once(folder):
    """In a terminal: the bar ends in the training's own; Ctrl-C ends all, with nothing left running or half written."""
    import fcntl
    import pty
    import termios

    before = write(folder, "01_a.ipynb", "print('before')", TRAINING)
    code = f"""
from pathlib import Path; from types import SimpleNamespace; import run_notebooks
run_notebooks.load_captchas = lambda: SimpleNamespace(source="synthetic", contents="two images")
run_notebooks.main([], Path({str(folder)!r}), Path({str(folder.parent / "build")!r}))
"""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))  # lines and columns
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOOLS), str(TOOLS.parent)])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, ends = "", time.monotonic() + 60
    while "1 of 2 cells" not in seen or "/600" not in seen.rpartition("CRNN:")[2]:
        assert time.monotonic() < ends, seen
        seen += os.read(ours, 10_000).decode()
    [kernel] = psutil.Process(process.pid).children()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130 and time.monotonic() - began < 10
    assert not kernel.is_running()
    assert "Stopped in 01_a.ipynb, cell 2 of 2" in os.read(ours, 10_000).decode().replace("\r", "")
    assert (folder / "01_a.ipynb").read_bytes() == before
    assert outputs(folder.parent / "build" / "01_a.ipynb")[0] == "before\n"
    assert sorted(path.name for path in folder.parent.rglob("*") if path.is_file()) == ["01_a.ipynb", "01_a.ipynb"]
