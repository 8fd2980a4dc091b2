"""ocrlib: reading CAPTCHA images with convolutional-recurrent networks, CTC loss against cross-entropy.

The modules beside this file are the core: what notebooks 02 to 04 and a script of your own need. The rooms are `ocrlib.data`
(where images come from), `ocrlib.synthetic` (images made here), `ocrlib.ctc` (CTC step by step), `ocrlib.studies` (recorded
runs) and `ocrlib.demo` (widgets, ONNX).
"""

from importlib import import_module

from ocrlib.processor import prepare

prepare()  # before torch is loaded, which the imports below do

from ocrlib.captchas import Captchas, split
from ocrlib.checkpoints import CheckpointError, TrainedModel, load_model, save_model
from ocrlib.evaluation import History, Mistake, Report, Text, evaluate, read
from ocrlib.experiments import EXPERIMENTS, Experiment, run
from ocrlib.networks import CECRNN, CRNN, ColumnCNN, ModifiedCRNN, parameter_count
from ocrlib.objectives import CTC, CrossEntropy, ctc_route
from ocrlib.runtime import (
    Budget,
    describe_runtime,
    fast_dtype,
    pick_budget,
    pick_device,
    release_memory,
    runs_folder,
    seed_everything,
    versions,
)
from ocrlib.texts import Alphabet
from ocrlib.training import DivergedError, fit, gradient_norm

__version__ = "0.1.0"

# Names of the rooms, and of the plots. They are looked up when asked for: matplotlib and pandas take long to import.
_ELSEWHERE = {
    "data.images": ("BadImage",),
    "data.loading": ("load_captchas",),
    "data.augmentation": ("RandomAffine",),
    "plots": ("LivePlot", "plot_losses", "plot_mistakes", "plot_samples"),
    "studies.exploration": ("plot_ink", "plot_min_steps", "plot_network_view", "plot_symbol_frequencies"),
    "studies.records": ("Record", "read_records", "record_runs", "run_recipe"),
    "studies.repetitions": ("repeat",),
    "studies.speed": ("Race", "peak_flops", "race"),
    "studies.variants": ("flops_per_image",),
    "synthetic.generator": ("SyntheticCaptchas", "random_text", "render_captcha"),
}  # fmt: skip

__all__ = [
    "Alphabet", "BadImage", "Budget", "Captchas", "CECRNN", "CheckpointError", "ColumnCNN", "CRNN", "CrossEntropy", "CTC",
    "ctc_route", "describe_runtime", "DivergedError", "evaluate", "Experiment", "EXPERIMENTS", "fast_dtype", "fit",
    "flops_per_image", "gradient_norm", "History", "LivePlot", "load_captchas", "load_model", "Mistake", "ModifiedCRNN",
    "parameter_count", "peak_flops", "pick_budget", "pick_device", "Race", "race", "random_text", "RandomAffine", "read",
    "read_records", "Record", "record_runs", "release_memory", "render_captcha", "repeat", "Report", "run", "run_recipe",
    "runs_folder", "save_model", "seed_everything", "split", "SyntheticCaptchas", "Text", "TrainedModel", "versions",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """A name of a room or a plot, from the top too."""
    if name == "plots":
        return import_module("ocrlib.plots")
    for module, names in _ELSEWHERE.items():
        if name in names:
            return getattr(import_module(f"ocrlib.{module}"), name)
    raise AttributeError(f"module 'ocrlib' has no attribute {name!r}")
