"""Where and how things run: seeds, device, versions, and the budget of a run."""

from __future__ import annotations

import gc
import os
import platform
import random
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ocrlib.processor import is_portable

if TYPE_CHECKING:
    from tqdm import tqdm

BOX = "white-space: pre-wrap; padding: 0.6em 1em; border-left: 4px solid #d9a441; background: rgba(217, 164, 65, 0.12)"


def seed_everything(seed: int, deterministic: bool = True) -> None:
    """Seed Python, NumPy and torch (all devices); by default also ask torch for deterministic algorithms.

    The same seed, data and thread count then give the same bits on a CPU. On CUDA the deterministic path is:
    cuDNN and cuBLAS told to repeat themselves, CTC on the route that `ocrlib.ctc_route` names. Setting
    ``deterministic=False`` takes all of that back.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)  # CUDA and MPS too
    if deterministic:
        # cuBLAS reads this when its first handle is made, so seed before the first operation on a GPU.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = deterministic
    torch.use_deterministic_algorithms(deterministic)
    # Filling fresh memory with NaN finds bugs but costs a write of every buffer; nothing here reads fresh memory.
    torch.utils.deterministic.fill_uninitialized_memory = False


def pick_device() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 where ``device`` has arithmetic units for it, else None: to be given to `fit` as ``autocast``.

    Elsewhere torch would emulate it, slower than float32; and portable arithmetic (see `ocrlib.processor`) has none.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if device.type == "cpu" and not is_portable():  # which computes in float32 everywhere
        able = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch can't tell
        return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16") else None
    return None


def release_memory() -> None:
    """Give unused memory of the GPU back. Delete your own references first: ``del model, optimizer``."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def in_ipython() -> bool:
    """Whether outputs can be pictures: in a notebook's kernel, but neither in plain Python nor in IPython's terminal."""
    module = sys.modules.get("IPython")  # where nobody has imported it, we are not in it
    shell = module.get_ipython() if module else None
    return shell is not None and not any(cls.__name__ == "TerminalInteractiveShell" for cls in type(shell).__mro__)


class Remark(UserWarning):
    """A warning of this library's. In a notebook it is a box among the outputs: stderr is pink there, and begins with a path."""


def _show(message: Warning, category: type[Warning], *place: object) -> None:
    if not (issubclass(category, Remark) and in_ipython()):
        return _python_shows(message, category, *place)
    from IPython.display import display

    display({"text/plain": str(message), "text/html": f'<div style="{BOX}">{escape(str(message))}</div>'}, raw=True)


if getattr(warnings.showwarning, "__name__", "") != "_show":  # loaded again, this module would call itself without end
    _python_shows, warnings.showwarning = warnings.showwarning, _show


class _OneLine:
    """The file that a bar is written to in a notebook: its latest state is one output, and nothing when the bar is cleared.

    A stream would be pink (stderr), or leave an empty line behind (stdout). Nothing is shown in the first ``wait`` seconds.
    """

    encoding = "utf-8"  # tqdm then draws whole blocks instead of #

    def __init__(self, wait: float) -> None:
        self._text, self._handle, self._begins = "", None, time.perf_counter() + wait

    def write(self, written: str) -> None:
        # Each state begins with a carriage return. The others are moves of a terminal's cursor.
        text = written.strip()
        if not written.startswith("\r") or text == self._text or (text and time.perf_counter() < self._begins):
            return
        from IPython.display import display

        data = {"text/plain": text} if text else {}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
        self._text = text

    def flush(self) -> None:
        """Nothing is held back."""


def progress(iterable: Iterable | None = None, quiet: bool = False, **options: object) -> tqdm:
    """A progress bar of tqdm, with its options: on stderr, and in a notebook as an output that is no stream.

    ``quiet`` is for what a cell does among other things: only a notebook shows the bar, after five seconds, and it leaves
    nothing behind. Under the smoke budget, where nothing takes long, there is none.
    """
    from tqdm import tqdm  # here: a machine that only trains may be without it

    shown = in_ipython()
    usual = {"file": _OneLine(5.0 if quiet else 0.0) if shown else None, "ncols": 90, "mininterval": 1.0}
    if quiet:
        usual |= {"leave": False, "disable": not shown or pick_budget().name == "smoke"}
    return tqdm(iterable, **(usual | options))


def versions() -> dict[str, str]:
    """Versions a result depends on, by package name. A package of an extra that isn't installed is left out."""
    names = {"torch": "torch", "torchvision": "torchvision", "torchmetrics": "torchmetrics", "numpy": "numpy", "pillow": "PIL"}
    packages = {package: import_module(name) for package, name in names.items() if find_spec(name)}
    return {"python": platform.python_version(), **{name: package.__version__ for name, package in packages.items()}}


@contextmanager
def extra(name: str) -> Iterator[None]:
    """For imports of packages that only an extra of pyproject.toml installs: where one is missing, the error says so."""
    try:
        yield
    except ModuleNotFoundError as error:
        words = f"{error.name} is not installed; it comes with ocrlib's extra {name!r}."
        cure = f'In the project\'s folder: pip install -e ".[{name}]"'
        raise ModuleNotFoundError(f"{words} {cure}", name=error.name) from error


def describe_runtime(device: torch.device | None = None) -> str:
    """One line with versions, one with the device and thread count: the first output of every notebook."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    device = device or pick_device()
    how = ", portable arithmetic" if device.type == "cpu" and is_portable() else ""
    threads = torch.get_num_threads()
    return f"{packages}\ndevice {describe_device(device)}, {threads} thread{'s' * (threads != 1)}{how}"


def describe_device(device: torch.device) -> str:
    """The kind of device and what it is: a GPU's name, or the processor's with its cores."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    processor = platform.processor() or platform.machine()
    return f"{device.type} ({processor}, {os.cpu_count()} cores)"


@dataclass(frozen=True)
class Budget:
    """How much of a run to do. ``full`` is what is reported; ``smoke`` walks the same path with little data.

    ``max_images`` bounds train and test images together, ``max_epochs`` each call of training; None is no bound.
    """

    name: str
    max_images: int | None = None
    max_epochs: int | None = None

    def images(self, n: int) -> int:
        return n if self.max_images is None else min(n, self.max_images)

    def epochs(self, n: int) -> int:
        return n if self.max_epochs is None else min(n, self.max_epochs)

    @property
    def banner(self) -> str:
        """What to print at the top of a notebook: loud when the figures mean nothing."""
        if self.name == "full":
            return "budget: full"
        return (
            f"*** SMOKE BUDGET: at most {self.max_images} images and {self.max_epochs} epochs a call. "
            "The figures below mean nothing. Unset OCRLIB_BUDGET for the full run. ***"
        )


BUDGETS = {"full": Budget("full"), "smoke": Budget("smoke", max_images=64, max_epochs=2)}


def pick_budget() -> Budget:
    """The budget that ``OCRLIB_BUDGET`` names (full or smoke; full when unset). Raises ``ValueError`` for any other name."""
    name = os.environ.get("OCRLIB_BUDGET") or "full"
    if name not in BUDGETS:
        raise ValueError(f"OCRLIB_BUDGET is {name!r}; set it to one of {sorted(BUDGETS)}, or unset it for the full run.")
    return BUDGETS[name]


def runs_folder(budget: Budget, source: str) -> Path:
    """Where a notebook keeps its checkpoints: ``runs/<budget>-<source>`` beside it, or below the folder ``OCRLIB_RUNS``.

    One folder for each budget and data source, since a checkpoint of one is refused by the other.
    """
    return Path(os.environ.get("OCRLIB_RUNS") or "runs") / f"{budget.name}-{source}"
