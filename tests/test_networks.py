import pytest
import torch
from torch import nn

from ocrlib import CECRNN, CRNN, EXPERIMENTS, ColumnCNN, ModifiedCRNN, load_captchas, parameter_count

FACTS = [
    (CRNN, (8, 1, 32, 100), 24, 8_723_749),
    (ModifiedCRNN, (128, 1, 32, 176), 10, 3_872_037),
    (CECRNN, (16, 1, 32, 128), 5, 10_492_965),
    (ColumnCNN, (12, 1, 32, 96), 24, 176_405),
]


@pytest.mark.parametrize(("network", "shape", "steps", "parameters"), FACTS)
def test_the_networks_have_the_reported_steps_and_parameters(network, shape, steps, parameters):
    model = network()
    assert parameter_count(model) == parameters
    assert model.steps(shape[3]) == steps
    assert model(torch.zeros(2, *shape[1:])).shape == (steps, 2, 37)


@pytest.mark.parametrize("network", [CRNN, ModifiedCRNN, CECRNN, ColumnCNN])
@pytest.mark.parametrize("width", [80, 131, 176, 200])
def test_steps_are_what_the_forward_pass_gives(network, width):
    model = network(classes=5)
    assert model(torch.zeros(1, 1, 32, width)).shape == (model.steps(width), 1, 5)


def test_activations_follow_the_table():
    """Order within the stack decides the results as much as the sizes do."""
    kinds = [type(layer).__name__ for layer in CRNN().convolutions]
    assert kinds[:3] == ["Conv2d", "MaxPool2d", "ReLU"]
    assert kinds[-5:] == ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d", "Conv2d"]
    assert [type(layer).__name__ for layer in ModifiedCRNN().convolutions].count("MaxPool2d") == 1
    assert CECRNN().rnn.dropout == 0.2
    assert CRNN().rnn.dropout == ModifiedCRNN().rnn.dropout == 0.0


def test_a_rectangular_pool_keeps_the_width():
    pools = [layer for layer in CRNN().convolutions if isinstance(layer, nn.MaxPool2d)]
    assert [pool.stride for pool in pools] == [2, 2, (2, 1), (2, 1)]


@pytest.mark.parametrize("network", [CRNN, ModifiedCRNN, CECRNN])
def test_too_narrow_an_image_is_refused_with_the_least_width(network):
    model = network().eval()
    least = next(width for width in range(1, 100) if model.steps(width) >= 1)
    with pytest.raises(ValueError, match=rf"{network.__name__}.*at least {least}"):
        model(torch.zeros(1, 1, 32, least - 1))
    assert model(torch.zeros(1, 1, 32, least)).shape[0] == 1


@pytest.mark.parametrize("shape", [(1, 32, 100), (1, 3, 32, 100), (1, 1, 50, 200)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(N, 1, 32, W\)"):
        CRNN()(torch.zeros(shape))


def test_the_fast_network_has_at_most_half_a_million_parameters():
    assert parameter_count(EXPERIMENTS["fast"].network()) <= 500_000


@pytest.mark.parametrize("classes", [2, 5, 37])
def test_the_fast_network_begins_with_the_blank_as_likely_as_all_symbols_together(classes):
    blank, *symbols = ColumnCNN(classes).head.bias.softmax(0).tolist()
    assert blank == pytest.approx(0.5) and symbols == pytest.approx([0.5 / (classes - 1)] * (classes - 1))


def test_the_fast_network_reads_every_column_by_itself():
    """No LSTM: a change at the right end of an image does not reach the columns at the left."""
    model = ColumnCNN().eval()
    images = torch.rand(1, 1, 32, 96) * 255
    changed = images.clone()
    changed[..., 90:] = 0
    difference = (model(images) - model(changed)).abs().amax((1, 2))
    assert (difference[:18] == 0).all() and difference[23] > 0


@pytest.mark.parametrize("network", [CRNN, ModifiedCRNN, CECRNN])
def test_the_gradient_is_as_exact_as_float32_allows(network):
    """It was not while the images lay channels last: torch's CPU batch norm then loses digits, and the CER suffered."""
    images = load_captchas(width=128, source="synthetic").images[:8].float()
    gradients = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(1)
        model = network()  # in float32 first, so that both have the same weights
        model.rnn.dropout = 0.0
        model.to(dtype)(images.to(dtype)).square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten().double() for p in model.parameters()]))
    single, double = gradients
    assert (single - double).norm() < 2e-5 * double.norm()
