"""The answers at the top of notebook 09: their figures are those of the recorded runs."""

import os
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from committed import ROOT, read_committed

from ocrlib import CRNN, EXPERIMENTS, parameter_count, read_records, run_recipe
from ocrlib.data.published import corrections
from ocrlib.studies.ctc_vs_ce import Trial
from ocrlib.studies.errors import count_positions, edit_operations, edits_by_text, missed_shares
from ocrlib.studies.intervals import median_interval
from ocrlib.studies.open_questions import train_variant
from ocrlib.studies.records import records_frame
from ocrlib.studies.reproduction import texts_tested
from ocrlib.studies.variants import OriginalCRNN

TEXTS = [cell.source for cell in read_committed("09_open_questions.ipynb").cells if cell.cell_type == "markdown"]
[TABLE] = [text for text in TEXTS if text.startswith("## The answers in short")]
ANSWERS = dict(re.findall(r"^\| (\d+)\. .+ \| (.+) \| [^|]+ \|$", TABLE, re.MULTILINE))


def runs(study, defaults=None):
    return records_frame(read_records(ROOT / "notebooks" / "records" / f"{study}.jsonl"), defaults)


@pytest.fixture(scope="module")
def reported():
    """The runs of each recipe on the reported split."""
    return dict(list(runs("reproduction", run_recipe).query("split_seed == 42 and width.isna()").groupby("recipe")))


@pytest.fixture(scope="module")
def variants():
    return runs("variants", train_variant)


def test_every_question_has_an_answer_and_a_place_that_is_there():
    assert list(ANSWERS) == [str(number) for number in range(1, 13)]
    headings = {f"#{line[3:].replace(' ', '-')}" for text in TEXTS for line in text.splitlines() if line.startswith("## ")}
    rows = [line for line in TABLE.splitlines() if re.match(r"\| \d", line)]
    targets = [re.findall(r"\]\(([^)]+)\)", row) for row in rows]
    assert all(targets) and {target for found in targets for target in found} <= headings | set(os.listdir(ROOT / "notebooks"))


def test_six_steps_are_too_few(reported, variants):
    (six,) = variants.query("network == 'six steps' and width == 100").itertuples()
    (whole,) = runs("reproduction", run_recipe).query("recipe == 'crnn' and width == 100").cer
    nineteen = reported["crnn"].cer
    assert (six.unreadable, six.images, len(nineteen)) == (6, 250, 5)
    said = f"Six steps (one run at width 100): CER {six.cer:.4f}; 24 steps (one run at that width) {whole:.4f}"
    said += f"; 19 (five at width 80) {min(nineteen):.4f} to {max(nineteen):.4f} (least to greatest). Six of 250"
    assert said in ANSWERS["2"]


def test_the_original_network(variants, reported):
    (cer,) = variants.query("network == 'original' and scale == 1").cer
    assert f"{parameter_count(OriginalCRNN()):,}. Its CER is {cer:.4f} in one run" in ANSWERS["4"]
    ours = reported["crnn"].cer
    assert len(ours) == 5 and f"ours {min(ours):.4f} to {max(ours):.4f} in five" in ANSWERS["4"]


def test_where_trained_networks_look():
    beside = {}
    for layers, found in runs("receptive_fields").groupby("layers"):
        assert len(found) == 5 and "(five seeds)" in ANSWERS["5"]
        beside[layers] = np.abs(np.subtract(found.looks_at.tolist(), found.symbols_at.tolist())).mean()
    assert f"{beside['pools']:.1f} pixels beside its symbol on average (with strides {beside['strides']:.1f})" in ANSWERS["5"]


def test_what_goes_wrong_with_ten_steps(reported):
    texts, found = texts_tested("modified_crnn"), reported["modified_crnn"]
    mistakes = [mistake for of_run in found.mistakes for mistake in of_run]
    symbols = Counter("".join(texts))
    wrong = Counter(edit.true for read, true in mistakes for edit in edit_operations(read, true) if edit.true)
    beside, elsewhere = missed_shares(mistakes, texts, len(found))
    m, every = wrong["m"] / symbols["m"] / len(found), wrong.total() / symbols.total() / len(found)
    said = f"one symbol is missed in {beside:.1%} of such pairs; of all other symbols {elsewhere:.1%} are missed"
    assert said.replace("%", " %") in ANSWERS["6"]
    assert len(found) == 10 and "(ten seeds)" in ANSWERS["6"]
    assert f"`m` is wrong in {m:.1%} of its places, all symbols in {every:.1%}".replace("%", " %") in ANSWERS["6"]
    drawn = {}  # share of wrong m, of wrong symbols in the middle
    for name, group in runs("water").groupby("remedy"):
        mistakes = [mistake for of_run in group.mistakes for mistake in of_run]
        of_m = sum(edit.true == "m" for read, true in mistakes for edit in edit_operations(read, true))
        drawn[name] = np.array([of_m, sum(count_positions(mistakes)[1:4])]) / len(group)
        assert len(group) == 5 and "No effect of the water ring on `m` is shown (five seeds)." in ANSWERS["6"]
    assert (drawn["drawn without"] >= drawn["drawn with water"]).all()


def test_what_helps_a_network_with_ten_steps(reported):
    found = {name: cers.tolist() for name, cers in runs("remedies").groupby("remedy").cer}
    plain = reported["modified_crnn"].cer.tolist()
    fifteen, augmented = found["15 steps"], found["80 epochs, augmentation"]
    assert {name: len(values) for name, values in found.items() if len(values) != 2} == {"15 steps": 3}

    def listed(values):
        return f"{', '.join(f'{value:.4f}' for value in values[:-1])} and {values[-1]:.4f}"

    said = f"15 steps {listed(fifteen)} (three seeds), augmentation with 80 epochs {listed(augmented)} (two)"
    assert f"{said}, as reported {listed(plain[:3])}." in ANSWERS["7"]
    assert all(changed < as_reported for changed, as_reported in zip(fifteen, plain)), "as notebook 09 says"
    assert "Resampling is worse (two seeds)" in ANSWERS["7"]
    assert min(found["half with neighbours"] + found["even symbols"]) > max(found["drawn evenly"]) > max(plain)


def test_wrong_labels_are_those_of_the_package():
    assert ANSWERS["9"].startswith("At least four of 1,070:") and len(corrections()) == 4


def test_a_gpu_repeats_its_bits():
    twice = runs("gpu").query("trained == 'twice'")
    assert set(twice.recipe) == set(EXPERIMENTS) and len(twice) == len(EXPERIMENTS) and twice.same_losses.all()
    assert (twice.epochs.min(), twice.epochs.max()) == (3, 11)
    assert twice.same_weights.all() and "each recipe, trained twice for 3 to 11 epochs, gave equal bits." in ANSWERS["10"]


def test_what_one_step_a_symbol_costs():
    recorded = read_records(ROOT / "notebooks" / "records" / "ctc_vs_ce.jsonl")
    trials = [(replace(Trial(**run.arguments), curve=False), run.figures["mistakes"]) for run in recorded]
    edits = {}
    for head in ("ctc", "pooled", "strided", "attention"):
        found = [(texts_tested("fast", t.seed), mistakes) for t, mistakes in trials if t == Trial(head=head, seed=t.seed)]
        assert [len(tested) for tested, _ in found] == [250] * 10
        edits[head] = [sum(sum(edits_by_text(mistakes, tested, how)) for tested, mistakes in found) for how in (False, True)]
    assert edits["attention"] == min(edits[head] for head in ("pooled", "strided", "attention")), "the best head"
    (ctc, ctc_corrected), (ce, ce_corrected) = edits["ctc"], edits["attention"]
    said = f"ten runs (12,500 characters in all) make {ce} edits, CTC {ctc}; as corrected {ce_corrected} and {ctc_corrected}."
    assert said in ANSWERS["12"]


def test_what_it_costs_when_each_loss_is_tuned():
    tuned = runs("tuning").query("backbone in ('convolutions', 'lstm')").set_index("seed")
    assert len(tuned) == 4 * 10 and set(tuned.groupby(["backbone", "loss"]).size()) == {10}
    edits = {}
    for key, found in tuned.groupby(["backbone", "loss"]):
        tested = [texts_tested("fast", seed) for seed in found.index]
        for how in (False, True):
            edits[(*key, how)] = sum(sum(edits_by_text(*each, how)) for each in zip(found.mistakes, tested))
    ctc, ce, ctc_lstm, ce_lstm = (
        [edits[backbone, loss, how] for how in (False, True)] for backbone in ("convolutions", "lstm") for loss in ("ctc", "ce")
    )
    said = f"Rate and length tuned, ten splits: {ce[0]} and {ctc[0]}; with an LSTM {ce_lstm[0]} and {ctc_lstm[0]}."
    assert said in ANSWERS["12"]
    texts = (ROOT / name for name in ("README.md", "README.ru.md", "CHANGELOG.md"))
    english, russian, changes = (" ".join(text.read_text(encoding="utf-8").split()) for text in texts)
    assert f"{ctc[0]} edits with CTC and {ce[0]} with cross-entropy (corrected: {ctc[1]} and {ce[1]})." in english
    assert f"they give {ctc_lstm[0]} and {ce_lstm[0]} ({ctc_lstm[1]} and {ce_lstm[1]}): there no difference" in english
    assert f"{ctc[0]} ошибок с CTC и {ce[0]} с кросс-энтропией, а с LSTM за свёртками {ctc_lstm[0]} и {ce_lstm[0]}" in russian
    said = f"{ctc[0]} edits with CTC and {ce[0]} with cross-entropy; with an LSTM {ctc_lstm[0]} and {ce_lstm[0]}."
    assert f"Each loss tuned by itself, ten splits: {said}" in changes


def test_the_smallest_network_that_reads_as_well(reported, variants):
    sized = variants.query("network == 'column' and scale == 0.5")
    median, whole = (median_interval(found.cer).median for found in (sized, reported["crnn"]))
    assert len(sized) == 5 and median <= whole
    assert f"{sized.parameters.iloc[0]:,} parameters" in ANSWERS["11"]
    crnn = f"the CRNN ({parameter_count(CRNN()):,} parameters) has {whole:.4f} (five seeds each;"
    assert f"median CER {median:.4f}; {crnn}" in ANSWERS["11"] and len(reported["crnn"]) == 5
    tuned = runs("tuning").query("loss == 'ctc'").groupby("backbone").cer
    small, same = (tuned.get_group(backbone) for backbone in ("half the channels", "convolutions"))
    assert f"With a rate chosen on training images: {small.median():.4f} on ten splits." in ANSWERS["11"]
    assert len(small) == len(same) == 10 and small.median() <= same.median(), "as notebook 09 says"
    assert "one run a size" in ANSWERS["11"] and set(variants.query("network == 'crnn'").groupby("scale").size()) == {1}
    assert variants.query("network == 'crnn' and scale == 0.25").cer.min() > reported["crnn"].cer.max()
