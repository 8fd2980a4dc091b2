"""Record a study: ``python -m ocrlib.studies ctc_vs_ce`` does the runs that are missing; stop it when you like, it goes on."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

from ocrlib.checkpoints import PRETRAINED
from ocrlib.data.loading import load_captchas
from ocrlib.runtime import pick_budget
from ocrlib.studies import (
    cross_validation,
    ctc_vs_ce,
    keras_example,
    open_questions,
    peers,
    reproduction,
    synthetic_to_real,
    tuning,
)
from ocrlib.studies.pretraining import pretrain, trained_file
from ocrlib.studies.records import data_fingerprint, read_records, record_runs, run_recipe
from ocrlib.studies.repetitions import check_repetition, repeat

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "records"

# For each file of records: the function, its arguments for each run, and those of a small run that the smoke tests repeat.
STUDIES = {
    "ctc_vs_ce": (ctc_vs_ce.compare, ctc_vs_ce.JOBS, ctc_vs_ce.SMOKE_JOB),
    "reproduction": (run_recipe, reproduction.jobs(), reproduction.SMOKE_JOB),
    "curves": (reproduction.follow, reproduction.CURVE_JOBS, reproduction.SMOKE_JOB),
    "cross_validation": (cross_validation.cross_validate, cross_validation.jobs(), cross_validation.SMOKE_JOB),
    "variants": (open_questions.train_variant, open_questions.VARIANT_JOBS, open_questions.SMOKE_JOB),
    "receptive_fields": (open_questions.train_to_look, open_questions.LOOKING_JOBS, open_questions.LOOKING_JOBS[0]),
    "remedies": (open_questions.try_remedy, open_questions.REMEDY_JOBS, open_questions.REMEDY_JOBS[0]),
    "water": (open_questions.try_remedy, open_questions.WATER_JOBS, open_questions.WATER_JOBS[0]),
    "synthetic_to_real": (synthetic_to_real.transfer, synthetic_to_real.JOBS, synthetic_to_real.SMOKE_JOB),
    "real_alone": (synthetic_to_real.train_alone, synthetic_to_real.ALONE_JOBS, synthetic_to_real.SMOKE_JOB),
    "tuning": (tuning.tune, tuning.JOBS, tuning.SMOKE_JOB),
    "pretrained": (pretrain, [{}], {}),
    "keras_example": (keras_example.train_example, keras_example.JOBS, keras_example.JOBS[0]),
    "peers": (peers.read_with, peers.JOBS, {"reader": peers.OURS}),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, say how much of the study is there, and record the rest."""
    parser = argparse.ArgumentParser("python -m ocrlib.studies", description=__doc__)
    parser.add_argument("study", choices=STUDIES, help="which study; `pretrained` puts the package's network in place")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs side by side (default: one a core)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run; its last bits depend on them (default 1)")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N runs of the study")
    parser.add_argument("--list", action="store_true", help="count the runs; run nothing")
    parser.add_argument("--smoke", action="store_true", help="record the small run that the smoke tests repeat")
    options = parser.parse_args(arguments)
    if not FOLDER.is_dir():
        raise SystemExit(f"There is no folder {FOLDER}. Work in a checkout of the project.")
    function, jobs, smoke_job = STUDIES[options.study]
    path, jobs = FOLDER / f"{options.study}.jsonl", jobs[: options.first]
    if options.smoke:
        os.environ["OCRLIB_BUDGET"] = "smoke"
        path, jobs = FOLDER / f"{options.study}_smoke.jsonl", [smoke_job]
    print(pick_budget().banner, load_captchas(), progress(path, jobs, options.workers), sep="\n", flush=True)
    if options.list:
        return
    if options.study == "pretrained":
        return record_or_repeat(path)
    refuse_other_data(path)
    if options.study == "peers":
        recorded = [record.arguments for record in read_records(path)]
        jobs = peers.available([job for job in jobs if job not in recorded])
    # Spawned, not forked: the copy of a process whose torch already has threads can hang.
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        record_runs(path, jobs, function, pool, options.threads)


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
        print(f"{PRETRAINED.name}: {PRETRAINED.stat().st_size / 1e6:.2f} MB")


def refuse_other_data(path: Path) -> None:
    """Raise ``SystemExit`` if the file holds runs under another budget or on other images: a figure would mix them."""
    here = pick_budget().name, data_fingerprint()
    for there in {(record.budget, record.data) for record in read_records(path)} - {here}:
        raise SystemExit(
            "{} holds runs with budget {} on images {}; new ones would have budget {} and images {}. ".format(path, *there, *here)
            + "Set OCRLIB_BUDGET and OCRLIB_DATA as they were, or move the file away for a new one."
        )


def progress(path: Path, jobs: list[dict[str, object]], workers: int) -> str:
    """How many of the jobs are in the file, and about how long the others take if they take as long as those on average."""
    records = read_records(path)
    recorded = [record.arguments for record in records]
    missing = sum(job not in recorded for job in jobs)
    line = f"{path.name}: {len(jobs) - missing} of {len(jobs)} runs recorded"
    if not missing or not records:
        return line
    left = missing * statistics.mean(record.seconds for record in records) / workers
    return f"{line}; the other {missing} take about {timedelta(seconds=round(left))} (h:mm:ss)"


if __name__ == "__main__":
    main()
