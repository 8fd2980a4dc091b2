"""Runs for the tests of recorded runs. They stand at the top of a module of their own, so that worker processes find them."""

import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from toys import ALPHABET, ToyCTC, toy_captchas

from ocrlib import CTC, Record, fit, record_runs, seed_everything
from ocrlib.studies.records import add_record

SEEDS = [{"seed": seed} for seed in (5, 1, 4, 2, 3, 6)]  # not sorted: results follow the jobs, not their arguments


def train(seed: int, epochs: int = 2) -> dict:
    """A training run of a moment, as figures."""
    seed_everything(seed)
    model = ToyCTC()
    captchas = toy_captchas()
    optimizer = torch.optim.Adadelta(model.parameters())
    history = fit(model, CTC(ALPHABET), captchas, captchas, optimizer, epochs=epochs, batch_size=5, live=False)
    return {"losses": history.train_loss, "history": history.digest(), "threads": torch.get_num_threads()}


class NeedsTwoArguments(Exception):
    """As DivergedError: pickle can write it, but not read it again."""

    def __init__(self, message: str, extra: int) -> None:
        super().__init__(message)
        self.extra = extra


def number(number: int, fails: str | None = None, waits_for: str | None = None) -> dict:
    """A run that gives its number; or it makes a file and fails; or it waits for that file."""
    if fails:
        Path(fails).touch()
        raise NeedsTwoArguments("out of paper", 3)
    deadline = time.monotonic() + 60
    while waits_for and not Path(waits_for).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return {"number": number}


def look_for_data_in(folder: str) -> None:
    os.environ["OCRLIB_DATA"] = folder


def study(path: Path, data: Path, jobs: list[dict]) -> None:
    """A whole study, for a process of its own."""
    look_for_data_in(str(data))
    record_runs(path, jobs, train, threads=1)


def add_many(path: Path, record: Record, barrier) -> None:
    """Adds 50 records as fast as it can, starting together with others."""
    barrier.wait()
    for number in range(50):
        add_record(path, replace(record, arguments={"process": os.getpid(), "number": number}))
