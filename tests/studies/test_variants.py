"""The variants: what each changes, and that the rest is as it was."""

import pytest
import torch
from torch import nn

from ocrlib import CECRNN, CRNN, ColumnCNN, parameter_count
from ocrlib.studies.variants import OriginalCRNN, SixStepCRNN, StridedCECRNN, StridedCRNN, narrow, narrow_column_cnn


@pytest.mark.parametrize(
    "variant, width, steps, parameters",
    [
        (StridedCRNN, 100, 24, 8_723_749),
        (SixStepCRNN, 100, 6, 8_723_749),
        (OriginalCRNN, 100, 24, 8_331_301),
        (narrow(CRNN, 1.0), 100, 24, 8_723_749),
        (narrow_column_cnn(1.0), 96, 24, 176_405),
    ],
)
def test_steps_and_parameters(variant, width, steps, parameters):
    model = variant()
    assert (model.steps(width), parameter_count(model)) == (steps, parameters)
    assert model(torch.zeros(2, 1, 32, width)).shape == (steps, 2, 37)


def test_the_original_differs_from_the_crnn_by_a_linear_map_and_one_batch_norm():
    second_lstm = 2 * 4 * 256 * 256  # inputs of both directions that the linear map takes away
    assert parameter_count(CRNN()) - second_lstm + (512 * 256 + 256) + 2 * 256 == parameter_count(OriginalCRNN())


def test_strides_take_the_place_of_pools():
    layers = list(StridedCRNN().convolutions)
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in layers)
    strides = [layer.stride for layer in layers if isinstance(layer, nn.Conv2d)]
    assert strides == [(2, 2), (2, 2), (1, 1), (2, 1), (1, 1), (2, 1), (1, 1)]
    assert StridedCECRNN().steps(128) == CECRNN().steps(128) == 5


@pytest.mark.parametrize("scale", [1 / 2, 1 / 16])
def test_a_narrow_crnn_has_a_share_of_every_channel(scale):
    model, whole = narrow(CRNN, scale)(classes=5), CRNN(classes=5)
    pairs = list(zip(model.convolutions, whole.convolutions))
    sizes = [(a.out_channels, b.out_channels) for a, b in pairs if isinstance(a, nn.Conv2d)]
    assert len(sizes) == 7 and all(narrow == wide * scale for narrow, wide in sizes)
    assert model.rnn.hidden_size == 256 * scale and model.steps(80) == whole.steps(80) == 19
    assert model(torch.zeros(1, 1, 32, 80)).shape == (19, 1, 5)


@pytest.mark.parametrize("network, steps", [(StridedCRNN, 24), (OriginalCRNN, 24), (SixStepCRNN, 6), (StridedCECRNN, 4)])
def test_the_variants_can_be_narrow_too(network, steps):
    model = narrow(network, 1 / 4)(classes=5)
    assert isinstance(model, network) and model(torch.zeros(1, 1, 32, 100)).shape == (steps, 1, 5)
    assert parameter_count(model) < parameter_count(network()) / 12


def test_narrow_networks_are_small():
    assert parameter_count(narrow(CRNN, 1 / 16)()) < 50_000 and parameter_count(narrow_column_cnn(1 / 4)()) < 50_000
    assert narrow_column_cnn(1 / 2).CHANNELS == tuple(channels // 2 for channels in ColumnCNN.CHANNELS)
