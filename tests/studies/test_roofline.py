import torch
from torch import nn

from ocrlib import CRNN, flops_per_image, peak_flops
from ocrlib.studies.speed import TRAINING


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


def test_counting_agrees_with_torchs_counter_where_that_sees_everything():
    from torch.utils.flop_counter import FlopCounterMode

    model = CRNN().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.head(model.convolutions(torch.zeros(1, 1, 32, 80)).squeeze(2).permute(2, 0, 1))
    steps = 19
    recurrent = steps * 2 * 8 * 256 * ((512 + 256) + (512 + 256))
    assert flops_per_image(model, width=80) == counter.get_total_flops() + recurrent


def test_counting_leaves_the_model_as_it_was():
    model = CRNN()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flops_per_image(model, width=80)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_the_peak_is_a_rate_that_a_computer_can_have():
    assert 1e8 < peak_flops(torch.device("cpu"), size=64, seconds=0.01) < 1e15
    assert TRAINING == 3
