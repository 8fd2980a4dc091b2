"""The runs behind the reported figures' error bars: each recipe with several seeds, on the reported split and on others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import random_split

from ocrlib.data.published import published
from ocrlib.experiments import EXPERIMENTS, MEANT_WIDTH, REPORTED_SEED, REPORTED_SPLIT
from ocrlib.studies.records import SEEDS, Record

# For the two recipes whose reported CER lay below those of all of their first five runs: as many more as there was time for.
MORE_SEEDS = {"modified_crnn": (5, 6, 7, 8, 9), "ce_crnn": (5, 6)}
OTHER_SPLITS = (1, 2, 3)  # each trained on once, with the reported seed
SMOKE_JOB = {"recipe": "modified_crnn", "seed": 1, "split_seed": 1}


def jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `ocrlib.run_recipe`: a recipe's reported run first, the shortest recipe first."""
    found = []
    for recipe in ("modified_crnn", "ce_crnn", "crnn"):
        found += [{"recipe": recipe, "seed": seed, "split_seed": REPORTED_SPLIT} for seed in SEEDS]
        found += [{"recipe": recipe, "seed": REPORTED_SEED, "split_seed": split} for split in OTHER_SPLITS]
        found += [{"recipe": recipe, "seed": seed, "split_seed": REPORTED_SPLIT} for seed in MORE_SEEDS.get(recipe, ())]
    return [*found, {"recipe": "crnn", "seed": REPORTED_SEED, "split_seed": REPORTED_SPLIT, "width": MEANT_WIDTH}]


def select(
    records: Iterable[Record], recipe: str, split_seed: int | None = None, width: int | None = None, other_splits: bool = False
) -> list[Record]:
    """The recorded runs of a recipe at its own width, or another ``width``, in the order of `jobs`.

    On every split, on that of ``split_seed``, or on all but the reported one. Runs that are not planned come last.
    """
    order = jobs()
    found = [
        record
        for record in records
        if record.arguments["recipe"] == recipe
        and record.arguments.get("width") == width
        and split_seed in (None, record.arguments.get("split_seed", REPORTED_SPLIT))
        and not (other_splits and record.arguments.get("split_seed", REPORTED_SPLIT) == REPORTED_SPLIT)
    ]
    return sorted(found, key=lambda record: order.index(record.arguments) if record.arguments in order else len(order))


def texts_tested(recipe: str, split_seed: int = REPORTED_SPLIT) -> list[str]:
    """The published labels of the images that a recipe is tested on, in their order; the images need not be there.

    It is the split of `ocrlib.split`: drawn over the labels in their order.
    """
    experiment = EXPERIMENTS[recipe]
    sizes = experiment.train, experiment.test
    labels = sorted(published())[: sum(sizes)]
    return list(random_split(labels, sizes, generator=torch.Generator().manual_seed(split_seed))[1])
