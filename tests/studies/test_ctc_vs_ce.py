"""One run of the comparison: it does what its trial says, and twice the same."""

import json
import math

import pytest
import torch
from torch import nn

from ocrlib import EXPERIMENTS, Alphabet, CrossEntropy
from ocrlib.studies.ctc_vs_ce import PaddedCrossEntropy, Trial, compare, make_model
from ocrlib.studies.heads import HEADS, AttentionCE, ColumnCTC

WIDTH = EXPERIMENTS["fast"].width


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder):
    """Twelve images, nine of them to train on, and two epochs."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")


def without_times(figures: dict) -> dict:
    return {name: value for name, value in figures.items() if not name.endswith("seconds")}


@pytest.mark.parametrize("head", HEADS)
def test_a_run_gives_figures_that_can_be_recorded(head):
    figures = compare(head=head, seed=1)
    assert json.loads(json.dumps(figures)) == figures
    assert figures["images"] == 3 and figures["characters"] == 15
    assert figures["cer"] == pytest.approx(figures["edits"] / 15)
    assert sum(figures["symbols"].values()) == 15
    assert len(figures["mistakes"]) == round(3 * (1 - figures["exact"]))
    assert figures["training_seconds"] > 0


def test_the_same_run_gives_the_same_bits_and_another_seed_others():
    first = without_times(compare(seed=1, pooled=15, pretraining=True))
    assert without_times(compare(seed=1, pooled=15, pretraining=True)) == first
    assert compare(seed=2, pooled=15, pretraining=True)["history"] != first["history"]


def test_watching_changes_nothing():
    plain, watched = (without_times(compare(seed=1, curve=curve)) for curve in (False, True))
    assert {name: watched[name] for name in plain} == plain
    assert len(watched["train_loss"]) == watched["steps"]
    steps = [step for step, _ in watched["cers"]]
    assert len(steps) == 4 and steps == sorted(steps) and steps[-1] == watched["steps"]
    assert watched["cers"][-1][1] == pytest.approx(watched["cer"], abs=1e-6)


def test_steps_are_the_same_however_many_images_there_are():
    steps = {compare(seed=1, **data)["steps"] for data in ({}, {"images": 4}, {"drawn": 20})}
    assert len(steps) == 1


def test_each_change_changes_the_training():
    changes = [
        {},
        {"warm_up": False},
        {"blank_bias": False},
        {"pretraining": True},
        {"pooled": 15},
        {"noise": 0.5},
        {"images": 8},
    ]
    histories = [compare(seed=1, **change)["history"] for change in changes]
    assert len(set(histories)) == len(changes)


def test_the_biases_of_the_blank():
    def bias(**arguments):
        return float(make_model(Trial(**arguments), Alphabet(), WIDTH).head.bias.detach()[0])

    assert bias() == pytest.approx(math.log(36))
    assert bias(blank_bias=False) == 0
    assert [bias(head=head) for head in HEADS if head != "ctc"] == [0, 0, 0]


def test_texts_of_several_lengths():
    for head in ("ctc", "attention"):
        figures = compare(head=head, seed=1, drawn=20, kind="lengths", read_drawn=True)
        assert set(figures["lengths"]) == {"4", "5", "6"}
        for length, found in figures["lengths"].items():
            assert (found["images"], found["characters"]) == (64, 64 * int(length))
            assert sum(found["read_lengths"].values()) == 64
        counts = figures["bins"]
        assert sum(n for n, _, _ in counts) == 64 * 5
        assert all(n >= curved and n >= clean for n, curved, clean in counts)


def test_padded_cross_entropy_wants_blanks_after_the_end():
    objective = PaddedCrossEntropy(Alphabet("abc"))
    targets, lengths = objective.prepare(["ab", "cab"], torch.device("cpu"))  # (2, 3)
    torch.manual_seed(0)
    logits = torch.randn(4, 2, 4)  # (T, N, C)
    wanted = torch.tensor([[1, 2, 0, 0], [3, 1, 2, 0]])
    by_hand = nn.functional.cross_entropy(logits.permute(1, 2, 0), wanted)
    assert objective.loss(logits, targets, lengths) == pytest.approx(float(by_hand))
    assert objective.decode(nn.functional.one_hot(wanted, 4).float().transpose(0, 1)) == ["ab", "cab"]


def test_padded_cross_entropy_knows_its_limit():
    model = AttentionCE(positions=5)
    PaddedCrossEntropy(Alphabet()).check(model, WIDTH, ["cd5f", "cd5ff"])
    with pytest.raises(ValueError, match="'cd5ffg' has more symbols than the 5 positions"):
        PaddedCrossEntropy(Alphabet()).check(model, WIDTH, ["cd5f", "cd5ffg"])
    with pytest.raises(ValueError, match="'cd5f' has 4 symbols"):
        CrossEntropy(Alphabet()).check(model, WIDTH, ["cd5f", "cd5ff"])


def test_pretraining_ends_with_all_columns():
    model = make_model(Trial(pooled=12), Alphabet(), WIDTH)
    assert isinstance(model, ColumnCTC) and model.steps(WIDTH) == 12
