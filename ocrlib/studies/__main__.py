"""Record a study: ``python -m ocrlib.studies ctc_vs_ce`` does the runs that are missing; stop it when you like, it goes on."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ocrlib.data.loading import load_captchas
from ocrlib.runtime import pick_budget
from ocrlib.studies import cross_validation, ctc_vs_ce, open_questions, reproduction, synthetic_to_real
from ocrlib.studies.pretraining import pretrain
from ocrlib.studies.records import data_fingerprint, read_records, record_runs, run_recipe

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "records"


# For each file of records: the function, its arguments for each run, and those of a small run that the smoke tests repeat.
STUDIES = {
    "ctc_vs_ce": (ctc_vs_ce.compare, ctc_vs_ce.jobs(), ctc_vs_ce.SMOKE_JOB),
    "reproduction": (run_recipe, reproduction.jobs(), reproduction.SMOKE_JOB),
    "cross_validation": (cross_validation.cross_validate, cross_validation.jobs(), cross_validation.SMOKE_JOB),
    "variants": (open_questions.train_variant, open_questions.variant_jobs(), open_questions.SMOKE_JOB),
    "receptive_fields": (open_questions.train_to_look, open_questions.looking_jobs(), open_questions.looking_jobs()[0]),
    "remedies": (open_questions.try_remedy, open_questions.remedy_jobs(), open_questions.remedy_jobs()[0]),
    "synthetic_to_real": (synthetic_to_real.transfer, synthetic_to_real.jobs(), synthetic_to_real.SMOKE_JOB),
    "pretrained": (pretrain, [{}], {}),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, say how much of the study is there, and record the rest."""
    parser = argparse.ArgumentParser("python -m ocrlib.studies", description=__doc__)
    parser.add_argument("study", choices=STUDIES, help="which study; `pretrained` leaves its network below the folder runs")
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
    print(pick_budget().banner, load_captchas(), progress(path, jobs), sep="\n", flush=True)
    if options.list:
        return
    # Spawned, not forked: the copy of a process whose torch already has threads can hang.
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        record_runs(path, jobs, function, pool, options.threads)


def progress(path: Path, jobs: list[dict[str, object]]) -> str:
    """How many of the jobs are in the file. Raises ``SystemExit`` if it has another budget or other images: they would mix."""
    records = read_records(path)
    if {(record.budget, record.data) for record in records} - {(pick_budget().name, data_fingerprint())}:
        raise SystemExit(f"{path} has runs of another OCRLIB_BUDGET or OCRLIB_DATA. Set these as they were, or move it away.")
    recorded = [record.arguments for record in records]
    return f"{path.name}: {sum(job in recorded for job in jobs)} of {len(jobs)} runs recorded"


if __name__ == "__main__":
    main()
