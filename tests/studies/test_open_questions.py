"""The runs behind notebook 09: each has its counterpart among the repeated ones, and changes what it says it does."""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch

from ocrlib import CRNN, EXPERIMENTS, load_captchas, parameter_count, pick_budget
from ocrlib.studies import open_questions as questions
from ocrlib.studies import reproduction
from ocrlib.studies.open_questions import (
    COLUMN_SCALES,
    KINDS,
    LOOKING,
    LOOKING_JOBS,
    REMEDIES,
    REMEDY_JOBS,
    SMOKE_JOB,
    VARIANT_JOBS,
    WATER,
    WATER_JOBS,
    even_symbols,
    half_with_neighbours,
    train_to_look,
    train_variant,
    try_remedy,
)
from ocrlib.studies.variants import narrow_column_cnn
from ocrlib.texts import count_equal_neighbours, symbol_frequencies


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path, captcha_folder):
    """Twelve images, nine of them to train on."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "runs"))


@pytest.mark.parametrize("runs", [VARIANT_JOBS, LOOKING_JOBS, REMEDY_JOBS, WATER_JOBS])
def test_each_run_once_with_the_seeds_of_the_repetitions(runs):
    assert len({json.dumps(job, sort_keys=True) for job in runs}) == len(runs)
    points = {json.dumps({name: value for name, value in job.items() if name != "seed"}) for job in runs}
    for point in points:
        seeds = [job["seed"] for job in runs if json.dumps({k: v for k, v in job.items() if k != "seed"}) == point]
        assert seeds == list(reproduction.SEEDS[: len(seeds)]) and len(seeds) in (1, 2, 3, 5)


def test_one_training_reaches_from_eight_million_parameters_to_below_50_000():
    sizes = [parameter_count(narrow_column_cnn(scale)()) for scale in COLUMN_SCALES]
    assert sizes == sorted(sizes) and sizes[0] < 50_000 and 8_000_000 < sizes[-1] < parameter_count(CRNN())


@pytest.mark.parametrize("network", [*KINDS, "column"])
def test_a_variant_is_trained_and_measured(network):
    figures = train_variant(network, seed=1, scale=1 / 16, width=100)
    assert figures["images"] * 5 == figures["characters"] == 15
    assert figures["steps"] == {"six steps": 6, "column": 25}.get(network, 24)
    assert figures["parameters"] < 50_000 and figures["multiply_adds"] > figures["parameters"]
    assert figures == json.loads(json.dumps(figures))


def test_texts_that_six_steps_cannot_spell_are_left_out_and_counted(monkeypatch):
    captchas = load_captchas(width=100)
    captchas.texts[:] = ["aabbc", "abcde"] * 6
    monkeypatch.setattr(questions, "load_captchas", lambda width: captchas)
    figures = train_variant("six steps", seed=1, scale=1 / 16, width=100)
    assert figures["left_out"] + figures["unreadable"] == 6 and figures["images"] == 3


def test_a_variant_can_have_epochs_of_its_own(monkeypatch):
    monkeypatch.setattr(questions, "_figures", lambda name, prepared, seed: {"name": name, "epochs": prepared[0].epochs})
    monkeypatch.setenv("OCRLIB_BUDGET", "full")
    own, given = (train_variant("crnn", 1, 1 / 16, epochs=epochs) for epochs in (None, 240))
    assert own["epochs"] == EXPERIMENTS["crnn"].epochs and given["epochs"] == (240,) and own["name"] != given["name"]


@pytest.mark.parametrize("layers", LOOKING)
def test_a_trained_network_says_where_its_steps_look_and_where_the_symbols_stand(layers):
    figures = train_to_look(layers, seed=1)
    assert figures["centres"] == {"pools": [31.5, 47.5, 63.5, 79.5, 95.5], "strides": [24, 40, 56, 72, 88]}[layers]
    assert figures["symbols_at"] == sorted(figures["symbols_at"]) and len(figures["symbols_at"]) == 5
    assert all(abs(at - centre) < 20 for at, centre in zip(figures["looks_at"], figures["centres"]))
    assert figures == json.loads(json.dumps(figures))


def test_the_smallest_run_repeats_itself():
    assert train_variant(**SMOKE_JOB)["history"] == train_variant(**SMOKE_JOB)["history"]


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedy_changes_what_it_says(remedy, monkeypatch):
    monkeypatch.setenv("OCRLIB_BUDGET", "full")
    plain = EXPERIMENTS["modified_crnn"].within(pick_budget(), 12)
    recipe, train, test = REMEDIES[remedy](EXPERIMENTS["modified_crnn"])
    assert len(train) == 10 and len(test) == 2
    assert not set(train.texts) & set(test.texts)
    changed = {field.name for field in fields(recipe) if getattr(recipe, field.name) != getattr(plain, field.name)}
    expected = {
        "15 steps": {"width"}, "20 steps": {"width"}, "augmentation": {"augment"}, "80 epochs": {"epochs"},
        "80 epochs, augmentation": {"epochs", "augment"},
    }  # fmt: skip
    assert changed == expected.get(remedy, set())
    assert (len(set(train.texts)) < len(train)) == (remedy not in expected), "drawn with replacement"
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    assert try_remedy(remedy, 1)["steps"] == {"15 steps": 15, "20 steps": 20}.get(remedy, 10)


def test_water_alone_differs_between_two_drawings_of_the_same_texts():
    (recipe, train, test), (other, *without) = (WATER[name](EXPERIMENTS["modified_crnn"]) for name in WATER)
    assert recipe == other == EXPERIMENTS["modified_crnn"].within(pick_budget(), 12)
    assert [train.texts, test.texts] == [images.texts for images in without] and set(train.texts) < set(load_captchas().texts)
    assert not torch.equal(train.images, without[0].images)
    assert try_remedy("drawn without", 1)["steps"] == 10


def test_half_the_texts_drawn_hold_equal_neighbours():
    captchas = load_captchas(source="synthetic")
    weights = half_with_neighbours(captchas)
    held = np.array([count_equal_neighbours([text]) for text in captchas.texts])
    assert weights @ held / weights.sum() == pytest.approx(0.5)


def test_even_symbols_are_even():
    captchas = load_captchas(source="synthetic")
    weights = even_symbols(captchas)
    symbols = symbol_frequencies(captchas.texts)
    shares = np.array([weights @ [text.count(symbol) for text in captchas.texts] for symbol in symbols])
    shares /= shares.sum()
    assert max(symbols.values()) > 1.8 * np.median(list(symbols.values())), "n is twice as common"
    assert shares.max() < 1.02 / len(symbols) and weights.min() > 0


def test_a_training_outlives_whatever_stops_its_evaluation(monkeypatch, tmp_path):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(questions, "off_centre", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_to_look("pools", 1)
    kept = list(tmp_path.rglob("looking-pools*.pt"))
    assert len(kept) == 1
    train_to_look("pools", 1)
    assert list(tmp_path.rglob("looking-pools*.pt")) == []
