"""Trained networks as ONNX files, for programs without torch, and reading with such a file here.

Needs the packages of ``pip install -e ".[export]"``: onnx and onnxscript to write, onnxruntime to read.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from ocrlib.checkpoints import TrainedModel
from ocrlib.networks import HEIGHT
from ocrlib.texts import Alphabet

KEYS = ("symbols", "width", "objective")  # of the file's metadata: all that reading needs beside the graph


def export_onnx(path: str | Path, model: TrainedModel) -> None:
    """Write ``model`` to one ONNX file: float32 ``images`` (N, 1, 32, W), 0 to 255, in; ``logits`` (T, N, C) out.

    N is free, W is the model's width. The alphabet, the width and the objective stand in the file's metadata. Raises
    ``ModuleNotFoundError`` that says what to install.
    """
    onnx, _ = _module("onnx"), _module("onnxscript")
    images = torch.zeros(2, 1, HEIGHT, model.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about torch's own LSTM
        program = torch.onnx.export(
            model.network.cpu().eval(), (images,), dynamo=True, verbose=False, input_names=["images"], output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("N")}},
        )  # fmt: skip
    graph = program.model_proto
    for key, value in zip(KEYS, (model.alphabet.symbols, str(model.width), model.network.objective)):
        graph.metadata_props.add(key=key, value=value)
    onnx.save(graph, str(path))


class OnnxNetwork(nn.Module):
    """A network that runs an ONNX session on the CPU: images ``(N, 1, 32, W)`` to logits ``(T, N, C)``. Can't be trained."""

    def __init__(self, session: object, objective: str) -> None:
        super().__init__()
        self.session, self.objective = session, objective
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # says that it lies on the CPU

    def forward(self, images: Tensor) -> Tensor:
        (logits,) = self.session.run(None, {"images": images.numpy()})
        return torch.from_numpy(logits)


def load_onnx(path: str | Path) -> TrainedModel:
    """The network in a file of `export_onnx`, to be given to `ocrlib.read`.

    Raises ``FileNotFoundError``, ``ValueError`` for a file that `export_onnx` did not write, and ``ModuleNotFoundError`` that
    says what to install.
    """
    runtime, path = _module("onnxruntime"), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. export_onnx(path, model) writes one.")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        facts = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # onnxruntime's errors have no common class that is public
        raise ValueError(f"{path} can't be read as an ONNX file ({str(error).splitlines()[0][:120]}).") from error
    missing = [key for key in KEYS if key not in facts]
    if missing:
        raise ValueError(f"{path} says nothing about {', '.join(missing)}; give load_onnx a file that export_onnx wrote.")
    symbols, width, objective = (facts[key] for key in KEYS)
    return TrainedModel(OnnxNetwork(session, objective), Alphabet(symbols), int(width))


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{name} is not installed; ONNX needs it: pip install -e ".[export]"') from error
