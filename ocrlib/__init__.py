"""ocrlib: reading CAPTCHA images with convolutional-recurrent networks, CTC loss against cross-entropy."""

from importlib import import_module

from ocrlib.alphabet import Alphabet
from ocrlib.augmentation import RandomAffine
from ocrlib.captchas import Captchas, load_captchas, split
from ocrlib.checkpoints import CheckpointError
from ocrlib.evaluation import Mistake, Report, evaluate
from ocrlib.experiments import EXPERIMENTS, Experiment, run
from ocrlib.history import History
from ocrlib.images import BadImage
from ocrlib.live import LivePlot
from ocrlib.models import TrainedModel, load_model, save_model
from ocrlib.networks import CECRNN, CRNN, ColumnCNN, ModifiedCRNN, parameter_count
from ocrlib.objectives import CTC, CrossEntropy, ctc_route
from ocrlib.race import Race, race
from ocrlib.reading import Text, read
from ocrlib.records import Record, read_records, record_runs, run_recipe
from ocrlib.repetitions import repeat
from ocrlib.roofline import flops_per_image, peak_flops
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
from ocrlib.synthetic import SyntheticCaptchas, random_text, render_captcha
from ocrlib.training import DivergedError, fit, gradient_norm

__version__ = "0.1.0"

__all__ = [
    "Alphabet",
    "BadImage",
    "Budget",
    "Captchas",
    "CECRNN",
    "CheckpointError",
    "ColumnCNN",
    "CRNN",
    "CrossEntropy",
    "CTC",
    "ctc_route",
    "describe_runtime",
    "DivergedError",
    "evaluate",
    "Experiment",
    "EXPERIMENTS",
    "fast_dtype",
    "fit",
    "flops_per_image",
    "gradient_norm",
    "History",
    "LivePlot",
    "load_captchas",
    "load_model",
    "Mistake",
    "ModifiedCRNN",
    "parameter_count",
    "peak_flops",
    "pick_budget",
    "pick_device",
    "race",
    "Race",
    "random_text",
    "RandomAffine",
    "read",
    "read_records",
    "Record",
    "record_runs",
    "release_memory",
    "render_captcha",
    "repeat",
    "Report",
    "run",
    "run_recipe",
    "runs_folder",
    "save_model",
    "seed_everything",
    "split",
    "SyntheticCaptchas",
    "Text",
    "TrainedModel",
    "versions",
]


def __getattr__(name: str) -> object:
    """The plots, from the top too. They are looked up when asked for, since matplotlib takes long to import."""
    if name == "plots" or name.startswith("plot_"):
        plots = import_module("ocrlib.plots")
        return plots if name == "plots" else getattr(plots, name)
    raise AttributeError(f"module 'ocrlib' has no attribute {name!r}")
