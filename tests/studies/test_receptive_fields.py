"""Receptive fields, compared with the steps that change when single pixel columns change."""

import pytest
import torch

from ocrlib.networks import CECRNN, CRNN, ColumnCNN, ModifiedCRNN
from ocrlib.studies.receptive_fields import off_centre, squared_gradients, step_windows


def test_windows_hold_exactly_the_columns_that_change_a_step():
    torch.manual_seed(0)
    width = 128
    model = ColumnCNN().eval().double()
    grey = torch.rand(1, 1, 32, width, dtype=torch.float64)
    poked = grey.repeat(width, 1, 1, 1)
    poked[torch.arange(width), :, :, torch.arange(width)] += 5.0  # image x differs in its column x
    with torch.no_grad():
        moved = (model.columns(poked) - model.columns(grey)).abs().sum(2) > 0  # (T, width)
    for step, centre in enumerate(model.step_centres(width).tolist()):
        columns = moved[step].nonzero().flatten()
        first, last = int(columns[0]), int(columns[-1])
        if first > 0 and last < width - 1:  # not cut off by the border
            assert (first + last) / 2 == centre
            assert step_windows(model, width)[step].tolist() == [first, last]
    assert moved[16].sum() < width


@pytest.mark.parametrize("network, width, size", [(CRNN, 80, 46), (ModifiedCRNN, 176, 48), (CECRNN, 128, 110)])
def test_the_gradient_reaches_to_the_ends_of_the_window_and_no_further(network, width, size):
    torch.manual_seed(0)
    model = network()
    first, last = step_windows(model, width)[model.steps(width) // 2].tolist()
    assert last - first + 1 == size and len(step_windows(model, width)) == model.steps(width)
    fields = squared_gradients(model, torch.randint(0, 256, (12, 1, 32, width), dtype=torch.uint8), model.steps(width) // 2)
    seen = fields.sum((0, 1)).nonzero().flatten()
    assert fields.shape == (12, 32, width) and (int(seen[0]), int(seen[-1])) == (first, last)
    assert model.training, "left in the mode it was in"


def test_squared_gradients_are_those_of_all_channels_on_average():
    torch.manual_seed(0)
    model, images = ColumnCNN().eval(), torch.randint(0, 256, (1, 1, 32, 96), dtype=torch.uint8)
    exact = torch.autograd.functional.jacobian(lambda pixels: model.columns(pixels)[12, 0], images.float()).square().sum(0)[0, 0]
    mean = torch.stack([squared_gradients(model, images, 12, seed)[0] for seed in range(300)]).mean(0)
    assert (mean - exact).norm() < 0.15 * exact.norm()


def test_off_centre_is_the_mean_by_weight():
    fields = torch.zeros(2, 3, 5)
    fields[0, 1, 3], fields[1, 0, 0], fields[1, 2, 1] = 7.0, 1.0, 3.0
    assert off_centre(fields, centre=2.0).tolist() == [1.0, -1.25]


def test_the_callers_images_are_left_alone():
    images = torch.rand(2, 1, 32, 96)
    fields = squared_gradients(ColumnCNN(), images, 12)
    assert not images.requires_grad and not fields.requires_grad and fields.device.type == "cpu"
