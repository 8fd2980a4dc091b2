"""Which runs the comparison has, and that a trial changes in its data what it says, and nothing else."""

import json
from collections import Counter

import pytest
import torch

from ocrlib import EXPERIMENTS, ColumnCNN
from ocrlib.studies.ctc_vs_ce import SIZES, SMOKE_JOB, STEPS, Trial, jobs, turn
from ocrlib.studies.heads import HEADS

SEEDS = range(10)


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder):
    """Twelve images, nine of them to train on."""
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")


def essence(job: dict) -> str:
    return json.dumps({name: value for name, value in job.items() if name != "seed"}, sort_keys=True)


def test_each_run_once_and_each_point_with_every_seed():
    runs = jobs()
    assert len({json.dumps(job, sort_keys=True) for job in runs}) == len(runs) <= 500
    points = Counter(map(essence, runs))
    assert set(points.values()) == {len(SEEDS)}
    assert all(Trial(**job).seed in SEEDS for job in [*runs, SMOKE_JOB])  # and each can be made


def test_the_learning_curves_come_first_seed_by_seed():
    first = jobs()[: len(SEEDS) * len(HEADS) * (len(SIZES) + 1)]
    assert {(job["head"], job.get("images"), job.get("drawn", 0)) for job in first} == {
        (head, images, drawn) for head in HEADS for images, drawn in [*((size, 0) for size in SIZES), (None, 2000)]
    }
    assert [job["seed"] for job in first] == sorted(job["seed"] for job in first)


def test_the_fewest_steps_suffice_and_the_recipe_itself_has_the_most():
    columns = ColumnCNN().steps(EXPERIMENTS["fast"].width)
    assert 9 <= min(STEPS) and max(STEPS) < columns == 24


def test_a_job_says_only_what_is_special():
    assert {"head": "pooled", "seed": 3, "images": 50} in jobs()
    assert {"head": "ctc", "seed": 0, "curve": True} in jobs()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"head": "best"}, "no head 'best'"),
        ({"kind": "odd"}, "no kind 'odd'"),
        ({"head": "pooled", "pretraining": True}, "belong to CTC"),
        ({"head": "pooled", "pooled": 10}, "belong to CTC"),
        ({"noise": 20}, "from 0 to 1"),
        ({"images": 0}, "at least one"),
        ({"drawn": -5}, "drawn=-5"),
        ({"pooled": 0}, "pooled=0"),
        ({"kind": "neighbours"}, "drawn=0; say how many"),
        ({"kind": "lengths", "drawn": 9, "pretraining": True}, "a step a symbol"),
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
    assert Trial(drawn=20, kind="lengths").positions == 6
    assert {len(text) for text in Trial(drawn=20, kind="lengths").data()[1].texts} == {4, 5, 6}


@pytest.mark.parametrize("noise, wrong", [(0.0, 0), (0.2, 2), (1.0, 9)])
def test_noise_changes_one_symbol_in_its_share_of_the_training_texts(noise, wrong):
    (_, clean, test), (_, noisy, same_test) = Trial(seed=1).data(), Trial(seed=1, noise=noise).data()
    differing = [sum(a != b for a, b in zip(*texts)) for texts in zip(clean.texts, noisy.texts)]
    assert sorted(differing) == [0] * (9 - wrong) + [1] * wrong
    assert list(map(len, noisy.texts)) == list(map(len, clean.texts))
    assert torch.equal(clean.images, noisy.images) and test.texts == same_test.texts


def test_epochs_are_equally_long_and_take_all_images_in_turn():
    train = Trial().data()[1]
    few = train.subset(range(4))
    seen = [name for number in range(4) for name in turn(few, number, 9).names]
    assert len(seen) == 36 and set(Counter(seen).values()) == {9}
    assert turn(few, 0, 9).names[:4] == few.names
    assert [turn(train, number, 3).names for number in range(3)] == [train.names[:3], train.names[3:6], train.names[6:]]
    assert turn(train, 7, 9) is train
