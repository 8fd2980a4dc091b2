"""Portable arithmetic: the same digests on every x86 processor with AVX2, and how it is asked for."""

import json
import os
import subprocess
import sys

import pytest
import torch

from ocrlib import processor
from ocrlib.processor import PORTABLE, has_avx2, is_portable, prepare
from ocrlib.studies.records import arithmetic

TORCH = "2.14.1"
# Of the weights after three steps of each recipe on noise. They were found on an Intel Xeon (AVX-512, AMX), and there again with
# libraries that took it for an AMD EPYC and for an Intel with AVX2 alone: both times with other code where a library has some.
DIGESTS = {"crnn": "a5906c704211", "modified_crnn": "4eadc4b2f877", "ce_crnn": "31bc915160ac", "fast": "92208b8b5de3"}
STEPS = """
import hashlib, json, sys
import torch
import ocrlib

found = {"portable": ocrlib.processor.is_portable()}
for key, recipe in ocrlib.EXPERIMENTS.items():
    ocrlib.seed_everything(1)
    torch.set_num_threads(min(torch.get_num_threads(), recipe.network.threads))
    n, alphabet = recipe.batch_size, ocrlib.Alphabet()
    model, objective = recipe.make_model(alphabet), recipe.objective(alphabet)
    optimizer = recipe.make_optimizer(model)
    images = torch.randint(0, 256, (n, 1, 32, recipe.width)).float()
    targets, lengths = torch.randint(1, len(alphabet), (n, 5)), torch.full((n,), 5)
    for _ in range(3):
        loss = objective.loss(model(images), targets, lengths)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm or 1e9)
        optimizer.step()
    weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    found[key] = hashlib.sha256(weights).hexdigest()[:12]
print(json.dumps(found))
"""


def python(code: str, **environment: str) -> str:
    """What a fresh process prints, of which only this much is set."""
    unset = {*PORTABLE, "OCRLIB_ARITHMETIC", "OMP_NUM_THREADS", "OMP_WAIT_POLICY"}
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout.strip()


on_avx2 = pytest.mark.skipif(not has_avx2(), reason="this processor is no x86 with AVX2")


@on_avx2
@pytest.mark.skipif(torch.__version__.split("+")[0] != TORCH, reason=f"the digests are those of torch {TORCH}")
@pytest.mark.parametrize("threads", [{}, {"OMP_NUM_THREADS": "1"}])
def test_the_same_bits_on_every_processor(threads):
    found = json.loads(python(STEPS, **threads))
    if not found.pop("portable"):
        pytest.skip("the second-level cache is too small for the same bits")
    assert found == DIGESTS


NAMES = ["torch.get_num_threads()", "os.environ.get('OMP_WAIT_POLICY')", "ocrlib.fast_dtype(torch.device('cpu'))"]
SAY = "from ocrlib.studies import records; "
SAY += f"print(ocrlib.processor.is_portable(), records.arithmetic(), {', '.join(NAMES)}, sep='; ')"


@on_avx2
def test_portable_arithmetic_is_the_default_whoever_is_imported_first():
    for imports in ("import os, ocrlib, torch; ", "import os, torch, ocrlib; "):
        assert python(imports + SAY) == "True; portable, torch.float32; 2; passive; None"


ROOTS = """
import math, ocrlib, torch
for dtype in (torch.float32, torch.float64):
    values = torch.rand(10_000, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()
    exact = torch.tensor([math.sqrt(value) for value in values.tolist()], dtype=dtype)
    roots = values.sqrt()
    assert torch.equal(roots, exact) and torch.equal(values.detach().clone().sqrt_(), exact), dtype
    roots.sum().backward()
    assert torch.allclose(values.grad, 0.5 / exact)
    with torch.no_grad():
        part = values.reshape(100, 100)[::2, ::3].t()
        assert torch.equal(part.sqrt(), exact.reshape(100, 100)[::2, ::3].t())
        assert torch.equal((-part)._neg_view().sqrt(), part.sqrt())
assert torch.tensor(4.0).sqrt().item() == 2 and torch.tensor([4, 9]).sqrt().tolist() == [2, 3]
assert torch.ones(3, dtype=torch.bfloat16).sqrt_().dtype == torch.bfloat16 and torch.tensor(-1.0).sqrt().isnan()
assert abs(torch.tensor(-4 + 0j).sqrt() - 2j) < 1e-6
print(ocrlib.processor.is_portable())
"""


@on_avx2
def test_square_roots_are_the_nearest_numbers():
    assert python(ROOTS) == "True"


def test_what_the_user_sets_stays():
    said = python("import os, ocrlib, torch; " + SAY, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="active", OCRLIB_ARITHMETIC="native")
    portable, arithmetic, threads, waiting, _ = said.split("; ")
    assert (portable, threads, waiting) == ("False", "1", "active") and not arithmetic.startswith("portable")
    assert "False" in python("import os, ocrlib, torch; " + SAY, MKL_CBWR="AUTO")


def test_native_arithmetic_takes_all_threads():
    code = "import torch{0}; print(torch.get_num_threads())"
    native = python(code.format(", ocrlib"), OCRLIB_ARITHMETIC="native")
    assert native == python(code.format("")) and native.isdigit()


def test_another_arithmetic_is_an_error(monkeypatch):
    monkeypatch.setenv("OCRLIB_ARITHMETIC", "fast")
    with pytest.raises(ValueError, match="OCRLIB_ARITHMETIC is 'fast'; set it to portable or native, or unset it"):
        prepare()


def test_too_late_is_not_portable(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert not is_portable() and "AVX512" in arithmetic()


@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_other_processors_are_left_alone(monkeypatch, machine):
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    assert not has_avx2() and not is_portable()


@on_avx2
def test_a_process_started_by_a_portable_one_may_be_native():
    child = "import ocrlib; print(ocrlib.processor.is_portable())"
    start = "import os, subprocess, sys, ocrlib; os.environ['OCRLIB_ARITHMETIC'] = 'native'; "
    assert python(f"{start} subprocess.run([sys.executable, '-W', 'ignore', '-c', '{child}'])") == "False"
