"""The training of the network that comes with the package: the fast recipe, on generated images only."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace
from pathlib import Path

from torch import nn

from ocrlib.checkpoints import load_model, save_model
from ocrlib.experiments import EXPERIMENTS, train_on
from ocrlib.runtime import pick_budget, runs_folder
from ocrlib.studies.records import Figures, arithmetic
from ocrlib.synthetic.generated import EndlessCaptchas
from ocrlib.texts import Alphabet

SEED, STREAM_SEED = 0, 2000  # of training, and of the generated images
CHUNKS = 120  # of generated images; each is an epoch


def pretrain() -> Figures:
    """Train the network under the budget in force, and save it as `trained_file`. ``generated`` counts the images."""
    budget, recipe = pick_budget(), EXPERIMENTS["fast"]
    chunks = min(CHUNKS, 2 * budget.epochs(CHUNKS))
    recipe = replace(recipe, train=budget.images(recipe.train), epochs=(chunks,))
    chunk = functools.lru_cache(1)(EndlessCaptchas(STREAM_SEED, recipe.train, recipe.width).__getitem__)
    # `fit` wants a test set; nothing is measured on it here, so one image is enough.
    model, _, history = train_on(recipe, chunk, lambda number: chunk(number).subset([0]), SEED)
    save_model(trained_file(), model, Alphabet(), recipe.width)
    return {
        "generated": recipe.train * chunks,
        "history": history.digest(),
        "train_loss": history.train_loss[-1],
        "weights": weights_digest(load_model(trained_file()).network),
        "arithmetic": arithmetic(),
    }


def trained_file() -> Path:
    """Where `pretrain` saves the network: beside the checkpoints of the notebooks."""
    return runs_folder(pick_budget(), "synthetic") / "pretrained.pt"


def weights_digest(network: nn.Module) -> str:
    """12 hex digits of the SHA-256 of all weights and buffers in half precision, in order."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + (value.half() if value.is_floating_point() else value).cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
