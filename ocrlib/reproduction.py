"""The runs behind the reported figures' error bars: each recipe with several seeds, on the reported split and on others."""

from __future__ import annotations

from typing import Any

REPORTED_SEED, REPORTED_SPLIT = 42069, 42
SEEDS = (REPORTED_SEED, 1, 2, 3, 4)  # of training, on the reported split
OTHER_SPLITS = (1, 2, 3)  # each trained on once, with the reported seed
MEANT_WIDTH = 100  # of the CRNN's images; as run, it was 80
SMOKE_JOB = {"recipe": "modified_crnn", "seed": 1, "split_seed": 1}


def jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `ocrlib.run_recipe`: a recipe's reported run first, the shortest recipe first."""
    found = []
    for recipe in ("modified_crnn", "ce_crnn", "crnn"):
        found += [{"recipe": recipe, "seed": seed, "split_seed": REPORTED_SPLIT} for seed in SEEDS]
        found += [{"recipe": recipe, "seed": REPORTED_SEED, "split_seed": split} for split in OTHER_SPLITS]
    return found + [{"recipe": "crnn", "seed": seed, "split_seed": REPORTED_SPLIT, "width": MEANT_WIDTH} for seed in SEEDS]
