"""make TARGET, or python tools/tasks.py TARGET:

  help          list the targets
  install       make .venv and install into it, where pyproject.toml is newer
  notebooks     execute the numbered notebooks, in place (OCRLIB_BUDGET=smoke: copies in build/notebooks)
  lab           open notebook 00 in JupyterLab, which saves when you ask for it (OCRLIB_BUDGET=smoke: copies in build/lab)
  html          make a website of README, notebooks (with the outputs they have now) and docstrings: site/index.html
  bench         measure the project against plain code and other libraries, about 20 minutes (BENCH="--help" lists options)
  gpu-check     on a GPU, without a network: same bits, resuming, graphs, times; records in build/gpu, nine minutes at most
  test          run all tests: ruff, pytest, the notebooks on generated images, and twice on real ones
  test-oldest   run pytest in build/oldest, with the lowest version of each dependency that pyproject.toml allows
  browser-test  run four notebooks in JupyterLab and look at the website, in a browser without a window
  dist          make a wheel and an sdist in dist/: ocrlib without the notebooks
  clean         remove .venv, build/, site/ and caches (data/, notebooks/ and its runs/ stay)
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IN_VENV = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PYTHON = ROOT / ".venv" / IN_VENV
ALL = "notebooks,test,docs"  # extras
OLDEST = (3, 10)
PYTEST = ["-m", "pytest", "-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile"]  # each process holds torch: at most four
PACKAGE = [*PYTEST, "--no-loadscope-reorder"]  # the order of files is that of tests/conftest.py
STEPS = {
    "ruff": ["-m", "ruff", "check", "."],
    "the package (pytest)": PACKAGE,
    "the notebooks, smoke budget, generated images": "-m pytest -s tests/series -k generated".split(),
    "the notebooks, executed twice, same figures": "-m pytest -s tests/series -k twice".split(),
}
interrupts = []


def make_paths_absolute():
    """Relative folders in the environment are meant from where the command was given; kernels start in ``notebooks/``."""
    for name in filter(os.environ.get, ["OCRLIB_DATA", "OCRLIB_RUNS"]):
        os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))


def call(*command, **options):
    """Run a command in the root and return its exit status. Ctrl-C is left to it, so that it ends in its own way."""
    status = subprocess.call([str(part) for part in command], cwd=str(ROOT), **options)
    return sys.exit("\nStopped.") if interrupts else status


def install(extras=ALL, folder=".venv", options=()):
    """Make .venv and install this folder with some extras into it, unless that was done since pyproject.toml changed."""
    python, stamp, project = ROOT / folder / IN_VENV, ROOT / folder / f"installed-{extras}", ROOT / "pyproject.toml"
    if stamp.exists() and stamp.stat().st_mtime >= project.stat().st_mtime and stamp.read_text() == str(ROOT) and python.exists():
        return  # the stamp names the folder: in a copied clone, the environment still points at the old one
    if sys.version_info < OLDEST:
        sys.exit("This Python is too old: ocrlib needs 3.10 or newer. Name another one: make PYTHON=python3.12 ...")
    if call(sys.executable, "-m", "venv", ROOT / folder) != 0:
        sys.exit(f"\nNo environment could be made in {folder}. Debian and Ubuntu ship that apart: sudo apt install python3-venv")
    print(f"Installing ocrlib[{extras}] into {folder}. The first time takes minutes: torch alone is some gigabytes.", flush=True)
    quiet = [] if sys.stdout.isatty() else ["--quiet"]  # bars and package names are for people; a log file keeps errors only
    if call(python, "-m", "pip", "install", *quiet, *options, "--editable", f".[{extras}]") != 0:
        sys.exit("\npip could not install everything; the lines above say why. Needed: a network or a mirror, and 8 GB of disk.")
    if call(python, "-c", "import torchvision", stderr=subprocess.DEVNULL) != 0:
        sys.exit(f"\ntorch and torchvision don't fit together. Try {python} -m pip install --force-reinstall torch torchvision")
    stamp.write_text(str(ROOT))


def python(*arguments, extras=ALL):
    """Run the environment's Python, with all that it needs installed; return its exit status."""
    install(extras)
    return call(PYTHON, *arguments)


def test():
    """Run all steps, then print how each ended. Returns whether one failed."""
    lines = []
    for title, command in STEPS.items():
        print(f"\n##### {title} #####", flush=True)
        began, status = time.time(), python(*command)
        lines.append(f"  {title:<48}{'FAILED' if status else 'passed'}, {time.time() - began:.0f} s")
    print("", *lines, sep="\n")
    return "FAILED" in "".join(lines)


def test_oldest():
    """Run pytest with the lowest versions, which pip is held to by constraints. Returns whether something was wrong."""
    floors = re.findall(r'^    "([\w-]+)>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    constraints = ROOT / "build" / "oldest.txt"
    constraints.parent.mkdir(exist_ok=True)
    constraints.write_text("".join(f"{name}=={floor}\n" for name, floor in floors))
    install(folder="build/oldest", options=["--constraint", constraints])
    return call(ROOT / "build" / "oldest" / IN_VENV, *PACKAGE) != 0


def lab():
    """Open notebook 00. Reading changes no notebook: nothing is saved by itself, and the smoke budget gets copies."""
    folder = ROOT
    if os.environ.get("OCRLIB_BUDGET") == "smoke":
        folder = ROOT / "build" / "lab"
        shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns("runs", ".*"), dirs_exist_ok=True)
        shutil.copy(ROOT / "README.md", folder)  # which the notebooks link to
    settings = str(ROOT / "tools" / "jupyter")  # defaults: the user's own settings stay in force
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [os.environ.get("JUPYTER_CONFIG_PATH"), settings]))
    opened = "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"
    return python("-m", "jupyterlab", "--allow-root", f"--ServerApp.root_dir={folder}", opened)  # in a container one is root


def html():
    """Make the website beside site/, which is replaced when all is well. Returns whether something was wrong."""
    build, site = ROOT / "build" / "site", ROOT / "site"
    shutil.rmtree(build, ignore_errors=True)
    (build / "pages").mkdir(parents=True)  # docs/conf.py fills it
    folders = ["-d", build / "doctrees", "-c", "docs", build / "pages", build / "html"]
    if python("-m", "sphinx", "-W", "--keep-going", "--quiet", *folders) != 0:  # a link that leads nowhere is a warning
        return True
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(build / "html", site)
    print("Made the website: open site/index.html")
    return False


def clean():
    """Remove what can be made again. Of a link nothing is removed: the folder behind it is the user's."""
    for name in [".venv", "build", "site", "dist", "ocrlib.egg-info", ".pytest_cache", ".ruff_cache", ".hypothesis"]:
        shutil.rmtree(ROOT / name, ignore_errors=True)


TASKS = {
    "help": lambda: print(__doc__),
    "install": install,
    "notebooks": lambda: python("tools/run_notebooks.py"),
    "lab": lab,
    "html": html,
    "bench": lambda: python("tools/bench.py", *os.environ.get("BENCH", "").split(), extras=f"{ALL},bench"),
    "gpu-check": lambda: call(sys.executable, "tools/gpu_check.py"),  # with the Python at hand: nothing is installed
    "test": test,
    "test-oldest": test_oldest,
    "browser-test": lambda: python("-m", "pytest", "tests/browser", extras=f"{ALL},browser"),
    "dist": lambda: python("-m", "build", "--no-isolation"),
    "clean": clean,
}

if __name__ == "__main__":
    make_paths_absolute()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # for kernels that load torch before ocrlib: see ocrlib/processor.py
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # .venv's own kernel before one of the same name in the user's home
    signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    target = sys.argv[1] if sys.argv[1:] else "help"
    sys.exit(TASKS[target]() if target in TASKS else f"No target {target!r}. There are: {', '.join(TASKS)}.")
