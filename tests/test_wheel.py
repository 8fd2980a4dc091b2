"""What `make dist` makes, and what works where the extra "notebooks" isn't installed."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from test_packaging import PACKAGE, PYPROJECT, ROOT, project_files

EXTRA = "torchvision torchmetrics torchinfo pandas jupyterlab ipykernel ipywidgets anywidget nbclient nbformat".split()

# Run in a process of its own, in which the packages of the extra can't be imported, nor what comes with them.
WITHOUT = """
import json, pkgutil, sys
for name in [*sys.argv[1].split(), "IPython"]:
    sys.modules[name] = None
import ocrlib, ocrlib.plots
from ocrlib.__main__ import main
from ocrlib.checkpoints import load_pretrained

image, text = ocrlib.SyntheticCaptchas(1, seed=7)[0]
image.save("image.png")
report = ocrlib.run("fast")
ocrlib.plots.plot_losses(report.history, "CTC").savefig("losses.png")
ocrlib.plots.plot_mistakes(report).savefig("mistakes.png")
errors = {}
for module in pkgutil.walk_packages(ocrlib.__path__, "ocrlib."):
    try:
        __import__(module.name)
    except ModuleNotFoundError as error:
        errors[module.name] = str(error)
try:
    ocrlib.studies.records.records_frame([])
except ModuleNotFoundError as error:
    errors["records_frame"] = str(error)
print(json.dumps({
    "true": text, "read": ocrlib.read(image, load_pretrained())[0].text, "status": main(["image.png"]),
    "epochs": report.history.epochs, "versions": list(ocrlib.versions()), "errors": errors,
}))
"""


def test_the_extra_is_the_one_that_is_tested() -> None:
    listed = re.search(r"^notebooks = \[\n(.+?)^\]", PYPROJECT, re.MULTILINE | re.DOTALL).group(1)
    assert re.findall(r'^    "(\w+)', listed, re.MULTILINE) == EXTRA


def test_without_the_extra_one_reads_trains_and_plots_and_the_rest_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    command = [sys.executable, "-c", WITHOUT, " ".join(EXTRA)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cure = "it comes with ocrlib's extra 'notebooks'. In the project's folder: pip install -e \".[notebooks]\""
    no_widgets = f"anywidget is not installed; {cure}"
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "true": "4m2cn",
        "read": "4m2cn",
        "status": 0,
        "epochs": 2,
        "versions": ["python", "torch", "numpy", "pillow"],
        "errors": {
            "ocrlib.demo.ctc": no_widgets,
            "ocrlib.demo.widgets": no_widgets,
            "records_frame": f"pandas is not installed; {cure}",
        },
    }
    assert [(tmp_path / name).read_bytes()[:4] for name in ("losses.png", "mistakes.png")] == [b"\x89PNG"] * 2


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist of a copy of what git tracks."""
    pytest.importorskip("build", reason="build is not installed: pip install -e '.[test]'")
    copy = tmp_path_factory.mktemp("project")
    for file in project_files():
        if file.parts[len(ROOT.parts)] not in ("notebooks", "docs"):
            target = copy / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation"], capture_output=True, text=True, cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "dist"


def packaged() -> set[str]:
    return {file.relative_to(ROOT).as_posix() for file in project_files() if PACKAGE in file.parents}


def test_the_wheel_holds_the_package_with_its_network_and_tables_and_nothing_else(made) -> None:
    [wheel] = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = archive.read(f"ocrlib-{wheel.name.split('-')[1]}.dist-info/METADATA").decode()
    assert {name for name in names if ".dist-info/" not in name} == packaged()
    assert {"ocrlib/pretrained.pt", "ocrlib/data/manifest.csv", "ocrlib/data/corrections.csv"} <= names
    needed = re.findall(r"^Requires-Dist: ([\w-]+)>=[\d.]+$", about, re.MULTILINE)
    assert needed == "torch numpy pillow matplotlib scipy rapidfuzz tqdm pooch requests filelock".split()


def test_the_sdist_holds_what_the_wheel_is_made_of(made) -> None:
    [sdist] = made.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {file.name.partition("/")[2] for file in archive.getmembers() if file.isfile()}
    beside = {"CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert {name for name in names if not name.startswith("ocrlib.egg-info/")} == packaged() | beside
