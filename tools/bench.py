"""`make bench`: the project beside the plain procedure on this machine, as a table of medians and ratios.

What is compared takes turns, so that a machine that slows down slows both. Each figure comes from a fresh process: caches
remember what ran before in the same one. CUDA is used where there is some; CUDA_VISIBLE_DEVICES= hides it.
"""

import argparse
import os
import tempfile
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from timeit import timeit

from tqdm import tqdm

from tasks import make_paths_absolute

REPORTED, OTHERS = ["crnn", "modified_crnn", "ce_crnn"], "torch, torchvision, torchmetrics"
LOADING = ["load_captchas()", "list(SyntheticCaptchas(100, seed=1))"]


def epoch(key, whose):
    """An epoch, by the plain procedure or by `ocrlib.fit`. On a GPU it is the second: the first chooses and loads kernels."""
    import ocrlib
    from ocrlib.experiments import parts
    from ocrlib.plain import PlainCaptchas, fit_plain, image_files

    width, device, alphabet = ocrlib.EXPERIMENTS[key].width, ocrlib.pick_device(), ocrlib.Alphabet()
    recipe, *sets = parts(ocrlib.EXPERIMENTS[key], ocrlib.load_captchas(width=width), split_seed=42)
    with tempfile.TemporaryDirectory() as folder:
        if whose == "plain":
            files = image_files(ocrlib.load_captchas(height=50), Path(folder))
            sets = [PlainCaptchas(part, files) for part in sets]
        ocrlib.seed_everything(42069, deterministic=whose != "plain")
        model, fit = recipe.make_model(alphabet).to(device), fit_plain if whose == "plain" else ocrlib.fit
        options = {"epochs": 1 + (device.type == "cuda"), "batch_size": recipe.batch_size, "clip_norm": recipe.clip_norm}
        history = fit(model, recipe.objective(alphabet), *sets, recipe.make_optimizer(model), **options)
    return {"s": history.seconds[-1]}


def train(key, seed):
    """A recipe from start to end."""
    from ocrlib import run

    report = run(key, seed=seed)
    return {"s": report.seconds, "CER": report.cer}


def read(key, size):
    """From images in memory to texts. The network is untrained: a trained one is no faster."""
    import ocrlib
    from ocrlib.evaluation import predict

    recipe, alphabet = ocrlib.EXPERIMENTS[key], ocrlib.Alphabet()
    model, objective = recipe.make_model(alphabet).to(ocrlib.pick_device()), recipe.objective(alphabet)
    batches = ocrlib.load_captchas(width=recipe.width).images[:768].split(size)
    objective.decode(predict(model, batches[0], size))  # the first one allocates
    return {"images/s": 768 / timeit(lambda: [objective.decode(predict(model, batch, size)) for batch in batches], number=1)}


def once(statement, setup="pass"):
    """A statement, the first time that a process runs it."""
    return {"s": timeit(statement, setup, number=1)}


def plan(rounds, seeds):
    """By section: (what, whose, function, arguments) of each measurement, in order. "" is the project itself."""
    fast, networks, setup = "fast, all epochs", [*REPORTED, "fast"], "from ocrlib import load_captchas, SyntheticCaptchas"
    plain = (fast, "a plain CRNN epoch", epoch, "crnn", "plain")
    return {
        "epochs": [(f"{key}, an epoch", whose, epoch, key, whose) for key in REPORTED for whose in ("plain", "")] * rounds,
        "fast": [step for seed in range(seeds) for step in (plain, (fast, "", train, "fast", seed))],
        "reading": [(f"{key}, batches of {size}", "", read, key, size) for key in networks for size in (1, 256)] * rounds,
        "import": [("import", OTHERS, once, f"import {OTHERS}"), ("import", "", once, "import ocrlib")] * rounds,
        "load": [(statement, "", once, statement, setup) for statement in LOADING] * rounds,
    }


def spread(values):
    """Median (least to greatest), three digits each."""
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def main(arguments=None):
    """Measure, and print the table; Ctrl-C prints it of what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each comparison is made (3)")
    parser.add_argument("--seeds", type=int, default=10, help="trainings of the fast recipe (10)")
    parser.add_argument("--only", nargs="+", choices=plan(1, 1), default=plan(1, 1), help="parts of the table (all)")
    parser.add_argument("--quick", action="store_true", help="a few steps, once: does it run? The figures mean nothing")
    options = parser.parse_args(arguments)
    make_paths_absolute()
    os.environ.update(OCRLIB_DOWNLOAD="0", OCRLIB_BUDGET="smoke" if options.quick else "full", PYTHONWARNINGS="ignore")
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > os.cpu_count() / 2:
        print("WARNING: something else is running on this machine; the ratios may be off.")
    sections, rows = plan(1, 1) if options.quick else plan(options.rounds, options.seeds), {}
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for what, whose, function, *settings in tqdm([step for name in options.only for step in sections[name]]):
            for figure, value in pool.apply(function, settings).items():
                rows.setdefault(f"{what}, {figure}", {}).setdefault(whose, []).append(value)
    print("\n| measured | ocrlib: median | against | ratio of medians |\n|---|---|---|---|")
    for what, values in rows.items():
        ours = values.pop("")
        against = [f"{whose}: {spread(theirs)} | {median(ours) / median(theirs):.3f}" for whose, theirs in values.items()]
        print(f"| {what} | {spread(ours)} | {''.join(against) or '|'} |")


if __name__ == "__main__":
    main()
