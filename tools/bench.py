"""`make bench`: the project beside the plain procedure and other libraries, as a table of medians. What is compared takes turns.

Each figure comes from a fresh process: caches remember what ran before. CUDA_VISIBLE_DEVICES= makes it take the CPU.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from timeit import timeit

REPORTED, OTHERS = ["crnn", "modified_crnn", "ce_crnn"], "torch, torchvision, torchmetrics"
SETUP = "from ocrlib import SyntheticCaptchas, describe_runtime, load_captchas"


def train(key, whose, seed=42069):
    """An epoch of a recipe (of the fast one all), by `ocrlib.run` or the plain procedure. A GPU's first only warms it up."""
    import ocrlib
    from ocrlib.experiments import parts
    from ocrlib.studies.speed import PlainCaptchas, fit_plain, image_files

    recipe, device, alphabet = ocrlib.EXPERIMENTS[key], ocrlib.pick_device(), ocrlib.Alphabet()
    epochs = 1 + (device.type == "cuda")
    if whose == "ocrlib":
        report = ocrlib.run(recipe if key == "fast" else replace(recipe, epochs=(epochs,)), seed=seed)
        return {"s": report.seconds, "CER": report.cer} if key == "fast" else {"s": report.history.seconds[-1]}
    recipe, *sets = parts(recipe, ocrlib.load_captchas(width=recipe.width), split_seed=42)
    with tempfile.TemporaryDirectory() as folder:
        files = image_files(ocrlib.load_captchas(height=50), Path(folder))
        sets = [PlainCaptchas(part, files) for part in sets]
        ocrlib.seed_everything(seed, deterministic=False)
        model, options = recipe.make_model(alphabet).to(device), {"batch_size": recipe.batch_size, "clip_norm": recipe.clip_norm}
        history = fit_plain(model, recipe.objective(alphabet), *sets, recipe.make_optimizer(model), epochs=epochs, **options)
    return {"s": history.seconds[-1]}


def read(key, size):
    """From images in memory to texts, in batches of this size. The network is untrained: a trained one is no faster."""
    import ocrlib
    from ocrlib.evaluation import predict

    recipe, alphabet = ocrlib.EXPERIMENTS[key], ocrlib.Alphabet()
    model, objective = recipe.make_model(alphabet).to(ocrlib.pick_device()), recipe.objective(alphabet)
    images = ocrlib.load_captchas(width=recipe.width).images[: ocrlib.pick_budget().images(512)]
    objective.decode(predict(model, images[:size], size))  # the first one allocates
    loop = "for batch in images.split(size): objective.decode(predict(model, batch, size))"
    return {"images/s": len(images) / timeit(loop, number=1, globals=locals())}


def search(whose):
    """Beam search with 16 entries over 64 texts at a time."""
    import torch

    from ocrlib.ctc.decoding import prefix_beam_search_batch

    log_probs = torch.randn(24, 64, 37, generator=torch.Generator().manual_seed(1)).log_softmax(2)
    if whose == "ocrlib":
        return milliseconds(lambda: prefix_beam_search_batch(log_probs), 5, 64)
    from fast_ctc_decode import beam_search

    classes, rows = "-0123456789abcdefghijklmnopqrstuvwxyz", log_probs.exp().transpose(0, 1).contiguous().numpy()
    return milliseconds(lambda: [beam_search(row, classes, 16, 0) for row in rows], 5, 64)


def score(whose):
    """The error rate of 10,000 texts; of every twentieth the first symbol was not read."""
    import torch

    from ocrlib import Captchas, evaluation

    true = [f"{n:05}" for n in range(10_000)]
    found = [text[n % 20 == 0 :] for n, text in enumerate(true)]
    if whose == "ocrlib":
        captchas = Captchas(torch.zeros(len(true), 1, 1, 1, dtype=torch.uint8), true, true, "synthetic", "no images")
        return milliseconds(lambda: evaluation.score(found, captchas), 5)
    from jiwer import cer

    return milliseconds(lambda: cer(true, found), 5)


def read_one(whose):
    """An image in memory, by the pretrained network: its text and confidence, or from onnxruntime the logits alone."""
    import ocrlib
    from ocrlib.checkpoints import load_pretrained
    from ocrlib.demo.onnx import export_onnx, load_onnx

    model = load_pretrained()
    image = ocrlib.load_captchas(width=model.width).images[:1]
    if whose == "ocrlib":
        return milliseconds(lambda: ocrlib.read(image, model), 500)
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(Path(folder, "model.onnx"), model)
        session = load_onnx(Path(folder, "model.onnx")).network.session
    pixels = {"images": image.float().numpy()}
    return milliseconds(lambda: session.run(None, pixels), 500)


def milliseconds(work, number, at_once=1):
    """Of one piece of work, where a call does some at once. The first call, which allocates, isn't counted."""
    work()
    return {"ms": 1000 * timeit(work, number=number) / number / at_once}


PEERS = [  # what is measured, by which function, and whom it is compared with
    ("beam search, a text in 64", search, "fast_ctc_decode"),
    ("score, 10,000 texts", score, "jiwer"),
    ("read, an image alone", read_one, "onnxruntime"),
]


def once(statement, setup="pass"):
    """A statement, the first time that a process runs it."""
    return {"s": timeit(statement, setup, number=1)}


def plan(rounds, seeds):
    """By section: (what, whose, function, arguments) of each measurement, in order."""
    fast = [("plain CRNN epoch", "crnn"), ("ocrlib", "fast")]
    return {
        "epochs": [(f"{key}, an epoch", whose, train, key, whose) for key in REPORTED for whose in ("plain", "ocrlib")] * rounds,
        "fast": [("fast, all epochs", whose, train, key, whose, n) for n in range(seeds) for whose, key in fast],
        "reading": [(f"{key}, batches of {n}", "ocrlib", read, key, n) for key in [*REPORTED, "fast"] for n in (1, 256)] * rounds,
        "import": [("import", whose, once, f"import {whose}") for whose in (OTHERS, "ocrlib")] * rounds,
        "peers": [(what, whose, code, whose) for what, code, peer in PEERS for whose in (peer, "ocrlib")] * rounds,
        "load": [(code, "ocrlib", once, code, SETUP) for code in ("load_captchas()", "list(SyntheticCaptchas(100, 1))")] * rounds,
    }


def spread(values):
    """Median (least to greatest), with three digits."""
    middle, least, most = (f"{x:,.0f}" if x >= 100 else f"{x:.3g}" for x in (median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def main(arguments=None):
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each comparison is made (3)")
    parser.add_argument("--seeds", type=int, default=10, help="trainings of the fast recipe (10)")
    parser.add_argument("--only", nargs="+", choices=plan(1, 1), default=plan(1, 1), help="parts of the table (all)")
    parser.add_argument("--quick", action="store_true", help="a few steps, once: does it run? The figures mean nothing")
    options = parser.parse_args(arguments)
    os.environ.update(OCRLIB_DOWNLOAD="0", OCRLIB_BUDGET="smoke" if options.quick else "full", PYTHONWARNINGS="ignore")
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > os.cpu_count() / 2:
        print("WARNING: something else is running on this machine; the ratios may be off.")
    absent = [peer for _, _, peer in PEERS if find_spec(peer) is None]
    if absent:
        print(f"Not installed and so left out: {', '.join(absent)}.")
    from tqdm import tqdm  # here: tools/gpu_check.py takes this module to a machine that may be without it

    sections, rows = plan(1, 1) if options.quick else plan(options.rounds, options.seeds), {}
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pool.apply(once, ("print(describe_runtime(), load_captchas(), sep='\\n')", SETUP))
        steps = [step for name in options.only for step in sections[name] if step[1] not in absent]
        for what, whose, function, *settings in tqdm(steps):
            for figure, value in pool.apply(function, settings).items():
                rows.setdefault(f"{what}, {figure}", {}).setdefault(whose, []).append(value)
    print("\n| measured | ocrlib: median | against | ratio of medians |\n|---|---|---|---|")
    for what, values in rows.items():
        ours = values.pop("ocrlib")
        against = [f"{whose}: {spread(theirs)} | {median(ours) / median(theirs):.3f}" for whose, theirs in values.items()]
        print(f"| {what:<36} | {spread(ours):<25} | {''.join(against) or '|'} |")


if __name__ == "__main__":
    main()
