"""What a real and a generated data set differ in stands where it belongs."""

import numpy as np
from toys import toy_captchas

from ocrlib.studies.exploration import plot_statistics


def test_differences_are_real_minus_generated():
    real, generated = toy_captchas(6, seed=1), toy_captchas(6, seed=2)
    figure = plot_statistics(real, generated)
    pictures = {ax.get_title(): ax.images[0].get_array() for ax in figure.axes if ax.images}
    mean = real.images[:, 0].float().mean(0) - generated.images[:, 0].float().mean(0)
    assert np.allclose(pictures["difference of the means, real - generated"], mean.numpy(), atol=1e-3)
    profiles = [ax for ax in figure.axes if len(ax.lines) == 2]
    assert [ax.get_xlabel() for ax in profiles] == ["x (pixels)", "y (pixels)"]
    darkness = 255 - real.images[:, 0].float().mean((0, 1))
    assert np.allclose(profiles[0].lines[0].get_ydata(), darkness.numpy(), atol=1e-3)
