"""The speed benchmark: what is timed and counted, and that the plain procedure learns as `fit` does."""

import os
import signal
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn
from toys import ALPHABET, ToyCE, ToyCTC, toy_captchas

from ocrlib import (
    CECRNN,
    CRNN,
    CTC,
    EXPERIMENTS,
    ColumnCNN,
    CrossEntropy,
    ModifiedCRNN,
    Race,
    fit,
    flops_per_image,
    load_captchas,
    peak_flops,
    race,
    seed_everything,
)
from ocrlib.studies.speed import PlainCaptchas, fit_plain, image_files

RECIPE = replace(EXPERIMENTS["fast"], network=ToyCTC, width=24, train=30, test=10, batch_size=10, epochs=(2, 1))
TRAIN, TEST = toy_captchas(12, seed=1), toy_captchas(6, seed=2)


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


def test_a_stopped_race_gives_no_figures():
    class Stopped(torch.optim.AdamW):
        def step(self, closure=None):
            os.kill(os.getpid(), signal.SIGINT)
            return super().step(closure)

    with pytest.raises(KeyboardInterrupt):
        race(replace(RECIPE, optimizer=Stopped), toy_captchas(30), toy_captchas(10, seed=1))


def test_times_count_up_to_the_first_epoch_that_reached_it():
    result = Race("title", [1.0, 2.0, 4.0, 8.0], [0.5, 0.01, 0.02, 0.0])
    assert [result.epochs_to(cer) for cer in (0.5, 0.01, 0.0024)] == [1, 2, 4]
    assert [result.seconds_to(cer) for cer in (0.5, 0.01, 0.0024)] == [1.0, 3.0, 15.0]
    assert result.epochs_to(-1.0) is None and result.seconds_to(-1.0) is None
    assert result.seconds_an_epoch in (2.0, 4.0)


@pytest.fixture
def plain(tmp_path):
    """TRAIN and TEST as files."""
    sets = []
    for name, captchas in {"train": TRAIN, "test": TEST}.items():
        (tmp_path / name).mkdir()
        sets.append(PlainCaptchas(captchas, image_files(captchas, tmp_path / name)))
    return sets


def make(network, objective):
    seed_everything(3)
    model = network()
    return model, objective(ALPHABET), torch.optim.SGD(model.parameters(), lr=0.5)


def test_saved_images_come_back_pixel_for_pixel(plain):
    for captchas, files in zip((TRAIN, TEST), plain):
        images, texts = zip(*[files[i] for i in range(len(files))])
        assert torch.equal(torch.stack(images), captchas.images.float())
        assert list(texts) == captchas.texts


def test_a_file_is_opened_again_for_each_item(plain):
    train, _ = plain
    before, _ = train[0]
    Image.new("RGBA", (24, 32), "white").save(train.files[0])
    after, _ = train[0]
    assert not torch.equal(before, after)
    assert torch.equal(after, torch.full((1, 32, 24), 255.0))


@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
@pytest.mark.parametrize(("batch_size", "clip_norm"), [(12, None), (5, 0.1)])
def test_the_losses_are_those_of_fit(plain, network, objective, batch_size, clip_norm):
    model, loss, optimizer = make(network, objective)
    fitted = fit(model, loss, TRAIN, TEST, optimizer, epochs=3, batch_size=batch_size, clip_norm=clip_norm, live=False)
    model, loss, optimizer = make(network, objective)
    history = fit_plain(model, loss, *plain, optimizer, epochs=3, batch_size=batch_size, clip_norm=clip_norm)
    assert history.train_loss == pytest.approx(fitted.train_loss, rel=1e-4)
    assert history.test_loss == pytest.approx(fitted.test_loss, rel=1e-4)
    assert history.train_loss[-1] < 0.97 * history.train_loss[0]  # it did learn, so the comparison saw steps
    assert history.steps_per_epoch == fitted.steps_per_epoch
    assert len(history.seconds) == 3


def test_images_are_shuffled_each_epoch(plain):
    seen = []
    train, test = plain
    model, loss, optimizer = make(ToyCTC, CTC)
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].mean((1, 2, 3))) if module.training else None)
    fit_plain(model, loss, train, test, optimizer, epochs=2, batch_size=12)
    first, second = seen
    assert torch.equal(first.sort().values, second.sort().values)
    assert not torch.equal(first, second)


def test_images_are_saved_as_the_published_ones_are(tmp_path):
    captchas = load_captchas(source="synthetic", height=50).subset(range(3))
    files = image_files(captchas, tmp_path)
    assert sorted(files.values()) == sorted(tmp_path.iterdir()) and list(files) == captchas.names
    with Image.open(files[captchas.names[0]]) as image:
        assert (image.size, image.mode) == ((200, 50), "RGBA")


class Layers(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images):
        return self.layers(images)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(32, 5, num_layers=2, bidirectional=True)

    def forward(self, images):  # (N, 1, H, W) to W steps of H inputs
        return self.rnn(images.squeeze(1).permute(2, 0, 1))[0]


def test_a_convolution_takes_two_operations_a_weight_and_output_pixel():
    assert flops_per_image(Layers(nn.Conv2d(1, 4, 3, stride=2, padding=1)), width=8, height=8) == 2 * 4 * 4 * 4 * 9


def test_a_linear_layer_takes_two_a_weight_for_each_position():
    assert flops_per_image(Layers(nn.Linear(8, 3)), width=8, height=4) == 4 * 2 * 8 * 3


def test_an_lstm_takes_four_gates_for_every_step_layer_and_direction():
    first, second = 8 * 5 * (32 + 5), 8 * 5 * (10 + 5)
    assert flops_per_image(Recurrent(), width=7) == 7 * 2 * (first + second)


@pytest.mark.parametrize(
    "network, width, flops",
    [(CRNN, 80, 1_106_770_944), (ModifiedCRNN, 176, 194_299_904), (CECRNN, 128, 946_529_280), (ColumnCNN, 96, 13_228_032)],
)
def test_the_operations_of_the_networks_are_those_in_the_records(network, width, flops):
    assert flops_per_image(network(), width) == flops


def test_counting_leaves_the_model_as_it_was():
    model = CRNN()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flops_per_image(model, width=80)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()


def test_the_peak_is_a_rate_that_a_computer_can_have():
    assert 1e8 < peak_flops(torch.device("cpu"), size=64, seconds=0.01) < 1e15
