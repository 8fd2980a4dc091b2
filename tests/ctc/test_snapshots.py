"""Snapshots: taken at the right steps, with the right weights, and without any effect on training."""

import pytest
import torch
from toys import ALPHABET, ToyCTC, toy_captchas, weights

from ocrlib import CTC, fit, seed_everything
from ocrlib.ctc.snapshots import Snapshots

IMAGES = toy_captchas(8, seed=3).images


def train(every=None, epochs=2):
    """Twelve images in batches of four: three steps an epoch."""
    seed_everything(1)
    model = ToyCTC()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    captchas = toy_captchas(12)
    snapshots = Snapshots(model, IMAGES, every or 1)
    arguments = (model, CTC(ALPHABET), captchas, captchas.subset(range(4)), optimizer)
    if every is None:
        fit(*arguments, epochs=epochs, batch_size=4, live=False)
    else:
        with snapshots:
            fit(*arguments, epochs=epochs, batch_size=4, live=False)
    return model, snapshots


@pytest.mark.parametrize("every, kept", [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (4, [0, 4, 6]), (9, [0, 6])])
def test_they_are_taken_every_so_many_steps_and_at_the_end(every, kept):
    _, snapshots = train(every)
    assert list(snapshots.logits) == kept
    assert {tuple(logits.shape) for logits in snapshots.logits.values()} == {(6, 8, 4)}
    assert all(logits.dtype == torch.float32 and not logits.requires_grad for logits in snapshots.logits.values())


def test_training_goes_on_to_the_same_bits():
    with_them, _ = train(every=1)
    without, _ = train()
    assert torch.equal(weights(with_them), weights(without))
    assert with_them.training and list(with_them.state_dict()) == list(without.state_dict())


def test_the_first_is_the_untrained_network_on_the_statistics_of_these_images():
    model, snapshots = train(every=3)
    seed_everything(1)
    fresh = ToyCTC().train()
    fresh.rnn.dropout = 0.0  # of training only batch norm's statistics are wanted
    with torch.no_grad():
        torch.testing.assert_close(snapshots.logits[0], fresh(IMAGES.float()))
        model.rnn.dropout = 0.0
        torch.testing.assert_close(snapshots.logits[6], model(IMAGES.float()))
    assert not torch.equal(snapshots.logits[0], snapshots.logits[3])


def test_the_hook_is_removed_even_after_an_error():
    model = ToyCTC()
    with Snapshots(model, IMAGES) as snapshots:
        model.train()(IMAGES.float())
    model(IMAGES.float())
    assert list(snapshots.logits) == [0, 1]
    with pytest.raises(KeyError), Snapshots(model, IMAGES) as snapshots:
        raise KeyError
    model(IMAGES.float())
    assert snapshots.logits == {}


def test_evaluation_is_no_step():
    model = ToyCTC().eval()
    with Snapshots(model, IMAGES) as snapshots:
        model(IMAGES.float())
    assert list(snapshots.logits) == [0]


def test_less_than_every_step_is_refused():
    with pytest.raises(ValueError, match="every=0"):
        Snapshots(ToyCTC(), IMAGES, every=0)
