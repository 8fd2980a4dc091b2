from dataclasses import replace

import pytest
import torch
from toys import ToyCTC, stop_after, toy_captchas

from ocrlib import CTC, EXPERIMENTS, Alphabet, CrossEntropy, experiments, fit, parameter_count, pick_budget, run
from ocrlib.runtime import BUDGETS
from ocrlib.texts import ctc_min_steps

REPORTED = {  # spec: width, train, test, batch, rate, epochs, clip, CER, edits
    "crnn": (80, 820, 250, 8, 0.08, 60, 3.0, 0.0024, 3),
    "modified_crnn": (176, 896, 174, 128, 1.2, 40, 3.0, 0.0575, 50),
    "ce_crnn": (128, 848, 222, 16, 4e-5, 30, None, 0.0081, 9),
}


@pytest.mark.parametrize("key", REPORTED)
def test_the_recipes_are_the_reported_ones(key):
    e = EXPERIMENTS[key]
    figures = (e.reported_cer, e.reported_edits)
    found = (e.width, e.train, e.test, e.batch_size, e.learning_rate, sum(e.epochs), e.clip_norm, *figures)
    assert found == REPORTED[key]
    assert e.train + e.test == 1070
    assert e.reported_cer == pytest.approx(e.reported_edits / (5 * e.test), abs=5e-5)


def test_the_recipes_have_their_optimizers_and_objectives():
    kinds = {key: (EXPERIMENTS[key].optimizer.__name__, EXPERIMENTS[key].objective) for key in REPORTED}
    assert kinds == {"crnn": ("Adadelta", CTC), "modified_crnn": ("Adadelta", CTC), "ce_crnn": ("Adam", CrossEntropy)}
    model = EXPERIMENTS["crnn"].make_model(Alphabet("abc"))
    assert model.head.out_features == 4
    assert EXPERIMENTS["crnn"].make_optimizer(model).defaults["lr"] == 0.08


def test_the_full_budget_changes_nothing():
    assert EXPERIMENTS["crnn"].within(BUDGETS["full"], 1070) is EXPERIMENTS["crnn"]


def test_the_smoke_budget_shrinks_data_and_epochs_and_keeps_the_shares():
    small = EXPERIMENTS["modified_crnn"].within(BUDGETS["smoke"], 1070)
    assert small.train + small.test == BUDGETS["smoke"].max_images
    assert small.train / small.test == pytest.approx(896 / 174, rel=0.1)
    assert small.batch_size <= small.train // 4
    assert small.epochs == (BUDGETS["smoke"].max_epochs,)


def test_a_smaller_data_set_is_split_in_the_same_shares():
    small = EXPERIMENTS["crnn"].within(BUDGETS["full"], 1040)
    assert small.train + small.test == 1040 and small.epochs == (20, 40)


def test_run_trains_and_evaluates_under_the_budget_and_repeats_itself(monkeypatch):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    recipe = replace(EXPERIMENTS["modified_crnn"], network=ToyCTC, width=24, train=30, test=10)
    first, second, other = (run(recipe, seed=seed, captchas=toy_captchas(40)) for seed in (1, 1, 2))
    assert first.images == 10 and first.characters == 20
    assert first.history.epochs == pick_budget().max_epochs
    assert first.seconds == pytest.approx(sum(first.history.seconds))
    assert first.history.digest() == second.history.digest() != other.history.digest()
    assert (first.cer, first.edits) == (second.cer, second.edits)


def test_a_run_that_ended_on_a_spike_says_so_in_its_report(monkeypatch):
    recipe = replace(EXPERIMENTS["modified_crnn"], network=ToyCTC, width=24, train=30, test=10, batch_size=10, epochs=(6, 1))
    fits = []

    def fit_until_it_leaps(*arguments, **options):
        arguments[4].param_groups[0]["lr"] = 1000.0 if fits else 1.0
        fits.append(fit(*arguments, **options))
        return fits[-1]

    monkeypatch.setattr(experiments, "fit", fit_until_it_leaps)
    lines = str(run(recipe, seed=1, captchas=toy_captchas(40))).splitlines()
    assert [history.epochs for history in fits] == [6, 7] and fits[0].spike is None
    assert fits[1].spike and lines[1:] == [fits[1].spike]


def test_run_names_an_unknown_experiment():
    with pytest.raises(ValueError, match=r"no experiment 'crnm'.*'crnn'"):
        run("crnm")


def test_run_refuses_images_of_another_width():
    with pytest.raises(ValueError, match=r"80 pixels wide, these are 24.*width=80"):
        run("crnn", captchas=toy_captchas())


def test_a_stopped_run_reports_nothing_and_goes_on_from_its_checkpoints_to_the_same_bits(monkeypatch, tmp_path):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    recipe = replace(EXPERIMENTS["modified_crnn"], network=ToyCTC, width=24, train=30, test=10, epochs=(1, 2))
    steps = -(-30 // recipe.within(pick_budget(), 40).batch_size)  # an epoch
    undisturbed = run(replace(recipe, augment=stop_after(None)), captchas=toy_captchas(40))
    for step, files in ((1, ["first.pt"]), (2 * steps, ["second-2.pt", "second.pt"])):  # in the first call of fit; in the second
        checkpoint = tmp_path / files[-1]
        with pytest.raises(KeyboardInterrupt):
            run(replace(recipe, augment=stop_after(step)), captchas=toy_captchas(40), checkpoint=checkpoint)
        assert sorted(path.name for path in tmp_path.glob(f"{checkpoint.stem}*.pt")) == files
        resumed = run(replace(recipe, augment=stop_after(None)), captchas=toy_captchas(40), checkpoint=checkpoint)
        assert resumed.history.digest() == undisturbed.history.digest()
        assert (resumed.cer, resumed.edits) == (undisturbed.cer, undisturbed.edits)


def test_the_settings_say_what_the_recipe_sets():
    settings = EXPERIMENTS["crnn"].settings
    assert settings["epochs"] == "20, then 40"
    assert settings["optimizer"] == "Adadelta, learning rate 0.08"
    assert settings["images"] == "820 to train on, 250 to test on, 80 pixels wide"
    assert EXPERIMENTS["ce_crnn"].settings["clipping"] == "none"


@pytest.mark.parametrize("steps", range(1, 10))
def test_one_cycle_can_be_short(steps):
    recipe = replace(EXPERIMENTS["fast"], train=steps, batch_size=1, epochs=(1,))
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    schedule = recipe.make_scheduler(optimizer)
    for _ in range(steps):
        optimizer.step()
        schedule.step()
    assert 0 < optimizer.param_groups[0]["lr"] <= recipe.learning_rate


def test_the_fast_recipe_is_small_and_schedules_its_rate_over_the_whole_training():
    fast = EXPERIMENTS["fast"]
    model = fast.make_model(Alphabet())
    assert parameter_count(model) <= 500_000
    assert not any(isinstance(layer, torch.nn.LSTM) for layer in model.modules())
    assert model.steps(fast.width) >= ctc_min_steps("fffff")
    optimizer = fast.make_optimizer(model)
    schedule, rates = fast.make_scheduler(optimizer), []
    for _ in range(-(-fast.train // fast.batch_size) * sum(fast.epochs)):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(fast.learning_rate, rel=0.01) and rates.index(max(rates)) < len(rates) / 2
    assert rates[0] < 0.2 * max(rates) and rates[-1] < 0.01 * max(rates)
    assert EXPERIMENTS["crnn"].make_scheduler(optimizer) is None


def test_autocast_is_for_recipes_that_ask_and_devices_that_can(monkeypatch):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    cpu = torch.device("cpu")
    for able, wanted in ((torch.bfloat16, torch.bfloat16), (None, None)):
        monkeypatch.setattr(experiments, "fast_dtype", lambda device, able=able: able)
        assert replace(EXPERIMENTS["crnn"], autocast=True).fit_options(optimizer, cpu)["autocast"] is wanted
        assert EXPERIMENTS["crnn"].fit_options(optimizer, cpu)["autocast"] is None


def test_the_settings_name_what_only_some_recipes_have():
    assert {"schedule", "augmentation", "precision"} <= set(EXPERIMENTS["fast"].settings)
    assert not {"schedule", "augmentation", "precision"} & set(EXPERIMENTS["crnn"].settings)
    assert "weight decay 0.2" in EXPERIMENTS["fast"].settings["optimizer"]
