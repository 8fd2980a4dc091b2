"""The README's figures are the notebooks': each cell of its tables is held against what the notebook printed."""

import re

import pytest
from committed import ROOT, read_committed

from ocrlib import EXPERIMENTS, ColumnCNN, read_records, run_recipe
from ocrlib.evaluation import binomial_interval
from ocrlib.studies import peers
from ocrlib.studies.cross_validation import count_exact
from ocrlib.studies.ctc_vs_ce import Trial
from ocrlib.studies.heads import HEADS
from ocrlib.studies.intervals import mean_interval, median_interval
from ocrlib.studies.records import records_frame
from ocrlib.studies.synthetic_to_real import transfer

README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = {"crnn": "02_crnn", "modified_crnn": "03_modified_crnn", "ce_crnn": "04_ce_crnn"}


def printed(name):
    """All that a notebook printed, as one text."""
    outputs = [output for cell in read_committed(f"{name}.ipynb").cells for output in cell.get("outputs", [])]
    return "\n".join(output.text for output in outputs if output.output_type == "stream")


def row(name):
    """The cells of the first table row that links to a notebook, after its title."""
    line = next(line for line in README.splitlines() if line.startswith("|") and f"notebooks/{name}.ipynb" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("key", NOTEBOOKS)
def test_the_figures_are_those_the_notebook_printed(key):
    figures = re.search(
        r"this run: +CER ([\d.]+) \(([\d,]+ of [\d,]+) characters, 95 % interval ([\d.]+ to [\d.]+)\), "
        r"exact match [\d.]+ \((\d+ of \d+) images\)",
        printed(NOTEBOOKS[key]),
    )
    cer, _, interval, exact = figures.groups()
    assert row(NOTEBOOKS[key])[2:4] == [f"{cer} ({interval})", exact]


def test_the_figures_of_the_fast_recipe_are_those_of_notebook_10():
    said = printed("10_fast_training")
    mean, worst = re.search(r"mean CER ([\d.]+), worst ([\d.]+)", said).groups()
    seconds = re.search(r"median training time ([\d.]+) s", said).group(1)
    share = re.search(r"plain procedure takes [\d.]+ s: ratio ([\d.]+)", said).group(1)
    stated = f"mean CER {mean} over ten seeds (worst {worst}) after {seconds} s of training, {share} of one epoch"
    assert stated in " ".join(README.split())
    title = f"[fast](notebooks/10_fast_training.ipynb), CTC, 24 steps, no LSTM, {seconds} s of training"
    assert row("10_fast_training") == [title, "", "", "", f"{mean} (10 seeds)"]
    assert ColumnCNN().steps(EXPERIMENTS["fast"].width) == 24


@pytest.mark.parametrize("title", ["ModifiedCRNN", "CE-CRNN", "Fast"])
def test_the_figures_over_ten_splits_are_those_that_notebook_08_prints(title):
    row = rf"^{title} +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) "
    n, mean, least, greatest = re.search(row, printed("08_reproduction"), re.MULTILINE).groups()
    said, name = " ".join(README.split()).partition("**On ten splits**")[2], title.replace("Fast", "fast recipe")
    assert n == "10" and re.search(rf"the {name} {mean} \({least} to {greatest}[;)]", said)
    assert f"{title.replace('Fast', 'fast')} {mean} (от {least} до {greatest}" in RUSSIAN


def test_the_comparison_of_the_losses_is_that_of_the_recorded_runs():
    records = read_records(ROOT / "notebooks" / "records" / "ctc_vs_ce.jsonl")
    as_usual = "images.isna() and drawn == 0 and pooled.isna() and noise == 0 and warm_up and blank_bias and not pretraining"
    runs = records_frame(records, Trial).query(as_usual)
    medians = {head: median_interval(cers) for head, cers in runs.groupby("head").cer}
    best = min((medians[head] for head in HEADS if head != "ctc"), key=lambda found: found.median)
    assert medians["ctc"].count == best.count == 10
    said = " ".join(README.split())
    assert f"median CER {medians['ctc']} against {best} for the best of three" in said
    edits = re.findall(r"(\d+) edits of 12,500 symbols; (\d+) with corrected", printed("07_ctc_vs_ce"))
    (ctc, ctc_corrected), (ce, ce_corrected) = edits
    assert f"{ctc} edits with CTC and {ce} with cross-entropy in 12,500 symbols" in said
    assert f"with four labels corrected, {ctc_corrected} and {ce_corrected}." in said


@pytest.mark.parametrize("key", NOTEBOOKS)
def test_the_reported_figures_are_the_recipes(key):
    experiment = EXPERIMENTS[key]
    reported = f"{experiment.reported_cer} ({experiment.reported_edits} of {experiment.test * 5:,})"
    assert row(NOTEBOOKS[key])[1] == reported


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")))
def test_running_times_are_those_of_the_committed_run(name):
    notebook = read_committed(f"{name}.ipynb")
    minutes = sum(notebook.metadata["ocrlib"]["cell_seconds"]) / 60
    line = next(line for line in README.splitlines() if line.startswith(f"| {name[:2]} |"))
    stated = int(re.search(r"(\d+) min", line).group(1))
    assert stated == max(round(minutes), 1)
    said = re.search(r"About (a|\d+) minutes? on two CPU cores", "\n".join(cell.source for cell in notebook.cells[:4])).group(1)
    assert said == ("a" if stated == 1 else str(stated))


def test_the_picture_is_there():
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file()


def test_every_notebook_of_the_series_is_on_the_map():
    for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        assert f"notebooks/{path.name}" in README


RUSSIAN = (ROOT / "README.ru.md").read_text(encoding="utf-8")


def test_the_russian_readme_states_no_other_figures():
    decimals = set(re.findall(r"\b0\.\d{4}\b|\b\d+\.\d+ ?%", RUSSIAN))
    assert len(decimals) > 10
    assert {figure.replace(" ", "") for figure in decimals} <= set(re.findall(r"0\.\d{4}|\d+\.\d+%", README.replace(" %", "%")))


def test_the_russian_table_of_results_is_the_english_one():
    def rows(text):
        lines = re.findall(r"^\| \[[^\]]+\]\((notebooks/[^)]+)\)(.*)$", text, re.MULTILINE)
        return [(target, re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d)[ ,](?=\d{3}\b)", "", rest))) for target, rest in lines]

    assert rows(RUSSIAN) == rows(README) and len(rows(README)) == 4


def test_the_russian_readme_has_the_same_map():
    def rows(text):
        lines = re.findall(r"^\| (\d\d) \| \[([^\]]+)\]\(([^)]+)\).*\| (\d+) (?:min|мин) \|$", text, re.MULTILINE)
        return {number: facts for number, *facts in lines}

    assert rows(RUSSIAN) == rows(README) and len(rows(README)) >= 9


def test_each_table_of_the_russian_readme_stands_once_and_by_itself():
    rules = re.findall(r"^\|[-|]+\|$", RUSSIAN, re.MULTILINE)
    heads = re.findall(r"\n\n(\|.*\|)\n\|[-|]+\|\n", RUSSIAN)
    assert len(heads) == len(set(heads)) == len(rules)


def test_the_figures_of_the_cross_validation_are_those_of_the_recorded_runs():
    records = read_records(ROOT / "notebooks" / "records" / "cross_validation.jsonl")
    seeds = sorted({record.arguments["seed"] for record in records})
    by_seed = [[record.figures for record in records if record.arguments["seed"] == seed] for seed in seeds]
    images = 1070 * len(seeds)
    given, corrected = (100 * sum(count_exact(folds, mended) for folds in by_seed) / images for mended in (False, True))
    assert len(seeds) == 3 and given >= 99.4 and corrected >= 99.7
    said = " ".join(README.split())
    intervals = [binomial_interval(count_exact(folds), 1070) for folds in by_seed]
    two, same, third = (f"{low:.1%} to {high:.1%}".replace("% to", " to").replace("%", " %") for low, high in intervals)
    assert two == same
    said_of_each = f"95 % interval of each repetition: {two} for two of them, {third} for the third"
    assert f"{given:.2f} % of the texts as labelled ({said_of_each});" in said
    assert f"Against four corrected labels (`load_captchas(corrected=True)`) it is {corrected:.2f} %" in said


def test_the_zero_shot_figure_is_that_of_the_recorded_runs():
    runs = records_frame(read_records(ROOT / "notebooks" / "records" / "synthetic_to_real.jsonl"), transfer).query("augmented")
    mean = sum(figures["cer"] for figures in runs.zero_shot) / len(runs)
    assert len(runs) == 5 and f"mean CER of {mean:.4f} over five seeds" in " ".join(README.split())


@pytest.mark.parametrize("key", NOTEBOOKS)
def test_the_figures_over_seeds_are_those_of_the_recorded_runs(key):
    runs = records_frame(read_records(ROOT / "notebooks" / "records" / "reproduction.jsonl"), run_recipe)
    found = mean_interval(runs.query("recipe == @key and split_seed == 42 and width.isna()").cer)
    stated = f"{EXPERIMENTS[key].title} {found.mean:.4f} ({found.count} seeds, {found.least:.4f} to {found.greatest:.4f})"
    assert found.count >= 5 and stated in " ".join(README.split())
    assert row(NOTEBOOKS[key])[4] == f"{found.mean:.4f} ({found.count} seeds)"


def test_what_stands_before_the_details_is_read_in_two_minutes():
    for text, details, words in ((README, "Details", 900), (RUSSIAN, "Подробности", 1000)):
        first, rest = text.split(f"\n## {details}\n")
        assert len(first.split()) <= words and rest


def test_the_lines_that_read_an_image_print_what_they_say(monkeypatch, capsys):
    [code] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "example.png" in block]
    monkeypatch.chdir(ROOT)
    exec(code, {})
    assert capsys.readouterr().out.strip() == re.search(r"# (.+)\n", code).group(1)


PEERS = read_records(ROOT / "notebooks" / "records" / "peers.jsonl")


def peer_rows():
    """The cells of each row of the table of readers, but for the reader's name, in the records' order."""

    def exact(figures):
        return f"{round(figures['exact'] * figures['images']):,} ({figures['exact']:.1%})".replace("%", " %")

    for record in PEERS:
        lower, symbols, cpu = (record.figures[name] for name in ("lower", "symbols", "cpu_seconds"))
        yield exact(lower), exact(symbols), f"{lower['cer']:.4f}", f"{symbols['cer']:.4f}", f"{1000 * cpu:.1f}"


def test_the_table_of_other_readers_is_that_of_the_recorded_runs():
    assert [record.arguments for record in PEERS] == peers.JOBS
    for record, cells in zip(PEERS, peer_rows()):
        assert " | ".join(["| " + record.arguments["reader"], *cells]) + " |\n" in README
        assert f"| {record.arguments['reader']} | {cells[1]} | {cells[4]} |\n" in README
        assert {record.figures[name]["images"] for name in ("lower", "symbols")} == {1070}


@pytest.mark.parametrize("text", [README, RUSSIAN], ids=["english", "russian"])
def test_versions_date_and_processor_stand_under_the_table_of_other_readers(text):
    said, (ours, *others) = " ".join(text.split()), PEERS
    [packages] = [dict(pairs) for pairs in {tuple(record.figures["packages"].items()) for record in others}]
    packages |= {"Python": ours.versions["python"], "torch": ours.versions["torch"]}
    assert ", ".join(f"{name} {packages[name]}" for name in ("Python", "torch", "onnxruntime", *peers.PACKAGES)) + "." in said
    assert {re.search(r"studies peers` (?:on )?([\d-]+)", said)[1]} == {record.figures["date"] for record in PEERS}
    assert {re.search(r"Intel.*?Processor", said)[0]} == {record.figures["processor"] for record in PEERS}


def test_the_intervals_under_the_table_of_other_readers_are_of_ours_and_of_the_best_of_the_others():
    english, russian = " ".join(README.split()), " ".join(RUSSIAN.split())
    ours, *others = (round(1070 * record.figures["symbols"]["exact"]) for record in PEERS)
    for exact in (ours, max(others)):
        low, high = (f"{bound:.1%}".strip("%") for bound in binomial_interval(exact, 1070))
        assert f" {low} to {high} % for {exact:,}" in english
        assert f"от {low} до {high} % для {exact:,}".replace(",", " ") in russian


def test_the_russian_table_of_other_readers_has_the_same_cells():
    for cells in peer_rows():
        assert f"| {' | '.join(cells)} |\n".replace("| 1,", "| 1 ") in RUSSIAN


def test_what_we_read_on_the_published_folds_is_that_of_the_recorded_runs():
    records = read_records(ROOT / "notebooks" / "records" / "cross_validation.jsonl")
    folds = [record.figures for record in records if record.arguments["seed"] == 1]
    given, corrected = count_exact(folds), count_exact(folds, corrected=True)
    assert f"read {given:,} as labelled and {corrected:,} as corrected on these folds" in " ".join(README.split())
    russian = f"{given:,} картинки по исходным меткам и {corrected:,} по исправленным".replace(",", " ")
    assert russian in " ".join(RUSSIAN.split())


def test_what_the_keras_example_reads_on_the_published_folds_is_that_of_the_recorded_runs():
    folds = [record.figures for record in read_records(ROOT / "notebooks" / "records" / "keras_example.jsonl")]
    reading = [fold for fold in folds if fold["exact"] > 0]
    exact, images = round(sum(fold["exact"] * fold["images"] for fold in reading)), sum(fold["images"] for fold in reading)
    assert (len(folds), len(reading)) == (5, 4)
    assert f"{exact} of the {images} images of four folds. On the other fold" in " ".join(README.split())
    assert f"{exact} из {images} картинок четырёх частей. Для пятой" in " ".join(RUSSIAN.split())
    said = {cell.id: cell.source for cell in read_committed("08_reproduction.ipynb").cells}["keras-result"]
    assert f"On four folds it reads {exact / images:.1%} of the texts, on the fifth nothing".replace("%", " %") in said
