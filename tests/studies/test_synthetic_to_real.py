"""From generated to real: what is trained on and what is read, and that a copied training goes on as the original."""

import json
from dataclasses import replace
from itertools import islice

import pytest
from toys import weights

from ocrlib import EXPERIMENTS, load_captchas
from ocrlib.studies import synthetic_to_real as module
from ocrlib.studies.synthetic_to_real import ALONE_JOBS, JOBS, SEEDS, STYLES, Pretraining, half_real, train_alone, transfer
from ocrlib.synthetic.generated import EndlessCaptchas


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder):
    """Twelve real images; chunks of as many as the smoke budget allows."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")


def test_each_run_once_and_each_point_with_every_seed():
    assert len({json.dumps(job, sort_keys=True) for job in JOBS}) == len(JOBS) == len(SEEDS) * (1 + len(STYLES))


def test_without_real_images_none_is_trained_on(monkeypatch):
    real, seen = set(load_captchas(width=96).texts), []

    class Watched(Pretraining):
        def take(self, chunks, count):
            chunks = list(islice(chunks, count))
            seen.extend(name for chunk in chunks for name in chunk.names)
            super().take(iter(chunks), count)

    monkeypatch.setattr(module, "Pretraining", Watched)
    figures = transfer(seed=1, style="off", augmented=False)
    assert seen and all(name.startswith("endless-") for name in seen)
    assert figures["zero_shot"]["images"] == 12 == len(real) and "alone" not in figures
    assert {true for _, true in figures["mistakes"]} <= real


def test_a_run_repeats_itself_and_its_test_images_are_never_trained_on(monkeypatch):
    trained, tested = [], []
    half, evaluate = module.half_real, module.evaluate

    def watching_half(chunk, some, number):
        trained.extend(some.names)
        return half(chunk, some, number)

    def watching_evaluate(model, objective, captchas):
        tested.append(captchas.names)
        return evaluate(model, objective, captchas)

    monkeypatch.setattr(module, "half_real", watching_half)
    monkeypatch.setattr(module, "evaluate", watching_evaluate)
    figures = transfer(seed=1)
    assert len(tested[0]) == 12 and all(len(names) == 3 for names in tested[1:])
    assert trained and not set(trained) & set(tested[1])
    assert list(figures["pretrained"]) == ["0", "9"] and list(figures["alone"]) == ["9"], "ten images and more are all nine"
    assert figures == transfer(seed=1)


def test_a_copied_training_goes_on_as_the_original_and_leaves_it_alone():
    recipe = replace(EXPERIMENTS["fast"], train=24, epochs=(4,))
    chunks = list(islice(EndlessCaptchas(1, 24, 96).stream(), 4))
    first = Pretraining(recipe, seed=1)
    first.take(iter(chunks), 2)
    before = weights(first.model).clone()
    second, third = first.copy(), first.copy()
    second.take(iter(chunks[2:]), 2)
    assert weights(first.model).equal(before)
    first.take(iter(chunks[2:]), 2)
    third.take(iter(chunks[:2]), 2)
    assert first.history.digest() == second.history.digest() != third.history.digest()
    assert weights(first.model).equal(weights(second.model)) and first.options["scheduler"].last_epoch == 8


def test_half_of_a_chunk_is_real_in_turn():
    chunk, real = EndlessCaptchas(1, 6, 96)[0], load_captchas(width=96).subset(range(4))
    first, second = half_real(chunk, real, 0), half_real(chunk, real, 1)
    assert len(first) == len(second) == 6 and first.names[:3] == chunk.names[:3]
    assert first.names[3:] + second.names[3:] == real.names + real.names[:2]


def test_an_unknown_style_is_named():
    with pytest.raises(ValueError, match="no style 'odd'"):
        transfer(1, "odd")


def test_real_images_alone_are_those_of_transfer_for_as_many_epochs_as_it_has_chunks(monkeypatch):
    seen = []
    train_on = module.train_on

    def watching(recipe, train, test, seed):
        seen.append((recipe.epochs, len(train), test.names))
        return train_on(recipe, train, test, seed)

    monkeypatch.setattr(module, "train_on", watching)
    monkeypatch.setattr(module, "CHUNKS", 2)
    monkeypatch.setattr(module, "MIXED", 1)
    transfer(seed=1)
    figures = train_alone(seed=1)
    assert seen[-1] == ((2,), 9, seen[-2][2]) and figures["images"] == 3
    assert len({job["seed"] for job in ALONE_JOBS}) == len(ALONE_JOBS) == 5
