"""What holds the project together: one list of dependencies, small modules, imports one way, nothing that must stay outside."""

import ast
import graphlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ocrlib
import tasks

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ocrlib"
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
LEVELS = (  # from the lowest; a module imports from lower levels, or from what stands before it on its own
    ("processor", "texts", "captchas", "networks", "runtime", "ctc.recursion"),  # the last imports torch alone
    ("objectives", "checkpoints", "synthetic", "data"),
    ("evaluation", "plots", "graphs", "loop", "training"),
    ("experiments", "__main__"),
    ("ctc", "demo", "studies"),
)
PLACES = [name for level in LEVELS for name in level]
ROOMS = {"synthetic", "data", "ctc", "demo", "studies"}
PARTS = {  # modules that belong to one study
    "open_questions": {"receptive_fields"},
    "synthetic_to_real": {"domain_randomisation"},
    "peers": {"peer_readers"},
}
SHARED = {"records", "repetitions", "intervals", "errors", "heads", "variants", "plots"}  # what any study may import
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "build": "python-build"}


def project_files() -> list[Path]:
    """What git tracks or would add."""
    try:
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return sorted({ROOT / name for name in names if name and (ROOT / name).is_file()})


def strings(value: object) -> Iterator[str]:
    """All text in a notebook's JSON, outputs too, without the images and the colours of tracebacks."""
    if isinstance(value, str):
        yield re.sub(r"\x1b\[[\d;]*m", "", value)
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []:
        if not str(key).startswith("image/"):
            yield from strings(part)


def read_text(path: Path) -> str | None:
    """A file's text; None when it is no text."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    return "\n".join(strings(json.loads(data))) if path.suffix == ".ipynb" else data.decode("utf-8")


# -- dependencies


def dependencies_of_pyproject() -> dict[str, tuple[str, str]]:
    """Name: (floor, comment). Read as lines: a parser would drop the comments."""
    lines = re.findall(r'^    "([\w\[\]-]+)>=([\d.]+)", +# (.+)$', PYPROJECT, re.MULTILINE)
    return {name: (floor, comment) for name, floor, comment in lines}


def dependencies_of_environment() -> dict[str, tuple[str, str]]:
    lines = re.findall(r"^ +- ([\w-]+)>=([\d.]+)  # (.+)$", ENVIRONMENT, re.MULTILINE)
    return {name: (floor, comment) for name, floor, comment in lines}


def test_every_dependency_in_pyproject_has_a_floor_and_a_comment() -> None:
    listed = re.findall(r'^    "([\w\[\]-]+).*$', PYPROJECT.partition("[tool.")[0], re.MULTILINE)
    assert "torch" in listed
    assert set(listed) == set(dependencies_of_pyproject())


def test_every_dependency_in_environment_has_a_floor_and_a_comment() -> None:
    import yaml

    *conda, pip = yaml.safe_load(ENVIRONMENT)["dependencies"]
    listed = [entry for entry in [*conda, *pip["pip"]] if entry not in ("pip", "-e .")]
    assert {re.match(r"[\w-]+", entry).group() for entry in listed} == set(dependencies_of_environment())


def test_environment_and_pyproject_list_the_same_dependencies() -> None:
    ours = {CONDA_NAMES.get(name, name): facts for name, facts in dependencies_of_pyproject().items()}
    theirs = dependencies_of_environment()
    theirs.pop("python")
    assert theirs == ours


def test_environment_installs_the_project_itself() -> None:
    import yaml

    environment = yaml.safe_load(ENVIRONMENT)
    assert environment["channels"] == ["conda-forge"]
    assert environment["dependencies"][-1]["pip"][-1] == "-e ."
    assert "pip" in environment["dependencies"]


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = ".".join(map(str, tasks.OLDEST))
    assert f'requires-python = ">={oldest}"' in PYPROJECT
    assert f'target-version = "py{oldest.replace(".", "")}"' in PYPROJECT
    assert dependencies_of_environment()["python"][0] == oldest


def test_the_version_is_the_same_everywhere() -> None:
    assert f'\nversion = "{ocrlib.__version__}"\n' in PYPROJECT


# -- the package


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_modules_can_be_read_at_a_sitting() -> None:
    lengths = {name: length(path) for name, path in MODULES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
    core = [path for name, path in MODULES.items() if "." not in name]
    assert len(core) <= 15 and sum(map(length, core)) <= 2800
    assert sum(lengths.values()) <= 10150
    assert sum(length(path) for path in (ROOT / "tools").rglob("*.*") if path.suffix != ".pyc") <= 680


def imports_of(path: Path) -> set[str]:
    """The modules of ocrlib that a module imports anywhere in it, such as "texts" and "data.images"; not for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import; this test reads full names"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    own = [name.removeprefix("ocrlib.") for name in names if name.partition(".")[0] == "ocrlib"]
    return {max((m for m in MODULES if f"{name}.".startswith(f"{m}.")), key=len, default="__init__") for name in own}


def room_of(module: str) -> str:
    return module if module in PLACES else module.partition(".")[0]


def test_imports_go_down_only() -> None:
    graph = {name: imports_of(path) for name, path in MODULES.items() if name != "__init__"}
    assert {room_of(name) for name in graph} == set(PLACES), "a module or room without a level"
    assert graph["training"] >= {"evaluation", "loop"}, "no imports were found: this test sees nothing"
    allowed = {place: {*sum(LEVELS[:number], ()), *level[: level.index(place) + 1]}
               for number, level in enumerate(LEVELS) for place in level}  # fmt: skip
    climbs = [f"{name} -> {other}" for name, others in graph.items() for other in others
              if room_of(other) not in allowed[room_of(name)]]  # fmt: skip
    assert climbs == []
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail("these modules import each other: " + " <- ".join(error.args[1]))


def test_the_core_imports_no_room_of_the_highest_level_and_a_study_no_other_study() -> None:
    graph = {name: imports_of(path) for name, path in MODULES.items()}
    core = {name: others for name, others in graph.items() if room_of(name) not in ROOMS}
    assert {name for name, others in core.items() if {room_of(other) for other in others} & set(LEVELS[-1])} == set()
    for name, others in graph.items():
        if room_of(name) == "studies" and not name.endswith(("_plots", "__main__", "__init__")):
            asked = {other.partition(".")[2] for other in others if room_of(other) == "studies"}
            assert asked - SHARED - PARTS.get(name.partition(".")[2], set()) == set(), name


def test_every_public_name_is_given_from_the_top() -> None:
    assert [name for name in ocrlib.__all__ if not hasattr(ocrlib, name)] == []
    assert callable(ocrlib.plot_samples) and callable(ocrlib.plot_ink) and ocrlib.plots.__name__ == "ocrlib.plots"


def test_importing_ocrlib_is_cheap() -> None:
    code = "import sys, ocrlib; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert "torch" in loaded
    assert {"matplotlib", "scipy", "torchinfo", "torchmetrics", "IPython", "ipywidgets", "dask", "pandas"} & set(loaded) == set()


# -- what must stay outside

SOMEBODYS_FOLDER = re.compile(r"(?<![\w.~)-])(?:/(?!home/me\b)(?:home|Users|work|tmp|mnt|opt|root|private)/\w|[A-Z]:\\+Users\\)")


def test_the_pattern_for_paths_finds_them() -> None:
    found = ["/home/ann/x", "see /mnt/x", '"/opt/x/y"', "file:///opt/x", r"C:\Users\ann", r"C:\\Users\\ann"]
    assert [text for text in found if not SOMEBODYS_FOLDER.search(text)] == []
    fine = ["https://host.org/home/x", "notebooks/opt/x", "/home/me/x"]
    assert [text for text in fine if SOMEBODYS_FOLDER.search(text)] == []


def test_no_file_has_a_path_of_somebodys_machine() -> None:
    here = [str(path) for path in [ROOT, Path.home(), tempfile.gettempdir(), sys.prefix] if len(Path(path).parts) > 2]
    found = []
    for path in project_files():
        text = read_text(path)
        if text is None or path == Path(__file__):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if SOMEBODYS_FOLDER.search(line) or any(place in line for place in here):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_no_image_of_the_data_set_is_in_the_project() -> None:
    manifest = (PACKAGE / "data" / "manifest.csv").read_text(encoding="utf-8")
    found = []
    for path in project_files():
        if path.suffix.lower() not in {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}:
            continue
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L"))
        if re.fullmatch("[2345678bcdefgmnpwxy]{5}", path.stem) or hashlib.sha256(grey.tobytes()).hexdigest()[:16] in manifest:
            found.append(path.relative_to(ROOT))
    assert found == []


def test_no_archive_is_in_the_project() -> None:
    packed = {".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".npy", ".npz", ".pt", ".pth", ".pkl", ".h5", ".parquet"}
    found = [path.name for path in project_files() if path.suffix.lower() in packed]
    ours = ["pretrained.pt", "checkpoint.pt", "model.pt"]  # test_checkpoints.py looks into them
    assert sorted(found) == sorted(ours), "only the network that comes with the package, and files of an earlier version"


# -- the commands


def test_makefile_and_help_know_the_tasks_and_nothing_else() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for pattern in [r"^\.PHONY: (.+)$", r"^(help .+):$"]:
        assert set(re.search(pattern, makefile, re.MULTILINE).group(1).split()) == set(tasks.TASKS)
    listed = re.findall(r"^(?:  )?([a-z-]+)  ", tasks.__doc__, re.MULTILINE)  # Python 3.13 takes the indentation away
    assert listed == list(tasks.TASKS)


def test_what_the_tasks_run_is_there(monkeypatch) -> None:
    commands = []
    monkeypatch.setattr(tasks, "install", lambda extras=tasks.ALL: commands.append(extras.split(",")))
    monkeypatch.setattr(tasks, "call", lambda *command: commands.append(command) or 0)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    for name in ["notebooks", "lab", "bench", "gpu-check", "test", "browser-test", "dist"]:
        assert not tasks.TASKS[name]()
    words = [str(word) for command in commands for word in command]
    assert {f"tools/{name}.py" for name in ("run_notebooks", "bench", "gpu_check")} <= set(words)
    assert {"tests/browser", "tests/series", "ruff"} <= set(words)
    assert [word for word in words if re.match("(tools|tests)/", word) and not (ROOT / word).exists()] == []
    extras = {extra for command in commands if isinstance(command, list) for extra in command}
    assert [extra for extra in extras if f"\n{extra} = [" not in PYPROJECT] == []


@pytest.mark.parametrize("budget", ["", "smoke"])
def test_lab_opens_the_first_notebook_and_under_the_smoke_budget_a_copy(budget, monkeypatch, tmp_path) -> None:
    (tmp_path / "notebooks" / "runs").mkdir(parents=True)
    for name in ("README.md", "notebooks/00_start_here.ipynb"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    calls = []
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "python", lambda *command: calls.append(command) or 0)
    monkeypatch.setenv("OCRLIB_BUDGET", budget)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    assert tasks.TASKS["lab"]() == 0
    folder = tmp_path / "build" / "lab" if budget else tmp_path
    assert calls[0][-2:] == (f"--ServerApp.root_dir={folder}", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb")
    assert (folder / "notebooks" / "00_start_here.ipynb").is_file() and (folder / "README.md").is_file()
    assert os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep) == ["mine", str(tmp_path / "tools" / "jupyter")]
    settings = json.loads((ROOT / "tools" / "jupyter" / "labconfig" / "default_setting_overrides.json").read_text())
    assert settings["@jupyterlab/docmanager-extension:plugin"] == {"autosave": False}


def test_the_oldest_versions_are_the_floors_in_pyproject(monkeypatch, tmp_path) -> None:
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    calls = []
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "install", lambda **options: calls.append(options))
    monkeypatch.setattr(tasks, "call", lambda *command: calls.append(command) or 0)
    assert tasks.TASKS["test-oldest"]() is False
    constraints = tmp_path / "build" / "oldest.txt"
    folder = {"folder": "build/oldest", "options": ["--constraint", constraints]}
    assert calls == [folder, (tmp_path / "build" / "oldest" / tasks.IN_VENV, *tasks.PACKAGE)]
    held = dict(line.split("==") for line in constraints.read_text(encoding="utf-8").splitlines())
    assert held == {name: floor for name, (floor, _) in dependencies_of_pyproject().items()}
    assert held["torch"] == "2.7"


@pytest.mark.parametrize("status, word", [(0, "passed"), (1, "FAILED")])
def test_the_closing_table_says_how_each_step_ended(status, word, monkeypatch, capsys) -> None:
    monkeypatch.setattr(tasks, "python", lambda *command: status)
    assert tasks.test() == (status == 1)
    assert re.findall(r"^  .{48}(\w+)", capsys.readouterr().out, re.MULTILINE) == [word] * 4


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "exec make test"
    assert os.name == "nt" or os.access(script, os.X_OK)


def test_relative_folders_are_meant_from_where_the_command_was_given(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCRLIB_DATA", "images")
    monkeypatch.setenv("OCRLIB_RUNS", "")
    tasks.make_paths_absolute()
    assert (os.environ["OCRLIB_DATA"], os.environ["OCRLIB_RUNS"]) == (str(tmp_path / "images"), "")
