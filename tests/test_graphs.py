"""Steps with tensors that stay in place: on a CPU the same bits as always; on a GPU as a graph the same as one by one."""

import pytest
import torch
from toys import ALPHABET, Operations, ToyCE, ToyCTC, stop_after, toy_captchas, weights

from ocrlib import CTC, Captchas, CrossEntropy, History, RandomAffine, fit, gradient_norm, graphs, seed_everything
from ocrlib.loop import Loop

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TRAIN, TEST = toy_captchas(12, seed=0), toy_captchas(6, seed=1)
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=0.5),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
}
gpu = pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a GPU with CUDA")


def trained(mode, monkeypatch, network=ToyCTC, objective=CTC, optimizer="adamw", device="cpu", train=TRAIN, **options):
    """Losses and weights after six epochs of three steps, the last one with fewer images."""
    monkeypatch.setattr(graphs, "MODE", mode)
    seed_everything(3)
    model = network().to(device)
    made = OPTIMIZERS[optimizer](model.parameters())
    rates = torch.optim.lr_scheduler.OneCycleLR(made, 0.02, total_steps=18, cycle_momentum=False)
    options = {"scheduler": rates, "clip_norm": 1.0, "augment": RandomAffine()} | options
    history = fit(model, objective(ALPHABET), train, TEST, made, epochs=6, batch_size=5, live=False, **options)
    return history, weights(model).cpu(), model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
def test_copies_that_stay_in_place_change_no_bit(network, objective, optimizer, monkeypatch):
    usual, static = (trained(mode, monkeypatch, network, objective, optimizer) for mode in ("off", "static"))
    assert usual[0].digest() == static[0].digest() and torch.equal(usual[1], static[1])


def test_each_shape_of_batch_has_copies_of_its_own(monkeypatch):
    seen = []
    step = graphs.StaticStep(lambda images: seen.append(images) or images.sum(), [], capture=False)
    assert [float(step(torch.full((n,), 1.0))) for n in (3, 2, 3)] == [3, 2, 3]
    assert seen[0] is seen[2] and seen[0] is not seen[1]
    assert sorted((len(of.inputs[0]), of.steps) for of in step.shapes.values()) == [(2, 1), (3, 2)]


def test_padded_images_are_trained_on_without_a_graph(monkeypatch):
    asked = []
    monkeypatch.setattr(graphs.StaticStep, "__call__", lambda self, *batch: asked.append(batch))
    padded = Captchas(TRAIN.images, ["a"] * 12, TRAIN.names, "synthetic", "padded", torch.full((12,), 16))
    history, *_ = trained("static", monkeypatch, train=padded)
    assert asked == [] and history.epochs == 6


def test_an_interrupt_and_a_checkpoint_work_as_always(tmp_path, monkeypatch):
    expected, end, _ = trained("off", monkeypatch, augment=stop_after(0))
    stopped, *_ = trained("static", monkeypatch, augment=stop_after(8), checkpoint=tmp_path / "run.pt")
    resumed, again, _ = trained("static", monkeypatch, augment=stop_after(0), checkpoint=tmp_path / "run.pt")
    assert (len(stopped.train_loss), resumed.digest()) == (8, expected.digest()) and torch.equal(again, end)


def test_a_step_does_not_look_at_its_values():
    """What a graph can't hold: asking for a number, or for a shape that depends on numbers."""
    model = ToyCE().train()
    objective, optimizer = CrossEntropy(ALPHABET), OPTIMIZERS["sgd"](model.parameters())
    objective._check_batch = lambda *batch: None  # it looks at targets on a CPU only
    loop = Loop(model, objective, TRAIN, TEST, optimizer, 5, None, 1.0, None, None, History())
    targets, lengths = ALPHABET.encode_batch(TRAIN.texts[:5])
    with Operations() as traced:
        loop._train_on(TRAIN.images[:5].float(), targets, lengths)
    assert {"_local_scalar_dense", "nonzero", "masked_select", "equal"} & set(traced.names) == set()
    assert {"convolution_backward", "nll_loss_backward"} <= set(traced.names)


def test_layer_by_layer_the_lstm_computes_the_same():
    seed_everything(0)
    model, columns = ToyCTC(), torch.randn(6, 3, 4)
    torch.testing.assert_close(model.eval()._layer_by_layer(columns), model.rnn(columns)[0])
    model.train()
    model.rnn.dropout = 0.5
    seed_everything(1)
    ours = model._layer_by_layer(columns)
    seed_everything(1)
    torch.testing.assert_close(ours, model.rnn(columns)[0])


@gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
def test_a_graph_gives_the_bits_of_steps_launched_one_by_one(network, objective, optimizer, monkeypatch):
    one_by_one, graph = (
        trained(mode, monkeypatch, network, objective, optimizer, DEVICE, autocast=torch.bfloat16) for mode in ("static", "graph")
    )
    assert graph[0].digest() == one_by_one[0].digest() and torch.equal(graph[1], one_by_one[1])


@gpu
@pytest.mark.parametrize("mode", ["off", "static", "graph"])
@pytest.mark.parametrize("stopped_at", [2, 8, 15, 17])
def test_a_stopped_run_goes_on_to_the_same_bits_on_a_gpu(mode, stopped_at, tmp_path, monkeypatch):
    expected, end, _ = trained(mode, monkeypatch, device=DEVICE, augment=stop_after(0))
    trained(mode, monkeypatch, device=DEVICE, augment=stop_after(stopped_at), checkpoint=tmp_path / "run.pt")
    resumed, again, _ = trained(mode, monkeypatch, device=DEVICE, augment=stop_after(0), checkpoint=tmp_path / "run.pt")
    assert resumed.digest() == expected.digest() and torch.equal(again, end)


@gpu
def test_after_a_graph_gradients_are_those_of_the_last_step(monkeypatch):
    """The last step of an epoch has another shape, and so another graph."""
    norms = {"static": [], "graph": []}
    for mode, found in norms.items():
        seed_everything(3)
        model = ToyCTC()
        trained(mode, monkeypatch, network=lambda model=model: model, device=DEVICE, clip_norm=None,
                after_step=lambda step, model=model, found=found: found.append(gradient_norm(model)))  # fmt: skip
    assert len(norms["graph"]) == 18 and norms["static"] == norms["graph"]
