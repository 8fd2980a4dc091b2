"""How a CPU computes: by default so that every x86 processor with AVX2, as made since about 2015, gives the same bits.

The libraries below torch choose their instructions by the processor. With other instructions they add in another order, and
the last bits differ. Training makes such a difference grow. `prepare` asks all libraries for the same instructions, and torch
for the same number of threads. It has to come before torch computes for the first time, so ``import ocrlib`` calls it.
``OCRLIB_ARITHMETIC=native`` leaves the choice to the libraries: all cores, and AVX-512 where there is one.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

# torch's own kernels, oneDNN (convolutions, LSTM) and MKL (products, exp); MKL has no AVX2 path that is alike on Intel and AMD.
PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}
THREADS = 2
OVERRIDES: list[Any] = []  # of torch's functions: each lasts as long as its entry here


def prepare() -> None:
    """Ask for portable arithmetic, where the processor has it, and for threads that sleep while they wait.

    What the environment sets already stays. One exception: a process hands its portable settings on to those that it starts,
    so a native one drops them. Raises ``ValueError`` for another ``OCRLIB_ARITHMETIC``.
    """
    # By default a thread that waits for the other one keeps its core busy. If a program needs that core, both wait
    # many times longer (CONTRIBUTING has the table). OpenMP reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    wanted = os.environ.get("OCRLIB_ARITHMETIC") or "portable"
    if wanted not in ("portable", "native"):
        raise ValueError(f"OCRLIB_ARITHMETIC is {wanted!r}; set it to portable or native, or unset it for portable.")
    if wanted == "native" and PORTABLE.items() <= os.environ.items():  # handed on by the process that started this one
        for name in PORTABLE:
            del os.environ[name]
    if wanted == "portable" and has_avx2():
        for name, value in PORTABLE.items():
            os.environ.setdefault(name, value)
        import torch

        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(THREADS)
        _take_exact_square_roots()


def _take_exact_square_roots() -> None:
    """Let NumPy compute torch's square roots on the CPU, which optimizers need: each is the nearest number that there is.

    MKL's are not, in its code for other makers' processors. They begin with an instruction (rsqrtps) that gives other bits on
    AMD than on Intel, and one in five ends at a neighbour of the nearest number.
    """
    import torch

    def into(roots: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        if values.dtype in (torch.float32, torch.float64) and not values.is_neg():
            with np.errstate(invalid="ignore"):  # a negative number's is NaN, and no warning
                np.sqrt(values.detach().numpy(), out=roots.detach().numpy())
            return roots
        return roots.copy_(values.pow(0.5))

    def sqrt(values: torch.Tensor) -> torch.Tensor:
        kind = values.dtype if values.is_floating_point() or values.is_complex() else torch.get_default_dtype()
        return into(torch.empty_like(values, dtype=kind), values)

    def sqrt_(values: torch.Tensor) -> torch.Tensor:
        return into(values, values)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning only once for all operators")  # some versions of torch say that it is replaced
        for function in (sqrt, sqrt_):
            OVERRIDES.append(torch.library.Library("aten", "IMPL"))
            OVERRIDES[-1].impl(function.__name__, function, "CPU")


def has_avx2() -> bool:
    """Whether the processor is an x86 with AVX2. torch itself doesn't look: told to use AVX2 elsewhere, it would crash."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if os.name == "nt":
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(40))  # PF_AVX2_INSTRUCTIONS_AVAILABLE
    return "avx2" in cpuinfo("flags").split()


def is_portable() -> bool:
    """Whether this process computes alike on every such processor: `prepare` asked for it, before torch had computed anything.

    Not with a second-level cache below 512 KB: oneDNN then takes another order in one layer of the ModifiedCRNN.
    """
    import torch

    asked = all(os.environ.get(name) == value for name, value in PORTABLE.items())
    cache = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")  # in a Linux with such a file
    large = not cache.exists() or int(cache.read_text().strip("K\n")) >= 512
    return asked and large and has_avx2() and torch.backends.cpu.get_cpu_capability() == "AVX2"


def cpuinfo(name: str) -> str:
    """What Linux says of the first processor under a name; empty where there is no such file or line."""
    file = Path("/proc/cpuinfo")
    found = re.search(rf"^{name}\s*: (.+)$", file.read_text(), re.MULTILINE) if file.exists() else None
    return found[1] if found else ""
