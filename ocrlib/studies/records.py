"""Studies of many runs: each finished run is one line of a file. It is never done twice, and its line can be repeated."""

from __future__ import annotations

import inspect
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock
from tqdm import tqdm

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import Report
from ocrlib.experiments import EXPERIMENTS, REPORTED_SEED, REPORTED_SPLIT, checkpoint_files, run
from ocrlib.runtime import arithmetic, describe_device, pick_budget, pick_device, runs_folder, versions

if TYPE_CHECKING:
    import pandas

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
    """A run that is to be done: all that a worker needs to know beside the function itself."""

    function: str  # a name of `RUNS`, or "module:name" for a function of your own
    arguments: dict[str, Any]
    budget: str
    data: str  # `data_fingerprint`
    threads: int

    @property
    def key(self) -> str:
        """Equal for two plans of the same run. The number of threads makes no difference."""
        return json.dumps([self.function, self.arguments, self.budget, self.data], sort_keys=True)


@dataclass(frozen=True)
class Record(Plan):
    """A finished run: its plan, where it was done, and its figures. ``seconds`` are wall seconds, with loading and reading."""

    device: str
    versions: dict[str, str]
    figures: dict[str, Any]
    seconds: float


def run_recipe(recipe: str, seed: int = 42069, split_seed: int = 42, width: int | None = None) -> Figures:
    """Train and evaluate a recipe of `EXPERIMENTS`, and return its `run_figures`.

    ``width`` replaces the recipe's own width of the images in pixels. A run that was stopped goes on from its checkpoint below
    `runs_folder`. The checkpoint is deleted at the end.
    """
    experiment = EXPERIMENTS[recipe] if width is None else replace(EXPERIMENTS[recipe], width=width)
    captchas = load_captchas(width=experiment.width)
    checkpoint = checkpoint_of_run(f"{recipe}-{experiment.width}-{seed}-{split_seed}", captchas)
    report = run(experiment, seed, split_seed, captchas, checkpoint=checkpoint)
    for file in checkpoint_files(experiment, checkpoint):
        file.unlink(missing_ok=True)
    return run_figures(report)


def run_figures(report: Report, *without: str) -> dict[str, Any]:
    """The figures that a record keeps of a training and its evaluation, but for those named in ``without``.

    ``report`` must hold the training's history (see `ocrlib.evaluation.Report.after_training`). Losses are in nats a symbol,
    ``mistakes`` are [predicted, true] of each misread image, ``history`` is the digest of all losses.
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
    """The checkpoint file of a run that takes minutes. Whoever does the run deletes it at the end.

    Its name holds the number of threads: with another number the last bits would differ.
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
    """Run ``function(**job)`` for each job that is not yet in the file ``path``; return all records in the order of the jobs.

    Each run is added to the file when it ends, so a study that was stopped goes on where it was, and two studies can write to
    one file. ``executor`` is any of ``concurrent.futures``, for example a pool of processes; without one, the jobs run here,
    one after the other. Every run has the same number of ``threads`` (by default torch's present one), because the last bits
    of a sum depend on it.

    Raises ``ValueError`` for a function that can't be imported by its name, or a job that JSON can't hold. Raises
    ``RuntimeError`` with the job's arguments when a job fails: the runs under way are still recorded, no others are started.
    """
    path, threads = Path(path), threads or torch.get_num_threads()
    name, budget, data = _name(function), pick_budget().name, data_fingerprint()
    plans = [Plan(name, _as_json(job), budget, data, threads) for job in jobs]
    done = {record.key for record in read_records(path)}
    missing = {plan.key: plan for plan in plans if plan.key not in done}
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # fails before the first run, not after it, where nothing can be written
    with tqdm(total=len(plans), initial=len(plans) - len(missing), desc=path.stem, unit="run") as bar:
        for record in _finished(function, list(missing.values()), executor):
            add_record(path, record)
            bar.update()
    found = {record.key: record for record in read_records(path)}
    return [found[plan.key] for plan in plans]


def _finished(function: Callable[..., Figures], plans: Sequence[Plan], executor: Executor | None) -> Iterator[Record]:
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
                failure = failure or future.exception()
                if not future.exception():
                    yield future.result()
            if failure:
                pending = {future for future in pending if not future.cancel()}
    finally:
        for future in pending:
            future.cancel()
    if failure:
        raise failure


def run_plan(function: Callable[..., Figures], plan: Plan) -> Record:
    """Do one run in this process. Raises as `record_runs`, or where the process finds another budget or other images."""
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
            # Only the error's text is kept: an exception that can't be unpickled would break a pool of processes.
            words = ", ".join(f"{name}={value!r}" for name, value in plan.arguments.items())
            raise RuntimeError(f"{plan.function}({words}) failed with {type(error).__name__}: {error}") from error
        finally:
            torch.set_num_threads(before)
        device, seconds = describe_device(pick_device()), round(time.perf_counter() - began, 2)
        return Record(**asdict(plan), device=device, versions=versions(), figures=figures, seconds=seconds)


def data_fingerprint() -> str:
    """Fingerprint of the data set that `load_captchas` finds, at 200 x 50 pixels: the same for recipes of every width."""
    return load_captchas(width=200, height=50).fingerprint()


def read_records(path: str | Path) -> list[Record]:
    """All records of a file, each run once; none if there is no file. Raises ``ValueError`` with the number of a broken line.

    A last line without a newline is passed over: it was being written when the machine stopped.
    """
    path = Path(path)
    records: dict[str, Record] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            record = Record(**values | {"function": _OLD_NAMES.get(values["function"], values["function"])})
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise ValueError(f"Line {number} of {path} is not a record ({error}). Delete it: its run is done again.") from error
        records.setdefault(record.key, record)
    return list(records.values())


def add_record(path: str | Path, record: Record) -> None:
    """Add one line to the file, while no other process does. The file's folder must be there."""
    path = Path(path)
    with FileLock(path.with_name(f".{path.name}.lock")), open(path, "ab+") as file:
        file.seek(0)
        cut_off = file.read().rpartition(b"\n")[2]
        file.truncate(file.tell() - len(cut_off))
        file.write(json.dumps(asdict(record), sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def records_frame(records: Iterable[Record], defaults: Callable[..., Any] | None = None) -> pandas.DataFrame:
    """A table with a row for each run: its arguments, its figures, and the record itself in the column ``record``.

    ``defaults`` is the function that was run, or the class of its arguments: its defaults fill in the arguments that a record
    doesn't name. A figure with the name of an argument gets "_figure" behind its name. The rows are sorted by seed and split,
    the reported ones first.
    """
    import pandas  # here: it takes half a second, which every worker process would have to wait

    parameters = inspect.signature(defaults).parameters.values() if defaults else []
    usual = {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
    records = list(records)
    taken = {name for record in records for name in usual | record.arguments}
    rows = []
    for record in records:
        figures = {f"{name}_figure" if name in taken else name: value for name, value in record.figures.items()}
        rows.append({**usual, **record.arguments, **figures, "record": record})

    def reported_first(row: dict[str, Any]) -> list[tuple[bool, int]]:
        reported = {"seed": REPORTED_SEED, "split_seed": REPORTED_SPLIT}
        return [(row.get(name) != value, row.get(name, value)) for name, value in reported.items()]

    return pandas.DataFrame(sorted(rows, key=reported_first))


def _name(function: Callable[..., Figures]) -> str:
    """The function's name in a record."""
    name = getattr(function, "__qualname__", repr(function))
    if not name.isidentifier():
        raise ValueError(f"{name} can't be imported by its name; record_runs needs a function of a module's top level.")
    place = f"{function.__module__}:{name}"
    return next((study for study, known in RUNS.items() if known == place), place)


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a file would give them back, so that a new record equals one that was read."""
    try:
        return json.loads(json.dumps(dict(values)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{values!r} can't be recorded ({error}); a dict of numbers, texts, lists and dicts can.") from error
