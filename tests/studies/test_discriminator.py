"""The discriminator finds a difference between the sets, if the view shows it."""

import pytest
import torch

from ocrlib import Captchas, load_captchas, parameter_count
from ocrlib.studies.discriminator import Discriminator, accuracy, averaged, real_probabilities, train_discriminator, windowed
from ocrlib.synthetic.generated import draw_captchas, draw_texts


def drawn(n, seed):
    return draw_captchas(draw_texts(n, seed=3), seed, width=48, height=16)


def marked(captchas):
    images = captchas.images.clone()
    images[..., 5:9, 20:24] = 0
    return Captchas(images, captchas.texts, captchas.names, "synthetic", "with a dark square")


def test_a_difference_is_found_unless_the_window_leaves_it_out():
    plain, other = drawn(60, 1), marked(drawn(60, 2))
    views = {True: lambda c: c, False: lambda c: windowed(c, slice(0, 16), slice(30, 48))}
    for visible, view in views.items():
        a, b = view(plain), view(other)
        model = train_discriminator(a.subset(range(40)), b.subset(range(40)), seed=1, epochs=8)
        share, (low, high) = accuracy(model, a.subset(range(40, 60)), b.subset(range(40, 60)))
        assert low <= share <= high and (share > 0.9 if visible else share < 0.75)


def test_training_repeats_itself():
    first, second = (train_discriminator(drawn(12, 1), drawn(12, 2), seed=5, epochs=1) for _ in range(2))
    assert real_probabilities(first, drawn(4, 1)).equal(real_probabilities(second, drawn(4, 1)))
    assert not first.training and parameter_count(Discriminator()) == 23_473


def test_as_many_of_both_are_needed():
    with pytest.raises(ValueError, match="got 3 and 2"):
        train_discriminator(drawn(3, 1), drawn(2, 1), seed=1)


def test_views():
    captchas = load_captchas(width=48, height=16, source="synthetic").subset(range(2))
    window = windowed(captchas, slice(4, 8), slice(10, 20)).images
    assert window[..., 4:8, 10:20].equal(captchas.images[..., 4:8, 10:20])
    assert (window != 128).sum() <= 2 * 4 * 10
    small = averaged(captchas, 4).images
    assert tuple(small.shape) == (2, 1, 4, 12)
    assert int(small[0, 0, 0, 0]) == round(captchas.images[0, 0, :4, :4].float().mean().item())
    assert torch.equal(captchas.images, load_captchas(width=48, height=16, source="synthetic").images[:2]), "left as they were"
