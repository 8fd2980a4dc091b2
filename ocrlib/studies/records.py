"""Studies of many runs: each finished run is one line of a file, never done twice, and can be repeated by its line."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from tqdm import tqdm

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import Report
from ocrlib.experiments import EXPERIMENTS, REPORTED_SEED, checkpoint_files, run
from ocrlib.runtime import arithmetic, describe_device, pick_budget, pick_device, runs_folder, versions

SEEDS = (REPORTED_SEED, 1, 2, 3, 4)  # of training, in the studies that repeat the reported recipes
Figures = Mapping[str, Any]  # the results of a run by name: numbers, texts, lists and dicts, as JSON can hold them

# ocrlib's functions that are recorded. A record has the name on the left, so that it stays valid when code moves.
RUNS = {
    "recipe": "ocrlib.studies.records:run_recipe",
    "ctc_vs_ce": "ocrlib.studies.ctc_vs_ce:compare",
    "cross_validation": "ocrlib.studies.cross_validation:cross_validate",
    "variants": "ocrlib.studies.open_questions:train_variant",
    "receptive_fields": "ocrlib.studies.open_questions:train_to_look",
    "remedies": "ocrlib.studies.open_questions:try_remedy",
    "synthetic_to_real": "ocrlib.studies.synthetic_to_real:transfer",
    "pretrained": "ocrlib.studies.pretraining:pretrain",
}
_OLD_NAMES = {  # in files that were recorded before runs had names of their own
    "ocrlib.records:run_recipe": "recipe",
    "ocrlib.comparison:compare": "ctc_vs_ce",
    "ocrlib.cross_validation:cross_validate": "cross_validation",
    "ocrlib.questions:train_variant": "variants",
    "ocrlib.questions:train_to_look": "receptive_fields",
    "ocrlib.questions:try_remedy": "remedies",
    "ocrlib.transfer:transfer": "synthetic_to_real",
    "ocrlib.pretrained:pretrain": "pretrained",
}

_ONE_AT_A_TIME = threading.RLock()  # threads share torch's random state and thread count: their runs would mix


@dataclass(frozen=True)
class Plan:
    """What a run is, before it is done: all that a worker needs to know, beside the function itself."""

    function: str  # a name of `RUNS`, or "module:name" for a function of your own
    arguments: dict[str, Any]
    budget: str
    data: str  # fingerprint of the images at 200 x 50, so that it doesn't depend on the recipe's width
    threads: int

    @property
    def key(self) -> str:
        """What makes two runs the same run: function, arguments, budget and data."""
        return json.dumps([self.function, self.arguments, self.budget, self.data], sort_keys=True)


@dataclass(frozen=True)
class Record(Plan):
    """One finished run: what was run, on what, with what, and the figures it gave. ``seconds`` are wall seconds of it all."""

    device: str
    versions: dict[str, str]
    figures: dict[str, Any]
    seconds: float


def run_recipe(recipe: str, seed: int = 42069, split_seed: int = 42, width: int | None = None) -> Figures:
    """One run of a recipe of ``EXPERIMENTS``, as figures: CER with its edits, exact match, losses, seconds of training.

    ``width`` is that of the images in pixels, where it is not to be the recipe's own; ``mistakes`` are [predicted, true] of
    each misread test image. A run that was stopped goes on from its checkpoint below `runs_folder`, which is deleted at the end.
    """
    experiment = EXPERIMENTS[recipe] if width is None else replace(EXPERIMENTS[recipe], width=width)
    captchas = load_captchas(width=experiment.width)
    checkpoint = checkpoint_of_run(f"{recipe}-{experiment.width}-{seed}-{split_seed}", captchas)
    report = run(experiment, seed, split_seed, captchas, checkpoint=checkpoint)
    for file in checkpoint_files(experiment, checkpoint):
        file.unlink(missing_ok=True)
    return run_figures(report)


def run_figures(report: Report, *without: str) -> dict[str, Any]:
    """What a recorded run keeps of a training and its evaluation, but for the names in ``without``.

    ``report`` must come after a training (`ocrlib.evaluation.Report.after_training`). Losses are in nats, ``mistakes``
    are [predicted, true] of each misread image, ``history`` is the digest of all losses.
    """
    figures = report.figures | {
        "mistakes": report.misread,
        "train_loss": report.history.train_loss[-1],
        "test_loss": report.history.test_loss[-1],
        "history": report.history.digest(),
        "training_seconds": round(report.seconds, 2),
        "arithmetic": arithmetic(),
    }
    return {name: value for name, value in figures.items() if name not in without}


def checkpoint_of_run(name: str, captchas: Captchas) -> Path:
    """Where a run of some minutes keeps its checkpoint, so that one that was stopped goes on; to be deleted at its end.

    The last bits depend on the number of threads, so a checkpoint made with another one is not gone on from.
    """
    folder = runs_folder(pick_budget(), captchas.source) / "recorded"
    return folder / f"{name}-{captchas.fingerprint()}-{torch.get_num_threads()}.pt"


def record_runs(
    path: str | Path,
    jobs: Iterable[Mapping[str, Any]],
    function: Callable[..., Figures] = run_recipe,
    executor: Executor | None = None,
    threads: int | None = None,
) -> list[Record]:
    """The records of ``function(**job)`` for each job, in the order of the jobs; those not yet in the file are run.

    ``path`` is a file of JSON lines; each run is added to it when it ends, so a stopped study goes on where it was, and
    two studies on one file lose nothing. ``executor`` is any of ``concurrent.futures`` (a pool of processes, or Dask's
    ``client.get_executor()``); without one, the jobs run here, one after the other. Every run has the same number of
    ``threads`` (by default torch's present one), since the last bits of a sum depend on it.

    Raises ``ValueError`` for a function that can't be found again by its name, or a job that JSON can't hold, and
    ``RuntimeError`` that names the job when one fails. Jobs not yet started are then left out, those that end are recorded.
    """
    path, name, threads = Path(path), _name(function), threads or torch.get_num_threads()
    budget, data = pick_budget().name, data_fingerprint()
    plans = [Plan(name, _as_json(job), budget, data, threads) for job in jobs]
    done = {record.key for record in read_records(path)}
    missing = {plan.key: plan for plan in plans if plan.key not in done}
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # a place that can't be written to is better known before the first run than after it
    with tqdm(total=len(plans), initial=len(plans) - len(missing), desc=path.stem, unit="run") as bar:
        for record in _finished(function, missing.values(), executor):
            add_record(path, record)
            bar.update()
    found = {record.key: record for record in read_records(path)}
    return [found[plan.key] for plan in plans]


def _finished(function: Callable[..., Figures], plans: Iterable[Plan], executor: Executor | None) -> Iterator[Record]:
    """Records as their runs end. After a failure no more are started; it is raised when those under way have ended."""
    if executor is None:
        yield from (run_plan(function, plan) for plan in plans)
        return
    pending = {executor.submit(run_plan, function, plan) for plan in plans}
    failure: BaseException | None = None
    try:
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                if error := future.exception():
                    failure = failure or error
                else:
                    yield future.result()
            if failure:
                pending = {future for future in pending if not future.cancel()}
    finally:
        for future in pending:
            future.cancel()
    if failure:
        raise failure


def run_plan(function: Callable[..., Figures], plan: Plan) -> Record:
    """Do one run: here, in a worker process, or on another machine."""
    with _ONE_AT_A_TIME:
        before, began = torch.get_num_threads(), time.perf_counter()
        try:
            budget, data = pick_budget().name, data_fingerprint()
            if (budget, data) != (plan.budget, plan.data):
                raise ValueError(
                    f"the study has budget {plan.budget} and data {plan.data}, but this process finds {budget} and {data}. "
                    "Start the workers with the study's OCRLIB_BUDGET and OCRLIB_DATA (a full path)."
                )
            torch.set_num_threads(plan.threads)
            figures = _as_json(function(**plan.arguments))
        except Exception as error:
            # Only the error's text is kept: an exception that can't be unpickled would take a whole pool down.
            words = ", ".join(f"{name}={value!r}" for name, value in plan.arguments.items())
            raise RuntimeError(f"{plan.function}({words}) failed with {type(error).__name__}: {error}") from error
        finally:
            torch.set_num_threads(before)
        device, seconds = describe_device(pick_device()), round(time.perf_counter() - began, 2)
        return Record(**asdict(plan), device=device, versions=versions(), figures=figures, seconds=seconds)


def data_fingerprint() -> str:
    """Fingerprint of the data set that `load_captchas` finds here and now, at its published size of 200 x 50 pixels."""
    return load_captchas(width=200, height=50).fingerprint()


def read_records(path: str | Path) -> list[Record]:
    """All records of a file, each run once (the first if two studies did it at the same time); none if there is no file.

    Raises ``ValueError`` naming the line for one that is no record. A last line that was cut off is passed over.
    """
    path = Path(path)
    records: dict[str, Record] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            record = Record(**values | {"function": _OLD_NAMES.get(values["function"], values["function"])})
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            if number == len(lines):
                continue  # no newline at its end: the machine went down while it was written
            raise ValueError(f"Line {number} of {path} is not a record ({error}). Delete it; its run is done again.") from error
        records.setdefault(record.key, record)
    return list(records.values())


def add_record(path: str | Path, record: Record) -> None:
    """Add one line to the file, whole or not at all, whoever else is adding to it. Its folder must be there."""
    path = Path(path)
    with FileLock(path.with_name(f".{path.name}.lock")), open(path, "ab+") as file:
        file.seek(0)
        last = file.read().rpartition(b"\n")[2]
        if last:
            try:
                json.loads(last)
                file.write(b"\n")  # whole, but somebody's editor left out the newline
            except ValueError:
                file.truncate(file.tell() - len(last))  # cut off: dropped, so that ours stands by itself
        file.write(json.dumps(asdict(record), sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _name(function: Callable[..., Figures]) -> str:
    name = getattr(function, "__qualname__", repr(function))
    if not name.isidentifier():
        raise ValueError(f"{name} can't be found again by its name; record_runs needs a function of a module's top level.")
    place = f"{function.__module__}:{name}"
    return next((study for study, known in RUNS.items() if known == place), place)


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from a file, so that a new record equals one that was read."""
    try:
        return json.loads(json.dumps(dict(values)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{values!r} can't be recorded ({error}); a dict of numbers, texts, lists and dicts can.") from error
