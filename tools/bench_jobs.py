"""What `make bench` measures, one job a process: ``python tools/bench_jobs.py NAME ARGUMENTS`` prints its figures as JSON."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

SEED = 42069


def describe(data: bool) -> dict:
    """What this is measured on and with. It also warms the disk cache for the jobs that follow."""
    import torch

    import ocrlib

    images = repr(ocrlib.load_captchas()) if data else "no images needed"
    titles = {key: recipe.title for key, recipe in ocrlib.EXPERIMENTS.items()}
    return {"runtime": f"{ocrlib.describe_runtime()}\n{images}", "cuda": torch.cuda.is_available(), "titles": titles}


def plain(recipe: str) -> dict:
    """One epoch of the plain procedure."""
    from ocrlib import EXPERIMENTS, Alphabet, load_captchas, pick_budget, pick_device, seed_everything, split
    from ocrlib.studies.speed import PlainCaptchas, fit_plain, image_files

    device, alphabet, captchas = pick_device(), Alphabet(), load_captchas(width=EXPERIMENTS[recipe].width)
    chosen = EXPERIMENTS[recipe].within(pick_budget(), len(captchas))
    sizes = chosen.train, chosen.test
    with tempfile.TemporaryDirectory() as folder:
        files = image_files(load_captchas(height=50), Path(folder))
        train, test = (PlainCaptchas(part, files) for part in split(captchas.subset(range(sum(sizes))), sizes))
        seed_everything(SEED, deterministic=False)
        model = chosen.make_model(alphabet).to(device)
        history = fit_plain(
            model, chosen.objective(alphabet), train, test, chosen.make_optimizer(model),
            epochs=warm_ups(device) + 1, batch_size=chosen.batch_size, clip_norm=chosen.clip_norm,
        )  # fmt: skip
    return {"seconds": history.seconds[-1], **peak_memory()}


def project(recipe: str, live: bool, one_epoch: bool, seed: int = SEED) -> dict:
    """`ocrlib.run`, of one epoch or all. The seconds are those of `ocrlib.fit` with all it shows.

    ``live`` draws the plot as in a notebook; "shown" are the seconds spent in the calls of live plot and progress alone.
    """
    from dataclasses import replace

    from ocrlib import EXPERIMENTS, experiments, pick_device, run
    from ocrlib.plots import LivePlot
    from ocrlib.training import Progress

    if live:
        from IPython.core.interactiveshell import InteractiveShell

        import ocrlib.plots  # noqa: F401  (imported before the clock starts: in a notebook, earlier figures have done it)  # noqa: F401  (imported before the clock starts: in a notebook, earlier figures have done it)

        InteractiveShell.instance()  # ocrlib.plots asks for one, to tell a notebook from a terminal
    trained, shown = [], []
    untimed = experiments.fit

    def timed(*arguments, **options):
        began = time.perf_counter()
        history = untimed(*arguments, **options)  # ends by fetching a loss, so the device has finished too
        trained.append({"seconds": time.perf_counter() - began, **peak_memory()})
        return history

    experiments.fit = timed
    clock(LivePlot, ["__init__", "update", "close"], shown)
    clock(Progress, ["__init__", "epoch_done", "close"], shown)
    chosen = replace(EXPERIMENTS[recipe], epochs=(1,)) if one_epoch else EXPERIMENTS[recipe]
    for _ in range(warm_ups(pick_device()) + 1):
        trained.clear()
        shown.clear()
        report = run(chosen, seed=seed, live=live)
    return {**trained[-1], "seconds": sum(part["seconds"] for part in trained), "shown": sum(shown), "cer": report.cer}


def reading(recipe: str) -> dict:
    """Images a second from uint8 images in memory to texts, one image at a time and 256."""
    from ocrlib import EXPERIMENTS, Alphabet, load_captchas, pick_budget, pick_device
    from ocrlib.evaluation import predict

    chosen, alphabet = EXPERIMENTS[recipe], Alphabet()
    model, objective = chosen.make_model(alphabet).to(pick_device()), chosen.objective(alphabet)  # untrained: as fast
    images = load_captchas(width=chosen.width).images
    images = images[[i % len(images) for i in range(1024)]]  # a number that 256 divides
    patience = 3.0 if pick_budget().name == "full" else 0.1
    speeds = {}
    for size in (1, 256):
        batches = itertools.cycle(images.split(size))
        objective.decode(predict(model, next(batches), size))  # the first one allocates
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < patience:
            objective.decode(predict(model, next(batches), size))  # decoding waits for the device
            done += size
        speeds[f"batch {size}"] = done / (time.perf_counter() - began)
    return speeds


def import_modules(names: list[str]) -> dict:
    """Seconds that the imports take, one after the other."""
    began = time.perf_counter()
    for name in names:
        importlib.import_module(name)
    return {"seconds": time.perf_counter() - began}


def load() -> dict:
    """Seconds of the first `load_captchas` of a process, at the CRNN's width."""
    from ocrlib import load_captchas

    began = time.perf_counter()
    load_captchas(width=80)
    return {"seconds": time.perf_counter() - began}


def generate() -> dict:
    """Images a second that the generator makes, when it has drawn its glyphs."""
    from ocrlib import SyntheticCaptchas, pick_budget

    warm, count = 20, pick_budget().images(500)
    captchas = SyntheticCaptchas(warm + count, seed=1)
    for i in range(warm):
        captchas[i]
    began = time.perf_counter()
    for i in range(count):
        captchas[warm + i]
    return {"speed": count / (time.perf_counter() - began)}


def warm_ups(device) -> int:
    """A GPU's first epoch chooses and loads kernels, so there it is the second one that counts."""
    return int(device.type == "cuda")


def clock(owner: type, names: list[str], seconds: list[float]) -> None:
    """From now on, add how long each call of these methods takes to ``seconds``."""

    def timed(method):
        def call(*arguments, **options):
            began = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                seconds.append(time.perf_counter() - began)

        return call

    for name in names:
        setattr(owner, name, timed(getattr(owner, name)))


def peak_memory() -> dict:
    """Most memory this process ever held, in MiB: resident, and on the GPU. Empty where the system doesn't tell (Windows)."""
    import torch

    gpu = {"gpu memory": torch.cuda.max_memory_allocated() / 2**20} if torch.cuda.is_available() else {}
    try:
        import resource
    except ImportError:
        return gpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, else KiB
    return {"memory": peak / (2**20 if sys.platform == "darwin" else 2**10), **gpu}


if __name__ == "__main__":
    jobs = {job.__name__: job for job in [describe, plain, project, reading, import_modules, load, generate]}
    print(json.dumps(jobs[sys.argv[1]](**json.loads(sys.argv[2]))))
