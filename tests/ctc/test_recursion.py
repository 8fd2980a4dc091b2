"""The batched CTC loss: equal to torch's CPU kernel, whatever the lengths, and fit for a CUDA graph."""

import random

import pytest
import torch
from torch.nn import functional as F
from toys import Operations

from ocrlib.ctc import alignments
from ocrlib.ctc.recursion import ctc_losses

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.backends.mps.is_available() else [])]


def random_batch(seed, dtype=torch.float64):
    """Any lengths: texts without symbols or with too many for their steps, no step at all, equal neighbours, one class."""
    draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    steps, batch, classes = draw.choice([1, 2, 5, 9, 24]), draw.choice([1, 3, 8]), draw.choice([1, 2, 4, 37])
    blank, longest = draw.randrange(classes), draw.choice([0, 1, 2, 5, 7]) if classes > 1 else 0
    symbols = [index for index in range(classes) if index != blank]
    targets = torch.tensor([[draw.choice(symbols) for _ in range(longest)] for _ in range(batch)]).long().reshape(batch, longest)
    input_lengths = torch.tensor([draw.randint(0, steps) if draw.random() < 0.5 else steps for _ in range(batch)])
    target_lengths = torch.tensor([draw.randint(0, longest) for _ in range(batch)])
    logits = draw.choice([1, 4]) * torch.randn(steps, batch, classes, generator=generator, dtype=dtype)
    return logits.requires_grad_(), targets, input_lengths, target_lengths, blank


def torchs_losses(logits, targets, input_lengths, target_lengths, blank):
    options = {"blank": blank, "reduction": "none", "zero_infinity": True}
    return F.ctc_loss(logits.log_softmax(2), targets, input_lengths, target_lengths, **options)


def with_gradient(losses, batch):
    """Losses, and the gradient of a sum in which each text has another weight."""
    found = losses(*batch)
    return found.detach(), torch.autograd.grad(found @ torch.linspace(0.5, 2, len(found)).to(found), batch[0])[0]


@pytest.mark.parametrize("seeds", [range(start, start + 100) for start in (0, 100, 200)], ids=str)
def test_losses_and_gradients_equal_torchs_in_float64(seeds):
    for seed in seeds:
        batch = random_batch(seed)
        for ours, theirs in zip(with_gradient(ctc_losses, batch), with_gradient(torchs_losses, batch)):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_losses_and_gradients_in_float32_are_as_near_the_truth_as_asked(device):
    """The truth is torch's in float64: torch's own float32 is up to 3e-5 away from it."""
    for seed in range(200):
        logits, *others, blank = random_batch(seed, torch.float32)
        theirs = with_gradient(torchs_losses, (logits.double(), *others, blank))
        on_device = [part.detach().to(device) for part in (logits, *others)]
        for ours, truth in zip(with_gradient(ctc_losses, (on_device[0].requires_grad_(), *on_device[1:], blank)), theirs):
            torch.testing.assert_close(ours.cpu().double(), truth, rtol=1e-5, atol=1e-5)


def test_the_random_batches_have_the_hard_cases():
    batches = [random_batch(seed) for seed in range(200)]
    assert any(not len(targets[0]) for _, targets, *_ in batches) and any(logits.shape[2] == 1 for logits, *_ in batches)
    assert any(len(logits) == 1 for logits, *_ in batches) and any(blank for *_, blank in batches)
    assert any(bool((input_lengths == 0).any()) for _, _, input_lengths, *_ in batches)
    infinite = [F.ctc_loss(x.log_softmax(2), *lengths, blank=blank, reduction="none").isinf() for x, *lengths, blank in batches]
    assert any(bool(of.any() and not of.all()) for of in infinite)


@pytest.mark.parametrize("seed", [3, 9, 10, 17])
def test_the_gradient_is_that_of_the_loss(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 1, 2], [3, 0, 0], [0, 0, 0], [2, 2, 2]])  # the last one needs more steps than it has
    lengths = torch.tensor([6, 2, 5, 4]), torch.tensor([3, 1, 0, 3])
    assert torch.autograd.gradcheck(lambda x: ctc_losses(x, targets, *lengths), logits)


def test_one_text_has_the_loss_and_gradient_of_the_alignments():
    logits = torch.randn(6, 1, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    loss = ctc_losses(logits, torch.tensor([[2, 2, 4]]), torch.tensor([6]), torch.tensor([3]))
    log_probs = logits.detach()[:, 0].log_softmax(1)
    torch.testing.assert_close(loss[0].detach(), -alignments.log_likelihood(log_probs, [2, 2, 4]))
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), logits)[0][:, 0], alignments.gradient(log_probs, [2, 2, 4]))


def test_a_loss_that_is_no_number_stays_one():
    """`fit` looks for it: a text that can't be spelt has the loss 0, but NaN must not."""
    logits, targets, ones = torch.zeros(4, 2, 3), torch.tensor([[1], [2]]), torch.tensor([1, 1])
    logits[2, 1, 0] = torch.nan
    assert ctc_losses(logits, targets, 4 * ones, ones).isnan().tolist() == [False, True]


def test_a_cuda_graph_can_hold_the_loss():
    """As many operations for any values, none that waits for the device, and none that adds up in the order of chance."""
    traces = []
    for text, length in [([1, 1, 2], 3), ([3, 2, 3], 1)]:
        logits = torch.randn(7, 1, 4, requires_grad=True)
        batch = logits, torch.tensor([text]), torch.tensor([4 + length]), torch.tensor([length])
        with Operations() as traced:
            ctc_losses(*batch).mean().backward()
        traces.append(traced.names)
    assert traces[0] == traces[1]
    waits = {"_local_scalar_dense", "nonzero", "masked_select", "index", "equal"}
    adds_by_chance = {"index_add", "scatter_add", "index_put_"}
    assert set(traces[0]) & (waits | adds_by_chance) == set()
