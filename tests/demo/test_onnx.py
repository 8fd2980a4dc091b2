"""ONNX files: the logits and texts of the network in torch, and errors that say what to do."""

import sys

import numpy as np
import pytest
import torch

from ocrlib import CECRNN, CRNN, Alphabet, ColumnCNN, TrainedModel, load_captchas, read
from ocrlib.checkpoints import load_pretrained
from ocrlib.demo.onnx import export_onnx, load_onnx
from ocrlib.evaluation import predict

onnx = pytest.importorskip("onnx")


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
