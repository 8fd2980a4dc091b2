"""The README's answers to the study's questions: their figures are those of the recorded runs."""

import re
from collections import Counter

import numpy as np
import pytest
from committed import ROOT

from ocrlib import CRNN, parameter_count, read_records
from ocrlib.data.published import corrections
from ocrlib.studies.errors import missed_shares, slips
from ocrlib.studies.intervals import median_interval
from ocrlib.studies.open_questions import select
from ocrlib.studies.reproduction import REPORTED_SPLIT, texts_tested
from ocrlib.studies.reproduction import select as select_reported
from ocrlib.studies.variants import OriginalCRNN

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## The study's questions, answered")[1].split("\n## ")[0]
ANSWERS = dict(re.findall(r"^\| (\d+) \| .+ \| (.+) \| [^|]+ \|$", SECTION, re.MULTILINE))


def runs(file):
    return read_records(ROOT / "notebooks" / "records" / f"{file}.jsonl")


def cers(found):
    return [record.figures["cer"] for record in found]


@pytest.fixture(scope="module")
def reported():
    found = runs("07_reproduction")
    return {key: select_reported(found, key, split_seed=REPORTED_SPLIT) for key in ("crnn", "modified_crnn")}


def test_every_question_has_an_answer_and_a_notebook_that_is_there():
    assert list(ANSWERS) == [str(number) for number in range(1, 13)]
    for line in SECTION.splitlines():
        if re.match(r"\| \d", line):
            linked = re.findall(r"\(([^)]+ipynb)\)", line)
            assert linked and all((ROOT / path).is_file() for path in linked), line


def test_six_steps_are_too_few(reported):
    (six,) = select(runs("08_variants"), network="six steps", width=100)
    nineteen = cers(reported["crnn"])
    assert (six.figures["unreadable"], six.figures["images"], len(nineteen)) == (6, 250, 5)
    said = f"CER {six.figures['cer']:.4f}; with 19 (five runs at width 80) {min(nineteen):.4f} to {max(nineteen):.4f}. Six of 250"
    assert said in ANSWERS["2"]


def test_the_original_network(reported):
    (cer,) = cers(select(runs("08_variants"), network="original", scale=1))
    assert f"{parameter_count(OriginalCRNN()):,}. Its CER is {cer:.4f} (one run)" in ANSWERS["4"]


def test_where_trained_networks_look():
    beside = {}
    for layers in ("pools", "strides"):
        found = [record.figures for record in select(runs("08_looking"), layers=layers)]
        assert len(found) == 5
        beside[layers] = np.abs([np.subtract(run["looks_at"], run["symbols_at"]) for run in found]).mean()
    assert f"{beside['pools']:.1f} pixels beside its symbol on average (with strides {beside['strides']:.1f})" in ANSWERS["5"]


def test_what_goes_wrong_with_ten_steps(reported):
    texts, found = texts_tested("modified_crnn"), reported["modified_crnn"]
    mistakes = [mistake for record in found for mistake in record.figures["mistakes"]]
    symbols = Counter("".join(texts))
    wrong = Counter(slip.true for read, true in mistakes for slip in slips(read, true) if slip.true)
    beside, elsewhere = missed_shares(mistakes, texts, len(found))
    m, every = wrong["m"] / symbols["m"] / len(found), wrong.total() / symbols.total() / len(found)
    said = f"of {beside:.1%} of such pairs one is missed, of the symbols beside no equal {elsewhere:.1%}"
    assert said.replace("%", " %") in ANSWERS["6"]
    assert f"`m` is wrong in {m:.1%} of its places, all symbols in {every:.1%}".replace("%", " %") in ANSWERS["6"]


def test_what_helps_a_network_with_ten_steps(reported):
    found = {
        name: cers(select(runs("08_remedies"), remedy=name))
        for name in ("15 steps", "80 epochs, augmentation", "half with neighbours", "even symbols", "drawn evenly")
    }
    plain = cers(reported["modified_crnn"])
    assert {len(values) for values in found.values()} == {2}

    def both(values):
        return f"{values[0]:.4f} and {values[1]:.4f}"

    steps, augmented = both(found["15 steps"]), both(found["80 epochs, augmentation"])
    assert f"15 steps {steps}, augmentation with 80 epochs {augmented}, as reported {both(plain)}." in ANSWERS["7"]
    assert "Evened out by resampling it is worse" in ANSWERS["7"]
    assert min(found["half with neighbours"] + found["even symbols"]) > max(found["drawn evenly"]) > max(plain)


def test_wrong_labels_are_those_of_the_package():
    assert ANSWERS["9"].startswith("At least four of 1,070:") and len(corrections()) == 4


def test_the_smallest_network_that_reads_as_well(reported):
    sized = select(runs("08_variants"), network="column", scale=1 / 2)
    median = median_interval(cers(sized)).median
    whole = median_interval(cers(reported["crnn"])).median
    assert len(sized) == 5 and median <= whole
    assert f"{sized[0].figures['parameters']:,} parameters" in ANSWERS["11"]
    crnn = f"the CRNN with {parameter_count(CRNN()):,} one of {whole:.4f} (five seeds each)"
    assert f"has a median CER of {median:.4f}, {crnn}" in ANSWERS["11"] and len(reported["crnn"]) == 5
    assert min(cers(select(runs("08_variants"), network="crnn", scale=1 / 4))) > max(cers(reported["crnn"]))
