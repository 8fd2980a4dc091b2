"""Recorded runs done again here: which figures are the same, and what can explain a difference."""

from __future__ import annotations

from dataclasses import replace
from pkgutil import resolve_name
from typing import Any, NamedTuple

from ocrlib.runtime import pick_budget
from ocrlib.studies.records import RUNS, Record, data_fingerprint, run_plan

CONDITIONS = ("arithmetic", "packages", "processor")  # figures that say where a run was done


class Repetition(NamedTuple):
    """A recorded run and the same run done again here; ``str()`` shows them side by side."""

    recorded: Record
    repeated: Record

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Figures that are not equal, as (recorded, repeated). Seconds, the date and `CONDITIONS` are no results."""
        old, new = self.recorded.figures, self.repeated.figures
        names = [name for name in old | new if not name.endswith("seconds") and name not in ("date", *CONDITIONS)]
        return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}

    @property
    def conditions(self) -> dict[str, tuple[Any, Any]]:
        """What was other and may change figures, as (recorded, repeated). Generated images are the same everywhere."""
        old, new = (vars(run) | {name: run.figures.get(name) for name in CONDITIONS} for run in self)
        data = [] if self.recorded.arguments.get("source") == "synthetic" else ["data"]
        names = ["versions", "threads", "device", "budget", *data, *CONDITIONS]
        return {name: (old[name], new[name]) for name in names if old[name] != new[name]}

    def __str__(self) -> str:
        old, new = self.recorded.figures, self.repeated.figures
        lines = [f"{'figure':16} {'recorded':>24} {'repeated':>24}"]
        for name in old | new:
            mark = "  <- differs" if name in self.differences else ""
            lines.append(f"{name:16} {old.get(name)!s:>24} {new.get(name)!s:>24}{mark}")
        lines += [f"other {name}: recorded with {was}, repeated with {now}" for name, (was, now) in self.conditions.items()]
        return "\n".join(lines)


def repeat(record: Record) -> Repetition:
    """Do a recorded run again here. Raises ``ValueError`` for other functions than `RUNS`: a file must not decide what is run."""
    if record.function not in RUNS:
        raise ValueError(f"The record's function {record.function!r} is not part of ocrlib, and is not run.")
    plan = replace(record, budget=pick_budget().name, data=data_fingerprint())
    return Repetition(record, run_plan(resolve_name(RUNS[record.function]), plan))


def check_repetition(repetition: Repetition) -> str:
    """A sentence: the figures are equal to the last bit, or conditions were other. Raises ``AssertionError`` if neither."""
    if not repetition.differences:
        return "The repeated run gives the same figures as the recorded one, to the last bit."
    if not repetition.conditions:
        raise AssertionError(f"This run was to give the same bits as recorded, but these differ:\n{repetition}")
    name, (was, now) = next(iter(repetition.differences.items()))
    others = ", ".join(repetition.conditions)
    said = f"The repeated run gives {name} = {now}, the recorded one {was}. That is no fault: it was recorded with other"
    return f"{said} {others}, and the same bits are promised only for the same."
