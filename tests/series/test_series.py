"""The notebooks as tests, by nbval under the smoke budget. `make test` asks for these; plain pytest passes them over."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import PYTEST, ROOT

EXECUTED = ROOT / "build" / "notebooks"
SANITIZE = Path(__file__).with_name("nbval_sanitize.cfg")
PROBE = "from ocrlib import load_captchas; print(load_captchas().source)"


@pytest.fixture(autouse=True)
def isolated(monkeypatch):
    """In place of the one in conftest.py: here the caller's images and cache are wanted."""
    for name, value in {"OCRLIB_BUDGET": "smoke", "OCRLIB_DOWNLOAD": "0", "OCRLIB_RUNS": "", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)  # one thread, because the processes share the cores
    if not os.environ.get("OCRLIB_DATA") and (ROOT / "data").is_dir():
        monkeypatch.setenv("OCRLIB_DATA", str(ROOT / "data"))


@pytest.fixture
def notebooks(tmp_path) -> Path:
    """A copy of the notebooks, out of reach of data/ and without what earlier runs left."""
    return shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*", "runs"))


def source(folder: Path) -> str:
    """Which images notebooks in this folder load: real or synthetic."""
    probe = [sys.executable, "-W", "ignore", "-c", PROBE]
    return subprocess.run(probe, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def nbval(folder: Path, *options: str) -> int:
    limits = ["--nbval-cell-timeout=300", "-p", "no:cacheprovider"]  # the longest cell takes a tenth of that on two cores
    return subprocess.call([sys.executable, *PYTEST, "--nbval-current-env", *limits, *options, str(folder)], cwd=folder)


def test_on_generated_images(notebooks, tmp_path, monkeypatch):
    monkeypatch.setenv("OCRLIB_DATA", "")
    for name in ["HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"]:  # the user's cache may hold real images
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    assert source(notebooks) == "synthetic"
    assert nbval(notebooks, "--nbval-lax") == 0


def checked(folder: Path) -> dict[str, list]:
    """By notebook, the outputs of the cells with the tag nbval-check-output: the same ones under every budget."""
    found = {}
    for path in folder.glob("[0-9][0-9]_*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [cell["outputs"] for cell in cells if "nbval-check-output" in cell["metadata"].get("tags", [])]
        found[path.name] = [[shown(output) for output in cell] for cell in outputs]
    return found


def shown(output: dict) -> dict[str, str]:
    """What an output shows, but for pictures: their bytes differ between versions of libraries."""
    texts = output.get("data", {}) | {output.get("name", ""): output.get("text", "")}
    return {kind: "".join(text) for kind, text in texts.items() if not kind.startswith("image/")}


def test_twice_the_same_figures(notebooks, tmp_path, monkeypatch):
    """Losses and CER agree digit for digit, in fresh processes. Each time training starts anew: nothing is loaded.

    On real images, where there are some. What the committed notebooks have checked comes out as it stands there.
    """
    print("The images are", source(notebooks))
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "first"))
    shutil.rmtree(EXECUTED, ignore_errors=True)
    numbers = sorted(path.name[:2] for path in notebooks.glob("[0-9][0-9]_*.ipynb"))
    halves = numbers[:7], numbers[7:]  # side by side; notebooks that load each other's checkpoints are in one half, in order
    running = [subprocess.Popen([sys.executable, ROOT / "tools" / "run_notebooks.py", *half]) for half in halves]
    assert [process.wait() for process in running] == [0, 0]
    assert checked(EXECUTED) == checked(notebooks)
    shutil.copytree(EXECUTED, notebooks, dirs_exist_ok=True)
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "second"))
    assert nbval(notebooks, "--nbval", f"--nbval-sanitize-with={SANITIZE}") == 0
