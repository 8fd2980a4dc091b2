"""CONTRIBUTING.md, CITATION.cff and CHANGELOG.md say nothing that isn't so: commands, paths, the order of imports, results."""

import graphlib
import re
import shlex
import statistics

import pytest
import yaml
from committed import ROOT
from test_packaging import MODULES, PYPROJECT, imports_of
from test_readme import printed

import ocrlib
import tasks
from ocrlib import EXPERIMENTS, read_records
from ocrlib.corrections import corrections
from ocrlib.cross_validation import SEEDS, count_exact
from ocrlib.heads import HEADS
from ocrlib.medians import median_interval
from ocrlib.reproduction import REPORTED_SPLIT
from ocrlib.reproduction import select as select_reported
from ocrlib.spreads import spread
from ocrlib.transfer import main_runs
from ocrlib.trials import select

CONTRIBUTING, CHANGELOG, CITATION = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff")
)
DOCUMENTS = {"CONTRIBUTING.md": CONTRIBUTING, "CHANGELOG.md": CHANGELOG}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORDS = ROOT / "notebooks" / "records"


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of one language; "" for commands."""
    return [body for named, body in BLOCK.findall(text) if named == language]


def in_backticks(text: str) -> list[str]:
    """What stands in single backticks, outside code blocks."""
    return re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))


def commands(text: str) -> list[list[str]]:
    """Commands in code blocks and in backticks, cut into words, without comments and without variables set before them."""
    lines = [line for block in blocks(text, "") for line in block.splitlines() if line.strip()] + in_backticks(text)
    words = [shlex.split(re.sub(r"^([A-Z_]+=\S* )+", "", line), comments=True) for line in lines if "'" not in line]
    return [command for command in words if command]


def ignored() -> set[str]:
    """The folders that git ignores: they come into being when something is run."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return {line.rstrip("/") for line in lines if line.endswith("/")}


# -- commands and paths


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_name_what_there_is(name):
    found = commands(DOCUMENTS[name])
    targets = [word for command in found if command[0] == "make" for word in command[1:]]
    assert "test" in targets, "no command was found: this test sees nothing"
    assert [target for target in targets if target not in tasks.TASKS] == []
    scripts = [command[1:] for command in found if command[0].endswith("python") and command[1].startswith("tools/")]
    assert scripts and [script for script, *_ in scripts if not (ROOT / script).is_file()] == []
    for script, *arguments in scripts:
        if script == "tools/tasks.py":
            assert set(arguments) <= set(tasks.TASKS)
        elif script == "tools/run_notebooks.py":
            assert all(list((ROOT / "notebooks").glob(f"{beginning}*.ipynb")) for beginning in arguments)


def test_the_example_of_one_test_finds_tests():
    [options] = [command[3:] for command in commands(CONTRIBUTING) if command[1:3] == ["-m", "pytest"]]
    path, _, word = options
    assert re.search(rf"^def test_\w*{word}", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_in_backticks_exist(name):
    looks_like_a_path = re.compile(r"(?=.*/|.*\.(?:py|md|toml|yml|cfg|cff|ipynb|jsonl|csv)$)[\w.-]+(?:/[\w.-]+)*/?")
    paths = [word for word in in_backticks(DOCUMENTS[name]) if looks_like_a_path.fullmatch(word)]
    assert paths
    missing = [path for path in paths if not (ROOT / path).exists() and not ignored() & set(path.split("/"))]
    assert missing == []


def test_names_of_the_library_in_backticks_exist():
    library = CHANGELOG.partition("### Library")[2].partition("### Tools")[0]
    names = [word.removesuffix("()") for word in in_backticks(library) if re.fullmatch(r"[A-Za-z]\w*(\(\))?", word)]
    assert "fit" in names and [name for name in names if not hasattr(ocrlib, name)] == []
    modules = [word for text in DOCUMENTS.values() for word in in_backticks(text) if re.fullmatch(r"ocrlib\.\w+", word)]
    assert set(modules) <= {f"ocrlib.{path.stem}" for path in MODULES}


def test_the_example_of_a_network_runs():
    [example] = blocks(CONTRIBUTING, "python")
    there = {}
    exec(example, there)
    assert there["recipe"].network(classes=5).steps(there["recipe"].width) == 24


# -- the order of imports


def floors() -> list[list[str]]:
    """The modules that CONTRIBUTING.md puts on each floor, from the top down."""
    [table] = blocks(CONTRIBUTING, "text")
    return [line.split()[1:] for line in table.splitlines()]


def test_imports_point_down_the_floors():
    graph = {path.stem: imports_of(path) for path in MODULES}
    needs = {}  # directly or through others; a cycle has no such order, and raises
    for module in graphlib.TopologicalSorter(graph).static_order():
        needs[module] = set(graph[module]).union(*(needs[other] for other in graph[module]))
    above = set()
    for floor in floors():
        assert floor and [name for name in floor if name not in graph] == []
        assert [f"{name} imports {other}" for name in floor for other in sorted(needs[name] & above)] == []
        assert [name for name in floor if any(other == "plots" or other.endswith("_plots") for other in needs[name])] == []
        above |= set(floor)
    assert {"networks", "training", "experiments", "records"} <= above


def test_the_package_imports_neither_its_tools_nor_its_tests():
    outside = {path.stem for folder in ("tools", "tests") for path in (ROOT / folder).glob("*.py")}
    imports = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
    assert [path.name for path in MODULES if outside & set(imports.findall(path.read_text(encoding="utf-8")))] == []


# -- CITATION.cff and the version


def test_the_citation_is_whole():
    citation = yaml.safe_load(CITATION)
    assert {"cff-version", "message", "title", "type", "authors", "version", "license", "keywords", "abstract"} <= set(citation)
    assert (citation["cff-version"], citation["type"], citation["license"]) == ("1.2.0", "software", "MIT")
    assert all(f'{{ name = "{author["name"]}" }}' in PYPROJECT for author in citation["authors"])
    assert all(f'"{keyword}"' in PYPROJECT for keyword in citation["keywords"])
    works = citation["references"]
    assert all({"type", "title", "authors", "year"} <= set(work) for work in works)
    assert [work["year"] for work in works] == [2015, 2006, 2013]


def test_the_version_is_the_same_in_every_document():
    assert yaml.safe_load(CITATION)["version"] == ocrlib.__version__
    assert f'\nversion = "{ocrlib.__version__}"\n' in PYPROJECT
    assert re.search(rf"^## .*\b{re.escape(ocrlib.__version__)}$", CHANGELOG, re.MULTILINE)


# -- the results in the changelog

RESULTS = " ".join(CHANGELOG.partition("### Results")[2].split())


@pytest.mark.parametrize("title, name", [("CRNN", "02_crnn"), ("ModifiedCRNN", "03_modified_crnn"), ("CE-CRNN", "04_ce_crnn")])
def test_the_changelog_has_the_figures_of_the_notebooks(title, name):
    found = re.search(r"this run: +CER ([\d.]+) \(([\d,]+ of [\d,]+ characters)", printed(name))
    assert f"- {title}: CER {found.group(1)} ({found.group(2)})" in RESULTS


def test_the_changelog_has_the_figures_of_the_fast_recipe():
    mean, worst = re.search(r"mean CER ([\d.]+), worst ([\d.]+)", printed("09_fast_training")).groups()
    assert f"mean CER {mean}, worst {worst}, over ten seeds" in RESULTS


def test_the_changelog_has_the_figures_of_the_comparison():
    records = read_records(RECORDS / "06_ctc_vs_ce.jsonl")
    medians = {head: median_interval([run.figures["cer"] for run in select(records, head=head)]) for head in HEADS}
    best = min((medians[head] for head in HEADS if head != "ctc"), key=lambda found: found.median)
    assert f"median CER {medians['ctc']} against {best}." in RESULTS
    assert f"from {len(records)} recorded runs" in CHANGELOG


def test_the_changelog_has_the_figures_of_the_cross_validation():
    records = read_records(RECORDS / "07_cross_validation.jsonl")
    repetitions = [[run.figures for run in records if run.arguments["seed"] == seed] for seed in SEEDS]
    plain, corrected = (statistics.mean(count_exact(folds, how) for folds in repetitions) for how in (False, True))
    assert f"{plain:,.1f} of 1,070 images read as labelled, {corrected:,.1f} as corrected" in RESULTS
    assert {(one.networks, one.of_networks) for one in corrections().values()} == {(9, 9)} and len(corrections()) == 4


def test_the_changelog_has_the_figure_of_training_on_generated_images():
    runs = main_runs(read_records(RECORDS / "10_synthetic_to_real.jsonl"))
    mean = statistics.mean(run.figures["zero_shot"]["cer"] for run in runs)
    assert len(runs) == 5 and f"a mean CER of {mean:.4f} over five seeds" in RESULTS


@pytest.mark.parametrize("key", ["crnn", "modified_crnn", "ce_crnn"])
def test_the_changelog_has_the_figures_over_seeds(key):
    runs = select_reported(read_records(RECORDS / "07_reproduction.jsonl"), key, split_seed=REPORTED_SPLIT)
    found = spread([run.figures["cer"] for run in runs])
    stated = f"{EXPERIMENTS[key].title} {found.mean:.4f} ({found.count} seeds, {found.least:.4f} to {found.greatest:.4f})"
    assert stated in RESULTS
