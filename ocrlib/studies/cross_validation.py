"""Nested cross-validation: every image is read by networks that never saw it, their recipe chosen among candidates without it.

The data set is cut into five folds. For each of them the candidates are trained on three of the other four folds and tried
on the remaining one, for `TRIED_ON` of these; the one with the fewest edits there is trained anew on all four, and a
committee of such trainings reads the fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from ocrlib.captchas import Captchas
from ocrlib.data.loading import load_captchas
from ocrlib.data.published import correct, corrections
from ocrlib.evaluation import evaluate, score
from ocrlib.experiments import EXPERIMENTS, Experiment, Trained, train_on
from ocrlib.networks import Network
from ocrlib.runtime import arithmetic, pick_budget
from ocrlib.studies.ensemble import Committee
from ocrlib.studies.records import Figures
from ocrlib.studies.variants import narrow_column_cnn
from ocrlib.texts import Alphabet

FOLDS = 5
TRIED_ON = 2  # of the four training folds, how many the candidates are tried on
MEMBERS = 3  # of a committee
SEEDS = (1, 2, 3)  # of the folds and of all trainings
FAST = EXPERIMENTS["fast"]
# The changes were drawn up with generated images only: there longer training helped, and twice the channels did about as well.
# What they change, the recipe "fast", is not as innocent: it was chosen on folds of the 820 training images of split 42.
CANDIDATES: dict[str, Experiment] = {
    "fast": FAST,
    "fast, 22 epochs": replace(FAST, epochs=(22,)),
    "fast, 44 epochs": replace(FAST, epochs=(44,)),
    "twice the channels, 22 epochs": replace(FAST, epochs=(22,), network=narrow_column_cnn(2), learning_rate=0.005),
}
SMOKE_JOB = {"seed": 0, "fold": 0}


def jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `cross_validate`: all folds of one seed, then those of the next."""
    return [{"seed": seed, "fold": fold} for seed in SEEDS for fold in range(FOLDS)]


def folds(n: int, seed: int) -> list[list[int]]:
    """The positions 0 to n - 1 in `FOLDS` random parts, whose sizes differ by one at most."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return [order[k::FOLDS] for k in range(FOLDS)]


def cross_validate(seed: int, fold: int) -> Figures:
    """Choose, train and read one fold, under the budget in force, as figures for `record_runs`.

    ``tried`` are each candidate's edits and exactly read images on the folds it was tried on; ``mistakes`` are [predicted,
    true, probability of the predicted text, of the true one] of each image that the committee misread, ``members_mistakes``
    [predicted, true] of those that each member misread.
    """
    captchas = load_captchas(width=FAST.width)
    captchas = captchas.subset(range(pick_budget().images(len(captchas))))
    parts = folds(len(captchas), seed)
    test = parts.pop(fold)
    tried = {name: _try(recipe, captchas, parts, seed) for name, recipe in CANDIDATES.items()}
    chosen = min(tried, key=lambda name: tried[name]["edits"])  # of equals the first, which is the quickest
    everything = sum(parts, [])
    seeds = [100 * member + seed for member in range(1, MEMBERS + 1)]
    members = [_train(CANDIDATES[chosen], captchas, everything, test, member_seed).model for member_seed in seeds]
    return {"chosen": chosen, "tried": tried, **_read(members, captchas.subset(test)), "arithmetic": arithmetic()}


def count_exact(folds: Iterable[Figures], corrected: bool = False) -> int:
    """How many images were read as they are labelled, in folds that together hold every published image.

    With ``corrected``, as they are labelled in `ocrlib.data.published`: then a label that was read as given can be wrong. These
    readings themselves raised the suspicion against the four labels there, so that share is an upper figure.
    """
    read, images = {}, 0
    if corrected:
        read = {label: label for label in corrections()}
    for figures in folds:
        images += figures["images"]
        read |= {true: predicted for predicted, true, *_ in figures["mistakes"]}
    true = correct(list(read)) if corrected else list(read)
    return images - sum(a != b for a, b in zip(read.values(), true))


def _try(recipe: Experiment, captchas: Captchas, parts: list[list[int]], seed: int) -> dict[str, int]:
    """Edits and exactly read images of a candidate, on some of the training folds in turn."""
    edits = exact = 0
    for held_out in range(min(TRIED_ON, len(parts))):
        rest = sum((part for k, part in enumerate(parts) if k != held_out), [])
        model, objective, _ = _train(recipe, captchas, rest, parts[held_out], seed)
        report = evaluate(model, objective, captchas.subset(parts[held_out]))
        edits, exact = edits + report.edits, exact + report.images - len(report.mistakes)
    return {"edits": edits, "exact": exact}


def _train(recipe: Experiment, captchas: Captchas, train: list[int], test: list[int], seed: int) -> Trained:
    sized = replace(recipe, train=len(train), test=len(test)).within(pick_budget(), len(train) + len(test))
    return train_on(sized, captchas.subset(train), captchas.subset(test), seed)


def _read(members: list[Network], captchas: Captchas) -> dict[str, Any]:
    """What the committee reads, and what its members read by themselves."""
    committee = Committee(members, Alphabet())
    logits = committee.logits(captchas.images)
    alone = [score(texts, captchas) for texts in committee.proposals(logits)]
    texts, sure = committee.choose(logits)
    report = score(texts, captchas)
    of_true = dict(zip(captchas.texts, committee.mean(logits, captchas.texts).tolist()))
    of_read = dict(zip(captchas.texts, sure.tolist()))
    return {
        **report.figures,
        "members_exact": [one.images - len(one.mistakes) for one in alone],
        "mistakes": [[m.predicted, m.true, _short(of_read[m.true]), _short(of_true[m.true])] for m in report.mistakes],
        "members_mistakes": [one.misread for one in alone],
    }


def _short(probability: float) -> float:
    return float(f"{probability:.4g}")
