"""Figures of real beside generated captchas: what stands where."""

import numpy as np
import pytest
from toys import toy_captchas

from ocrlib.studies.synthetic_to_real_plots import plot_blind, plot_pairs, plot_statistics, plot_transfer


def test_pairs_stand_side_by_side():
    real, generated = toy_captchas(4, seed=1), toy_captchas(4, seed=2)
    [ax] = plot_pairs(real, generated, n=3).axes
    shown = [image.get_array() for image in ax.images]
    assert len(shown) == 6
    for i in range(3):
        assert np.array_equal(shown[2 * i], real.images[i, 0]) and np.array_equal(shown[2 * i + 1], generated.images[i, 0])


def test_the_blind_test_says_nothing_but_numbers():
    figure = plot_blind(toy_captchas(4))
    [ax] = figure.axes
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3", "4"]
    assert not any(text in figure.alt for text in toy_captchas(4).texts)


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


def test_no_run_is_lost_where_the_cer_is_zero():
    figure = plot_transfer({10: [0.0, 0.01], 0: [0.02, 0.04]}, {10: [0.5, 0.6]})
    [ax] = figure.axes
    dots = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "."])
    assert sorted(dots) == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.5, 0.6])
    assert all(list(line.get_xdata()) == sorted(line.get_xdata()) for line in ax.lines), "from few images to many"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "10"] and ax.get_yscale() == "log"
