"""The discriminator finds a difference between the sets, if the view shows it."""

import pytest

from ocrlib import Captchas, parameter_count
from ocrlib.studies.discriminator import Discriminator, accuracy, real_probabilities, train_discriminator
from ocrlib.synthetic.generated import draw_captchas, draw_texts


def drawn(n, seed):
    return draw_captchas(draw_texts(n, seed=3), seed, width=48, height=16)


def marked(captchas):
    images = captchas.images.clone()
    images[..., 5:9, 20:24] = 0
    return Captchas(images, captchas.texts, captchas.names, "synthetic", "with a dark square")


def right_edge(captchas):
    images = captchas.images.clone()
    images[..., :30] = 128
    return Captchas(images, captchas.texts, captchas.names, "synthetic", "grey but for the right edge")


def test_a_difference_is_found_unless_the_view_leaves_it_out():
    plain, other = drawn(60, 1), marked(drawn(60, 2))
    for visible, a, b in ((True, plain, other), (False, right_edge(plain), right_edge(other))):
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
