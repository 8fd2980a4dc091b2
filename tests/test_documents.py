"""CONTRIBUTING.md, CITATION.cff and CHANGELOG.md say nothing that isn't so: commands, paths, the order of imports, results."""

import re
import shlex
import statistics
from dataclasses import replace

import pytest
from committed import ROOT
from test_packaging import LEVELS, MODULES, PYPROJECT, ROOMS
from test_readme import printed

import ocrlib
import tasks
from ocrlib import EXPERIMENTS, Alphabet, read_records, run_recipe
from ocrlib.data.published import corrections
from ocrlib.studies.__main__ import STUDIES
from ocrlib.studies.cross_validation import SEEDS, count_exact
from ocrlib.studies.ctc_vs_ce import Trial
from ocrlib.studies.heads import HEADS
from ocrlib.studies.intervals import mean_interval, median_interval
from ocrlib.studies.records import records_frame
from ocrlib.studies.synthetic_to_real import transfer

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
    return {line.strip("/") for line in lines if line.endswith("/")}


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


def test_the_example_of_one_test_is_there():
    [path] = [command[3] for command in commands(CONTRIBUTING) if command[1:3] == ["-m", "pytest"]]
    assert (ROOT / path).is_file()


def test_the_study_that_is_recorded_is_there():
    [study] = [command[3] for command in commands(CONTRIBUTING) if command[1:3] == ["-m", "ocrlib.studies"]]
    assert study in STUDIES


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
    modules = [word for text in DOCUMENTS.values() for word in in_backticks(text) if re.fullmatch(r"ocrlib(\.[a-z]\w+)+", word)]
    assert modules and set(modules) <= {f"ocrlib.{name.removesuffix('.__init__')}" for name in MODULES}


def test_the_example_of_a_network_runs():
    [example] = blocks(CONTRIBUTING, "python")
    there = {}
    exec(example, there)
    assert there["TinyCRNN"](classes=5).steps(96) == 24
    run_on = replace(EXPERIMENTS["fast"], network=there["TinyCRNN"])
    assert run_on.make_model(Alphabet("abc")).head.out_features == 4


def test_the_levels_are_those_that_imports_are_held_to():
    tables = [block.splitlines() for block in blocks(CONTRIBUTING, "text")]
    assert tables[1] == [f"{number}  {'  '.join(LEVELS[number - 1])}" for number in (5, 4, 3, 2, 1)]
    folders = [line.split()[0] for line in tables[0]]
    assert {f"ocrlib/{room}/" for room in ROOMS} <= set(folders)
    assert all((ROOT / folder.rstrip(",/")).is_dir() for folder in folders)


def test_the_package_imports_neither_its_tools_nor_its_tests():
    outside = {path.stem for folder in ("tools", "tests") for path in (ROOT / folder).rglob("*.py")}
    imports = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
    assert [name for name, path in MODULES.items() if outside & set(imports.findall(path.read_text(encoding="utf-8")))] == []


# -- CITATION.cff and the version


def test_the_citation_is_whole():
    import yaml

    citation = yaml.safe_load(CITATION)
    assert {"cff-version", "message", "title", "type", "authors", "version", "license", "keywords", "abstract"} <= set(citation)
    assert (citation["cff-version"], citation["type"], citation["license"]) == ("1.2.0", "software", "MIT")
    assert all(f'{{ name = "{author["name"]}" }}' in PYPROJECT for author in citation["authors"])
    assert all(f'"{keyword}"' in PYPROJECT for keyword in citation["keywords"])
    works = citation["references"]
    assert all({"type", "title", "authors", "year"} <= set(work) for work in works)
    assert [work["year"] for work in works] == [2015, 2006, 2013]


def test_the_version_is_the_same_in_every_document():
    import yaml

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
    mean, worst = re.search(r"mean CER ([\d.]+), worst ([\d.]+)", printed("10_fast_training")).groups()
    assert f"mean CER {mean}, worst {worst}, over ten seeds" in RESULTS


def test_the_changelog_has_the_figures_of_the_comparison():
    records = read_records(RECORDS / "ctc_vs_ce.jsonl")
    as_usual = "images.isna() and drawn == 0 and pooled.isna() and noise == 0 and warm_up and blank_bias and not pretraining"
    runs = records_frame(records, Trial).query(as_usual)
    medians = {head: median_interval(cers) for head, cers in runs.groupby("head").cer}
    best = min((medians[head] for head in HEADS if head != "ctc"), key=lambda found: found.median)
    assert f"median CER {medians['ctc']} against {best}." in RESULTS
    assert f"from {len(records)} recorded runs" in CHANGELOG


def test_the_changelog_has_the_figures_of_the_cross_validation():
    records = read_records(RECORDS / "cross_validation.jsonl")
    repetitions = [[run.figures for run in records if run.arguments["seed"] == seed] for seed in SEEDS]
    plain, corrected = (statistics.mean(count_exact(folds, how) for folds in repetitions) for how in (False, True))
    assert f"{plain:,.1f} of 1,070 images read as labelled, {corrected:,.1f} as corrected" in RESULTS
    assert {(one.networks, one.of_networks) for one in corrections().values()} == {(9, 9)} and len(corrections()) == 4


def test_the_changelog_has_the_figure_of_training_on_generated_images():
    runs = records_frame(read_records(RECORDS / "synthetic_to_real.jsonl"), transfer).query("augmented")
    mean = statistics.mean(figures["cer"] for figures in runs.zero_shot)
    assert len(runs) == 5 and f"a mean CER of {mean:.4f} over five seeds" in RESULTS


@pytest.mark.parametrize("key", ["crnn", "modified_crnn", "ce_crnn"])
def test_the_changelog_has_the_figures_over_seeds(key):
    runs = records_frame(read_records(RECORDS / "reproduction.jsonl"), run_recipe)
    found = mean_interval(runs.query("recipe == @key and split_seed == 42 and width.isna()").cer)
    stated = f"{EXPERIMENTS[key].title} {found.mean:.4f} ({found.count} seeds, {found.least:.4f} to {found.greatest:.4f})"
    assert stated in RESULTS
