"""Where steps look, against poking each pixel column and seeing which steps move."""

import pytest
import torch

from ocrlib.networks import CECRNN, CRNN, ColumnCNN, ModifiedCRNN
from ocrlib.receptive_fields import step_centres


@pytest.mark.parametrize("network, width", [(CRNN, 80), (ModifiedCRNN, 176), (CECRNN, 128), (ColumnCNN, 128)])
def test_there_is_a_centre_for_each_step_evenly_apart(network, width):
    model = network()
    centres = step_centres(model, width)
    assert len(centres) == model.steps(width)
    apart = centres.diff()
    assert (apart == apart[0]).all() and 0 < apart[0] < width / 3
    assert 0 <= centres[0] and centres[-1] <= width - 1


def test_a_centre_is_the_middle_of_all_the_columns_that_matter():
    torch.manual_seed(0)
    width = 128
    model = ColumnCNN().eval().double()
    grey = torch.rand(1, 1, 32, width, dtype=torch.float64)
    poked = grey.repeat(width, 1, 1, 1)
    poked[torch.arange(width), :, :, torch.arange(width)] += 5.0  # image x differs in its column x
    with torch.no_grad():
        moved = (model.columns(poked) - model.columns(grey)).abs().sum(2) > 0  # (T, width)
    for step, centre in enumerate(step_centres(model, width).tolist()):
        columns = moved[step].nonzero().flatten()
        first, last = int(columns[0]), int(columns[-1])
        if first > 0 and last < width - 1:  # not cut off by the rim
            assert (first + last) / 2 == centre
    assert moved[16].sum() < width
