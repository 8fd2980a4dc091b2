"""The targets of the Makefile: ``python tools/tasks.py help`` lists them. Standard library only: it makes the environment."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "ocrlib-installed"  # newer than pyproject.toml: nothing to install
OLDEST = (3, 10)
CELL_TIMEOUT = 300  # seconds a cell may take under the smoke budget; the longest takes a tenth of it on two cores
# One process a core (at most four: each kernel holds torch), each with one thread: torch's threads of two processes would
# wait for each other.
SIDE_BY_SIDE = ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile"]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
LAB = ["-m", "jupyterlab"]
LAB_VARIABLES = {"JUPYTER_PREFER_ENV_PATH": "1"}  # the environment's own kernel before one of the same name in the user's home
NBVAL = ["--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}", "-p", "no:cacheprovider", *SIDE_BY_SIDE]


def make_paths_absolute() -> None:
    """Relative folders in the environment are meant from where the command was given; kernels start in ``notebooks/``."""
    for name in ["OCRLIB_DATA", "OCRLIB_RUNS"]:
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))


def say(text: str) -> None:
    """Print now: what a child process prints must not overtake it."""
    print(text, flush=True)


def stop(text: str) -> None:
    """End with a message for people, and exit status 1."""
    sys.exit("\n" + text)


def call(*command: object, **options: object) -> int:
    """Run a command, by default in the root and without input; return its exit status.

    Ctrl-C reaches the command too: it ends in its own way (a kernel is shut down, what was run is saved), then this does.
    """
    options.setdefault("cwd", str(ROOT))
    options.setdefault("stdin", subprocess.DEVNULL)
    interrupts = []
    before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        status = subprocess.call([str(part) for part in command], **options)
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt
    return status


def answers(*code: str) -> bool:
    """Whether the environment's Python runs these arguments without an error."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return PYTHON.exists() and call(PYTHON, *code, **quiet) == 0


def installed() -> bool:
    """Whether .venv is there, works, and has what pyproject.toml asks for."""
    # The stamp names the folder: in a copied or moved clone the environment still points at the old one.
    return (
        STAMP.exists()
        and STAMP.read_text() == str(ROOT)
        and STAMP.stat().st_mtime >= (ROOT / "pyproject.toml").stat().st_mtime
        and answers("-c", "")
    )


def make_environment() -> None:
    """Make .venv with the Python this runs on, or say what stands in the way."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST))
    if sys.version_info < OLDEST:
        stop(f"This is Python {version}; ocrlib needs {wanted} or newer. Name another one: make PYTHON=python3.12 ...")
    try:
        import ensurepip  # noqa: F401  (Debian and Ubuntu ship it apart)
        import venv  # noqa: F401
    except ImportError:
        stop(
            f"This Python {version} cannot make environments: its venv module is missing.\n"
            f"On Debian or Ubuntu: sudo apt install python3-venv. Or name another Python: make PYTHON=python3.12 ..."
        )
    say(f"Making .venv with Python {version}")
    if call(sys.executable, "-m", "venv", VENV) != 0:
        stop("The environment could not be made in .venv; the lines above say why. `make clean` removes what is there.")


def pip_install(what: str) -> bool:
    """Install this folder with some of its extras into .venv; return whether that worked."""
    # Bars and package names are for people; a log file keeps errors only.
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    return call(PYTHON, "-m", "pip", "install", *quiet, "--editable", what) == 0


def install() -> None:
    """make .venv and install into it, where pyproject.toml is newer"""
    if installed():
        return
    if not answers("-m", "pip", "--version"):
        make_environment()
    if not answers("-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"):
        stop(f"The Python in .venv is older than {OLDEST[0]}.{OLDEST[1]}. Run `make clean`, then this again.")
    say("Installing ocrlib and what it needs into .venv. The first time takes minutes: torch alone is some gigabytes.")
    began = time.time()
    if not pip_install(".[test]"):
        stop("pip could not install everything; the lines above say why. Needed: a network or a mirror, and 8 GB of disk.")
    if not answers("-c", "import torchvision"):
        stop(
            "torch and torchvision are installed but do not fit together (usually one built for CUDA, the other not).\n"
            "Install the pair again, both from one place:\n"
            f"  {PYTHON} -m pip install --force-reinstall torch torchvision"
        )
    STAMP.write_text(str(ROOT))
    say(f"Installed in {time.time() - began:.0f} s.")


def notebooks() -> None:
    """execute the numbered notebooks, in place (OCRLIB_BUDGET=smoke: copies in build/notebooks)"""
    install()
    sys.exit(call(PYTHON, ROOT / "tools" / "run_notebooks.py"))


def lab() -> None:
    """open JupyterLab in notebooks/"""
    install()
    # In a container one is root as a rule, and Jupyter would only refuse.
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    sys.exit(call(PYTHON, *LAB, *root, cwd=str(ROOT / "notebooks"), env={**os.environ, **LAB_VARIABLES}, stdin=None))


def html() -> None:
    """make README, notebooks (with the outputs they have now) and docstrings into a website: site/index.html"""
    install()
    if not answers("-c", "import myst_nb, sphinx_book_theme"):
        say("Installing Sphinx into .venv: it makes the pages.")
        if not pip_install(".[docs]"):
            stop("pip could not install Sphinx; the lines above say why. Needed: a network or a mirror.")
    # Made afresh beside site/, which is replaced when all is well: no page of an earlier time stays, no half a site either.
    build, site = ROOT / "build" / "site", ROOT / "site"
    shutil.rmtree(build, ignore_errors=True)
    (build / "pages").mkdir(parents=True)  # docs/conf.py fills it
    strict = ["--fail-on-warning", "--keep-going", "--quiet"]  # a link that leads nowhere is a warning
    folders = ["-d", build / "doctrees", "-c", ROOT / "docs", build / "pages", build / "html"]
    if call(PYTHON, "-m", "sphinx", *strict, *folders) != 0:
        stop("Not all is well with the pages; the lines above say what.")
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(build / "html", site)
    say("Made the website: open site/index.html")


def bench() -> None:
    """measure the project against the plain procedure, about 20 minutes (BENCH="--help" lists options)"""
    install()
    sys.exit(call(PYTHON, ROOT / "tools" / "bench.py", *shlex.split(os.environ.get("BENCH", ""))))


def copy_notebooks(folder: Path) -> None:
    """Copy notebooks/ to ``folder``, out of reach of data/, and without checkpoints that earlier runs left."""
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".*", "runs", "__pycache__"))


def smoke_environment() -> "dict[str, str]":
    """Variables for executing notebooks quickly, outside the working tree and without a network."""
    environment = dict(os.environ, OCRLIB_BUDGET="smoke", OCRLIB_DOWNLOAD="0", **ONE_THREAD)
    for name in ["OCRLIB_PROGRESS", "OCRLIB_RUNS"]:
        environment.pop(name, None)
    if not environment.get("OCRLIB_DATA") and (ROOT / "data").is_dir():
        environment["OCRLIB_DATA"] = str(ROOT / "data")
    return environment


def check_notebooks(real: bool) -> "bool | None":
    """All notebooks by nbval under the smoke budget. Returns whether they passed; None where no real images are found."""
    with tempfile.TemporaryDirectory(prefix="ocrlib-") as temporary:
        folder, home = Path(temporary) / "notebooks", Path(temporary) / "home"
        copy_notebooks(folder)
        environment = smoke_environment()
        if not real:
            environment.pop("OCRLIB_DATA", None)
            home.mkdir()  # an empty one: the user's cache may hold real images
            environment.update(dict.fromkeys(["HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"], str(home)))
        where = {"cwd": str(folder), "env": environment}
        probe = "from ocrlib import load_captchas; print(load_captchas().source)"
        found = subprocess.run([str(PYTHON), "-W", "ignore", "-c", probe], stdout=subprocess.PIPE, **where)
        source = found.stdout.decode().strip()
        if found.returncode != 0:
            return False
        if source != ("real" if real else "synthetic"):
            say(f"load_captchas() found {source} images.")
            return None if real else False
        return call(PYTHON, "-m", "pytest", "--nbval-lax", *NBVAL, str(folder), **where) == 0


def check_repeats() -> bool:
    """Each notebook executed twice under the smoke budget, in fresh processes: the same losses and CER, digit for digit."""
    with tempfile.TemporaryDirectory(prefix="ocrlib-") as temporary:
        environment = dict(smoke_environment(), OCRLIB_RUNS=str(Path(temporary) / "first"))
        if call(PYTHON, ROOT / "tools" / "run_notebooks.py", env=environment) != 0:
            return False
        folder = Path(temporary) / "notebooks"
        shutil.copytree(ROOT / "build" / "notebooks", folder)
        shutil.copytree(ROOT / "notebooks" / "records", folder / "records")
        environment["OCRLIB_RUNS"] = str(Path(temporary) / "second")  # or the first one's training would be loaded
        sanitize = f"--nbval-sanitize-with={ROOT / 'tools' / 'nbval_sanitize.cfg'}"
        return call(PYTHON, "-m", "pytest", "--nbval", sanitize, *NBVAL, str(folder), cwd=str(folder), env=environment) == 0


def check_package() -> bool:
    """The package's own tests."""
    environment = {name: value for name, value in os.environ.items() if name not in ("OCRLIB_BUDGET", "OCRLIB_PROGRESS")}
    return call(PYTHON, "-m", "pytest", *SIDE_BY_SIDE, env={**environment, **ONE_THREAD}) == 0


def test() -> None:
    """run everything that can fail: ruff, pytest, the notebooks with real images, with generated ones, and twice"""
    install()
    steps = [
        ("ruff", lambda: call(PYTHON, "-m", "ruff", "check", ".") == 0),
        ("the package (pytest)", check_package),
        ("the notebooks, smoke budget, real images", lambda: check_notebooks(real=True)),
        ("the notebooks, smoke budget, generated images", lambda: check_notebooks(real=False)),
        ("the notebooks, executed twice, same figures", check_repeats),
    ]
    lines, passed = [], True
    for title, step in steps:
        say(f"\n##### {title} #####")
        began = time.time()
        outcome = step()
        if outcome is None:
            say("No real images in reach (OCRLIB_DATA, data/, the cache): this pass is left out.")
        word = {True: "passed", False: "FAILED", None: "left out, no real images in reach"}[outcome]
        lines.append(f"  {title:<48}{word}, {time.time() - began:.0f} s")
        passed = passed and outcome is not False
    say("\n" + "\n".join(lines))
    sys.exit(0 if passed else 1)


def browser_test() -> None:
    """run the notebooks in JupyterLab, in a browser without a window, smoke budget (NOTEBOOKS="03 05": these two)"""
    install()
    if not answers("-c", "import playwright"):
        say("Installing Playwright into .venv: it drives the browser.")
        if not pip_install(".[browser]"):
            stop("pip could not install Playwright; the lines above say why. Needed: a network or a mirror.")
    sys.exit(call(PYTHON, ROOT / "tools" / "browser_test.py", *shlex.split(os.environ.get("NOTEBOOKS", ""))))


def clean() -> None:
    """remove .venv, build/, site/ and caches (data/, notebooks/ and its runs/ stay)"""
    names = [".venv", "build", "site", "dist", "ocrlib.egg-info", ".pytest_cache", ".ruff_cache", ".hypothesis"]
    caches = [path for name in ["ocrlib", "tests", "tools"] for path in (ROOT / name).rglob("__pycache__")]
    for path in [ROOT / name for name in names] + caches:
        if path.is_symlink():
            path.unlink()  # the user's own folder behind it is not ours to empty
        else:
            shutil.rmtree(path, ignore_errors=True)


def help() -> None:
    """list the targets"""
    say("make TARGET, or python tools/tasks.py TARGET:\n")
    for name, task in TASKS.items():
        say(f"  {name:<12} {task.__doc__}")
    say(
        "\nPYTHON=python3.12   the Python to make .venv with (3.10 or newer)\n"
        "OCRLIB_DATA=folder  where the real images are (else: data/, the cache, a download, the generator)\n"
        "OCRLIB_BUDGET=smoke little data, few epochs: minutes, not hours; the figures then mean nothing"
    )


LISTED = [help, install, notebooks, lab, html, bench, test, browser_test, clean]
TASKS = {task.__name__.replace("_", "-"): task for task in LISTED}


def main(names: "list[str]") -> None:
    """Run the named targets in order; none: help."""
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        stop(f"No target {unknown[0]!r}. There are: {', '.join(TASKS)}.")
    make_paths_absolute()
    try:
        for name in names or ["help"]:
            TASKS[name]()
    except KeyboardInterrupt:
        stop("Stopped.")


if __name__ == "__main__":
    main(sys.argv[1:])
