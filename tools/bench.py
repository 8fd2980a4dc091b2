"""`make bench`: the plain procedure and the project's take turns on this machine; medians and ratios as a table.

Each figure comes from a fresh process (tools/bench_jobs.py), since caches and allocators remember what ran before in the
same one. This one only starts them, one at a time, and does the arithmetic; it never imports torch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks import ROOT, make_paths_absolute, say

SECTIONS = {
    "epochs": "the reported recipes: an epoch of the plain procedure, of the project's, and without its live plot",
    "fast": "the fast recipe: training time and CER over many seeds, beside one plain CRNN epoch",
    "reading": "images a second of each network",
    "import": "import ocrlib against importing torch, torchvision and torchmetrics",
    "load": "load_captchas, and the generator",
}
REPORTED = ["crnn", "modified_crnn", "ce_crnn"]
BUSY = 0.5  # load average a core: above it, something else is running


class Step(NamedTuple):
    """One measurement to make: its name in the results, the job in bench_jobs.py, and what that is called with."""

    name: str
    job: str
    arguments: dict[str, object]


class Row(NamedTuple):
    """One line of the table: the project's values, and those they are held against, with what these are."""

    what: str
    ours: list[float]
    against: Sequence[float] = ()
    which: str = ""

    def cells(self) -> list[str]:
        if not self.against:
            return [self.what, spread(self.ours), "", ""]
        return [self.what, spread(self.ours), f"{self.which}: {spread(self.against)}", f"{ratio(self.ours, self.against):.3f}"]


def plan(sections: list[str], rounds: int, seeds: int, recipes: list[str]) -> list[Step]:
    """The measurements in their order: what is compared takes turns, so that a machine that slows down slows both."""
    steps = []
    if "epochs" in sections:
        for key in REPORTED * rounds:
            steps.append(Step(f"{key} plain", "plain", {"recipe": key}))
            steps += [
                Step(f"{key} {name}", "project", {"recipe": key, "live": name == "live", "one_epoch": True})
                for name in ("live", "silent")
            ]
    if "fast" in sections and "fast" in recipes:
        beside = {n * seeds // rounds for n in range(rounds)}  # the seeds, evenly spread, that get company
        for seed in range(seeds):
            whole = {"recipe": "fast", "one_epoch": False, "seed": seed}
            steps.append(Step("fast live", "project", {**whole, "live": True}))
            if seed in beside:
                steps.append(Step("fast silent", "project", {**whole, "live": False}))
                steps.append(Step("fast plain", "plain", {"recipe": "crnn"}))
    if "reading" in sections:
        steps += [Step(f"{key} reading", "reading", {"recipe": key}) for key in recipes * rounds]
    if "import" in sections:
        both = {"import ocrlib": ["ocrlib"], "import others": ["torch", "torchvision", "torchmetrics"]}
        once = [Step(name, "import_modules", {"names": names}) for name, names in both.items()]
        steps += once * (2 * rounds - 1)  # they are short, so there are more of them
    if "load" in sections:
        steps += [Step("load", "load", {}), Step("generator", "generate", {})] * rounds
    return steps


def rows(results: dict[str, list[dict[str, float]]], titles: dict[str, str]) -> list[Row]:
    """The table's lines for whatever has been measured. ``results`` has the figures of each step by its name."""

    def values(name: str, figure: str) -> list[float]:
        return [figures[figure] for figures in results.get(name, []) if figure in figures]

    found = []
    for key, title in titles.items():
        what, beside = ("training", "a plain CRNN epoch") if key == "fast" else ("an epoch", "plain")
        live, silent, plain = (f"{key} {name}" for name in ("live", "silent", "plain"))
        share = [100 * figures["shown"] / figures["seconds"] for figures in results.get(live, [])]
        found += [
            Row(f"{title}: {what}, s", values(live, "seconds"), values(plain, "seconds"), beside),
            Row(f"{title}: {what} with live plot, s", values(live, "seconds"), values(silent, "seconds"), "without"),
            Row(f"{title}: seconds inside live plot and progress, % of {what}", share),
            Row(f"{title}: peak memory, MiB", values(silent, "memory"), values(plain, "memory"), beside),
            Row(f"{title}: peak GPU memory, MiB", values(silent, "gpu memory"), values(plain, "gpu memory"), beside),
        ]
        if key == "fast" and (cers := values(live, "cer")):
            found += [Row(f"{title}: CER", cers), Row(f"{title}: mean CER of {len(cers)} seeds", [statistics.fmean(cers)])]
    for size in ("batch 1", "batch 256"):
        found += [Row(f"{title}: reading, {size}, images/s", values(f"{key} reading", size)) for key, title in titles.items()]
    others = values("import others", "seconds")
    return [row for row in found if row.ours] + [
        row
        for row in [
            Row("import ocrlib, s", values("import ocrlib", "seconds"), others, "torch, torchvision, torchmetrics"),
            Row("load_captchas, s", values("load", "seconds")),
            Row("the generator, images/s", values("generator", "speed")),
        ]
        if row.ours
    ]


def ratio(ours: Sequence[float], against: Sequence[float]) -> float:
    """Median over median."""
    return statistics.median(ours) / statistics.median(against)


def spread(values: Sequence[float]) -> str:
    """Median (least to greatest), three digits each; a single value by itself."""
    if len(values) == 1:
        return digits(values[0])
    return f"{digits(statistics.median(values))} ({digits(min(values))} to {digits(max(values))})"


def digits(value: float) -> str:
    """Three significant digits, without an exponent for large numbers."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(cells: list[list[str]], markdown: bool = False) -> str:
    """Lines of aligned columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    heading, *body = [[cell.ljust(width) for cell, width in zip(row, widths)] for row in cells]
    parts = [heading, ["-" * width for width in widths], *body]
    if markdown:
        return "\n".join(f"| {' | '.join(row)} |" for row in parts)
    return "\n".join("  ".join(row).rstrip() for row in parts)


def busy_warning(load: float, cores: int) -> str | None:
    """What to say when something else is running; None when the machine is idle enough."""
    if load <= BUSY * cores:
        return None
    return f"WARNING: load average {load:.1f} on {cores} cores: something else is running; ratios may be off."


def do(job: str, arguments: dict[str, object], environment: dict[str, str]) -> dict:
    """Run one job in a process of its own, and return its figures."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "tools" / "bench_jobs.py"), job, json.dumps(arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode != 0:
        sys.exit(f"\n{job} {arguments} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # what a live plot shows comes before it


def measure(about: dict, sections: list[str], options: argparse.Namespace, environment: dict[str, str]) -> dict:
    """All measurements on one device, with a table at the end; Ctrl-C makes it of what there is."""
    say(f"\n{about['runtime']}\n")
    if "fast" in sections and "fast" not in about["titles"]:
        say("There is no fast recipe yet (EXPERIMENTS['fast']): its part is left out.\n")
    steps = plan(sections, options.rounds, options.seeds, list(about["titles"]))
    results: dict[str, list[dict]] = {}
    done = 0
    try:
        for done, step in enumerate(steps):
            print(f"[{done + 1}/{len(steps)}] {step.name}", file=sys.stderr, flush=True)
            results.setdefault(step.name, []).append(do(step.job, step.arguments, environment))
        done = len(steps)
    except KeyboardInterrupt:
        say(f"Stopped: {done} of {len(steps)} measurements were made.\n")
    heading = ["measured", "ocrlib: median (least to greatest)", "against", "ratio"]
    say(table([heading, *[row.cells() for row in rows(results, about["titles"])]], options.markdown))
    return {**about, "complete": done == len(steps), "results": results}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, checked."""
    described = "\n".join(f"  {name:<8} {text}" for name, text in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"sections:\n{described}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each comparison is made (3)")
    parser.add_argument("--seeds", type=int, default=10, help="trainings of the fast recipe (10)")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between them (all)")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="where to train (CUDA and CPU where there is CUDA, else CPU)")
    parser.add_argument("--quick", action="store_true", help="one round of a few steps: does it run? The figures mean nothing")
    parser.add_argument("--markdown", action="store_true", help="the table as markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement to this file")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]!r}; choose from {', '.join(SECTIONS)}")
    if options.quick:
        options.rounds = options.seeds = 1
    if options.rounds < 1 or options.seeds < 1:
        parser.error("--rounds and --seeds must be at least 1")
    return options


def main(arguments: list[str]) -> None:
    """Say what is measured where, measure, write."""
    options = parse(arguments)
    make_paths_absolute()
    if options.quick:
        say("*** QUICK: a few steps, once each. The figures below mean nothing. ***")
    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    say(busy_warning(load, cores) or f"load average {load:.1f} on {cores} cores")
    with tempfile.TemporaryDirectory() as home:
        # No download in the middle of it, and IPython's history files go nowhere.
        budget = "smoke" if options.quick else "full"
        environment = dict(os.environ, OCRLIB_BUDGET=budget, OCRLIB_DOWNLOAD="0", IPYTHONDIR=home)
        environment.pop("OCRLIB_PROGRESS", None)
        about = do("describe", {"data": options.only != ["import"]}, environment)
        cuda = about["cuda"]
        if options.device == "cuda" and not cuda:
            sys.exit("No CUDA device is at hand; leave out --device cuda.")
        devices = [options.device] if options.device else ["cuda", "cpu"] if cuda else ["cpu"]
        passes = []
        for device in devices:
            sections = options.only if device == devices[-1] else [s for s in options.only if s not in ("import", "load")]
            if not sections:
                continue
            if cuda and device == "cpu":
                environment["CUDA_VISIBLE_DEVICES"] = ""  # every job then picks the CPU
                about = do("describe", {"data": True}, environment)
            passes.append(measure(about, sections, options, environment))
            if not passes[-1]["complete"]:
                break
        if not cuda:
            say("\nNo CUDA device is at hand: nothing was measured on one.")
    if options.json:
        facts = {"options": {name: str(value) for name, value in vars(options).items() if name != "json"}, "load": load}
        options.json.write_text(json.dumps({**facts, "passes": passes}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
