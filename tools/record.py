"""Record the runs that a notebook plots: ``python tools/record.py 06`` does those that are missing.

As many runs as there are cores go side by side, each with one thread: on two cores that is nearly twice as fast as one run
at a time with two threads, and the figures don't depend on the number of cores. Stop it whenever you like: the same
command goes on with the next run. ``--list`` only counts what is there and what is missing; ``--smoke`` records the one
small run that a smoke test repeats, on whatever images are found: set ``OCRLIB_DATA`` to none, and ``OCRLIB_DOWNLOAD=0``, for
the generator's, which are the same everywhere.

A file holds runs under one budget on one data set, so that notebooks need not tell them apart; others are refused.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ocrlib.studies import (
    cross_validation,
    open_questions as questions,
    reproduction,
    synthetic_to_real as transfer,
    ctc_vs_ce as trials,
)
from ocrlib import load_captchas, pick_budget, read_records, record_runs, run_recipe
from ocrlib.studies.ctc_vs_ce import compare
from ocrlib.studies.records import data_fingerprint
from tasks import ROOT, make_paths_absolute, say
from terminal import describe_seconds


class Study(NamedTuple):
    """The runs behind one notebook: a file in notebooks/records/, the function, the arguments of each run, and of a small one."""

    file: str
    function: Callable[..., Mapping[str, Any]]
    jobs: list[dict[str, Any]]
    smoke_job: dict[str, Any]


STUDIES = {
    "06": Study("06_ctc_vs_ce", compare, trials.jobs(), trials.SMOKE_JOB),
    "07": Study("07_reproduction", run_recipe, reproduction.jobs(), reproduction.SMOKE_JOB),
    "07-folds": Study(
        "07_cross_validation", cross_validation.cross_validate, cross_validation.jobs(), cross_validation.SMOKE_JOB
    ),
    "08": Study("08_variants", questions.train_variant, questions.variant_jobs(), questions.SMOKE_JOB),
    "08-looking": Study("08_looking", questions.train_to_look, questions.looking_jobs(), questions.looking_jobs()[0]),
    "08-remedies": Study("08_remedies", questions.try_remedy, questions.remedy_jobs(), questions.remedy_jobs()[0]),
    "10": Study("10_synthetic_to_real", transfer.transfer, transfer.jobs(), transfer.SMOKE_JOB),
}


def main(arguments: list[str] | None = None, folder: Path = ROOT / "notebooks" / "records") -> None:
    """Read the command line, record, say how long it will take."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=sorted(STUDIES), help="number of the notebook, and which of its studies")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs side by side (default: one a core)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run; its last bits depend on them (default 1)")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N runs of the list")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", action="store_true", help="count the runs and estimate the time; run nothing")
    which.add_argument("--smoke", action="store_true", help="record the small run that the smoke tests repeat")
    options = parser.parse_args(arguments)
    make_paths_absolute()
    study = STUDIES[options.study]
    path, wanted = folder / f"{study.file}.jsonl", study.jobs[: options.first]
    if options.smoke:
        os.environ["OCRLIB_BUDGET"], path, wanted = "smoke", folder / f"{study.file}_smoke.jsonl", [study.smoke_job]
    say(f"{pick_budget().banner}\n{load_captchas()}\n{progress(path, wanted, options.workers)}")
    if not options.list:
        refuse_another_place(path)
        # Not forked: a copy of a process whose torch has threads already can hang.
        with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
            record_runs(path, wanted, study.function, pool, options.threads)


def refuse_another_place(path: Path) -> None:
    """Raise ``SystemExit`` if a file holds runs under another budget or on other images than are here."""
    here = pick_budget().name, data_fingerprint()
    others = {(record.budget, record.data) for record in read_records(path)} - {here}
    if others:
        there = " and ".join(f"with budget {budget} on images {data}" for budget, data in sorted(others))
        raise SystemExit(
            f"{path} holds runs {there}; here they would be with budget {here[0]} on images {here[1]}, and nobody could "
            f"tell them apart in a figure. Set OCRLIB_BUDGET and OCRLIB_DATA as they were, or move the file away for a new one."
        )


def progress(path: Path, wanted: list[dict[str, Any]], workers: int) -> str:
    """How many of the runs are in the file, and how long the rest takes if it goes on like the others, so many at a time."""
    here = pick_budget().name, data_fingerprint()
    there = [record for record in read_records(path) if (record.budget, record.data) == here]
    missing = [job for job in wanted if job not in [record.arguments for record in there]]
    line = f"{path.name}: {len(wanted) - len(missing)} of {len(wanted)} runs recorded"
    if not missing:
        return line
    if not there:
        return f"{line}; how long a run takes is not known yet"

    def seconds(job: dict[str, Any]) -> float:
        """The mean time of runs that differ in no more than seed, split and fold; of all, where there is none."""
        alike = [record.seconds for record in there if _kind(record.arguments) == _kind(job)]
        return statistics.mean(alike or [record.seconds for record in there])

    left = sum(map(seconds, missing))
    return (
        f"{line}; {len(missing)} to do take about {describe_seconds(left / workers)} at {left / len(missing):.1f} s a run, "
        f"{workers} at a time"
    )


def _kind(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in ("seed", "split_seed", "fold")}


if __name__ == "__main__":
    main()
