"""Recorded runs done again here: which figures are the same, and what can explain a difference."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from ocrlib.runtime import pick_budget
from ocrlib.studies.records import RUNS, Plan, Record, data_fingerprint, run_plan


@dataclass(frozen=True)
class Repetition:
    """A recorded run and the same run done again here; ``str()`` shows them side by side."""

    recorded: Record
    repeated: Record

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Figures that are not equal, as (recorded, repeated). Seconds and the processor's arithmetic are no results."""
        old, new = self.recorded.figures, self.repeated.figures
        names = [name for name in {**old, **new} if not name.endswith("seconds") and name != "arithmetic"]
        return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}

    def __str__(self) -> str:
        old, new = self.recorded, self.repeated
        lines = [f"{'figure':16} {'recorded':>24} {'repeated':>24}"]
        for name in {**old.figures, **new.figures}:
            mark = "  <- differs" if name in self.differences else ""
            lines.append(f"{name:16} {old.figures.get(name)!s:>24} {new.figures.get(name)!s:>24}{mark}")
        for name in ("data", "budget", "threads", "device", "versions"):
            if getattr(old, name) != getattr(new, name):
                lines.append(f"other {name}: recorded with {getattr(old, name)}, repeated with {getattr(new, name)}")
        return "\n".join(lines)


def repeat(record: Record) -> Repetition:
    """Do a recorded run again here, with its arguments and number of threads.

    Raises ``ValueError`` when its function is not one of `RUNS`: a results file must not decide what code is run.
    """
    if record.function not in RUNS:
        raise ValueError(f"The record's function {record.function!r} is not part of ocrlib, and is not run.")
    plan = Plan(record.function, record.arguments, pick_budget().name, data_fingerprint(), record.threads)
    return Repetition(record, run_plan(resolve_name(RUNS[record.function]), plan))


def check_repetition(repetition: Repetition) -> str:
    """A sentence: the figures are equal to the last bit, or they differ and something else was other, too.

    Raises ``AssertionError`` when they differ with the same images, versions, threads and kind of processor.
    """
    old, new = repetition.recorded, repetition.repeated
    if not repetition.differences:
        return "The repeated run gives the same figures as the recorded one, to the last bit."
    others = [name for name in ("versions", "threads", "device", "budget") if getattr(old, name) != getattr(new, name)]
    others += ["data"] if old.data != new.data and old.arguments.get("source") != "synthetic" else []
    others += ["arithmetic"] if old.figures.get("arithmetic") != new.figures.get("arithmetic") else []
    if not others:
        raise AssertionError(f"This run was to give the same bits as recorded, but these differ:\n{repetition}")
    name, (was, is_) = next(iter(repetition.differences.items()))
    return (
        f"The repeated run gives {name} = {is_}, the recorded one {was}. That is no fault: it was recorded with other "
        f"{', '.join(others)}, and the same bits are promised only for the same."
    )
