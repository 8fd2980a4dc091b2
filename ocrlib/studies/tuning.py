"""CTC and cross-entropy, each with a learning rate and a length of its own, chosen for each split without its test images.

Of a split's training images a part is held out. Every rate and length is tried on it; the best then trains on all of them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import Report, evaluate
from ocrlib.experiments import EXPERIMENTS, Experiment, parts, train_on
from ocrlib.networks import Network
from ocrlib.objectives import CTC, CrossEntropy, Objective
from ocrlib.runtime import pick_budget
from ocrlib.studies.heads import AttentionCE, ColumnCTC, RecurrentCE, RecurrentCTC
from ocrlib.studies.records import Figures, run_figures
from ocrlib.studies.variants import narrow_column_cnn

# By backbone and loss. Cross-entropy has the head that read best in `ctc_vs_ce`.
NETWORKS: dict[str, dict[str, tuple[type[Network], type[Objective]]]] = {
    "convolutions": {"ctc": (ColumnCTC, CTC), "ce": (AttentionCE, CrossEntropy)},
    "lstm": {"ctc": (RecurrentCTC, CTC), "ce": (RecurrentCE, CrossEntropy)},
    "half the channels": {"ctc": (narrow_column_cnn(1 / 2), CTC)},  # of the convolutions, for notebook 09's question 11
}
RATES = (0.002, 0.004, 0.008, 0.016)  # the greatest of the cycle; the recipe "fast" has 0.008
EPOCHS = (11, 22, 44)  # the recipe "fast" has 11
HELD_OUT = 0.25  # of a split's training images
SEEDS = range(10)
SMOKE_JOB = {"backbone": "lstm", "loss": "ce", "seed": 0}
# Split by split, so that a study that was stopped has the four networks that are compared for the same splits.
JOBS: list[dict[str, Any]] = [
    {"backbone": backbone, "loss": loss, "seed": seed}
    for backbones in (("convolutions", "lstm"), ("half the channels",))
    for seed in SEEDS for backbone in backbones for loss in NETWORKS[backbone]
]  # fmt: skip


def tune(backbone: str, loss: str, seed: int) -> Figures:
    """Choose rate and length, train and test, on the split ``seed`` and under the budget in force, as figures.

    ``tried`` has [rate, epochs, edits, loss] of each setting on the images held out, the loss in nats a symbol. The fewest
    edits are ``chosen`` as [rate, epochs], of equals the one with the least loss. Test images are those of a `ctc_vs_ce.Trial`
    with the same seed.
    """
    network, objective = NETWORKS[backbone][loss]
    whole = load_captchas(width=EXPERIMENTS["fast"].width)
    fast, train, test = parts(replace(EXPERIMENTS["fast"], network=network, objective=objective), whole, seed)
    kept = len(train) - round(HELD_OUT * len(train))
    some, held_out = train.subset(range(kept)), train.subset(range(kept, len(train)))  # random: the split is shuffled
    tried = []
    for rate, epochs in product(RATES, EPOCHS):
        report = _train(fast, rate, epochs, some, held_out, seed)
        tried.append([rate, epochs, report.edits, round(report.history.test_loss[-1], 6)])
    rate, epochs, *_ = min(tried, key=lambda one: one[2:])
    report = _train(fast, rate, epochs, train, test, seed)
    return {"tried": tried, "chosen": [rate, epochs], **run_figures(report)}


def _train(recipe: Experiment, rate: float, epochs: int, train: Captchas, test: Captchas, seed: int) -> Report:
    recipe = replace(recipe, learning_rate=rate, epochs=(pick_budget().epochs(epochs),), train=len(train))
    trained = train_on(recipe, train, test, seed)
    return evaluate(trained.model, trained.objective, test).after_training(trained.history)
