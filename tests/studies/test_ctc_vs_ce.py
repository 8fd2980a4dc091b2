"""Runs of the comparison: each trial changes what it says and nothing else, and a run is the same when it is repeated."""

import json
import math
import os
import signal
from collections import Counter

import pytest
import torch
from torch import nn

from ocrlib import EXPERIMENTS, Alphabet, ColumnCNN, CrossEntropy
from ocrlib.studies import ctc_vs_ce as module
from ocrlib.studies.ctc_vs_ce import JOBS, SIZES, SMOKE_JOB, STEPS, PaddedCrossEntropy, Trial, compare, make_model
from ocrlib.studies.heads import HEADS, AttentionCE

WIDTH = EXPERIMENTS["fast"].width
SEEDS = range(10)


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder):
    """Twelve images, nine of them to train on, and two epochs."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")


def essence(job: dict) -> str:
    return json.dumps({name: value for name, value in job.items() if name != "seed"}, sort_keys=True)


def test_each_run_once_and_each_point_with_every_seed():
    assert len({json.dumps(job, sort_keys=True) for job in JOBS}) == len(JOBS) <= 500
    points = Counter(map(essence, JOBS))
    assert set(points.values()) == {len(SEEDS)}
    assert all(Trial(**job).seed in SEEDS for job in [*JOBS, SMOKE_JOB])  # and each can be made


def test_the_learning_curves_come_first_seed_by_seed():
    first = JOBS[: len(SEEDS) * len(HEADS) * (len(SIZES) + 1)]
    assert {job["head"] for job in first} == set(HEADS) and {job.get("images") for job in first} == set(SIZES)
    assert [job["seed"] for job in first] == sorted(job["seed"] for job in first)


def test_the_fewest_steps_suffice_and_the_recipe_itself_has_the_most():
    columns = ColumnCNN().steps(EXPERIMENTS["fast"].width)
    assert 9 <= min(STEPS) and max(STEPS) < columns == 24


def test_a_job_says_only_what_is_special():
    assert {"head": "pooled", "seed": 3, "images": 50} in JOBS
    assert {"head": "ctc", "seed": 0, "curve": True} in JOBS


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"head": "pooled", "pretraining": True}, "belong to CTC"),
        ({"head": "pooled", "pooled": 10}, "belong to CTC"),
        ({"noise": 20}, "from 0 to 1"),
        ({"kind": "neighbours"}, "drawn=0; say how many"),
    ],
)
def test_what_makes_no_run_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Trial(**arguments)


def test_all_methods_share_a_seeds_split():
    parts = [Trial(head, seed=4).data()[1:] for head in HEADS]
    assert all(train.names == parts[0][0].names and test.names == parts[0][1].names for train, test in parts)
    train, test = parts[0]
    assert (len(train), len(test), set(train.names) & set(test.names)) == (9, 3, set())
    assert Trial(seed=5).data()[2].names != test.names


def test_fewer_images_are_some_of_all():
    full, few = Trial().data()[1], Trial(images=4).data()[1]
    assert few.names == full.names[:4]
    assert Trial(images=1000).data()[1].names == full.names


def test_drawn_images_are_added_to_the_training_images_only():
    (_, plain, test), (_, mixed, same_test) = Trial().data(), Trial(drawn=20).data()
    added = set(mixed.names) - set(plain.names)
    assert (len(mixed), len(added), set(plain.names) <= set(mixed.names)) == (29, 20, True)
    assert same_test.names == test.names
    assert set(mixed.names[:9]) & added, "not mixed"
    for name, text, image in zip(mixed.names, mixed.texts, mixed.images):
        if name in plain.names:
            place = plain.names.index(name)
            assert text == plain.texts[place] and torch.equal(image, plain.images[place])
    assert make_model(Trial("pooled", drawn=20, kind="lengths"), Alphabet()).steps(WIDTH) == 6
    assert {len(text) for text in Trial(drawn=20, kind="lengths").data()[1].texts} == {4, 5, 6}


@pytest.mark.parametrize("noise, wrong", [(0.0, 0), (0.2, 2), (1.0, 9)])
def test_noise_changes_one_symbol_in_its_share_of_the_training_texts(noise, wrong):
    (_, clean, test), (_, noisy, same_test) = Trial(seed=1).data(), Trial(seed=1, noise=noise).data()
    differing = [sum(a != b for a, b in zip(*texts)) for texts in zip(clean.texts, noisy.texts)]
    assert sorted(differing) == [0] * (9 - wrong) + [1] * wrong
    assert list(map(len, noisy.texts)) == list(map(len, clean.texts))
    assert torch.equal(clean.images, noisy.images) and test.texts == same_test.texts


def without_times(figures: dict) -> dict:
    return {name: value for name, value in figures.items() if not name.endswith("seconds")}


@pytest.mark.parametrize("head", HEADS)
def test_a_run_gives_figures_that_can_be_recorded(head):
    figures = compare(head=head, seed=1)
    assert json.loads(json.dumps(figures)) == figures
    assert figures["images"] == 3 and figures["characters"] == 15
    assert figures["cer"] == pytest.approx(figures["edits"] / 15)
    assert sum(figures["symbols"].values()) == 15
    assert len(figures["mistakes"]) == round(3 * (1 - figures["exact"]))
    assert figures["training_seconds"] > 0


def test_the_same_run_gives_the_same_bits_and_another_seed_others():
    first = without_times(compare(seed=1, pooled=15, pretraining=True))
    assert without_times(compare(seed=1, pooled=15, pretraining=True)) == first
    assert compare(seed=2, pooled=15, pretraining=True)["history"] != first["history"]


def test_watching_changes_nothing():
    plain, watched = (without_times(compare(seed=1, curve=curve)) for curve in (False, True))
    assert {name: watched[name] for name in plain} == plain
    assert len(watched["train_loss"]) == watched["steps"]
    steps = [step for step, _ in watched["cers"]]
    assert len(steps) == 4 and steps == sorted(steps) and steps[-1] == watched["steps"]
    assert watched["cers"][-1][1] == pytest.approx(watched["cer"], abs=1e-6)


def test_steps_are_the_same_however_many_images_there_are():
    steps = {compare(seed=1, **data)["steps"] for data in ({}, {"images": 4}, {"drawn": 20})}
    assert len(steps) == 1


def test_epochs_take_all_images_in_turn_and_only_the_first_are_pretraining(monkeypatch):
    calls, fit = [], module.fit

    def watched(model, objective, images, *rest, epochs, **options):
        calls.append((type(objective).__name__, model.steps(WIDTH), epochs, images(0).names, images(1).names))
        return fit(model, objective, images, *rest, epochs=epochs, **options)

    monkeypatch.setattr(module, "fit", watched)
    compare(seed=1, images=4, pooled=12, pretraining=True)
    few = Trial(seed=1, images=4).data()[1].names
    first, second = few + few + few[:1], few[1:] + few + few[:2]
    assert calls == [("PaddedCrossEntropy", 5, 1, first, second), ("CTC", 12, 1, first, second)]


def test_a_stopped_run_gives_no_figures(monkeypatch):
    evaluate = module.evaluate

    def interrupting(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate(*arguments)

    monkeypatch.setattr(module, "evaluate", interrupting)
    with pytest.raises(KeyboardInterrupt):
        compare(seed=1, curve=True)


def test_each_change_changes_the_training():
    changes = [
        {},
        {"warm_up": False},
        {"blank_bias": False},
        {"pretraining": True},
        {"pooled": 15},
        {"noise": 0.5},
        {"images": 8},
    ]
    histories = [compare(seed=1, **change)["history"] for change in changes]
    assert len(set(histories)) == len(changes)


def test_the_biases_of_the_blank():
    def bias(**arguments):
        return float(make_model(Trial(**arguments), Alphabet()).head.bias.detach()[0])

    assert bias() == pytest.approx(math.log(36))
    assert bias(blank_bias=False) == 0
    assert [bias(head=head) for head in HEADS if head != "ctc"] == [0, 0, 0]


def test_texts_of_several_lengths():
    for head in ("ctc", "attention"):
        figures = compare(head=head, seed=1, drawn=20, kind="lengths", read_drawn=True)
        assert set(figures["lengths"]) == {"4", "5", "6"}
        for length, found in figures["lengths"].items():
            assert (found["images"], found["characters"]) == (64, 64 * int(length))
            assert sum(found["read_lengths"].values()) == 64
        counts = figures["bins"]
        assert sum(n for n, _, _ in counts) == 64 * 5
        assert all(n >= curved and n >= clean for n, curved, clean in counts)


def test_padded_cross_entropy_wants_blanks_after_the_end():
    objective = PaddedCrossEntropy(Alphabet("abc"))
    targets, lengths = objective.prepare(["ab", "cab"], torch.device("cpu"))  # (2, 3)
    torch.manual_seed(0)
    logits = torch.randn(4, 2, 4)  # (T, N, C)
    wanted = torch.tensor([[1, 2, 0, 0], [3, 1, 2, 0]])
    by_hand = nn.functional.cross_entropy(logits.permute(1, 2, 0), wanted)
    assert objective.loss(logits, targets, lengths) == pytest.approx(float(by_hand))
    assert objective.decode(nn.functional.one_hot(wanted, 4).float().transpose(0, 1)) == ["ab", "cab"]


def test_padded_cross_entropy_knows_its_limit():
    model = AttentionCE(positions=5)
    PaddedCrossEntropy(Alphabet()).check(model, WIDTH, ["cd5f", "cd5ff"])
    with pytest.raises(ValueError, match="'cd5ffg' has more symbols than the 5 positions"):
        PaddedCrossEntropy(Alphabet()).check(model, WIDTH, ["cd5f", "cd5ffg"])
    with pytest.raises(ValueError, match="'cd5f' has 4 symbols"):
        CrossEntropy(Alphabet()).check(model, WIDTH, ["cd5f", "cd5ff"])
