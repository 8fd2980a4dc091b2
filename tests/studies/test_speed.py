from dataclasses import replace

import pytest
import torch
from toys import ToyCTC, toy_captchas

from ocrlib import EXPERIMENTS, Race, race

RECIPE = replace(EXPERIMENTS["fast"], network=ToyCTC, width=24, train=30, test=10, batch_size=10, epochs=(2, 1))


def test_a_race_trains_all_epochs_and_measures_after_each():
    result = race(RECIPE, toy_captchas(30), toy_captchas(10, seed=1))
    assert len(result.seconds) == len(result.cers) == 3
    assert all(seconds > 0 for seconds in result.seconds)
    again = race(RECIPE, toy_captchas(30), toy_captchas(10, seed=1))
    assert again.cers == result.cers


def test_the_schedule_spans_all_epochs():
    rates = []

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    race(replace(RECIPE, optimizer=Watched), toy_captchas(30), toy_captchas(10, seed=1))
    assert len(rates) == 9  # three steps an epoch
    assert max(rates) == pytest.approx(RECIPE.learning_rate, rel=0.1) and rates[-1] < 0.1 * max(rates)


def test_a_race_ends_when_the_cer_is_low_enough():
    assert len(race(RECIPE, toy_captchas(30), toy_captchas(10, seed=1), until=5.0).cers) == 1


def test_times_count_up_to_the_first_epoch_that_reached_it():
    result = Race("title", [1.0, 2.0, 4.0, 8.0], [0.5, 0.01, 0.02, 0.0])
    assert [result.epochs_to(cer) for cer in (0.5, 0.01, 0.0024)] == [1, 2, 4]
    assert [result.seconds_to(cer) for cer in (0.5, 0.01, 0.0024)] == [1.0, 3.0, 15.0]
    assert result.epochs_to(-1.0) is None and result.seconds_to(-1.0) is None
    assert result.seconds_an_epoch in (2.0, 4.0)


def test_another_pace_keeps_the_learning():
    slower = Race("title", [1.0, 2.0], [0.5, 0.01]).at_pace(10.0, "slower")
    assert (slower.title, slower.seconds_to(0.01), slower.cers) == ("slower", 20.0, [0.5, 0.01])
