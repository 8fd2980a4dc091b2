"""Files: checkpoints that a training goes on from, and trained networks. Written whole or not at all; loading runs no code."""

from __future__ import annotations

import copy
import os
import pickle
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ocrlib import networks
from ocrlib.networks import Network
from ocrlib.texts import Alphabet

FORMAT = 1  # raised when the layout of the file changes
PRETRAINED = Path(__file__).with_name("pretrained.pt")


class CheckpointError(ValueError):
    """A checkpoint that can't be read, or belongs to another run."""


def random_states() -> dict[str, Any]:
    """State of every random generator a run may draw from: Python, NumPy, torch on the CPU, CUDA and MPS."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(cached)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put every generator back to where `random_states` found it (a device that is missing now is left out)."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"][: torch.cuda.device_count()])
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, texts, and lists and dicts of them) to ``path``.

    A temporary file beside it is written, synced and renamed, so that a kill or a full disk leaves the old file whole.

    Raises ``OSError`` that names the path and the cure when the file can't be written, and ``ValueError`` for a thing of another
    type, which `load_checkpoint` would refuse.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            torch.save({"format": FORMAT, **_plain(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        if refused := torch.serialization.get_unsafe_globals_in_checkpoint(temporary):
            raise ValueError(f"{path} was not written: it would hold {', '.join(refused)}, which loading refuses.")
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        raise OSError(
            f"Could not write the checkpoint {path} ({error}). An older one, if any, is untouched. "
            "Free some space, or give another path."
        ) from error
    finally:
        if temporary:  # there still after a failure, or a second Ctrl-C
            Path(temporary).unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's: a learning rate, for one, may come from NumPy, and loading refuses those."""
    if type(value) is dict:
        return {key: _plain(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def load_checkpoint(path: str | Path, cure: str = "") -> dict[str, Any]:
    """What `save_checkpoint` wrote, tensors on the CPU. Executes no code from the file. ``cure`` ends the message of an error.

    Raises ``FileNotFoundError``, and ``CheckpointError`` when the file is truncated, is no checkpoint, or is of another format.
    """
    path = Path(path)
    cure = cure or f"Delete {path.name}, or give another checkpoint=path; `fit` also takes fresh=True."
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}{' but a folder' if path.is_dir() else ''}; looked in {Path.cwd()}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, LookupError) as error:
        strange = not str(error) or "weights_only" in str(error)  # torch then says much about itself
        first = type(error).__name__ if strange else str(error).splitlines()[0][:120]
        raise CheckpointError(
            f"{path} can't be read as a checkpoint: it is truncated, or something else ({first}). {cure}"
        ) from error
    if not isinstance(state, dict) or "format" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of ocrlib: it has no format number. {cure}")
    if state["format"] != FORMAT:
        raise CheckpointError(f"{path} has checkpoint format {state['format']}, this version reads format {FORMAT}. {cure}")
    return state


class Checkpointer:
    """The checkpoint file of one training run, which `ocrlib.loop.Loop.identity` names."""

    def __init__(self, path: str | Path, identity: dict[str, str]) -> None:
        self.path, self.identity = Path(path), identity
        self.saved = time.perf_counter()  # when the file was last written

    def load(self, epochs: int) -> dict[str, Any] | None:
        """The state in the file, for a run of ``epochs`` in all; None where there is no file.

        Raises ``CheckpointError`` for a file that can't be read, that belongs to another run, or that holds more epochs.
        """
        if not self.path.exists():
            return None
        state = load_checkpoint(self.path)
        found, expected = state.pop("identity", {}), self.identity
        if ";" not in (groups := expected.get("parameter groups", "")):  # there is one; earlier versions did not record it
            found.setdefault("parameter groups", groups)
        different = [
            f"{key}: {found.get(key, 'not recorded')} there, {expected.get(key, 'none')} here"
            for key in {**expected, **found}
            if found.get(key) != expected.get(key)
        ]
        if different:
            raise CheckpointError(
                f"The checkpoint {self.path} belongs to another run:\n  " + "\n  ".join(different) + "\n"
                "Give this run another checkpoint=path, or delete the file; `fit` also takes fresh=True, which replaces it."
            )
        done = len(state["history"]["test_loss"])
        if done > epochs:
            raise CheckpointError(
                f"The checkpoint {self.path} holds {done} epochs, more than the {epochs} asked for. Ask for at least "
                f"{done}, give another checkpoint=path, or delete the file; `fit` also takes fresh=True, which replaces it."
            )
        print(f"Going on from {self.path}: {done} of {epochs} epochs were done.")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Write the run's state to the file. Raises ``OSError`` as `save_checkpoint` does."""
        save_checkpoint(self.path, {"identity": self.identity, **state})
        self.saved = time.perf_counter()


@dataclass(frozen=True)
class TrainedModel:
    """A network in evaluation mode, the alphabet of its classes, and the width in pixels of the images it was trained on.

    ``fit`` says how images were brought to this width: "stretch" or "pad". ``network, alphabet, width = model`` goes too.
    """

    network: Network
    alphabet: Alphabet
    width: int
    fit: str = "stretch"

    def __iter__(self) -> Iterator[Network | Alphabet | int]:
        return iter((self.network, self.alphabet, self.width))

    def with_alphabet(self, alphabet: Alphabet | str) -> TrainedModel:
        """A copy for another alphabet, to go on training with `fit`: the blank and known symbols keep their weights in the head.

        New symbols start with random weights; those that ``alphabet`` lacks are forgotten. Raises ``ValueError`` for a network
        whose last layer isn't a linear ``head``, as one from ONNX.
        """
        alphabet = alphabet if isinstance(alphabet, Alphabet) else Alphabet(alphabet)
        old = getattr(self.network, "head", None)
        if not isinstance(old, nn.Linear):
            raise ValueError(f"{type(self.network).__name__} has no linear head that could get other symbols.")
        network = copy.deepcopy(self.network)
        network.head = nn.Linear(old.in_features, len(alphabet)).to(old.weight)  # its device and type
        known = "".join(symbol for symbol in alphabet.symbols if symbol in self.alphabet.symbols)
        new, rows = [0, *alphabet.encode(known)], [0, *self.alphabet.encode(known)]
        with torch.no_grad():
            network.head.weight[new], network.head.bias[new] = old.weight[rows], old.bias[rows]
        return TrainedModel(network.eval(), alphabet, self.width, self.fit)


def save_model(path: str | Path, network: Network, alphabet: Alphabet, width: int, fit: str = "stretch") -> None:
    """Write ``network`` to a file that `load_model` reads: float16 weights, two bytes a parameter; float32 where those overflow.

    Give ``fit="pad"`` for one trained on padded images (`ocrlib.data.own_images.load_folder`): `read` then pads too.

    Raises ``ValueError`` for a network that is not one of `ocrlib.networks`, or that doesn't fit the alphabet, and
    ``OSError`` when the file can't be written.
    """
    kind, classes = type(network).__name__, len(alphabet)
    if getattr(networks, kind, None) is not type(network):
        raise ValueError(f"{kind} is not one of ocrlib's networks, so load_model could not make it again; save its state_dict().")
    found = network.head.out_features
    if found != classes:
        raise ValueError(f"{kind} has {found} classes, but this alphabet with its blank has {classes}; give its own.")
    weights = {name: _halved(tensor).cpu() for name, tensor in network.state_dict().items()}
    with torch.device("meta"):  # shapes alone: no weights are drawn
        made_again = {name: tensor.shape for name, tensor in type(network)(classes=classes).state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != made_again:
        raise ValueError(f"The layers of this {kind} were changed, so load_model could not make it again; save its state_dict().")
    save_checkpoint(path, {"network": kind, "symbols": alphabet.symbols, "width": int(width), "fit": fit, "weights": weights})


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """In float16, unless a finite value would become infinite there, or it isn't of floating point."""
    fits = tensor.is_floating_point() and bool((tensor.half().isfinite() == tensor.isfinite()).all())
    return tensor.half() if fits else tensor


def load_model(path: str | Path) -> TrainedModel:
    """The network in a file of `save_model`, on the CPU; no code in it is run.

    Raises ``FileNotFoundError``, and ``CheckpointError`` for another file.
    """
    state = load_checkpoint(path, "Give load_model a file that save_model wrote.")
    wanted = {"network": str, "symbols": (str, list), "width": int, "weights": dict}  # a list: alphabets of an earlier version
    wrong = [name for name, kind in wanted.items() if not isinstance(state.get(name), kind)]
    kind = getattr(networks, state["network"], None) if not wrong else None
    if not isinstance(kind, type) or not issubclass(kind, Network):
        reason = f"it has no {wrong[0]}" if wrong else f"it names no network of ocrlib ({state['network']!r})"
        raise CheckpointError(f"{path} is not a trained model: {reason}. Give load_model a file that save_model wrote.")
    alphabet = Alphabet(list(state["symbols"]))  # as they are: files of an earlier version may hold others than NFC's
    network = kind(classes=len(alphabet))
    try:
        network.load_state_dict({name: torch.as_tensor(tensor) for name, tensor in state["weights"].items()})
    except RuntimeError as error:
        raise CheckpointError(f"The weights in {path} don't fit {state['network']}: {error}") from error
    return TrainedModel(network.eval(), alphabet, state["width"], state.get("fit", "stretch"))


def load_pretrained() -> TrainedModel:
    """The network that comes with the package: the fast recipe's, trained on generated images of five symbols only.

    The run that made it is recorded; ``python -m ocrlib.studies pretrained`` makes it anew. Loading it executes no code.
    """
    return load_model(PRETRAINED)
