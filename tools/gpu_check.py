"""All that only a GPU can tell, in one call of at most nine minutes: same bits, resuming, graphs, times and error rates.

Needs torch, torchvision, torchmetrics, numpy, pillow, matplotlib, scipy and pytest, the images (OCRLIB_DATA) and no network. Each
finding is one line of FOLDER/gpu_check.jsonl, written at once. A part that fails is recorded with its error, and the next begins;
where the time is up, the others are recorded as left out. Without a GPU, or with OCRLIB_BUDGET=smoke, the figures mean nothing.
"""

import argparse
import json
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("", "tools", "tests")]

import torch
from torch.nn import functional as F
from toys import stop_after

import bench
import ocrlib
from ocrlib import EXPERIMENTS, evaluate, graphs
from ocrlib.ctc.recursion import ctc_losses
from ocrlib.experiments import parts, train_on

DEVICE = ocrlib.pick_device()
FEW = {"crnn": 3, "modified_crnn": 6, "ce_crnn": 3, "fast": 6}  # epochs that show whether bits are equal
SEEDS = (42069, 0, 1)
RESUMING = "test_a_stopped_run_reports_nothing_and_goes_on_from_its_checkpoints_to_the_same_bits"
ON_DEVICE = ["tests/ctc/test_recursion.py", "tests/test_graphs.py", f"tests/test_experiments.py::{RESUMING}"]


def train(recipe, mode, seed=0, checkpoint=None):
    """A recipe's edits, seconds, seconds of its last epoch, and the bits of its losses and weights."""
    graphs.MODE = mode
    recipe, *sets = parts(recipe, ocrlib.load_captchas(width=recipe.width), split_seed=42)
    model, objective, history = train_on(recipe, *sets, seed, checkpoint=checkpoint)
    report, sums = evaluate(model, objective, sets[1]), [value.double().abs().sum() for value in model.state_dict().values()]
    figures = {"edits": report.edits, "cer": report.cer, "seconds": sum(history.seconds), "last_epoch": history.seconds[-1]}
    return {**figures, "bits": [history.digest(), float(sum(sums)).hex()]}


def machine():
    """Versions, device, precision, and the routes of CTC."""
    ocrlib.seed_everything(0)
    tf32 = {"cudnn": torch.backends.cudnn.allow_tf32, "matmul": torch.backends.cuda.matmul.allow_tf32}
    about = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "fast_dtype": str(ocrlib.fast_dtype(DEVICE))}
    return {"runtime": ocrlib.describe_runtime(), "route": ocrlib.ctc_route(DEVICE), "tf32": tf32, **about}


def tests(names):
    """The tests that look at the device."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", *names]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {"passed": found.returncode == 0, "output": (found.stdout + found.stderr)[-6000:]}


def same_bits(key):
    """Two runs each, launched as always and as graphs; and a graph's arithmetic launched one by one."""
    recipe = replace(EXPERIMENTS[key], epochs=(FEW[key],))
    found = {mode: [train(recipe, mode) for _ in range(runs)] for mode, runs in {"off": 2, "static": 1, "graph": 2}.items()}
    bits = {mode: [run["bits"] for run in runs] for mode, runs in found.items()}
    equal = {"off twice": bits["off"][0] == bits["off"][1], "graph twice": bits["graph"][0] == bits["graph"][1]}
    equal["graph and one by one"] = bits["graph"][0] == bits["static"][0]
    return {"equal": equal, "last_epoch": {mode: [run["last_epoch"] for run in runs] for mode, runs in found.items()}}


def resumes(key, mode):
    """Stopped in the middle of the second epoch, and gone on with: the bits of an undisturbed run?"""
    recipe = replace(EXPERIMENTS[key], epochs=(FEW[key],))
    within = recipe.within(ocrlib.pick_budget(), recipe.train + recipe.test)
    steps = -(-within.train // within.batch_size)
    expected = train(replace(recipe, augment=stop_after(None)), mode)
    with TemporaryDirectory() as folder:
        try:
            train(replace(recipe, augment=stop_after(steps + steps // 2)), mode, checkpoint=Path(folder, "run.pt"))
            return {"equal": False, "why": "it was not stopped"}
        except KeyboardInterrupt:
            found = train(replace(recipe, augment=stop_after(None)), mode, checkpoint=Path(folder, "run.pt"))
    return {"equal": found["bits"] == expected["bits"]}


def whole(key, mode, seed, tf32=True, autocast=True):
    """A recipe from start to end."""
    torch.backends.cudnn.allow_tf32 = tf32
    return train(replace(EXPERIMENTS[key], autocast=EXPERIMENTS[key].autocast and autocast), mode, seed)


def ctc_times(steps, batch):
    """Milliseconds of CTC's loss and gradient by two routes, launched one by one and as a graph (torch's takes int32)."""
    logits = torch.randn(steps, batch, 37, device=DEVICE, requires_grad=True)
    targets, lengths = torch.randint(1, 37, (batch, 5), device=DEVICE), torch.full((batch,), 5, device=DEVICE)
    full, flat, found = torch.full_like(lengths, steps), targets.int().flatten(), {}
    routes = {
        "recursion": lambda: (ctc_losses(logits, targets, full, lengths) / 5).mean(),
        "torch": lambda: F.ctc_loss(logits.log_softmax(2), flat, full.int(), lengths.int(), zero_infinity=True),
    }
    for name, loss in routes.items():
        found[name] = {"loss": float(loss())}
        try:
            found[name] |= bench.milliseconds(lambda loss=loss: float(torch.autograd.grad(loss(), logits)[0].sum()), 50)
            if DEVICE.type == "cuda":
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    torch.autograd.grad(loss(), logits)
                found[name]["graph"] = bench.milliseconds(lambda graph=graph: graph.replay() or torch.cuda.synchronize(), 50)
        except RuntimeError as error:
            found[name]["error"] = str(error)[:300]
    return found


def plan(smoke):
    """What is done, in order: (name, settings, function of the settings). The smoke budget takes the quick recipes, each once."""
    keys, seeds = (["modified_crnn", "fast"], SEEDS[:1]) if smoke else (list(FEW), SEEDS)
    runs = [(key, mode, seed) for mode in ("graph", "off") for key in keys for seed in seeds if (mode, key) != ("off", "crnn")]
    wholes = [{"key": key, "mode": mode, "seed": seed} for key, mode, seed in runs]
    for key, what in [("modified_crnn", "tf32"), ("fast", "tf32"), ("fast", "autocast"), ("ce_crnn", "tf32")]:
        wholes += [{"key": key, "mode": "graph", "seed": seed, what: False} for seed in seeds if key in keys]
    wholes += [{"key": key, "mode": "off", "seed": 0} for key in keys if key == "crnn"]  # last: it takes a minute
    epochs = [{"key": key, "whose": whose} for key in keys if key != "fast" for whose in ("plain", "ocrlib")]
    return [
        ("machine", {}, machine),
        ("tests", {"names": ["tests/test_graphs.py", "-k", "each_shape"] if smoke else ON_DEVICE}, tests),
        *(("ctc", {"steps": steps, "batch": batch}, ctc_times) for steps, batch in ((19, 8), (24, 12), (10, 128))),
        *(("same bits", {"key": key}, same_bits) for key in keys),
        *(("resumes", {"key": key, "mode": mode}, resumes) for key in keys for mode in ("graph", "off")[: 2 - smoke]),
        *(("epoch", settings, bench.train) for settings in epochs),
        *(("whole", settings, whole) for settings in wholes),
    ]


def main(arguments=None):
    """Do what is planned, and write a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "gpu", help="for the records (build/gpu)")
    parser.add_argument("--seconds", type=float, default=500, help="nothing new is begun after so long (500)")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with open(options.folder / "gpu_check.jsonl", "w", encoding="utf-8") as file:
        for name, settings, function in plan(ocrlib.pick_budget().name == "smoke"):
            record = {"what": name, **settings, "began": round(time.perf_counter() - began, 1)}
            graphs.MODE, torch.backends.cudnn.allow_tf32 = "off", True
            try:
                record |= function(**settings) if record["began"] < options.seconds else {"left_out": "the time was up"}
            except Exception:
                record["error"] = traceback.format_exc()[-2000:]
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(json.dumps(record)[:300], flush=True)


if __name__ == "__main__":
    main()
