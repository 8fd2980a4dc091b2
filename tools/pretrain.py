"""Train the network that comes with the package, and put it in its place: ``python tools/pretrain.py``, about two minutes.

The run is recorded in notebooks/records/00_pretrained.jsonl. Where it is recorded already, it is done again, and what comes out
must be the same: the same bits on the same kind of processor with the same versions, else the tool says what differs.
"""

from __future__ import annotations

import shutil

from ocrlib import read_records, record_runs, repeat
from ocrlib.checkpoints import FILE
from ocrlib.studies.pretraining import pretrain, trained_file
from ocrlib.studies.repetitions import check_repetition
from tasks import ROOT, make_paths_absolute, say

RECORD = ROOT / "notebooks" / "records" / "00_pretrained.jsonl"


def main() -> None:
    """Train and record, or repeat and compare; then copy the file."""
    make_paths_absolute()
    if recorded := read_records(RECORD):
        say(check_repetition(repeat(recorded[0])))
    else:
        record_runs(RECORD, [{}], pretrain, threads=1)
    shutil.copyfile(trained_file(), FILE)
    say(f"{FILE.name}: {FILE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
