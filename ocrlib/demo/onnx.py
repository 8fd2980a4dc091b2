"""ONNX files: write a trained network for programs without torch, or load one. Needs ``pip install -e ".[export]"``."""

import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from ocrlib.checkpoints import TrainedModel
from ocrlib.networks import HEIGHT
from ocrlib.texts import Alphabet

KEYS = ("symbols", "width", "objective")  # keys of the file's metadata: what reading needs in addition to the graph


def export_onnx(path: str | Path, model: TrainedModel) -> None:
    """Write ``model`` to one ONNX file, from ``images`` ``(N, 1, 32, W)`` float32, 0 to 255, to ``logits`` ``(T, N, C)``.

    N is free, W is the model's width. Alphabet, width and objective are in the file's metadata. Raises
    ``ModuleNotFoundError`` for a missing package.
    """
    _module("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns about torch's own LSTM
        program = torch.onnx.export(
            model.network.cpu().eval(), (torch.zeros(2, 1, HEIGHT, model.width),), dynamo=True, verbose=False,
            input_names=["images"], output_names=["logits"], dynamic_shapes={"images": {0: torch.export.Dim("N")}},
        )  # fmt: skip
    program.model.metadata_props.update(zip(KEYS, (model.alphabet.symbols, str(model.width), model.network.objective)))
    program.save(str(path))


class OnnxNetwork(nn.Module):
    """An ONNX session as a network: images ``(N, 1, 32, W)`` to logits ``(T, N, C)``, on the CPU. It cannot be trained."""

    def __init__(self, session: object, objective: str) -> None:
        super().__init__()
        self.session, self.objective = session, objective
        self.device_marker = nn.Parameter(torch.empty(0), requires_grad=False)  # tells `predict` to use the CPU

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {"images": images.numpy()})[0])


def load_onnx(path: str | Path) -> TrainedModel:
    """The model in a file written by `export_onnx`, for `ocrlib.read`.

    Raises ``FileNotFoundError``, ``ValueError`` for any other file, and ``ModuleNotFoundError`` for a missing package.
    """
    runtime, path = _module("onnxruntime"), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. export_onnx(path, model) writes one.")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        facts = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # onnxruntime has no public base class of its errors
        raise ValueError(f"{path} can't be read as an ONNX file ({str(error).splitlines()[0][:120]}).") from error
    if missing := [key for key in KEYS if key not in facts]:
        raise ValueError(f"{path} says nothing about {', '.join(missing)}; give load_onnx a file that export_onnx wrote.")
    symbols, width, objective = (facts[key] for key in KEYS)
    return TrainedModel(OnnxNetwork(session, objective), Alphabet(symbols), int(width))


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{error.name} is not installed; ONNX needs it: pip install -e ".[export]"') from error
