"""TODO"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from torch import nn

from ocrlib.checkpoints import load_model, save_model
from ocrlib.experiments import EXPERIMENTS
from ocrlib.runtime import arithmetic, pick_budget, runs_folder
from ocrlib.studies.records import Figures
from ocrlib.studies.synthetic_to_real import Pretraining
from ocrlib.synthetic.generated import EndlessCaptchas
from ocrlib.texts import Alphabet

SEED, STREAM_SEED, CHUNKS = 0, 2000, 120  # of training, of the generated images, and how many chunks of them


def pretrain() -> Figures:
    """Train it, under the budget in force, and save it as `trained_file`; figures for `record_runs`.

    ``weights`` is the hash of the weights as they are saved (see `weights_digest`), ``generated`` how many images were drawn.
    """
    budget = pick_budget()
    chunks = min(CHUNKS, 2 * budget.epochs(CHUNKS))
    recipe = replace(EXPERIMENTS["fast"], train=budget.images(EXPERIMENTS["fast"].train), epochs=(chunks,))
    training = Pretraining(recipe, SEED)
    training.take(EndlessCaptchas(STREAM_SEED, recipe.train, recipe.width).stream(), chunks)
    save_model(trained_file(), training.model, Alphabet(), recipe.width)
    return {
        "generated": recipe.train * chunks,
        "history": training.history.digest(),
        "train_loss": training.history.train_loss[-1],
        "weights": weights_digest(load_model(trained_file()).network),
        "arithmetic": arithmetic(),
    }


def trained_file() -> Path:
    """Where `pretrain` leaves the network: beside the checkpoints of the notebooks."""
    return runs_folder(pick_budget(), "synthetic") / "pretrained.pt"


def weights_digest(network: nn.Module) -> str:
    """12 hex digits of the SHA-256 of all weights and buffers in half precision, in order."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update((value.half() if value.is_floating_point() else value).cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
