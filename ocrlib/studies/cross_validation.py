"""Nested cross-validation: every image is read by networks that never saw it, and whose recipe was chosen without it.

On four of five folds the candidates are trained and tried. The one with the fewest edits is trained anew, `MEMBERS` times, and
these networks read the fifth fold as an ensemble. A label that they read otherwise again and again is doubtful.
"""

from __future__ import annotations

from collections import Counter, defaultdict, namedtuple
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ocrlib.captchas import Captchas
from ocrlib.data.folds import FOLDS, folds
from ocrlib.data.loading import load_captchas
from ocrlib.data.published import correct, corrections
from ocrlib.evaluation import evaluate, predict, score
from ocrlib.experiments import EXPERIMENTS, Experiment, Trained, train_on
from ocrlib.objectives import CTC
from ocrlib.runtime import pick_budget
from ocrlib.studies.records import Figures, Record, arithmetic
from ocrlib.studies.variants import narrow_column_cnn
from ocrlib.texts import Alphabet

TRIED_ON = 2  # of the four training folds, how many the candidates are tried on
MEMBERS = 3  # of an ensemble
SEEDS = (1, 2, 3)  # of the folds and of all trainings
SMOKE_JOB = {"seed": 0, "fold": 0}
READER = CTC(Alphabet())
FAST = EXPERIMENTS["fast"]
# The changes were chosen with generated images only: there longer training helped, and twice the channels read about as well.
# The recipe "fast" itself was chosen on folds of the 820 training images of split 42, so it has seen some of these images.
CANDIDATES: dict[str, Experiment] = {
    "fast": FAST,
    "fast, 22 epochs": replace(FAST, epochs=(22,)),
    "fast, 44 epochs": replace(FAST, epochs=(44,)),
    "twice the channels, 22 epochs": replace(FAST, epochs=(22,), network=narrow_column_cnn(2), learning_rate=0.005),
}


def jobs() -> list[dict[str, int]]:
    """Every run as arguments for `cross_validate`: all folds of one seed, then those of the next."""
    return [{"seed": seed, "fold": fold} for seed in SEEDS for fold in range(FOLDS)]


def cross_validate(seed: int, fold: int) -> Figures:
    """Choose, train and read one fold, under the budget in force, as figures for `record_runs`.

    ``tried`` are each candidate's edits and exactly read images, ``members_mistakes`` [predicted, true] of what each member
    misread alone. ``mistakes`` of the ensemble also have the probabilities of these two texts.
    """
    captchas = load_captchas(width=FAST.width)
    captchas = captchas.subset(range(pick_budget().images(len(captchas))))
    parts = folds(len(captchas), seed)
    test = captchas.subset(parts.pop(fold))
    tried = {name: _try(recipe, captchas, parts, seed) for name, recipe in CANDIDATES.items()}
    chosen = min(tried, key=lambda name: tried[name]["edits"])  # of equals the first, which is the quickest
    train = captchas.subset(sum(parts, []))
    seeds = [100 * member + seed for member in range(1, MEMBERS + 1)]
    logits = [predict(_train(CANDIDATES[chosen], train, test, seed).model, test.images) for seed in seeds]
    texts, of_read = read_together(logits)
    probabilities = dict(zip(test.texts, zip(of_read.tolist(), mean_probability(logits, test.texts).tolist())))
    report, alone = score(texts, test), [score(READER.decode(of_one), test) for of_one in logits]
    return {
        "chosen": chosen,
        "tried": tried,
        **report.figures,
        "members_exact": [of_one.images - len(of_one.mistakes) for of_one in alone],
        "mistakes": [[read, true, *(float(f"{p:.4g}") for p in probabilities[true])] for read, true in report.misread],
        "members_mistakes": [of_one.misread for of_one in alone],
        "arithmetic": arithmetic(),
    }


def _try(recipe: Experiment, captchas: Captchas, parts: list[list[int]], seed: int) -> dict[str, int]:
    """Edits and exactly read images of a candidate, on some of the training folds in turn."""
    reports = []
    for part in parts[:TRIED_ON]:
        train, test = captchas.subset(sum((other for other in parts if other is not part), [])), captchas.subset(part)
        model, objective, _ = _train(recipe, train, test, seed)
        reports.append(evaluate(model, objective, test))
    return {"edits": sum(one.edits for one in reports), "exact": sum(one.images - len(one.mistakes) for one in reports)}


def _train(recipe: Experiment, train: Captchas, test: Captchas, seed: int) -> Trained:
    sized = replace(recipe, train=len(train), test=len(test)).within(pick_budget(), len(train) + len(test))
    return train_on(sized, train, test, seed)


def mean_probability(logits: Sequence[Tensor], texts: Sequence[str]) -> Tensor:
    """``(N,)`` float64: the geometric mean of the probabilities that an ensemble's logits ``(T, N, C)`` give to N texts."""
    each = torch.stack([READER.confidence(of_one, texts) for of_one in logits])  # (members, N)
    return each.log().mean(0).exp()  # 0 where one member gives 0


def read_together(logits: Sequence[Tensor]) -> tuple[list[str], Tensor]:
    """For each image the member's text with the greatest `mean_probability`, and that mean ``(N,)``."""
    # The logits are not averaged step by step: two members can say the same symbol at different steps.
    proposed = [READER.decode(of_one) for of_one in logits]
    best = torch.stack([mean_probability(logits, texts) for texts in proposed]).max(0)
    return [proposed[member][i] for i, member in enumerate(best.indices.tolist())], best.values


def count_exact(folds: Sequence[Figures], corrected: bool = False) -> int:
    """How many images of all folds were read as they are labelled, or as they are labelled after `correct`."""
    # Corrected it is an upper figure, because these readings themselves led to the corrections.
    read = {label: label for label in corrections()} if corrected else {}
    read |= {true: predicted for figures in folds for predicted, true, *_ in figures["mistakes"]}
    shown = correct(list(read)) if corrected else read
    return sum(figures["images"] for figures in folds) - sum(a != b for a, b in zip(read.values(), shown))


# A label that so many repetitions read otherwise, and so many of all their networks; their least probability of what they read.
DoubtfulLabel = namedtuple("DoubtfulLabel", "label read seeds of_seeds networks of_networks least")


def doubtful_labels(folds: Sequence[Record]) -> list[DoubtfulLabel]:
    """The labels whose images at least two repetitions read as the same other text, the surest first."""
    probabilities, votes = defaultdict(list), Counter()
    for record in folds:
        for read, label, probability, _ in record.figures["mistakes"]:
            probabilities[label, read].append(probability)
        votes.update((label, read) for member in record.figures["members_mistakes"] for read, label in member)
    seeds = len({record.arguments["seed"] for record in folds})
    found = [
        DoubtfulLabel(*pair, len(given), seeds, votes[pair], seeds * MEMBERS, min(given))
        for pair, given in probabilities.items()
        if len(given) >= 2
    ]
    return sorted(found, key=lambda doubt: (-doubt.seeds, -doubt.networks, -doubt.least, doubt.label))
