"""Trained networks as small files: weights in half precision, with all that is needed to read images with them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from ocrlib import networks
from ocrlib.alphabet import Alphabet
from ocrlib.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from ocrlib.networks import Network


class TrainedModel(NamedTuple):
    """A network in evaluation mode, the alphabet of its classes, and the width in pixels of the images it was trained on."""

    network: Network
    alphabet: Alphabet
    width: int


def save_model(path: str | Path, network: Network, alphabet: Alphabet, width: int) -> None:
    """Write ``network`` to a file that `load_model` reads: float16 weights, two bytes a parameter.

    Raises ``ValueError`` for a network that is not one of `ocrlib.networks`, or that doesn't fit the alphabet, and
    ``OSError`` when the file can't be written.
    """
    kind = type(network).__name__
    if getattr(networks, kind, None) is not type(network):
        raise ValueError(f"{kind} is not one of ocrlib's networks, so load_model could not make it again; save its state_dict().")
    classes = network.head.out_features
    if classes != len(alphabet):
        raise ValueError(f"{kind} has {classes} classes, but this alphabet with its blank has {len(alphabet)}; give its own.")
    weights = {
        name: tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in network.state_dict().items()
    }
    save_checkpoint(path, {"network": kind, "symbols": alphabet.symbols, "width": width, "weights": weights})


def load_model(path: str | Path) -> TrainedModel:
    """The network in a file of `save_model`, on the CPU. Executes no code from the file.

    Raises ``CheckpointError`` when the file is no such file.
    """
    state = load_checkpoint(path)
    wanted = {"network": str, "symbols": str, "width": int, "weights": dict}
    wrong = [name for name, kind in wanted.items() if not isinstance(state.get(name), kind)]
    kind = getattr(networks, state["network"], None) if not wrong else None
    if not isinstance(kind, type) or not issubclass(kind, Network):
        reason = f"it has no {wrong[0]}" if wrong else f"it names no network of ocrlib ({state['network']!r})"
        raise CheckpointError(f"{path} is not a trained model: {reason}. Give load_model a file that save_model wrote.")
    alphabet = Alphabet(state["symbols"])
    network = kind(classes=len(alphabet))
    try:
        network.load_state_dict({name: torch.as_tensor(tensor) for name, tensor in state["weights"].items()})
    except RuntimeError as error:
        raise CheckpointError(f"The weights in {path} don't fit {state['network']}: {error}") from error
    return TrainedModel(network.eval(), alphabet, state["width"])
