"""The runs behind the reported figures' error bars: each recipe with several seeds, on the reported split and on others."""

from __future__ import annotations

import torch
from torch.utils.data import random_split

from ocrlib.data.loading import load_captchas
from ocrlib.data.published import published
from ocrlib.evaluation import evaluate
from ocrlib.experiments import EXPERIMENTS, MEANT_WIDTH, REPORTED_SEED, REPORTED_SPLIT, parts, train_on
from ocrlib.studies.records import SEEDS, Figures, run_figures

# For the two recipes whose reported CER lay below those of all of their first five runs: as many more as there was time for.
MORE_SEEDS = {"modified_crnn": (5, 6, 7, 8, 9), "ce_crnn": (5, 6), "crnn": ()}  # the shortest recipe first
SMOKE_JOB = {"recipe": "modified_crnn", "seed": 1, "split_seed": 1}


def jobs() -> list[dict[str, str | int]]:
    """Every run as arguments for `ocrlib.run_recipe`. A recipe's reported run comes first; other splits have its seed."""
    found = []
    for recipe, more in MORE_SEEDS.items():
        splits = [(seed, REPORTED_SPLIT) for seed in SEEDS] + [(REPORTED_SEED, split) for split in range(1, 10)]
        splits += [(seed, REPORTED_SPLIT) for seed in more]
        found += [{"recipe": recipe, "seed": seed, "split_seed": split} for seed, split in splits]
    return [*found, {"recipe": "crnn", "seed": REPORTED_SEED, "split_seed": REPORTED_SPLIT, "width": MEANT_WIDTH}]


CURVE_JOBS = [job for job in jobs() if job["recipe"] == "modified_crnn" and job["split_seed"] in (REPORTED_SPLIT, 1, 2, 3)]
CURVE_JOBS += [{"recipe": "modified_crnn", "seed": seed, "split_seed": REPORTED_SPLIT} for seed in (0, *range(10, 16))]


def follow(recipe: str, seed: int, split_seed: int) -> Figures:
    """A training of a recipe as figures. Two have a value for each epoch: ``test_losses`` and ``epoch_edits``, on test images."""
    chosen, train, test = parts(EXPERIMENTS[recipe], load_captchas(width=EXPERIMENTS[recipe].width), split_seed)
    steps, edits = -(-len(train) // chosen.batch_size), []  # of an epoch

    def count(model, objective, step):
        if step % steps == 0:
            edits.append(evaluate(model, objective, test).edits)

    model, objective, history = train_on(chosen, train, test, seed, after_step=count)
    figures = run_figures(evaluate(model, objective, test).after_training(history), "mistakes")
    return figures | {"test_losses": history.test_loss, "epoch_edits": edits}


def texts_tested(recipe: str, split_seed: int = REPORTED_SPLIT) -> list[str]:
    """The published labels of a recipe's test images, in their order, drawn as `ocrlib.split` does. No image is needed."""
    sizes = EXPERIMENTS[recipe].train, EXPERIMENTS[recipe].test
    labels = sorted(published())[: sum(sizes)]
    return list(random_split(labels, sizes, generator=torch.Generator().manual_seed(split_seed))[1])
