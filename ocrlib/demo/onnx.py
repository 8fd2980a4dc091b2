"""ONNX files: write a trained network for programs without torch, or load one. Needs ``pip install -e ".[export]"``."""

import copy
import json
import warnings
from importlib import import_module
from io import BytesIO
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ocrlib.checkpoints import TrainedModel
from ocrlib.networks import HEIGHT, Network
from ocrlib.objectives import objective_of
from ocrlib.runtime import extra
from ocrlib.texts import Alphabet

KEYS = ("symbols", "width", "objective", "fit", "layers")  # keys of the file's metadata: what reading needs beside the graph


def export_onnx(path: str | Path, model: TrainedModel) -> None:
    """Write ``model`` to one ONNX file, from ``images`` ``(N, 1, 32, W)`` float32, 0 to 255, to ``logits`` ``(T, N, C)``.

    N is free, but at least 1: onnxruntime ends the whole process when an LSTM gets a batch of none. W is free for networks made
    for CTC; those for cross-entropy have one step a symbol at the model's width alone. Alphabet, width, objective, fit and the
    layers along the width are in the file's metadata. The file's folder is made; the network stays on its device and in its mode.
    Raises ``ModuleNotFoundError`` for a missing package, and ``ValueError`` for an alphabet of another size than the network's.
    """
    _module("onnxscript")
    onnx, network = _module("onnx"), copy.deepcopy(model.network).cpu().eval()
    if isinstance(head := getattr(network, "head", None), nn.Linear):
        objective_of(network, model.alphabet).check_classes(head.out_features, type(network).__name__)
    facts = model.alphabet.symbols, str(model.width), network.objective, model.fit, json.dumps(network.along_width())
    graph = _graph(network, model.width)
    onnx.helper.set_model_props(graph, dict(zip(KEYS, facts)))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(graph.SerializeToString())


def _graph(network: Network, width: int) -> Any:
    """The network as an ``onnx.ModelProto``."""
    free = {0: "N", 3: "W"} if network.objective == "CTC" else {0: "N"}
    images, names = (torch.zeros(2, 1, HEIGHT, width),), {"input_names": ["images"], "output_names": ["logits"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        newer = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 14)  # in 2.6 and 2.7 it fails on a free width too
        if newer and not any(isinstance(layer, nn.LSTM) for layer in network.modules()):
            sizes = {axis: torch.export.Dim(name) for axis, name in free.items()}
            shapes = {"images": sizes}
            return torch.onnx.export(network, images, dynamo=True, verbose=False, dynamic_shapes=shapes, **names).model_proto
        # torch's newer exporter fails on an LSTM of free length (seen in 2.14); the older one writes ONNX's LSTM as it is.
        file = BytesIO()
        torch.onnx.export(network, images, file, dynamo=False, dynamic_axes={"images": free, "logits": {0: "T", 1: "N"}}, **names)
        return _module("onnx").load_model_from_string(file.getvalue())


class OnnxNetwork(Network):
    """An ONNX session as a network: images ``(N, 1, 32, W)`` to logits ``(T, N, C)``, on the CPU. It cannot be trained.

    ``layers`` are the `Network.along_width` of the network that was exported.
    """

    def __init__(self, session: Any, objective: str, layers: list[tuple[int, int, int]]) -> None:
        nn.Module.__init__(self)
        self.session, self.objective, self.layers = session, objective, layers
        self.device_marker = nn.Parameter(torch.empty(0), requires_grad=False)  # tells `predict` to use the CPU

    def along_width(self) -> list[tuple[int, int, int]]:
        """Those of the network that was exported."""
        return self.layers

    def forward(self, images: Tensor) -> Tensor:
        """Raises ``ValueError`` for no image, on which onnxruntime would end the process, and for images of another size."""
        wanted = self.session.get_inputs()[0].shape  # numbers, and names of what is free
        fits = images.ndim == len(wanted) and all(not isinstance(w, int) or w == n for w, n in zip(wanted, images.shape))
        if not fits or not len(images) or not self.steps(images.shape[3]):
            raise ValueError(
                f"This ONNX network reads images ({', '.join(map(str, wanted))}) with N at least 1 and W at least "
                f"{next(width for width in count(1) if self.steps(width))}, got {tuple(images.shape)}."
            )
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
    symbols, width, objective, fit, layers = (facts[key] for key in KEYS)
    return TrainedModel(OnnxNetwork(session, objective, json.loads(layers)), Alphabet(list(symbols)), int(width), fit)


def _module(name: str) -> ModuleType:
    with extra("export"):
        return import_module(name)
