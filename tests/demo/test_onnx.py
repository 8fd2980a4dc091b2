"""ONNX files: the logits and texts of the network in torch, and errors that say what to do."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from committed import ROOT

from ocrlib import CECRNN, CRNN, Alphabet, ColumnCNN, ModifiedCRNN, TrainedModel, load_captchas, read
from ocrlib.checkpoints import load_pretrained
from ocrlib.demo.onnx import export_onnx, load_onnx
from ocrlib.evaluation import predict

onnx = pytest.importorskip("onnx")
EXAMPLE = ROOT / "notebooks" / "example.png"


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "fast.onnx"
    export_onnx(path, load_pretrained())
    return path


@pytest.mark.parametrize("network, width", [(ColumnCNN, 96), (CRNN, 80), (CECRNN, 128)])
def test_any_network_gives_torchs_logits(tmp_path, network, width):
    torch.manual_seed(0)
    model = TrainedModel(network(classes=20).eval(), Alphabet("2345678bcdefgmnpwxy"), width)
    export_onnx(tmp_path / "m.onnx", model)
    loaded = load_onnx(tmp_path / "m.onnx")
    images = load_captchas(width=width, source="synthetic").images[:5]
    difference = predict(model.network, images) - predict(loaded.network, images)
    assert difference.abs().max() < 1e-4
    assert (loaded.width, loaded.alphabet.symbols, loaded.network.objective) == (width, model.alphabet.symbols, network.objective)


@pytest.mark.parametrize("network, width", [(ColumnCNN, 96), (CRNN, 80), (ModifiedCRNN, 176)])
def test_width_and_batch_are_free_for_ctc_and_the_texts_are_torchs(tmp_path, network, width):
    torch.manual_seed(0)
    model = TrainedModel(network(classes=20).eval(), Alphabet("2345678bcdefgmnpwxy"), width)
    with torch.no_grad():
        model.network.head.weight.mul_(20)  # an untrained network says nothing but one symbol
    export_onnx(tmp_path / "m.onnx", model)
    loaded = load_onnx(tmp_path / "m.onnx")
    for wide, n in ((width - 16, 1), (width, 3), (width + 50, 65)):
        images = torch.randint(0, 256, (n, 1, 32, wide), dtype=torch.uint8)
        ours, theirs = (read(images, replace(each, width=wide)) for each in (model, loaded))
        assert [text.text for text in ours] == [text.text for text in theirs] and any(text.text for text in ours)


def test_a_free_width_reads_as_torch_does_at_three_widths(pretrained):
    model, loaded = load_pretrained(), load_onnx(pretrained)
    for width in (80, 96, 128):
        images = load_captchas(width=width, source="synthetic").images[:60]
        ours, theirs = (read(images, replace(each, width=width)) for each in (model, loaded))
        assert [text.text for text in ours] == [text.text for text in theirs] and sum(len(text.text) for text in ours) > 200


def test_batches_of_none_and_images_of_other_sizes_are_refused(tmp_path, pretrained):
    """Of none, onnxruntime would end the process."""
    network = load_onnx(pretrained).network
    for shape in ((0, 1, 32, 96), (1, 1, 31, 96), (1, 1, 32, 0), (1, 32, 96)):
        with pytest.raises(ValueError, match=r"reads images \(N, 1, 32, W\) with N at least 1 and W at least 1, got"):
            network(torch.zeros(shape))
    export_onnx(tmp_path / "crnn.onnx", TrainedModel(CRNN(3).eval(), Alphabet("ab"), 80))
    with pytest.raises(ValueError, match="W at least 8, got"):
        load_onnx(tmp_path / "crnn.onnx").network(torch.zeros(1, 1, 32, 7))
    with pytest.raises(ValueError, match="N at least 1"):
        predict(load_onnx(tmp_path / "crnn.onnx").network, torch.zeros(0, 1, 32, 80, dtype=torch.uint8))
    with pytest.raises(ValueError, match="no linear head"):
        load_onnx(pretrained).with_alphabet("abc")


def test_an_export_leaves_the_network_as_it_was_and_makes_the_folder(tmp_path):
    network = ColumnCNN(classes=4).train()
    network.convolutions[0].eval()
    network.head.weight.requires_grad_(False)
    before = [(module, module.training) for module in network.modules()]
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    export_onnx(tmp_path / "new" / "folder" / "m.onnx", TrainedModel(network, Alphabet("abc"), 96, "pad"))
    assert before == [(module, module.training) for module in network.modules()]
    assert all(weights[name].equal(value) for name, value in network.state_dict().items())
    assert [p.requires_grad for p in network.head.parameters()] == [False, True]
    loaded = load_onnx(tmp_path / "new" / "folder" / "m.onnx")
    assert (loaded.alphabet.symbols, loaded.fit) == ("abc", "pad")


def test_an_alphabet_of_another_size_is_not_exported(tmp_path):
    with pytest.raises(ValueError, match="ColumnCNN has 5 classes, but this alphabet of 3 symbols and the blank needs 4"):
        export_onnx(tmp_path / "m.onnx", TrainedModel(ColumnCNN(classes=5), Alphabet("abc"), 96))
    assert not list(tmp_path.iterdir())


def test_an_export_leaves_the_network_on_its_device(tmp_path, monkeypatch):
    """No GPU is needed to see it: only a copy of the network may be moved."""
    network, moved = ColumnCNN(classes=4), []
    monkeypatch.setattr(ColumnCNN, "cpu", lambda self: moved.append(self) or self)
    export_onnx(tmp_path / "m.onnx", TrainedModel(network, Alphabet("abc"), 96))
    assert len(moved) == 1 and moved[0] is not network


def agree(captchas, path):
    model, loaded = load_pretrained(), load_onnx(path)
    difference = predict(model.network, captchas.images) - predict(loaded.network, captchas.images)
    assert difference.abs().max() < 1e-4
    ours, theirs = read(captchas, model), read(captchas, loaded)
    assert [text.text for text in ours] == [text.text for text in theirs]
    assert np.allclose([text.confidence for text in ours], [text.confidence for text in theirs], atol=1e-4)


def test_all_generated_images_are_read_alike(pretrained):
    agree(load_captchas(width=96, source="synthetic"), pretrained)


def test_all_real_images_are_read_alike(pretrained, real_folder):
    agree(load_captchas(real_folder, width=96), pretrained)


def test_boxes_padding_and_figures_are_those_of_torch(tmp_path, pretrained):
    ours = read(EXAMPLE, load_pretrained(), details=True)
    theirs = read(EXAMPLE, load_onnx(pretrained), details=True)
    edges = [[(symbol.left, symbol.right) for symbol in found.symbols] for (found,) in (ours, theirs)]
    np.testing.assert_allclose(*edges, atol=0.01)
    torch.manual_seed(0)
    network = ColumnCNN(classes=20).eval()
    with torch.no_grad():
        network.head.weight.mul_(20)
    model = TrainedModel(network, Alphabet("2345678bcdefgmnpwxy"), 96, "pad")
    export_onnx(tmp_path / "padded.onnx", model)
    pictures = [np.random.default_rng(w).integers(0, 256, (32, w), np.uint8) for w in range(33, 96, 7)]
    texts = [[found.text for found in read(pictures, each)] for each in (model, load_onnx(tmp_path / "padded.onnx"))]
    assert texts[0] == texts[1] and len(set(map(len, texts[0]))) > 1
    pytest.importorskip("anywidget", reason="needs anywidget: pip install anywidget")
    from ocrlib.demo.widgets import plot_peaks

    for each in (model, load_onnx(tmp_path / "padded.onnx")):
        figure = plot_peaks(pictures[0], each)
        named = len(figure.axes[1].texts)  # symbols above bars: none where the padding is
        assert 0 < named <= len(figure.axes[1].get_xticks()) * 33 // 96 + 1


def test_the_file_is_valid_and_small(pretrained):
    onnx.checker.check_model(str(pretrained))
    assert pretrained.stat().st_size < 1_000_000 and [path.name for path in pretrained.parent.iterdir()] == ["fast.onnx"]


def test_other_files_are_refused(tmp_path, pretrained):
    with pytest.raises(FileNotFoundError, match="export_onnx"):
        load_onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ValueError, match="can't be read as an ONNX file"):
        load_onnx(tmp_path / "text.onnx")
    stripped = onnx.load(str(pretrained))
    del stripped.metadata_props[:]
    onnx.save(stripped, str(tmp_path / "stripped.onnx"))
    with pytest.raises(ValueError, match="says nothing about symbols, width, objective"):
        load_onnx(tmp_path / "stripped.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_package_missing_for_export_is_named(monkeypatch, tmp_path, package):
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxscript"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{package} is not installed.*\.\[export\]"):
        export_onnx(tmp_path / "m.onnx", load_pretrained())


def test_a_package_missing_for_loading_is_named(monkeypatch, pretrained):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModuleNotFoundError, match=r"onnxruntime is not installed.*\.\[export\]"):
        load_onnx(pretrained)
