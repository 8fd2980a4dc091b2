"""Thresholds of learning curves, counted by hand on made-up curves."""

import math
from itertools import product
from types import SimpleNamespace

import pytest
import torch

from ocrlib import CTC, Alphabet
from ocrlib.evaluation import moving_average
from ocrlib.studies.learning_curves import WINDOW, plateau, steps_to, symbol_entropy
from ocrlib.synthetic.generator import DRAWN_FROM


def record(**figures):
    return SimpleNamespace(figures={"symbols": {"a": 1, "b": 1}, **figures})


def test_entropy():
    assert symbol_entropy({"a": 5, "b": 5}) == pytest.approx(math.log(2))
    assert symbol_entropy({"a": 7}) == 0
    slots = DRAWN_FROM[1:]
    assert symbol_entropy({symbol: slots.count(symbol) for symbol in slots}) == pytest.approx(2.9264, abs=1e-4)


def test_who_does_not_look_cannot_get_below_the_entropy():
    """CTC's loss over all texts "aa" to "bb", for logits that are the same whatever the text is."""
    objective, texts = CTC(Alphabet("ab")), ["".join(pair) for pair in product("ab", repeat=2)]
    targets, lengths = objective.prepare(texts, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        logits = 3 * torch.randn(4, 1, 3, generator=generator).expand(-1, 4, -1)
        assert objective.loss(logits, targets, lengths) > symbol_entropy({"a": 1, "b": 1})


def test_smoothed_losses_begin_when_the_window_is_full():
    assert moving_average([float(i) for i in range(WINDOW + 1)], WINDOW).tolist() == pytest.approx([4.5, 5.5])


def test_the_plateau_ends_when_the_mean_loss_stays_below():
    down = [2.0] * 30 + [0.0] * 20  # the mean of ten is below log 2 once seven of them are 0
    assert plateau(record(train_loss=down)) == 37
    assert plateau(record(train_loss=[0.0] * 20 + down)) == 57  # below, above again, below: only the last counts
    assert plateau(record(train_loss=[0.0] * 30)) == WINDOW
    assert plateau(record(train_loss=[2.0] * 30)) == math.inf


def test_the_first_time_a_level_was_seen():
    run = record(cers=[[13, 1.0], [26, 0.5], [39, 0.2], [52, 0.3]])
    assert [steps_to(run, level) for level in (1.0, 0.5, 0.25, 0.1)] == [13, 26, 39, math.inf]
