"""Variants of the networks: fewer channels, strides in place of pools, fewer steps, the original CRNN's layers; their FLOPs."""

import copy
import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocrlib.networks import CECRNN, CRNN, ColumnCNN, RecurrentNetwork, conv


def narrowed(layers: Sequence[nn.Module], scale: float) -> list[nn.Module]:
    """New layers with ``scale`` times the channels of ``layers``, rounded, at least one; the image keeps its one channel."""

    def width(channels: int) -> int:
        return channels if channels == 1 else max(round(channels * scale), 1)

    found: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            sizes, bias = (layer.kernel_size, layer.stride, layer.padding), layer.bias is not None
            layer = nn.Conv2d(width(layer.in_channels), width(layer.out_channels), *sizes, bias=bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer = nn.BatchNorm2d(width(layer.num_features), affine=layer.affine)
        found.append(layer)
    return found


class Strided(RecurrentNetwork):
    """A network without max-pools: the convolution before each takes over its stride. To be mixed in before the network."""

    def stack(self) -> list[nn.Module]:
        found: list[nn.Module] = []
        for layer in super().stack():
            if isinstance(layer, nn.MaxPool2d):
                last = max(i for i, other in enumerate(found) if isinstance(other, nn.Conv2d))
                old = found[last]
                found[last] = nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, layer.stride, old.padding)
            else:
                found.append(layer)
        return found


class StridedCRNN(Strided, CRNN):
    """The CRNN with strides in place of its pools; steps and parameters are as many."""


class StridedCECRNN(Strided, CECRNN):
    """CE-CRNN with strides in place of its pools."""


class SixStepCRNN(CRNN):
    """The CRNN whose (2, 1) pools have stride 2 along the width too: 6 steps at width 100."""

    def stack(self) -> list[nn.Module]:
        layers = super().stack()
        for layer in layers:
            if isinstance(layer, nn.MaxPool2d):
                layer.stride = 2
        return layers


class OriginalCRNN(CRNN):
    """The CRNN with the paper's layers and the linear layer and batch norms of its authors' program: 8,331,301 parameters.

    The linear layer between the LSTMs takes 512 outputs to 256. Batch norm follows convolutions 3, 5 and 7 instead of 5 and 6
    (B. Shi, X. Bai and C. Yao, arXiv 1507.05717, and the program published with it). Three differences to that program remain:
    its (2, 1) pools are 2 x 2 with stride 1 and padding along the width, which makes 26 steps at width 100; its input is
    scaled to -1..1; and the outputs of an LSTM's two directions are joined by a linear layer with bias for each.
    """

    def __init__(self, classes: int = 37) -> None:
        super().__init__(classes)
        units = self.hidden
        self.rnn = nn.ModuleList([nn.LSTM(size, units, bidirectional=True) for size in (self.channels, units)])
        self.between = nn.Linear(2 * units, units)

    def stack(self) -> list[nn.Module]:
        return [
            conv(1, 64), nn.ReLU(), nn.MaxPool2d(2),
            conv(64, 128), nn.ReLU(), nn.MaxPool2d(2),
            conv(128, 256), nn.BatchNorm2d(256), nn.ReLU(),
            conv(256, 256), nn.ReLU(), nn.MaxPool2d((2, 1)),
            conv(256, 512), nn.BatchNorm2d(512), nn.ReLU(),
            conv(512, 512), nn.ReLU(), nn.MaxPool2d((2, 1)),
            conv(512, 512, kernel=2, padding=0), nn.BatchNorm2d(512), nn.ReLU(),
        ]  # fmt: skip

    def read(self, columns: Tensor) -> Tensor:
        first, second = self.rnn
        return self.head(second(self.between(first(columns)[0]))[0])  # (T, N, C)


@functools.cache
def narrow(network: type[RecurrentNetwork], scale: float) -> type[RecurrentNetwork]:
    """A subclass of ``network`` with ``scale`` times its channels and LSTM units."""

    class Narrow(network):
        channels = round(network.channels * scale)
        hidden = round(network.hidden * scale)

        def stack(self) -> list[nn.Module]:
            return narrowed(super().stack(), scale)

    Narrow.__name__ = f"{network.__name__} x {scale:g}"
    return Narrow


@functools.cache
def narrow_column_cnn(scale: float) -> type[ColumnCNN]:
    """A subclass of `ColumnCNN` with ``scale`` times its channels."""
    channels = tuple(round(channels * scale) for channels in ColumnCNN.CHANNELS)
    return type(f"ColumnCNN x {scale:g}", (ColumnCNN,), {"CHANNELS": channels})


def flops_per_image(model: nn.Module, width: int, height: int = 32) -> int:
    """Floating-point operations of the forward pass of one image; a multiply-add is two.

    Convolutions and matrix products are counted, as torch's `FlopCounterMode` does. The rest (batch norm, pools,
    activations) takes far fewer operations.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes long to import

    model, enabled = copy.deepcopy(model).cpu().eval(), torch.backends.mkldnn.enabled
    # Without oneDNN torch computes an LSTM on the CPU by single matrix products, which the counter sees.
    torch.backends.mkldnn.enabled = False
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 1, height, width))
    finally:
        torch.backends.mkldnn.enabled = enabled
    return counter.get_total_flops()
