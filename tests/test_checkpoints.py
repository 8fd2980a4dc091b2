import errno
import os
import pickle
import random

import numpy as np
import pytest
import torch

from ocrlib import CheckpointError
from ocrlib.checkpoints import load_checkpoint, random_states, restore_random_states, save_checkpoint


def test_what_is_saved_comes_back(tmp_path):
    save_checkpoint(tmp_path / "new folder" / "run.pt", {"weights": torch.arange(3), "step": 7})
    state = load_checkpoint(tmp_path / "new folder" / "run.pt")
    assert state["step"] == 7 and state["weights"].tolist() == [0, 1, 2]


def test_every_generator_goes_on_where_it_was(tmp_path):
    def draws():
        return random.random(), float(np.random.randn()), float(torch.rand(()))

    np.random.randn()  # leaves a cached second Gaussian, which is part of the state
    save_checkpoint(tmp_path / "run.pt", {"random": random_states()})
    first = draws()
    assert draws() != first
    restore_random_states(load_checkpoint(tmp_path / "run.pt")["random"])
    assert draws() == first


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(CheckpointError, match=r"run\.pt can't be read.*truncated.*fresh=True"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"format": 1, "x": print})])
def test_something_else_is_named(tmp_path, content):
    (tmp_path / "run.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.pt can't be read as a checkpoint"):
        load_checkpoint(tmp_path / "run.pt")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_no_code_of_the_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "trap": Trap()}, "run.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint("run.pt")
    assert not os.path.exists("sprung")
    torch.load("run.pt", weights_only=False)  # the trap is a real one
    assert os.path.exists("sprung")


def test_another_version_is_named(tmp_path):
    torch.save({"format": 99}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="has checkpoint format 99, this version reads format 1"):
        load_checkpoint(tmp_path / "run.pt")


def test_a_file_of_another_program_is_named(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of ocrlib"):
        load_checkpoint(tmp_path / "run.pt")


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch, where):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1})

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(OSError, match=r"Could not write the checkpoint .*run\.pt .*No space left.*another checkpoint=path"):
        save_checkpoint(path, {"step": 2})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_while_writing_leaves_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1})

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"step": 2})
    assert list(tmp_path.iterdir()) == [path]
