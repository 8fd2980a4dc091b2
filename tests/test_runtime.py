import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ocrlib import describe_runtime, fast_dtype, pick_budget, pick_device, runs_folder, runtime, seed_everything


def draws() -> tuple:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_seed_fixes_every_generator():
    seed_everything(7)
    first = draws()
    assert draws() != first
    seed_everything(7)
    assert draws() == first


def test_determinism_is_on_by_default_and_can_be_taken_back():
    seed_everything(7)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic
    seed_everything(7, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_cuda_comes_before_mps_before_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device().type == "cpu"


def test_the_runtime_names_versions_and_device():
    text = describe_runtime(torch.device("cpu"))
    assert f"torch {torch.__version__}" in text and "device cpu" in text


def test_the_budget_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("OCRLIB_BUDGET", raising=False)
    assert pick_budget().name == "full"
    assert pick_budget().epochs(60) == 60 and pick_budget().images(1070) == 1070
    assert "SMOKE" not in pick_budget().banner
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    smoke = pick_budget()
    assert smoke.epochs(60) < 5 and smoke.images(1070) < 200
    assert "SMOKE BUDGET" in smoke.banner and str(smoke.max_images) in smoke.banner


def test_an_unknown_budget_is_named(monkeypatch):
    monkeypatch.setenv("OCRLIB_BUDGET", "tiny")
    with pytest.raises(ValueError, match=r"'tiny'.*full.*smoke"):
        pick_budget()


def test_runs_of_each_budget_and_source_have_a_folder_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    assert runs_folder(pick_budget(), "real") == tmp_path / "smoke-real"


@pytest.mark.parametrize(("able", "expected"), [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, None), ({}, None)])
def test_bfloat16_is_for_processors_that_have_it(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    monkeypatch.setattr("ocrlib.runtime.is_portable", lambda: False)
    assert fast_dtype(torch.device("cpu")) is expected
    assert fast_dtype(torch.device("mps")) is None


@pytest.fixture
def kernel(monkeypatch):
    """What a notebook shows, state by state, and a clock that only the test moves."""
    world = SimpleNamespace(now=100.0, states=[], displays=0)

    def display(data, *, raw, display_id=None):
        world.displays += 1
        world.states.append(data)
        return SimpleNamespace(update=lambda data, raw: world.states.append(data))

    monkeypatch.setattr(runtime, "in_ipython", lambda: True)
    monkeypatch.setattr(runtime.time, "perf_counter", lambda: world.now)
    monkeypatch.setattr("IPython.display.display", display)
    return world


SHORT = {"total": 2, "mininterval": 0, "bar_format": "{n_fmt} of {total_fmt}"}


def test_in_a_notebook_a_bar_is_one_output_and_no_stream(kernel, capsys):
    with runtime.progress(**SHORT) as bar:
        bar.update()
        bar.update()
    assert kernel.states == [{"text/plain": f"{n} of 2"} for n in range(3)] and kernel.displays == 1
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_is_not_to_stay_leaves_nothing_after_an_interrupt_too(kernel):
    with pytest.raises(KeyboardInterrupt), runtime.progress(leave=False, **SHORT):
        raise KeyboardInterrupt
    assert kernel.states == [{"text/plain": "0 of 2"}, {}]


def test_of_a_bar_within_a_bar_each_is_an_output(kernel):
    with runtime.progress(**SHORT) as outer, runtime.progress(leave=False, **SHORT):
        outer.update()
    assert kernel.displays == 2
    assert kernel.states == [{"text/plain": state} if state else {} for state in ("0 of 2", "0 of 2", "1 of 2", "")]


def test_a_quiet_bar_begins_after_five_seconds_and_leaves_nothing(kernel):
    for seconds in (4, 6):
        with runtime.progress(quiet=True, **SHORT) as bar:
            kernel.now += seconds
            bar.update()
    assert kernel.states == [{"text/plain": "1 of 2"}, {}]


def test_under_the_smoke_budget_there_is_no_quiet_bar(kernel, monkeypatch):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    with runtime.progress(quiet=True, **SHORT) as bar:
        kernel.now += 6
        bar.update()
    assert kernel.states == []


def test_a_remark_is_a_box_in_a_notebook_and_other_warnings_are_not(kernel, capsys):
    remark = runtime.Remark("a < b")
    runtime._show(remark, runtime.Remark, "cell.py", 1)
    [shown] = kernel.states
    assert shown["text/plain"] == "a < b" and shown["text/html"].endswith(">a &lt; b</div>") and capsys.readouterr().err == ""
    with pytest.warns(UserWarning, match="of another library"):  # shown as Python does
        runtime._show(UserWarning("of another library"), UserWarning, "cell.py", 1)
    assert len(kernel.states) == 1


def test_python_shows_warnings_by_it():
    code = "import warnings, ocrlib.runtime as r; assert warnings.showwarning is r._show; warnings.warn('look', r.Remark)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Remark: look" in done.stderr


def test_in_a_terminal_there_is_no_quiet_bar(capsys):
    assert [*runtime.progress("ab", quiet=True)] == ["a", "b"] and capsys.readouterr() == ("", "")


def test_in_a_terminal_a_bar_goes_to_stderr(capsys):
    with runtime.progress(**SHORT) as bar:
        bar.update(2)
    out, errors = capsys.readouterr()
    assert out == "" and errors.endswith("2 of 2\n")
