"""Checkpoints and model files: written whole, read back the same, refused where they are foreign; the shipped network reads."""

import errno
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from committed import ROOT
from toys import ALPHABET, ToyCTC, toy_captchas, weights

from ocrlib import (
    CRNN,
    CTC,
    EXPERIMENTS,
    Alphabet,
    CheckpointError,
    ColumnCNN,
    TrainedModel,
    evaluate,
    fit,
    load_captchas,
    read,
    read_records,
    save_model,
    seed_everything,
)
from ocrlib.checkpoints import (
    PRETRAINED,
    Checkpointer,
    load_checkpoint,
    load_model,
    load_pretrained,
    random_states,
    restore_random_states,
    save_checkpoint,
)
from ocrlib.evaluation import predict
from ocrlib.studies.pretraining import pretrain, trained_file, weights_digest
from ocrlib.synthetic.generated import draw_captchas, draw_texts


def test_what_is_saved_comes_back(tmp_path):
    save_checkpoint(tmp_path / "new folder" / "run.pt", {"weights": torch.arange(3), "step": 7})
    state = load_checkpoint(tmp_path / "new folder" / "run.pt")
    assert state["step"] == 7 and state["weights"].tolist() == [0, 1, 2]


def test_every_generator_goes_on_where_it_was(tmp_path):
    def draws():
        return random.random(), float(np.random.randn()), float(torch.rand(()))

    np.random.randn()  # leaves a cached second Gaussian, which is part of the state
    save_checkpoint(tmp_path / "run.pt", {"random": random_states()})
    first = draws()
    assert draws() != first
    restore_random_states(load_checkpoint(tmp_path / "run.pt")["random"])
    assert draws() == first


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(CheckpointError, match=r"run\.pt can't be read.*truncated.*fresh=True"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"format": 1, "x": print})])
def test_something_else_is_named(tmp_path, content):
    (tmp_path / "run.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.pt can't be read as a checkpoint"):
        load_checkpoint(tmp_path / "run.pt")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_no_code_of_the_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "trap": Trap()}, "run.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint("run.pt")
    assert not os.path.exists("sprung")
    torch.load("run.pt", weights_only=False)  # the trap is a real one
    assert os.path.exists("sprung")


def test_another_version_is_named(tmp_path):
    torch.save({"format": 99}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="has checkpoint format 99, this version reads format 1"):
        load_checkpoint(tmp_path / "run.pt")


def test_a_file_of_another_program_is_named(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of ocrlib"):
        load_checkpoint(tmp_path / "run.pt")


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch, where):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1})

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(OSError, match=r"Could not write the checkpoint .*run\.pt .*No space left.*give another path"):
        save_checkpoint(path, {"step": 2})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_while_writing_leaves_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1})

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"step": 2})
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def model():
    seed_everything(0)
    network = ColumnCNN()
    with torch.no_grad():
        network(load_captchas(width=96, source="synthetic").images[:64].float())  # batch norm's statistics are of images
    return network.eval()


def test_a_saved_model_reads_as_before_and_the_file_is_small(tmp_path, model):
    path = tmp_path / "fast.pt"
    save_model(path, model, Alphabet(), 96)
    loaded = load_model(path)
    assert path.stat().st_size < 1_000_000
    assert (loaded.width, loaded.alphabet.symbols, loaded.network.training) == (96, Alphabet().symbols, False)
    images = load_captchas(width=96, source="synthetic").images[:8].float()
    with torch.no_grad():
        before, after = model(images), loaded.network(images)
    assert torch.allclose(before, after, atol=0.02) and not torch.equal(before, after)  # float16 has three digits
    assert CTC(Alphabet()).decode(before) == CTC(loaded.alphabet).decode(after)


def test_another_alphabet_comes_back_with_its_network(tmp_path):
    alphabet = Alphabet("xyz")
    save_model(tmp_path / "m.pt", CRNN(classes=4), alphabet, 80)
    network, loaded, width = load_model(tmp_path / "m.pt")
    assert (type(network), loaded.symbols, width, network.head.out_features) == (CRNN, "xyz", 80, 4)


def test_an_alphabet_of_another_size_is_refused(tmp_path, model):
    with pytest.raises(ValueError, match="ColumnCNN has 37 classes, but this alphabet with its blank has 4"):
        save_model(tmp_path / "m.pt", model, Alphabet("xyz"), 128)


def test_a_network_from_elsewhere_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ToyCTC is not one of ocrlib's networks"):
        save_model(tmp_path / "m.pt", ToyCTC(), Alphabet("abc"), 24)


def test_a_checkpoint_of_a_training_run_is_refused(tmp_path):
    save_checkpoint(tmp_path / "run.pt", {"model": {}, "history": {}})
    with pytest.raises(CheckpointError, match=r"run\.pt is not a trained model: it has no network.*save_model"):
        load_model(tmp_path / "run.pt")


@pytest.mark.parametrize("name", ["Nothing", "Tensor", "conv"])
def test_a_network_that_ocrlib_has_not_is_refused(tmp_path, name):
    save_checkpoint(tmp_path / "m.pt", {"network": name, "symbols": "ab", "width": 80, "weights": {}})
    with pytest.raises(CheckpointError, match=f"names no network of ocrlib .'{name}'"):
        load_model(tmp_path / "m.pt")


def test_weights_that_do_not_fit_are_refused(tmp_path, model):
    save_model(tmp_path / "m.pt", model, Alphabet(), 96)
    state = torch.load(tmp_path / "m.pt", weights_only=True)
    del state["weights"]["head.bias"]
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"(?s)weights in .*m\.pt don't fit ColumnCNN.*head\.bias"):
        load_model(tmp_path / "m.pt")


def test_its_weights_are_those_of_the_recorded_run():
    [record] = read_records(ROOT / "notebooks" / "records" / "pretrained.jsonl")
    assert record.budget == "full"
    assert weights_digest(load_pretrained().network) == record.figures["weights"]


def test_it_is_small_and_reads_generated_images():
    model = load_pretrained()
    assert PRETRAINED.stat().st_size < 1_000_000 and model.width == EXPERIMENTS["fast"].width
    captchas = draw_captchas(draw_texts(200, seed=99), 99, model.width)
    found = read(captchas, model)
    right = [text.text == true for text, true in zip(found, captchas.texts)]
    assert sum(right) >= 194
    wrong = [text.confidence for text, ok in zip(found, right) if not ok]
    assert sum(text.confidence for text in found) / len(found) > 0.95 and all(confidence < 1 for confidence in wrong)


def test_it_reads_the_real_images_it_never_saw(real_folder):
    model = load_pretrained()
    report = evaluate(model.network, CTC(model.alphabet), load_captchas(real_folder, width=model.width))
    assert report.cer <= 0.005


def test_the_training_leaves_what_it_says(monkeypatch, tmp_path):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path))
    figures = pretrain()
    assert figures["weights"] == weights_digest(load_model(trained_file()).network)
    assert figures["generated"] == 4 * 64 and figures == pretrain()


# -- files of an earlier version: written by commit c069c38, before the package had rooms

EARLIER = Path(__file__).parent / "c069c38"


def test_a_model_file_of_an_earlier_version_is_read():
    model = load_model(EARLIER / "model.pt")
    assert (type(model.network).__name__, model.alphabet.symbols, model.width) == ("ColumnCNN", "abc", 24)
    assert weights_digest(model.network) == "d51d3f2d9249"


def test_a_checkpoint_of_an_earlier_version_is_gone_on_from(tmp_path, capsys):
    """It was left by a training that stopped in its third of four epochs; it ends with the losses of one that did not."""
    ends = {}
    for name in ("at once", "gone on"):
        seed_everything(5)
        model = ToyCTC()
        optimizer = torch.optim.Adadelta(model.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=20)
        file = shutil.copy(EARLIER / "checkpoint.pt", tmp_path / "run.pt") if name == "gone on" else None
        history = fit(
            model, CTC(ALPHABET), toy_captchas(12), toy_captchas(5, seed=1), optimizer, epochs=4, batch_size=5, clip_norm=3.0,
            scheduler=schedule, checkpoint=file, live=False,
        )  # fmt: skip
        ends[name] = history, weights(model)
    assert "2 of 4 epochs were done" in capsys.readouterr().out
    (history, found), (undisturbed, wanted) = ends["gone on"], ends["at once"]
    assert (history.epochs, len(history.train_loss)) == (4, 12)
    # Nearly equal: the file's steps were done by another processor than this one, perhaps.
    assert history.train_loss == pytest.approx(undisturbed.train_loss, rel=1e-3)
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-3)


# -- kinds of fault known from elsewhere: what saves, loads


def test_a_trained_model_is_no_checkpoint_of_a_training(tmp_path):
    save_model(tmp_path / "mine.pt", ColumnCNN(classes=4), Alphabet("abc"), 96)
    with pytest.raises(CheckpointError, match="mine.pt belongs to another run"):
        Checkpointer(tmp_path / "mine.pt", {"network": "ToyCTC"}).load(2)


@pytest.mark.parametrize("content", ["text,file\nab,a.png\n", "a.png,ab\n"])
def test_a_label_file_is_no_trained_model(tmp_path, content):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(CheckpointError, match=r"labels.csv can't be read as a checkpoint: .* \(.+\)\. Give load_model") as error:
        load_model(tmp_path / "labels.csv")
    assert "weights_only" not in str(error.value)


def test_a_model_with_an_alphabet_of_a_list_and_a_width_of_numpy_loads(tmp_path):
    save_model(tmp_path / "m.pt", ColumnCNN(classes=4), Alphabet(list("abc")), np.int64(96))
    model = load_model(tmp_path / "m.pt")
    assert (model.alphabet, model.width) == (Alphabet("abc"), 96)
    state = torch.load(tmp_path / "m.pt", weights_only=True)
    torch.save(state | {"symbols": list("abc")}, tmp_path / "old.pt")  # as an earlier version wrote it
    assert load_model(tmp_path / "old.pt").alphabet == Alphabet("abc")


def test_weights_too_large_for_float16_load_as_they_were(tmp_path):
    network = ColumnCNN(classes=4).eval()
    network.convolutions[0].running_var.fill_(1e6)
    save_model(tmp_path / "m.pt", network, Alphabet("abc"), 96)
    assert load_model(tmp_path / "m.pt").network.convolutions[0].running_var.item() == 1e6


def test_layers_that_could_not_be_made_again_are_refused_when_they_are_saved(tmp_path):
    network = ColumnCNN(classes=4)
    network.convolutions[1] = torch.nn.Conv2d(1, 16, 3, 2, 1, bias=False)
    with pytest.raises(ValueError, match="layers of this ColumnCNN were changed"):
        save_model(tmp_path / "m.pt", network, Alphabet("abc"), 96)
    assert not (tmp_path / "m.pt").exists()


@pytest.mark.parametrize("load", [load_model, load_checkpoint])
def test_a_path_that_is_not_there_is_said_to_be_so(tmp_path, load):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*modle\.pt; looked in") as caught:
        load(tmp_path / "modle.pt")
    assert "elete" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="but a folder"):
        load(tmp_path)


def test_a_damaged_model_is_not_to_be_deleted(tmp_path):
    (tmp_path / "m.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="Give load_model a file that save_model wrote") as caught:
        load_model(tmp_path / "m.pt")
    assert "elete" not in str(caught.value)


def test_numbers_of_numpy_load_and_other_things_are_refused_when_they_are_saved(tmp_path):
    save_checkpoint(tmp_path / "run.pt", {"groups": [{"lr": np.float64(0.1), "betas": (np.float32(0.5), 1)}]})
    assert load_checkpoint(tmp_path / "run.pt")["groups"] == [{"lr": 0.1, "betas": (0.5, 1)}]
    with pytest.raises(ValueError, match=r"run\.pt was not written: it would hold pathlib"):
        save_checkpoint(tmp_path / "run.pt", {"path": tmp_path})
    assert load_checkpoint(tmp_path / "run.pt")["groups"] and [file.name for file in tmp_path.iterdir()] == ["run.pt"]


# -- another alphabet


def test_known_symbols_keep_their_weights_in_another_alphabet(model):
    old = TrainedModel(model, Alphabet("0123456789abcdefghijklmnopqrstuvwxyz"), 96)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    new = old.with_alphabet("zÄ5b!")
    head = new.network.head
    assert (new.alphabet.symbols, new.width, new.network.training, head.out_features) == ("zÄ5b!", 96, False, 6)
    for index, row in {0: 0, 1: 36, 3: 6, 4: 12}.items():  # blank, z, 5, b
        assert torch.equal(head.weight[index], model.head.weight[row]) and head.bias[index] == model.head.bias[row]
    for index in (2, 5):
        assert not any(torch.equal(head.weight[index], row) for row in model.head.weight)
    for name, value in new.network.state_dict().items():
        assert name.startswith("head.") or torch.equal(value, before[name])
    assert all(p.requires_grad for p in new.network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())  # the old one stays as it was
    assert old.with_alphabet(Alphabet(old.alphabet.symbols)).network.head.weight.equal(model.head.weight)


def test_training_goes_on_from_a_larger_alphabet():
    seed_everything(1)
    old = TrainedModel(ToyCTC().eval(), ALPHABET, 24)
    train, test, how = toy_captchas(30), toy_captchas(5, seed=1), {"epochs": 3, "batch_size": 6, "live": False}
    optimizer = torch.optim.Adam(old.network.parameters(), 0.03)
    learnt = fit(old.network, CTC(ALPHABET), train, test, optimizer, **how).test_loss[-1]
    new, before = old.with_alphabet(ALPHABET.symbols + "x"), weights(old.network)
    torch.testing.assert_close(predict(new.network, test.images)[..., :4], predict(old.network, test.images))
    history = fit(new.network, CTC(new.alphabet), train, test, torch.optim.Adam(new.network.parameters(), 0.01), **how)
    assert history.epochs == 3 and history.test_loss[-1] < learnt
    assert torch.equal(before, weights(old.network))
