"""All that only a GPU can tell, in one call of at most nine minutes: same bits, resuming, graphs, times and error rates.

Needs no package that only notebooks need, and no network; OCRLIB_DATA names the images. Each finding is one line of
FOLDER/gpu_check.jsonl, an error too. Without a GPU, or with OCRLIB_BUDGET=smoke, the figures mean nothing.
"""

import argparse
import contextlib
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
from toys import stop_after

import bench
import ocrlib
from ocrlib import EXPERIMENTS, evaluate, graphs
from ocrlib.ctc.recursion import ctc_losses
from ocrlib.experiments import parts, train_on

DEVICE = ocrlib.pick_device()
SEEDS, FEW = (42069, 0, 1), {"crnn": 3, "modified_crnn": 6, "ce_crnn": 3, "fast": 6}  # epochs that show whether bits are equal
ON_DEVICE = ["tests/ctc/test_recursion.py", "tests/test_graphs.py", "tests/test_experiments.py"]


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
    precision = {"tf32": torch.backends.cudnn.allow_tf32, "fast_dtype": str(ocrlib.fast_dtype(DEVICE))}
    return {"runtime": ocrlib.describe_runtime(), "route": ocrlib.ctc_route(DEVICE), **precision}


def tests(which):
    """The tests that look at the device."""
    command = [sys.executable, *"-m pytest -q -W ignore -k".split(), which, *ON_DEVICE]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {"passed": found.returncode == 0, "output": found.stdout[-6000:]}


def same_bits(key):
    """Two runs each, launched as always and as graphs; and a graph's arithmetic launched one by one."""
    recipe = replace(EXPERIMENTS[key], epochs=(FEW[key],))
    pairs = {"off twice": ("off", "off"), "graph twice": ("graph", "graph"), "graph and one by one": ("graph", "static")}
    found = {name: [train(recipe, mode) for mode in modes] for name, modes in pairs.items()}
    seconds = {name: [run["last_epoch"] for run in runs] for name, runs in found.items()}
    return {"equal": {name: one["bits"] == other["bits"] for name, (one, other) in found.items()}, "last_epoch": seconds}


def resumes(key, mode):
    """Stopped in the middle of the second epoch, and gone on with: the bits of an undisturbed run?"""
    recipe = replace(EXPERIMENTS[key], epochs=(FEW[key],)).within(ocrlib.pick_budget(), 1070)
    middle = 3 * recipe.train // (2 * recipe.batch_size)
    with TemporaryDirectory() as folder:
        stopped, *others = (replace(recipe, augment=stop_after(step)) for step in (middle, None, None))
        with contextlib.suppress(KeyboardInterrupt):
            train(stopped, mode, checkpoint=Path(folder, "run.pt"))
            return {"equal": False, "why": "it was not stopped"}
        resumed = train(others[0], mode, checkpoint=Path(folder, "run.pt"))
    return {"equal": resumed["bits"] == train(others[1], mode)["bits"]}


def whole(key, mode, seed, tf32=True, autocast=True):
    """A recipe from start to end."""
    torch.backends.cudnn.allow_tf32 = tf32  # of convolutions and LSTMs
    return train(replace(EXPERIMENTS[key], autocast=EXPERIMENTS[key].autocast and autocast), mode, seed)


def ctc_times(steps, batch):
    """Milliseconds of CTC's loss and gradient by two routes, and as a graph. Last, as a failed capture may end it all."""
    logits = torch.randn(steps, batch, 37, device=DEVICE, requires_grad=True)
    targets, lengths = torch.randint(1, 37, (batch, 5), device=DEVICE), torch.full((batch,), 5, device=DEVICE)
    full, flat, found = torch.full_like(lengths, steps), targets.int().flatten(), {}
    routes = {
        "recursion": lambda: (ctc_losses(logits, targets, full, lengths) / 5).mean(),
        "torch": lambda: torch.nn.functional.ctc_loss(logits.log_softmax(2), flat, full.int(), lengths.int(), zero_infinity=True),
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
    """What is done, in order: (name, settings, function of the settings). The smoke budget takes quick recipes, once."""
    keys, seeds = (["fast"], SEEDS[:1]) if smoke else (list(FEW), SEEDS)
    checked = ["modified_crnn", "fast"] if smoke else keys
    wholes = [{"key": key, "mode": "graph", "seed": seed} for key in keys for seed in seeds]
    wholes += [{"key": key, "mode": "off", "seed": seed} for key in keys if key != "crnn" for seed in seeds]
    for key, what in [("modified_crnn", "tf32"), ("fast", "tf32"), ("fast", "autocast"), ("ce_crnn", "tf32")]:
        wholes += [{"key": key, "mode": "graph", "seed": seed, what: False} for seed in seeds if key in keys]
    wholes += [{"key": key, "mode": "off", "seed": 0} for key in keys if key == "crnn"]  # last: it takes a minute
    return [
        ("machine", {}, machine),
        ("tests", {"which": "each_shape" if smoke else "recursion or graphs or goes_on_from_its_checkpoints"}, tests),
        *(("same bits", {"key": key}, same_bits) for key in checked),
        *(("resumes", {"key": key, "mode": mode}, resumes) for key in checked for mode in ("graph", "off")[: 2 - smoke]),
        *(("epoch", {"key": key, "whose": whose}, bench.train) for key in keys[:-1] or keys for whose in ("plain", "ocrlib")),
        *(("whole", settings, whole) for settings in wholes),
        *(("ctc", {"steps": steps, "batch": batch}, ctc_times) for steps, batch in ((19, 8), (24, 12), (10, 128))),
    ]


def main(arguments=None):
    """Do what is planned, and write a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
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
            print(json.dumps(record), file=file, flush=True)
            print(json.dumps(record)[:300], flush=True)


if __name__ == "__main__":
    main()
