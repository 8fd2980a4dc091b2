"""ONNX files: write a trained network for programs without torch, or load one. Needs ``pip install -e ".[export]"``."""

import copy
import warnings
from importlib import import_module
from io import BytesIO
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

KEYS = ("symbols", "width", "objective")  # keys of the file's metadata: what reading needs in addition to the graph


def export_onnx(path: str | Path, model: TrainedModel) -> None:
    """Write ``model`` to one ONNX file, from ``images`` ``(N, 1, 32, W)`` float32, 0 to 255, to ``logits`` ``(T, N, C)``.

    N is free, but at least 1: onnxruntime ends the whole process when an LSTM gets a batch of none. W is free for networks made
    for CTC; those for cross-entropy have one step a symbol at the model's width alone. Alphabet, width, objective and the
    narrowest W are in the file's metadata. The file's folder is made; the network stays on its device and in its mode.
    Raises ``ModuleNotFoundError`` for a missing package, and ``ValueError`` for an alphabet of another size than the network's.
    """
    _module("onnxscript")
    onnx, network = _module("onnx"), copy.deepcopy(model.network).cpu().eval()
    if isinstance(head := getattr(network, "head", None), nn.Linear):
        objective_of(network, model.alphabet).check_classes(head.out_features, type(network).__name__)
    narrowest = next((width for width in range(1, model.width) if network.steps(width)), model.width)
    facts = dict(zip(KEYS, (model.alphabet.symbols, str(model.width), network.objective)))
    facts |= {"narrowest": str(narrowest), "fit": model.fit}
    graph = _graph(network, model.width)
    onnx.helper.set_model_props(graph, facts)
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


class OnnxNetwork(nn.Module):
    """An ONNX session as a network: images ``(N, 1, 32, W)`` to logits ``(T, N, C)``, on the CPU. It cannot be trained.

    ``narrowest`` is the least W that leaves a step.
    """

    def __init__(self, session: Any, objective: str, narrowest: int = 1) -> None:
        super().__init__()
        self.session, self.objective, self.narrowest = session, objective, narrowest
        self.device_marker = nn.Parameter(torch.empty(0), requires_grad=False)  # tells `predict` to use the CPU

    def forward(self, images: Tensor) -> Tensor:
        """Raises ``ValueError`` for no image, on which onnxruntime would end the process, and for images of another size."""
        wanted = self.session.get_inputs()[0].shape  # numbers, and names of what is free
        fits = images.ndim == len(wanted) and all(not isinstance(w, int) or w == n for w, n in zip(wanted, images.shape))
        if not fits or not len(images) or images.shape[3] < self.narrowest:
            raise ValueError(
                f"This ONNX network reads images ({', '.join(map(str, wanted))}) with N at least 1 and W at least "
                f"{self.narrowest}, got {tuple(images.shape)}."
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
    symbols, width, objective = (facts[key] for key in KEYS)
    network = OnnxNetwork(session, objective, int(facts.get("narrowest", 1)))  # files of an earlier version have a fixed width
    return TrainedModel(network, Alphabet(list(symbols)), int(width), facts.get("fit", "stretch"))


def _module(name: str) -> ModuleType:
    with extra("export"):
        return import_module(name)
