import pytest
import torch
from toys import ToyCTC

from ocrlib import CRNN, CTC, Alphabet, CheckpointError, ColumnCNN, load_captchas, load_model, save_model, seed_everything
from ocrlib.checkpoints import save_checkpoint


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
