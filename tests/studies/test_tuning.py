"""The tuned comparison: nothing is chosen by test images, and the two backbones differ by an LSTM only."""

import json
from dataclasses import replace

import pytest
import torch

from ocrlib.studies import tuning as module
from ocrlib.studies.ctc_vs_ce import Trial
from ocrlib.studies.heads import AttentionCE, ColumnCTC, RecurrentCE, RecurrentCTC
from ocrlib.studies.tuning import EPOCHS, JOBS, NETWORKS, RATES, tune


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder):
    """Twelve images, and two rates and lengths."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setattr(module, "RATES", (0.004, 0.008))
    monkeypatch.setattr(module, "EPOCHS", (1, 2))


def watch(monkeypatch, edits):
    """Each call of `_train` as (rate, epochs, training names, test names); its report has the next of ``edits``."""
    calls, train, left = [], module._train, iter(edits)

    def watched(recipe, rate, epochs, images, test, seed):
        calls.append((rate, epochs, set(images.names), set(test.names)))
        report = train(recipe, rate, epochs, images, test, seed)
        report.history.test_loss[-1] = (given := next(left))[1]
        return replace(report, edits=given[0])

    monkeypatch.setattr(module, "_train", watched)
    return calls


def test_four_networks_for_each_of_ten_splits_each_once_then_half_the_channels():
    assert len({json.dumps(job, sort_keys=True) for job in JOBS}) == len(JOBS) == 50
    assert [job["seed"] for job in JOBS[:40]] == [seed for seed in range(10) for _ in range(4)]
    assert JOBS[40:] == [{"backbone": "half the channels", "loss": "ctc", "seed": seed} for seed in range(10)]
    assert (len(RATES), len(EPOCHS)) == (4, 3)


def test_settings_are_tried_on_training_images_and_the_best_trains_on_all_of_them(monkeypatch):
    calls = watch(monkeypatch, [(5, 0.3), (3, 0.2), (3, 0.1), (4, 0.05), (7, 0.9)])
    figures = tune("convolutions", "ctc", seed=3)
    *tried, final = calls
    _, train, test = Trial(seed=3).data()
    assert [call[:2] for call in calls] == [(0.004, 1), (0.004, 2), (0.008, 1), (0.008, 2), (0.008, 1)]
    assert final[2:] == (set(train.names), set(test.names))
    for _, _, some, held_out in tried:
        assert some | held_out == set(train.names) and not some & held_out and len(held_out) == round(len(train) / 4)
    assert figures["chosen"] == [0.008, 1], "of two with 3 edits the one with the lesser loss"
    assert figures["tried"] == [[0.004, 1, 5, 0.3], [0.004, 2, 3, 0.2], [0.008, 1, 3, 0.1], [0.008, 2, 4, 0.05]]
    assert (figures["edits"], figures["test_loss"]) == (7, 0.9)


def test_a_run_repeats_itself():
    first, second = (tune("lstm", "ce", seed=0) for _ in range(2))
    assert first["history"] == second["history"] and first["tried"] == second["tried"]


@pytest.mark.parametrize(("plain", "recurrent"), [(ColumnCTC, RecurrentCTC), (AttentionCE, RecurrentCE)])
def test_the_backbones_differ_by_an_lstm_only(plain, recurrent):
    torch.manual_seed(1)
    a = plain()
    torch.manual_seed(1)
    b = recurrent()
    assert {name for name in b.state_dict() if name not in a.state_dict()} == {
        f"rnn.{kind}_{part}_l0{way}" for kind in ("weight", "bias") for part in ("ih", "hh") for way in ("", "_reverse")
    }
    assert all(torch.equal(weights, b.state_dict()[name]) for name, weights in a.state_dict().items())
    a.eval(), b.eval()
    images = torch.rand(2, 1, 32, 96) * 255
    columns = b.columns(images)
    assert torch.equal(b(images), a.read(b.rnn(columns)[0])) and b(images).shape == a(images).shape


def test_the_networks_are_made_for_their_losses():
    made_for = {loss: {network.objective for network, _ in networks} for loss, networks in by_loss().items()}
    trained_by = {loss: {objective.__name__ for _, objective in networks} for loss, networks in by_loss().items()}
    assert made_for == trained_by == {"ctc": {"CTC"}, "ce": {"CrossEntropy"}}


def by_loss():
    return {loss: [networks[loss] for networks in NETWORKS.values() if loss in networks] for loss in ("ctc", "ce")}
