import contextlib
import functools
import math
import os
import pickle
import signal
import time
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader
from toys import ALPHABET, ToyCE, ToyCTC, stop_after, toy_captchas, weights

from ocrlib import (
    CTC,
    Alphabet,
    CheckpointError,
    CrossEntropy,
    DivergedError,
    History,
    RandomAffine,
    evaluate,
    fit,
    gradient_norm,
    seed_everything,
)
from ocrlib.data.checks import describe_callable

TRAIN, TEST = toy_captchas(12, seed=1), toy_captchas(6, seed=2)


def make(network=ToyCTC, objective=CTC, seed=3, lr=0.01):
    seed_everything(seed)
    model = network()
    return model, objective(ALPHABET), torch.optim.Adam(model.parameters(), lr=lr)


def train(model, objective, optimizer, epochs=3, batch_size=5, **options):
    return fit(model, objective, TRAIN, TEST, optimizer, epochs=epochs, batch_size=batch_size, live=False, **options)


def test_the_history_has_a_loss_for_each_step_and_epoch():
    history = train(*make(), epochs=3)
    assert history.epochs == 3
    assert len(history.train_loss) == 9  # 12 images in batches of 5, 5 and 2
    assert history.steps_per_epoch == [3, 3, 3]
    assert len(history.seconds) == 3 and all(seconds > 0 for seconds in history.seconds)


@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
def test_training_learns(network, objective):
    model, objective, optimizer = make(network, objective, lr=0.03)
    before = evaluate(model, objective, TEST).cer
    fit(model, objective, toy_captchas(60, seed=1), TEST, optimizer, epochs=30, batch_size=6, live=False)
    assert before > 0.3
    assert evaluate(model, objective, TEST).cer == 0


def test_the_test_loss_is_that_of_the_whole_set_in_evaluation_mode():
    model, objective, optimizer = make()
    history = train(model, objective, optimizer)
    model.eval()
    with torch.no_grad():
        whole = objective.loss(model(TEST.images.float()), *ALPHABET.encode_batch(TEST.texts))
    assert history.test_loss[-1] == pytest.approx(float(whole), rel=1e-5)


def test_a_first_step_is_torchs_own():
    """One step of fit with plain SGD against the same step by hand: gradient, clipping and all."""
    steps = []
    for by_hand in (True, False):
        seed_everything(5)
        model = ToyCTC()
        model.rnn.dropout = 0.0
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        if by_hand:
            order = next(iter(DataLoader(range(len(TRAIN)), batch_size=len(TRAIN), shuffle=True)))
            targets, lengths = ALPHABET.encode_batch(TRAIN.texts)
            logits = model.train()(TRAIN.images[order].float())
            CTC(ALPHABET).loss(logits, targets[order], lengths[order]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
        else:
            train(model, CTC(ALPHABET), optimizer, epochs=1, batch_size=len(TRAIN), clip_norm=0.1)
        steps.append(weights(model))
    assert torch.equal(*steps)


def test_every_image_is_seen_once_an_epoch_in_a_new_order():
    seen = []
    train(*make(), epochs=2, augment=lambda images: seen.append(images[:, 0].mean((1, 2))) or images)
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    expected = TRAIN.images.float()[:, 0].mean((1, 2)).sort().values
    assert torch.equal(first.sort().values, expected) and torch.equal(second.sort().values, expected)
    assert not torch.equal(first, second)


def test_going_on_with_a_history_equals_training_at_once():
    model, *rest = make()
    at_once = train(model, *rest, epochs=4)
    other, *rest = make()
    first = train(other, *rest, epochs=1)
    then = train(other, *rest, epochs=3, history=first)
    assert (then.train_loss, then.test_loss) == (at_once.train_loss, at_once.test_loss)
    assert first.epochs == 1  # the caller's history is not changed
    assert torch.equal(weights(model), weights(other))


def test_the_same_seed_gives_the_same_bits():
    def trained(seed):
        model, *rest = make(seed=seed)
        return train(model, *rest).digest(), weights(model)

    first, again, other = trained(3), trained(3), trained(4)
    assert first[0] == again[0] != other[0]
    assert torch.equal(first[1], again[1])


def test_the_schedule_steps_after_every_batch():
    model, objective, optimizer = make(lr=1.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=9)
    train(model, objective, optimizer, epochs=2, scheduler=schedule)
    assert schedule.last_epoch == 6


def test_autocast_reaches_the_network_in_training_and_in_the_test_loss_but_not_the_weights():
    seen = []
    model, objective, optimizer = make()
    model.convolutions[0].register_forward_hook(lambda layer, _, output: seen.append((layer.training, output.dtype)))
    history = train(model, objective, optimizer, epochs=1, autocast=torch.bfloat16)
    assert {training for training, _ in seen} == {True, False} and {dtype for _, dtype in seen} == {torch.bfloat16}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(math.isfinite(loss) for loss in history.train_loss + history.test_loss)
    full, *rest = make()
    assert train(full, *rest, epochs=1).train_loss != history.train_loss


def test_a_checkpoint_of_another_precision_is_refused(tmp_path):
    train(*make(), autocast=torch.bfloat16, checkpoint=tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match=r"precision: torch\.bfloat16 there, none here"):
        train(*make(), checkpoint=tmp_path / "run.pt")


def test_an_augmentation_with_amounts_is_told_from_one_with_others(tmp_path):
    train(*make(), augment=RandomAffine(), checkpoint=tmp_path / "run.pt")
    train(*make(), augment=RandomAffine(), checkpoint=tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match=r"augmentation: RandomAffine.*degrees=1\.0.*degrees=5\.0"):
        train(*make(), augment=RandomAffine(degrees=5.0), checkpoint=tmp_path / "run.pt")


def test_gradient_norm_is_that_of_all_gradients_together():
    model = torch.nn.Linear(2, 1)
    assert gradient_norm(model) == 0.0
    model.weight.grad, model.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert gradient_norm(model) == pytest.approx(5.0)


@pytest.mark.parametrize("stopped_at", [1, 4, 6, 9])
@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, network, objective, stopped_at, capsys):
    undisturbed, *rest = make(network, objective)
    expected = train(undisturbed, *rest, epochs=4, augment=stop_after(0))
    model, *rest = make(network, objective)
    history = train(model, *rest, epochs=4, augment=stop_after(stopped_at), checkpoint=tmp_path / "run.pt")
    assert len(history.train_loss) == stopped_at
    assert "run the same cell again" in capsys.readouterr().out
    again, *rest = make(network, objective)
    resumed = train(again, *rest, epochs=4, augment=stop_after(0), checkpoint=tmp_path / "run.pt")
    assert (resumed.train_loss, resumed.test_loss) == (expected.train_loss, expected.test_loss)
    assert torch.equal(weights(again), weights(undisturbed))


def test_a_stopped_run_leaves_the_model_at_its_last_step_and_ctrl_c_as_it_was(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    model, *rest = make()
    train(model, *rest, augment=stop_after(4), checkpoint=tmp_path / "run.pt")
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    assert all(torch.equal(value, saved["model"][key]) for key, value in model.state_dict().items())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stopped_run_without_a_checkpoint_says_how_to_go_on(capsys):
    train(*make(), epochs=3, augment=stop_after(4))
    assert "Stopped after 1 of 3 epochs (4 steps)" in capsys.readouterr().out


def test_a_finished_run_is_loaded_and_not_trained_again(tmp_path, capsys):
    model, *rest = make()
    expected = train(model, *rest, checkpoint=tmp_path / "run.pt")
    assert capsys.readouterr().out == ""
    other, objective, optimizer = make()
    other.forward = None  # a single step would fail
    loaded = train(other, objective, optimizer, checkpoint=tmp_path / "run.pt")
    assert loaded == expected
    assert "run.pt: 3 of 3 epochs were done" in capsys.readouterr().out
    assert torch.equal(weights(other), weights(model))


def test_fresh_starts_over(tmp_path):
    train(*make(), epochs=2, checkpoint=tmp_path / "run.pt")
    assert train(*make(), epochs=1, checkpoint=tmp_path / "run.pt", fresh=True).epochs == 1
    assert train(*make(), epochs=1, checkpoint=tmp_path / "run.pt").epochs == 1


def test_a_finished_run_can_be_made_longer(tmp_path):
    expected = train(*make(), epochs=3)
    train(*make(), epochs=1, checkpoint=tmp_path / "run.pt")
    assert train(*make(), epochs=3, checkpoint=tmp_path / "run.pt").digest() == expected.digest()


class Wider(ToyCTC):
    channels = 5

    def stack(self):
        return [torch.nn.Conv2d(1, 5, 3, 4, 1), torch.nn.MaxPool2d((8, 1))]


DIFFERENCES = {
    "network": lambda: train(*make(Wider), checkpoint="run.pt"),
    "objective": lambda: train(*make(ToyCE, CrossEntropy), checkpoint="run.pt"),
    "optimizer": lambda: train(*make(lr=0.5), checkpoint="run.pt"),
    "batch size": lambda: train(*make(), batch_size=4, checkpoint="run.pt"),
    "gradient clipping": lambda: train(*make(), clip_norm=1.0, checkpoint="run.pt"),
    "augmentation": lambda: train(*make(), augment=torch.flip, checkpoint="run.pt"),
    "seed": lambda: train(*make(seed=9), checkpoint="run.pt"),
    "training images": lambda: fit(
        *make()[:2], toy_captchas(12, seed=8), TEST, make()[2], epochs=3, batch_size=5, live=False, checkpoint="run.pt"
    ),
    "test images": lambda: fit(
        *make()[:2], TRAIN, toy_captchas(6, seed=8), make()[2], epochs=3, batch_size=5, live=False, checkpoint="run.pt"
    ),
    "training before this call": lambda: train(*make(), history=History([1.0], [1.0], [1], [1.0]), checkpoint="run.pt"),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    train(*make(), checkpoint="run.pt")
    before = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(CheckpointError, match=rf"run\.pt belongs to another run:\n(.*\n)*  {what}: .* there, .* here"):
        DIFFERENCES[what]()
    assert (tmp_path / "run.pt").read_bytes() == before


def test_a_schedule_of_another_length_is_refused(tmp_path):
    def with_schedule(steps):
        model, objective, optimizer = make()
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
        return train(model, objective, optimizer, scheduler=schedule, checkpoint=tmp_path / "run.pt")

    history = with_schedule(9)
    assert with_schedule(9) == history
    with pytest.raises(CheckpointError, match="schedule: .*total_steps=9.* there, .*total_steps=12"):
        with_schedule(12)


def test_a_schedule_of_other_parts_or_functions_is_refused(tmp_path):
    rates = torch.optim.lr_scheduler

    def joined(make_second):
        model, objective, optimizer = make()
        parts = [rates.ConstantLR(optimizer, 0.5, 2), make_second(optimizer)]
        schedule = rates.SequentialLR(optimizer, parts, milestones=[2])
        return train(model, objective, optimizer, scheduler=schedule, checkpoint=tmp_path / "run.pt")

    history = joined(lambda optimizer: rates.LambdaLR(optimizer, lambda step: 0.5**step))
    assert joined(lambda optimizer: rates.LambdaLR(optimizer, lambda step: 0.5**step)) == history
    with pytest.raises(CheckpointError, match=r"schedule: .*lr_lambdas=\[\[1.0, 0.5, .* there, .*lr_lambdas=\[\[1, 1, 1, "):
        joined(lambda optimizer: rates.LambdaLR(optimizer, lambda step: 1))
    with pytest.raises(CheckpointError, match="schedule: .*LambdaLR.* there, .*StepLR.* here"):
        joined(lambda optimizer: rates.StepLR(optimizer, 5))


RATES = torch.optim.lr_scheduler
OTHER_SCHEDULES = {
    "milestones": [lambda optimizer, m=m: RATES.MultiStepLR(optimizer, [m]) for m in (2, 5)],
    "joints": [
        lambda optimizer, m=m: RATES.SequentialLR(optimizer, [RATES.ConstantLR(optimizer), RATES.StepLR(optimizer, 5)], [m])
        for m in (2, 5)
    ],
    "share of the rise": [lambda optimizer, p=p: RATES.OneCycleLR(optimizer, 0.1, 9, pct_start=p) for p in (0.25, 0.5)],
    "anneal": [lambda optimizer, a=a: RATES.OneCycleLR(optimizer, 0.1, 9, anneal_strategy=a) for a in ("cos", "linear")],
    "last rate": [lambda optimizer, d=d: RATES.OneCycleLR(optimizer, 0.1, 9, final_div_factor=d) for d in (10, 100)],
}


@pytest.mark.parametrize("what", OTHER_SCHEDULES)
def test_a_schedule_that_differs_in_one_setting_is_refused(tmp_path, what):
    for make_schedule, message in zip(OTHER_SCHEDULES[what], (None, "belongs to another run:\n  schedule: ")):
        model, objective, optimizer = make()
        options = {"scheduler": make_schedule(optimizer), "checkpoint": tmp_path / "run.pt"}
        with pytest.raises(CheckpointError, match=message) if message else contextlib.nullcontext():
            train(model, objective, optimizer, **options)


def test_a_partial_function_is_the_same_run_in_another_process(tmp_path):
    for number in (1.0, 1.0, 2.0):
        augment = functools.partial(torch.mul, other=number)
        here = describe_callable(functools.partial(make, by=number))
        assert " at 0x" not in here and f"by={number}" in here
        with pytest.raises(CheckpointError, match="augmentation") if number == 2 else contextlib.nullcontext():
            train(*make(), checkpoint=tmp_path / "run.pt", augment=augment)


def test_a_training_that_is_stopped_after_a_step_is_saved_as_it_says(tmp_path, capsys):
    def press(step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    expected = train(*make())
    history = train(*make(), checkpoint=tmp_path / "run.pt", after_step=press)
    assert len(history.train_loss) == 2 and "Saved to" in capsys.readouterr().out
    again = train(*make(), checkpoint=tmp_path / "run.pt")
    assert (again.train_loss, again.test_loss) == (expected.train_loss, expected.test_loss)
    assert "Going on from" in capsys.readouterr().out


@pytest.mark.parametrize("things", [(None, CTC(ALPHABET)), (ToyCTC(), CTC)])
def test_what_is_no_network_or_no_objective_is_named(things):
    assert CTC("abc").alphabet == ALPHABET, "symbols alone are enough for an alphabet"
    with pytest.raises(ValueError, match=r"A network and an objective, CTC\(alphabet\), were expected, got "):
        fit(*things, TRAIN, TEST, None, epochs=1, batch_size=5, live=False)


def test_a_checkpoint_with_more_epochs_than_asked_for_is_refused(tmp_path):
    train(*make(), epochs=3, checkpoint=tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="holds 3 epochs, more than the 2 asked for"):
        train(*make(), epochs=2, checkpoint=tmp_path / "run.pt")


def test_a_diverging_run_stops_with_the_step_and_the_last_good_checkpoint(tmp_path):
    train(*make(), epochs=1, checkpoint=tmp_path / "run.pt")
    before = (tmp_path / "run.pt").read_bytes()
    calls = iter(range(1, 100))

    def break_third(images):
        return images * float("nan") if next(calls) == 2 else images

    break_third.__qualname__ = "none"  # the identity of the run above
    with pytest.raises(DivergedError, match=r"training loss .* step 5, in epoch 2.*run\.pt") as caught:
        train(*make(), epochs=3, augment=break_third, checkpoint=tmp_path / "run.pt")
    assert len(pickle.loads(pickle.dumps(caught.value)).history.train_loss) == 6
    assert (tmp_path / "run.pt").read_bytes() == before


def test_weights_that_break_in_the_last_step_are_not_saved(tmp_path):
    model, objective, optimizer = make()

    class Breaking(torch.optim.SGD):
        def step(self, closure=None):
            with torch.no_grad():
                model.head.weight.fill_(float("inf"))

    with pytest.raises(DivergedError, match="A weight is not finite.*step 1"):
        broken = Breaking(model.parameters(), lr=0.1)
        fit(model, objective, TRAIN, TEST, broken, epochs=1, batch_size=12, live=False, checkpoint=tmp_path / "run.pt")
    assert not (tmp_path / "run.pt").exists()


def test_a_diverging_run_can_be_let_go_on():
    history = train(*make(), epochs=2, augment=lambda images: images * float("nan"), stop_when_diverged=False)
    assert history.epochs == 2 and history.train_loss[0] != history.train_loss[0]


@pytest.mark.parametrize(
    ("options", "named"),
    [({"epochs": 0}, "epochs=0"), ({"batch_size": 0}, "batch_size=0"), ({"batch_size": 13}, "batch_size=13.* 12 training")],
)
def test_arguments_that_cannot_work_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        train(*make(), **options)


def test_an_empty_part_is_refused():
    model, objective, optimizer = make()
    with pytest.raises(ValueError, match="The test set holds no image"):
        fit(model, objective, TRAIN, TEST.subset([]), optimizer, epochs=1, batch_size=2, live=False)


def test_unspellable_texts_are_refused_before_training():
    model, _, optimizer = make()
    with pytest.raises(ValueError, match="Cross-entropy needs one step a symbol"):
        fit(model, CrossEntropy(ALPHABET), TRAIN, TEST, optimizer, epochs=1, batch_size=2, live=False)


def test_images_can_come_from_a_function_of_the_epochs_number():
    """The same images from a function give the same bits; other ones are trained on in their turn."""
    model, *rest = make()
    given = train(model, *rest, epochs=3)
    other, objective, optimizer = make()
    sources = {"batch_size": 5, "live": False}
    by_function = fit(other, objective, lambda number: TRAIN, lambda number: TEST, optimizer, epochs=3, **sources)
    assert by_function.digest() == given.digest() and torch.equal(weights(other), weights(model))
    asked, parts = [], [TRAIN.subset(range(4)), TRAIN.subset(range(4, 12))]
    model, objective, optimizer = make()
    source = lambda n: asked.append(n) or parts[n % 2]  # noqa: E731
    history = fit(model, objective, source, TEST, optimizer, epochs=3, batch_size=4, live=False)
    assert asked == [0, 1, 2] and history.steps_per_epoch == [1, 2, 1]
    fit(model, objective, lambda n: asked.append(n) or TRAIN, TEST, optimizer, epochs=1, history=history, **sources)
    assert asked[-1] == 3


def test_what_a_function_gives_is_checked():
    model, objective, optimizer = make()
    with pytest.raises(ValueError, match="The train set holds no image"):
        fit(model, objective, lambda number: TRAIN.subset([]), TEST, optimizer, epochs=1, batch_size=2, live=False)


def test_a_callback_sees_each_step_and_can_end_the_training():
    seen = []
    history = train(*make(), epochs=3, after_step=seen.append)
    assert seen == list(range(1, 10)) and history.digest() == train(*make(), epochs=3).digest()
    ended = train(*make(), epochs=3, after_step=lambda step: step == 4)
    assert ended.train_loss == history.train_loss[:4] and ended.epochs == 1
    train(*make(), epochs=1, history=history, after_step=seen.append)
    assert seen[-3:] == [10, 11, 12]


def test_the_time_of_a_callback_does_not_count():
    history = train(*make(), epochs=1, after_step=lambda step: time.sleep(0.2))
    assert history.seconds[0] < 0.6 <= 3 * 0.2


def test_a_line_an_epoch_is_printed_outside_a_notebook(capsys):
    model, objective, optimizer = make()
    fit(model, objective, TRAIN, TEST, optimizer, epochs=2, batch_size=5, title="Toy")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "Toy, epoch 2" in lines[1] and "(test)" in lines[1]


def test_evaluating_after_each_step_changes_no_bit():
    model, objective, optimizer = make()
    watched = train(model, objective, optimizer, after_step=lambda step: evaluate(model, objective, TEST))
    other = make()
    assert watched.digest() == train(*other).digest() and weights(model).equal(weights(other[0]))


def test_a_training_that_ends_on_a_spike_says_so_in_a_line_also_when_it_is_loaded(tmp_path, capsys):
    model, objective, optimizer = make(lr=0.03)

    def leap(step):
        if step == 18:  # of 3 an epoch: before the last epoch
            optimizer.param_groups[0]["lr"] = 1.0

    options = {"epochs": 7, "checkpoint": tmp_path / "run.pt"}
    history = train(model, objective, optimizer, after_step=leap, **options)
    assert capsys.readouterr().out == f"{history.spike}\n"
    train(*make(lr=0.03), **options)
    assert capsys.readouterr().out.endswith(f"{history.spike}\n")
    train(*make(lr=0.03), epochs=6)
    assert capsys.readouterr().out == ""


def test_a_study_is_told_when_a_training_was_stopped():
    with pytest.raises(KeyboardInterrupt):
        train(*make(), epochs=2, augment=stop_after(2), raise_when_stopped=True)
    assert train(*make(), epochs=2, after_step=lambda step: step == 2, raise_when_stopped=True).epochs == 0


# -- kinds of fault known from elsewhere


def grouped(rates=(0.01, 0.01), seed=3, **settings):
    model, objective, _ = make(seed=seed)
    parts = [model.convolutions, model.rnn, model.head][-len(rates) :]
    groups = [{"params": list(part.parameters()), "lr": rate, **settings} for part, rate in zip(parts, rates)]
    return model, objective, torch.optim.Adam(groups, lr=0.01)


@pytest.mark.parametrize("other", [lambda: grouped((0.01, 0.1)), lambda: grouped(weight_decay=0.1), lambda: grouped((0.01,) * 3)])
def test_learning_rates_by_parameter_group_belong_to_a_run(tmp_path, other):
    train(*grouped(), checkpoint=tmp_path / "run.pt")
    assert train(*grouped(), checkpoint=tmp_path / "run.pt").epochs == 3
    with pytest.raises(CheckpointError, match="parameter groups: .*tensors; .* there, .*tensors.* here"):
        train(*other(), checkpoint=tmp_path / "run.pt")


def test_a_rate_that_was_set_after_the_optimizer_was_made_belongs_to_a_run(tmp_path):
    train(*make(), checkpoint=tmp_path / "run.pt")
    model, objective, optimizer = make()
    optimizer.param_groups[0]["lr"] = 0.5
    with pytest.raises(CheckpointError, match=r"parameter groups: .* there, .*lr=0\.5 here"):
        train(model, objective, optimizer, checkpoint=tmp_path / "run.pt")


@pytest.mark.parametrize("stopped_at", [2, 5])
def test_a_schedule_of_groups_goes_on_with_the_same_optimizer(tmp_path, stopped_at):
    """The fit cell alone is run again: the schedule has changed the groups, and it is the same run."""

    def scheduled():
        model, objective, optimizer = grouped((0.01, 0.1))
        return model, objective, optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, [0.1, 0.2], total_steps=9)

    model, objective, optimizer, schedule = scheduled()
    expected = train(model, objective, optimizer, scheduler=schedule, augment=stop_after(0))
    model, objective, optimizer, schedule = scheduled()
    options = {"scheduler": schedule, "checkpoint": tmp_path / "run.pt"}
    train(model, objective, optimizer, augment=stop_after(stopped_at), **options)
    assert train(model, objective, optimizer, augment=stop_after(0), **options).digest() == expected.digest()


def test_a_checkpoint_of_one_group_that_an_earlier_version_wrote_goes_on(tmp_path):
    expected = train(*make(), epochs=3)
    train(*make(), epochs=2, checkpoint=tmp_path / "run.pt")
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    del state["identity"]["parameter groups"], state["best"], state["history"]["validation_loss"]
    torch.save(state, tmp_path / "run.pt")
    assert train(*make(), epochs=3, checkpoint=tmp_path / "run.pt").digest() == expected.digest()


def test_an_optimizer_of_another_network_is_refused():
    model, objective, optimizer = make()
    with pytest.raises(ValueError, match=r"holds no weight of this ToyCTC.*Adam\(model\.parameters\(\), \.\.\.\)"):
        train(ToyCTC(), objective, optimizer)
    other = torch.optim.SGD(ToyCTC().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="learning rate of another optimizer"):
        train(model, objective, optimizer, scheduler=torch.optim.lr_scheduler.LinearLR(other))
    model.head = torch.nn.Linear(16, 4)
    with pytest.warns(UserWarning, match="2 of the optimizer's .* tensors are not this ToyCTC's"):
        train(model, objective, optimizer, epochs=1)


def test_frozen_weights_stay_and_a_network_of_them_alone_is_refused():
    model, objective, _ = make()
    model.convolutions.requires_grad_(False)
    frozen, head = model.convolutions[0].weight.clone(), model.head.weight.clone()
    train(model, objective, torch.optim.Adam([p for p in model.parameters() if p.requires_grad]), epochs=1)
    train(model, objective, torch.optim.Adam(model.head.parameters()), epochs=1)  # the others are left out on purpose
    assert torch.equal(frozen, model.convolutions[0].weight) and not torch.equal(head, model.head.weight)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="No weight of this ToyCTC can be trained: all are frozen"):
        train(model, objective, torch.optim.Adam(model.parameters()))


def plateau(**options):
    model, objective, optimizer = make(lr=0.05)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.05, **options)
    return (model, objective, optimizer), schedule


def test_a_plateau_schedule_is_stepped_with_the_test_loss_after_each_epoch():
    run, schedule = plateau()
    seen, step = [], schedule.step
    schedule.step = lambda loss: seen.append(loss) or step(loss)
    history = train(*run, epochs=8, scheduler=schedule)
    assert seen == history.test_loss and run[2].param_groups[0]["lr"] < 0.05
    run, schedule = plateau()
    schedule.step = seen.append
    history = train(*run, epochs=2, scheduler=schedule, validation=toy_captchas(5, seed=9))
    assert seen[8:] == history.validation_loss != history.test_loss


@pytest.mark.parametrize("stopped_at", [4, 6, 14])
def test_a_plateau_schedule_goes_on_to_the_same_bits(tmp_path, stopped_at):
    (undisturbed, *rest), schedule = plateau()
    expected = train(undisturbed, *rest, epochs=8, scheduler=schedule, augment=stop_after(0))
    run, first = plateau()
    train(*run, epochs=8, scheduler=first, augment=stop_after(stopped_at), checkpoint=tmp_path / "run.pt")
    (again, *rest), second = plateau()
    found = train(again, *rest, epochs=8, scheduler=second, augment=stop_after(0), checkpoint=tmp_path / "run.pt")
    assert found.digest() == expected.digest() and torch.equal(weights(again), weights(undisturbed))
    assert second.state_dict() == schedule.state_dict()
    run, other = plateau(factor=0.5)
    with pytest.raises(CheckpointError, match=r"schedule: ReduceLROnPlateau.*factor=0\.1.*factor=0\.5"):
        train(*run, epochs=8, scheduler=other, augment=stop_after(0), checkpoint=tmp_path / "run.pt")


def test_a_subset_of_torch_is_trained_on_like_captchas():
    first, second = torch.utils.data.random_split(toy_captchas(18, seed=1), (12, 6))
    nested = torch.utils.data.Subset(second, [2, 0, 1])
    options = {"epochs": 2, "batch_size": 5, "live": False}
    model, objective, optimizer = make()
    given = fit(model, objective, first, nested, optimizer, **options)
    model, objective, optimizer = make()
    whole = toy_captchas(18, seed=1)
    test = whole.subset([second.indices[i] for i in (2, 0, 1)])
    assert fit(model, objective, whole.subset(first.indices), test, optimizer, **options).digest() == given.digest()
    with pytest.raises(ValueError, match="The train set must be Captchas, as load_captchas gives them, got list"):
        fit(model, objective, [1, 2], test, optimizer, **options)
    model, objective, optimizer = make()
    by_epoch = fit(model, objective, lambda number: first, lambda number: nested, optimizer, **options)
    assert by_epoch.digest() == given.digest()
    with pytest.raises(ValueError, match="The data set of a Subset must be Captchas, .* got list"):
        fit(model, objective, whole, torch.utils.data.Subset([1, 2], [0]), optimizer, **options)
    with pytest.raises(ValueError, match="The images to evaluate must be Captchas, .* got list"):
        evaluate(model, objective, [1, 2])


@pytest.mark.parametrize("options", [{"epochs": 1.5}, {"epochs": True}, {"epochs": "2"}, {"batch_size": 2.0}])
def test_numbers_that_are_not_whole_are_refused(options):
    [(name, value)] = options.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}: ask for a whole number"):
        train(*make(), **options)


def test_an_alphabet_of_another_size_is_refused_before_training(tmp_path):
    model, _, optimizer = make()
    with pytest.raises(ValueError, match="ToyCTC has 4 classes, but this alphabet of 5 symbols and the blank needs 6"):
        train(model, CTC(Alphabet("abcde")), optimizer, checkpoint=tmp_path / "run.pt")
    assert not (tmp_path / "run.pt").exists()


# -- choosing an epoch

VALIDATION = toy_captchas(6, seed=9)


def shaky(**options):
    """A training whose validation loss rises again: the rate is far too high from the 10th step on."""
    model, objective, optimizer = make(lr=0.02)

    def raise_rate(step):
        optimizer.param_groups[0]["lr"] = 0.02 if step < 9 else 0.5

    return model, train(model, objective, optimizer, validation=VALIDATION, after_step=raise_rate, **options)


def test_the_best_weights_are_those_of_the_lowest_validation_loss(capsys):
    model, history = shaky(epochs=4, keep_best=True)
    best = history.validation_loss.index(min(history.validation_loss))
    assert history.epochs == len(history.validation_loss) == 4 and best < 3
    assert f"Kept the weights of epoch {best + 1} of 4" in capsys.readouterr().out
    short, _ = shaky(epochs=best + 1)
    assert torch.equal(weights(model), weights(short))
    last, without = shaky(epochs=4)
    assert without == replace(history, seconds=without.seconds) and not torch.equal(weights(model), weights(last))
    with torch.no_grad():
        loss = CTC(ALPHABET).loss(model.eval()(VALIDATION.images.float()), *ALPHABET.encode_batch(VALIDATION.texts))
    assert float(loss) == pytest.approx(min(history.validation_loss), rel=1e-5)


def test_training_ends_when_patience_does(capsys):
    _, history = shaky(epochs=20, patience=2)
    losses = history.validation_loss
    assert history.epochs < 20 and losses.index(min(losses)) == len(losses) - 3
    assert "Stopped" not in capsys.readouterr().out


def test_validation_changes_no_bit_of_the_training():
    watched, plain = train(*make(), validation=VALIDATION), train(*make())
    assert watched.digest() == plain.digest() and plain.validation_loss == []


@pytest.mark.parametrize("stopped_at", [4, 8, 13])
def test_choosing_goes_on_to_the_same_bits(tmp_path, stopped_at):
    options = {"epochs": 6, "batch_size": 5, "validation": VALIDATION, "keep_best": True, "patience": 3}
    undisturbed, *rest = make(lr=0.2)
    expected = train(undisturbed, *rest, augment=stop_after(0), **options)
    model, *rest = make(lr=0.2)
    train(model, *rest, augment=stop_after(stopped_at), checkpoint=tmp_path / "run.pt", **options)
    for _ in range(2):  # going on, and loading what is finished
        again, *rest = make(lr=0.2)
        found = train(again, *rest, augment=stop_after(0), checkpoint=tmp_path / "run.pt", **options)
        assert (found.digest(), found.validation_loss) == (expected.digest(), expected.validation_loss)
        assert torch.equal(weights(again), weights(undisturbed))
    with pytest.raises(CheckpointError, match="validation images: .*best weights kept there, none here"):
        train(*make(lr=0.2), epochs=6, augment=stop_after(0), checkpoint=tmp_path / "run.pt")


def test_choosing_needs_images_of_its_own():
    for options in ({"keep_best": True}, {"patience": 3}):
        with pytest.raises(ValueError, match="needs images of their own: give validation=captchas"):
            train(*make(), **options)
    with pytest.raises(ValueError, match="patience=0"):
        train(*make(), patience=0, validation=VALIDATION)
    copy = TEST.subset(range(len(TEST)))
    for given in (TEST, copy, TEST.subset([3, 1]), torch.utils.data.Subset(TEST, [0, 1])):
        with pytest.raises(ValueError, match="The validation set is the test set"):
            train(*make(), validation=given)
    copy.images = copy.images.flip(3)  # other pixels under the same names and texts
    with pytest.raises(ValueError, match="The validation set is the test set"):
        train(*make(), validation=copy)
    with pytest.warns(UserWarning, match="2 of the 8 validation images are test images too"):
        train(*make(), epochs=1, validation=VALIDATION.joined(TEST.subset([0, 1])))
    with pytest.warns(UserWarning, match="3 of the 3 validation images are training images too"):
        train(*make(), epochs=1, validation=TRAIN.subset([0, 1, 2]))
    with pytest.raises(ValueError, match="The validation set holds no image"):
        train(*make(), validation=VALIDATION.subset([]))
