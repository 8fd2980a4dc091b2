"""Studies of many runs: each finished run is one line of a file. It is never done twice, and its line can be repeated."""

from __future__ import annotations

import inspect
import json
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock  # torch needs it too, so it is there

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import Report
from ocrlib.experiments import EXPERIMENTS, REPORTED_SEED, REPORTED_SPLIT, checkpoint_files, run
from ocrlib.processor import cpuinfo, is_portable
from ocrlib.runtime import Remark, describe_device, extra, fast_dtype, pick_budget, pick_device, progress, runs_folder, versions

if TYPE_CHECKING:
    import pandas as pd

SEEDS = (REPORTED_SEED, 1, 2, 3, 4)  # of training, in the studies that repeat the reported recipes
Figures = Mapping[str, Any]  # the results of a run by name: numbers, texts, lists and dicts, as JSON can hold them

# ocrlib's functions that are recorded. A record has the name on the left, so that it stays valid when code moves.
RUNS = {
    "recipe": "ocrlib.studies.records:run_recipe",
    "ctc_vs_ce": "ocrlib.studies.ctc_vs_ce:compare",
    "curves": "ocrlib.studies.reproduction:follow",
    "cross_validation": "ocrlib.studies.cross_validation:cross_validate",
    "variants": "ocrlib.studies.open_questions:train_variant",
    "receptive_fields": "ocrlib.studies.open_questions:train_to_look",
    "remedies": "ocrlib.studies.open_questions:try_remedy",
    "synthetic_to_real": "ocrlib.studies.synthetic_to_real:transfer",
    "real_alone": "ocrlib.studies.synthetic_to_real:train_alone",
    "tuning": "ocrlib.studies.tuning:tune",
    "pretrained": "ocrlib.studies.pretraining:pretrain",
    "peers": "ocrlib.studies.peers:read_with",
    "keras_example": "ocrlib.studies.keras_example:train_example",
}
_ONE_AT_A_TIME = threading.RLock()  # threads share torch's random state and thread count: their runs would mix


@dataclass(frozen=True)
class Record:
    """A run, where it was done, and its figures. One that is still to be done has neither figures nor device."""

    function: str  # a name of `RUNS`, or "module:name" for a function of your own
    arguments: dict[str, Any]
    budget: str
    data: str  # `data_fingerprint`
    threads: int
    device: str
    versions: dict[str, str]
    figures: dict[str, Any]
    seconds: float  # wall seconds, with loading and reading

    @property
    def key(self) -> str:
        """Equal for two records of the same run. The number of threads makes no difference."""
        return json.dumps([self.function, self.arguments, self.budget, self.data], sort_keys=True)


def run_recipe(recipe: str, seed: int = REPORTED_SEED, split_seed: int = REPORTED_SPLIT, width: int | None = None) -> Figures:
    """Train and evaluate a recipe of `EXPERIMENTS`, at another ``width`` in pixels if given, and return its `run_figures`."""
    experiment = EXPERIMENTS[recipe] if width is None else replace(EXPERIMENTS[recipe], width=width)
    captchas = load_captchas(width=experiment.width)
    checkpoint = checkpoint_of_run(f"{recipe}-{experiment.width}-{seed}-{split_seed}", captchas)
    report = run(experiment, seed, split_seed, captchas, checkpoint=checkpoint)
    for file in checkpoint_files(experiment, checkpoint):
        file.unlink(missing_ok=True)
    return run_figures(report)


def run_figures(report: Report, *without: str) -> dict[str, Any]:
    """The figures that a record keeps of a `Report` with the training's history, but for those named in ``without``.

    Losses are in nats a symbol, ``mistakes`` are [predicted, true] of each misread image. ``history`` is a digest of all losses.
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


def arithmetic() -> str:
    """What the last bits depend on beside the versions: "portable" (see `ocrlib.processor`), or the processor and its
    instructions; and the type that is computed in."""
    device = pick_device()
    portable = device.type == "cpu" and is_portable()
    how = ["portable"] if portable else [cpuinfo("model name"), torch.backends.cpu.get_cpu_capability()]
    return ", ".join(filter(None, [*how, str(fast_dtype(device) or torch.float32)]))


def checkpoint_of_run(name: str, captchas: Captchas) -> Path:
    """The file that a run goes on from after it was stopped. Whoever does the run deletes it at the end."""
    folder = runs_folder(pick_budget(), captchas.source) / "recorded"
    return folder / f"{name}-{captchas.fingerprint()}-{torch.get_num_threads()}.pt"  # other threads, other bits


def record_runs(
    path: str | Path, jobs: Iterable[Mapping[str, Any]], function: Callable[..., Figures] = run_recipe,
    executor: Executor | None = None, threads: int | None = None,
) -> list[Record]:  # fmt: skip
    """Run ``function(**job)`` for each job that is not yet in the file ``path``; return all records in the order of the jobs.

    A run is added when it ends, so a study that was stopped goes on, and two can share a file. Without an ``executor`` of
    ``concurrent.futures`` jobs run here, one by one. All runs have the same number of ``threads``: last bits depend on it.

    Figures are written as strict JSON: NumPy's and torch's numbers as plain ones, null for what is not finite, and, with a
    warning, words for what JSON can't hold; no finished run is lost.

    Raises ``ValueError`` for a function that can't be imported by its name or a job that JSON can't hold, ``RuntimeError``
    with the job's arguments when a job fails: the runs under way are still recorded, no others are started.
    """
    path, name, here = Path(path), _name(function), (pick_budget().name, data_fingerprint())
    undone = Record(name, {}, *here, threads or torch.get_num_threads(), device="", versions={}, figures={}, seconds=0.0)
    plans = [replace(undone, arguments=_as_json(job)) for job in jobs]
    done = {record.key for record in read_records(path)}
    missing = {plan.key: plan for plan in plans if plan.key not in done}
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # fails before the first run, not after it, where nothing can be written
    finished = _finished(function, missing.values(), executor)
    for record in progress(finished, desc=path.stem, total=len(plans), initial=len(plans) - len(missing), unit="run"):
        add_record(path, record)
    found = {record.key: record for record in read_records(path)}
    return [found[plan.key] for plan in plans]


def _finished(function: Callable[..., Figures], plans: Iterable[Record], executor: Executor | None) -> Iterator[Record]:
    """Records as their runs end. After a failure no more are started; it is raised when those under way have ended."""
    if executor is None:
        yield from (run_plan(function, plan) for plan in plans)
        return
    pending = {executor.submit(run_plan, function, plan) for plan in plans}
    try:
        for future in as_completed(list(pending)):
            pending.remove(future)
            yield future.result()
    except BrokenExecutor as error:
        hint = "a worker process ended before its run did (too little memory?)"
        if function.__module__ == "__main__":
            hint = f"its processes could not find {function.__name__}, which is defined in this notebook or script. Put it into "
            hint += "a module, a file beside it such as study.py, import it from there, and give that to record_runs"
        raise RuntimeError(f"The pool of processes broke: {hint}.") from error
    except Exception:
        under_way = [future for future in pending if not future.cancel()]
        yield from (future.result() for future in as_completed(under_way) if not future.exception())
        raise
    finally:  # also where the stop button ended this
        for future in pending:
            future.cancel()


def run_plan(function: Callable[..., Figures], plan: Record) -> Record:
    """Do one run in this process. Raises as `record_runs`, or where the process finds another budget or other images."""
    with _ONE_AT_A_TIME:
        before, began = torch.get_num_threads(), time.perf_counter()
        torch.set_num_threads(plan.threads)
        try:
            if (pick_budget().name, data_fingerprint()) != (plan.budget, plan.data):
                raise ValueError("the study has another OCRLIB_BUDGET or OCRLIB_DATA (give a full path) than this process")
            figures = _as_figures(function(**plan.arguments))
        except Exception as error:
            # Only the error's text is kept: an exception that can't be unpickled would break a pool of processes.
            words = ", ".join(f"{name}={value!r}" for name, value in plan.arguments.items())
            raise RuntimeError(f"{plan.function}({words}) failed with {type(error).__name__}: {error}") from error
        finally:
            torch.set_num_threads(before)
        device, seconds = describe_device(pick_device()), round(time.perf_counter() - began, 2)
        return replace(plan, device=device, versions=versions(), figures=figures, seconds=seconds)


def data_fingerprint() -> str:
    """Fingerprint of the data set that `load_captchas` finds, at 200 x 50 pixels: the same for recipes of every width."""
    return load_captchas(width=200, height=50).fingerprint()


def read_records(path: str | Path) -> list[Record]:
    """All records of a file, each run once; none if there is no file. Raises ``ValueError`` with the number of a broken line."""
    path, records = Path(path), {}
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    if lines and not _is_whole(lines[-1]):
        lines.pop()  # it was being written when the machine stopped
    names = {place.partition(":")[2]: name for name, place in RUNS.items()}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = Record(**json.loads(line))
            module, _, function = record.function.partition(":")
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"Line {number} of {path} is not a record ({error}). Delete it: its run is done again.") from error
        if module.startswith("ocrlib."):  # recorded before runs had names of their own; the module may have moved since
            record = replace(record, function=names.get(function, record.function))
        records.setdefault(record.key, record)
    return list(records.values())


def _is_whole(line: str | bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def add_record(path: Path, record: Record) -> None:
    """Add one line to the file, while no other process does. The file's folder must be there."""
    with FileLock(path.with_name(f".{path.name}.lock")), open(path, "ab+") as file:
        file.seek(0)
        last = file.read().rpartition(b"\n")[2]
        if _is_whole(last):
            file.write(b"\n")  # an editor left out the newline
        else:
            file.truncate(file.tell() - len(last))
        file.write(json.dumps(vars(record), sort_keys=True, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def records_frame(records: Sequence[Record], defaults: Callable[..., Any] | None = None) -> pd.DataFrame:
    """A table with a row for each run: its arguments, its figures, and the record itself in the column ``record``.

    ``defaults`` is the function that was run, or the class of its arguments: it fills in the arguments that a record doesn't
    name. A figure with an argument's name gets "_figure" behind it. Seeds and splits are sorted, the reported ones first.
    """
    with extra("notebooks"):
        import pandas as pd
    parameters = inspect.signature(defaults).parameters if defaults else {}
    usual = {name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty}
    arguments = pd.DataFrame([usual | record.arguments for record in records])
    figures = pd.DataFrame([record.figures for record in records])
    table = arguments.merge(figures, left_index=True, right_index=True, suffixes=("", "_figure")).assign(record=records)
    reported = {"seed": REPORTED_SEED, "split_seed": REPORTED_SPLIT}
    order = [name for name in reported if name in table]
    return table.sort_values(order, key=lambda c: c.where(c != reported[c.name], -1), kind="stable", ignore_index=True)


def _name(function: Callable[..., Figures]) -> str:  # in a record
    name = getattr(function, "__qualname__", repr(function))
    if not name.isidentifier():
        raise ValueError(f"{name} can't be imported by its name; record_runs needs a function of a module's top level.")
    place = f"{function.__module__}:{name}"
    return next((study for study, known in RUNS.items() if known == place), place)


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a file would give them back, so that a new record equals one that was read."""
    try:
        return json.loads(json.dumps(dict(values), allow_nan=False, default=np.generic.item))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{values!r} can't be recorded ({error}); a dict of numbers, texts, lists and dicts can.") from error


def _as_figures(values: object) -> dict[str, Any]:
    """What a run gave, as strict JSON gives it back. Nothing is refused: the run is done."""
    if not isinstance(values, Mapping):
        warnings.warn(f"A run gave {type(values).__name__}, not figures by name: recorded as 'result'.", Remark, stacklevel=2)
        values = {"result": values}
    return json.loads(json.dumps(_plain(values), allow_nan=False))


def _plain(value: object) -> Any:
    if isinstance(value, (np.generic, np.ndarray, torch.Tensor)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(_plain(key)) if isinstance(key, np.generic) else str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    warnings.warn(f"JSON can't hold a {type(value).__name__}: recorded in words, {str(value)[:60]!r}.", Remark, stacklevel=2)
    return str(value)
