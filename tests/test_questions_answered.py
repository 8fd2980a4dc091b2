"""The README's answers to the study's questions: their figures are those of the recorded runs."""

import re
from collections import Counter

import numpy as np
import pytest
from committed import ROOT

from ocrlib import CRNN, parameter_count, read_records
from ocrlib.corrections import corrections
from ocrlib.medians import median_interval
from ocrlib.questions import select
from ocrlib.reproduction import REPORTED_SPLIT, texts_tested
from ocrlib.reproduction import select as select_reported
from ocrlib.slips import missed_beside_equal, slips
from ocrlib.variants import OriginalCRNN

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
    (six, *_) = found = select(runs("08_variants"), network="six steps", width=100)
    with_six, most = np.mean(cers(found)), max(cers(reported["crnn"]))
    assert (six.figures["unreadable"], six.figures["images"]) == (6, 250)
    assert f"CER {with_six:.4f}, with 19 at most {most:.4f}. Six of 250 texts" in ANSWERS["2"]


def test_the_original_network(reported):
    cer = np.mean(cers(select(runs("08_variants"), network="original", scale=1)))
    assert f"{parameter_count(OriginalCRNN()):,}. Its CER is {cer:.4f}" in ANSWERS["4"]


def test_where_trained_networks_look():
    beside = {}
    for layers in ("pools", "strides"):
        found = [record.figures for record in select(runs("08_looking"), layers=layers)]
        assert len(found) == 5
        beside[layers] = abs(np.mean([np.subtract(run["looks_at"], run["symbols_at"]) for run in found]))
    assert f"{beside['pools']:.1f} pixels off on average; with strides {beside['strides']:.1f}" in ANSWERS["5"]


def test_what_goes_wrong_with_ten_steps(reported):
    texts, found = texts_tested("modified_crnn"), reported["modified_crnn"]
    mistakes = [mistake for record in found for mistake in record.figures["mistakes"]]
    symbols = Counter("".join(texts))
    wrong = Counter(slip.true for read, true in mistakes for slip in slips(read, true) if slip.true)
    missed = missed_beside_equal(mistakes, texts, len(found))
    m, every = wrong["m"] / symbols["m"] / len(found), wrong.total() / symbols.total() / len(found)
    assert f"{missed:.1%} are missed".replace("%", " %") in ANSWERS["6"]
    assert f"`m` is wrong in {m:.1%} of its places, all symbols in {every:.1%}".replace("%", " %") in ANSWERS["6"]


def test_what_helps_a_network_with_ten_steps(reported):
    found = {
        name: cers(select(runs("08_remedies"), remedy=name))
        for name in ("15 steps", "80 epochs, augmentation", "half with neighbours", "even symbols")
    }
    plain = cers(reported["modified_crnn"])
    mean = {name: np.mean(values) for name, values in found.items()}
    assert {len(values) for values in found.values()} == {2} and len(plain) == 10
    assert f"{mean['15 steps']:.4f} with 15 steps, {mean['80 epochs, augmentation']:.4f} with" in ANSWERS["7"]
    assert f"(2 runs each), {np.mean(plain):.4f} as reported (10 runs)" in ANSWERS["7"]
    assert min(found["half with neighbours"] + found["even symbols"]) > max(plain)  # "evened out it is worse"


def test_wrong_labels_are_those_of_the_package():
    assert ANSWERS["9"] == "Four of 1,070." and len(corrections()) == 4


def test_the_smallest_network_that_reads_as_well(reported):
    sized = select(runs("08_variants"), network="column", scale=1 / 2)
    median = median_interval(cers(sized)).median
    assert len(sized) == 5 and median <= median_interval(cers(reported["crnn"])).median
    assert f"{sized[0].figures['parameters']:,} parameters have a median CER of {median:.4f}" in ANSWERS["11"]
    assert f"CRNN's {parameter_count(CRNN()):,} do no better" in ANSWERS["11"]
