"""The Keras example in torch: its layers and initial weights are Keras', and training ends as Keras' early stopping does."""

import json

import pytest
import torch

from ocrlib import CTC, Alphabet, History, load_captchas, parameter_count, seed_everything
from ocrlib.data.folds import folds
from ocrlib.studies import keras_example as example
from ocrlib.studies.keras_example import KerasExample
from ocrlib.synthetic.generator import SYMBOLS

# As Keras prints them for the example, but for the last layer, which has a class more there.
PARAMETERS = {"convolutions.0": 320, "convolutions.3": 18496, "dense": 49216, "lstms.0": 197632, "lstms.1": 164352, "head": 2580}


@pytest.fixture
def model():
    seed_everything(0)
    return KerasExample()


def test_the_layers_have_as_many_parameters_as_in_keras(model):
    assert {name: parameter_count(model.get_submodule(name)) for name in PARAMETERS} == PARAMETERS
    assert parameter_count(model) == sum(PARAMETERS.values()) == 432_596
    assert model(torch.zeros(2, 1, 50, 200)).shape == (50, 2, 20) and model.steps(200) == 50


def test_a_step_sees_its_columns_of_the_image(model):
    grey = torch.zeros(1, 1, 50, 200)
    grey[..., 100:104] = 255.0
    changed = (model.columns(grey) - model.columns(torch.zeros(1, 1, 50, 200))).abs().sum(2).flatten() > 0
    assert changed.nonzero().flatten().tolist() == [24, 25, 26], "four pixels a step, and a neighbour's edge"


def test_initial_weights_are_those_of_keras(model):
    for layer, inputs in ((model.convolutions[0], 9), (model.convolutions[3], 288)):
        assert float(layer.weight.detach().std()) == pytest.approx((2 / inputs) ** 0.5, rel=0.1) and not layer.bias.any()
    assert float(model.dense.weight.detach().abs().max()) == pytest.approx((6 / (768 + 64)) ** 0.5, rel=0.001)
    for lstm in model.lstms:
        units = lstm.hidden_size
        for end in ("l0", "l0_reverse"):
            recurrent = getattr(lstm, f"weight_hh_{end}")
            torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(units), atol=1e-5, rtol=0)
            limit = (6 / (lstm.input_size + 4 * units)) ** 0.5
            assert float(getattr(lstm, f"weight_ih_{end}").detach().abs().max()) == pytest.approx(limit, rel=0.001)
            gates = getattr(lstm, f"bias_ih_{end}").view(4, units)
            assert gates.unique(dim=1).flatten().tolist() == [0, 1, 0, 0], "one for the forget gate"
            other = getattr(lstm, f"bias_hh_{end}")
            assert not other.any() and not other.requires_grad


def test_an_lstm_drops_an_input_at_all_steps_or_at_none(model, monkeypatch):
    seen = []
    monkeypatch.setattr(model.lstms[1], "forward", lambda sequence: seen.append(sequence) or (sequence[..., :128], None))
    model.train()
    model(torch.rand(4, 1, 50, 200) * 255)
    dropped = seen[0] == 0  # (T, N, 256)
    assert torch.equal(dropped.all(0), dropped.any(0)) and 0.15 < float(dropped.float().mean()) < 0.35


@pytest.mark.parametrize(
    "losses, epochs, best",
    [([3, 2, 4, 5, 6, 1], 5, 2), ([3, 2, 4, 1, 5, 5], 6, 4), ([1, 1, 1, 1, 1, 1], 4, 1)],
)
def test_training_ends_as_early_stopping_does(model, monkeypatch, losses, epochs, best):
    captchas = load_captchas(width=200, height=50, source="synthetic").subset(range(20))

    def fit(model, objective, train, validation, optimizer, epochs, history, **options):
        assert (epochs, options["batch_size"], optimizer.defaults["lr"], optimizer.defaults["eps"]) == (1, 16, 1e-3, 1e-7)
        with torch.no_grad():
            model.head.bias.fill_(history.epochs + 1)
        return History(test_loss=[*history.test_loss, losses[history.epochs]])

    monkeypatch.setattr(example, "fit", fit)
    monkeypatch.setattr(example, "PATIENCE", 3)
    monkeypatch.setattr(example, "EPOCHS", 6)
    history, best_epoch = example.fit_until_worse(model, CTC(Alphabet(SYMBOLS)), captchas, captchas)
    assert (history.epochs, best_epoch) == (epochs, best)
    assert set(model.head.bias.tolist()) == {best}, "the best epoch's weights"


def test_a_fold_is_read_by_a_network_that_never_saw_it(monkeypatch):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    load, until_worse, seen = example.load_captchas, example.fit_until_worse, {}
    monkeypatch.setattr(example, "load_captchas", lambda **size: load(source="synthetic", **size))

    def watch(model, objective, train, validation):
        seen.update(train=set(train.names), validation=set(validation.names))
        return until_worse(model, objective, train, validation)

    monkeypatch.setattr(example, "fit_until_worse", watch)
    figures = example.train_example(seed=1, fold=4)
    names = load(width=200, height=50, source="synthetic").names[:64]
    test = {names[i] for i in folds(64, 1)[4]}
    assert seen["train"] | seen["validation"] | test == set(names) and len(names) == 64
    assert (len(seen["train"]), len(seen["validation"]), len(test)) == (46, 6, 12)
    assert (figures["images"], figures["epochs"]) == (12, 2) and figures["best_epoch"] in (1, 2)
    assert json.loads(json.dumps(figures)) == figures
