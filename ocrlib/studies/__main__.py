"""Record the runs of a study: ``python -m ocrlib.studies ctc_vs_ce`` does those that are missing in notebooks/records/.

Stop it when you like: the same command goes on with the next run. By default a run has one thread, and there are as many runs
side by side as cores: on two cores nearly twice as fast as one run at a time with two threads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ocrlib import load_captchas, pick_budget
from ocrlib.checkpoints import PRETRAINED
from ocrlib.studies import cross_validation, ctc_vs_ce, open_questions, reproduction, synthetic_to_real
from ocrlib.studies.pretraining import pretrain, trained_file
from ocrlib.studies.records import Figures, data_fingerprint, read_records, record_runs, run_recipe
from ocrlib.studies.repetitions import check_repetition, repeat

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "records"
Job = dict[str, Any]  # the arguments of a run


class Study(NamedTuple):
    """The function and the jobs behind a file of records, and a small job that the smoke tests repeat, or None."""

    function: Callable[..., Figures]
    jobs: list[Job]
    smoke_job: Job | None = None


STUDIES = {
    "ctc_vs_ce": Study(ctc_vs_ce.compare, ctc_vs_ce.JOBS, ctc_vs_ce.SMOKE_JOB),
    "reproduction": Study(run_recipe, reproduction.jobs(), reproduction.SMOKE_JOB),
    "cross_validation": Study(cross_validation.cross_validate, cross_validation.jobs(), cross_validation.SMOKE_JOB),
    "variants": Study(open_questions.train_variant, open_questions.VARIANT_JOBS, open_questions.SMOKE_JOB),
    "receptive_fields": Study(open_questions.train_to_look, open_questions.LOOKING_JOBS),
    "remedies": Study(open_questions.try_remedy, open_questions.REMEDY_JOBS),
    "synthetic_to_real": Study(synthetic_to_real.transfer, synthetic_to_real.JOBS, synthetic_to_real.SMOKE_JOB),
    "pretrained": Study(pretrain, [{}]),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, say how long the study will take, and record it."""
    parser = argparse.ArgumentParser("python -m ocrlib.studies", description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=STUDIES, help="which study; `pretrained` also puts its network into the package")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs side by side (default: one a core)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run; its last bits depend on them (default 1)")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N runs of the study")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files lie (default: notebooks/records)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", action="store_true", help="count the runs and estimate the time; run nothing")
    which.add_argument("--smoke", action="store_true", help="record the small run that the smoke tests repeat")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        raise SystemExit(f"There is no folder {options.folder}. Work in a checkout of the project, or name one with --folder.")
    study = STUDIES[options.study]
    path, jobs = options.folder / f"{options.study}.jsonl", study.jobs[: options.first]
    if options.smoke:
        os.environ["OCRLIB_BUDGET"] = "smoke"
        path, jobs = options.folder / f"{options.study}_smoke.jsonl", [study.smoke_job or study.jobs[0]]
    print(pick_budget().banner, load_captchas(), progress(path, jobs, options.workers), sep="\n", flush=True)
    if options.list:
        return
    if options.study == "pretrained":
        record_or_repeat(path)
        return
    refuse_other_data(path)
    # Spawned, not forked: the copy of a process whose torch already has threads can hang.
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        record_runs(path, jobs, study.function, pool, options.threads)


def record_or_repeat(path: Path) -> None:
    """Train the package's network and put it in place; or repeat its recorded training, and replace it by equal bits only."""
    equal = True
    if recorded := read_records(path):
        repetition = repeat(recorded[0])
        print(check_repetition(repetition))
        equal = not repetition.differences
    else:
        record_runs(path, [{}], pretrain, threads=1)
    if equal and pick_budget().name == "full":
        shutil.copyfile(trained_file(), PRETRAINED)
        print(f"{PRETRAINED}: {PRETRAINED.stat().st_size / 1e6:.2f} MB")


def refuse_other_data(path: Path) -> None:
    """Raise ``SystemExit`` if the file holds runs under another budget or on other images: a figure would mix them."""
    here = pick_budget().name, data_fingerprint()
    for there in {(record.budget, record.data) for record in read_records(path)} - {here}:
        raise SystemExit(
            "{} holds runs with budget {} on images {}; new ones would have budget {} and images {}. ".format(path, *there, *here)
            + "Set OCRLIB_BUDGET and OCRLIB_DATA as they were, or move the file away for a new one."
        )


def progress(path: Path, jobs: list[Job], workers: int) -> str:
    """How many of the jobs are in the file, and about how long the others take.

    A job takes as long as the runs that differ in seed, split and fold only; where there are none, as long as all on average.
    """

    def kind(arguments: Job) -> Job:
        return {name: value for name, value in arguments.items() if name not in ("seed", "split_seed", "fold")}

    here = pick_budget().name, data_fingerprint()
    records = [record for record in read_records(path) if (record.budget, record.data) == here]
    missing = [job for job in jobs if job not in [record.arguments for record in records]]
    line = f"{path.name}: {len(jobs) - len(missing)} of {len(jobs)} runs recorded"
    if not missing or not records:
        return line
    left = 0.0
    for job in missing:
        alike = [record.seconds for record in records if kind(record.arguments) == kind(job)]
        left += statistics.mean(alike or [record.seconds for record in records])
    return f"{line}; the other {len(missing)} take about {timedelta(seconds=round(left / workers))} (h:mm:ss)"


if __name__ == "__main__":
    main()
