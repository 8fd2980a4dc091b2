"""CTC's paths, loss and gradient: counts by hand, sums over all paths, the recursions and torch give the same."""

from itertools import product

import pytest
import torch
from torch.nn import functional as F

from ocrlib.ctc.alignments import (
    backward,
    collapse,
    count_paths,
    flow,
    forced_alignment,
    forward,
    gradient,
    lattice_rows,
    list_paths,
    log_likelihood,
    path_rows,
    posterior,
    predecessors,
    soft_alignment,
    transitions,
)
from ocrlib.texts import ctc_min_steps

TARGETS = [(), (1,), (1, 2), (1, 1), (2, 1, 2), (1, 1, 2), (3, 3, 3)]
CASES = [(target, steps, blank) for target in TARGETS for steps in (1, 3, 5, 6) for blank in (0, 4)]
SPELT = [(target, steps, blank) for target, steps, blank in CASES if steps >= ctc_min_steps(target)]


def random_logits(steps, seed=0, classes=5, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(steps, classes, generator=generator, dtype=torch.float64)


def all_paths(target, steps, blank=0, classes=5):
    """By definition: all sequences of classes that collapse to the target."""
    return [path for path in product(range(classes), repeat=steps) if collapse(path, blank) == tuple(target)]


def sum_of_paths(log_probs, paths):
    steps = torch.arange(len(log_probs))
    return torch.stack([log_probs[steps, list(path)].sum() for path in paths]).logsumexp(0)


def torchs_loss(logits, target, blank=0):
    log_probs, lengths = logits.log_softmax(1)[:, None], torch.tensor([len(logits)])
    return F.ctc_loss(log_probs, torch.tensor([target]), lengths, torch.tensor([len(target)]), blank=blank, reduction="sum")


def test_collapse_merges_repeats_then_drops_blanks():
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0]) == (1, 1, 2)
    assert collapse([1, 0, 1], blank=1) == (0,)
    assert collapse([]) == collapse([0, 0]) == ()


def test_the_lattice_has_a_blank_around_each_symbol():
    assert lattice_rows([3, 1, 1]) == [0, 3, 0, 1, 0, 1, 0]
    assert lattice_rows([], blank=4) == [4]
    with pytest.raises(ValueError, match=r"\[1, 4\] holds 4, the blank's index"):
        lattice_rows([1, 4], blank=4)


def test_the_rows_of_a_path_are_those_of_the_lattice():
    assert path_rows([0, 3, 3, 0, 1, 0, 1, 1]) == [0, 1, 1, 2, 3, 4, 5, 5]
    assert path_rows([3, 1, 4], blank=4) == [1, 3, 4] and path_rows([]) == []
    rows = lattice_rows([3, 1, 1])
    for path in list_paths([3, 1, 1], 6):
        places = path_rows(path)
        assert [rows[row] for row in places] == list(path)
        assert all(before in predecessors(rows, row) for before, row in zip(places, places[1:]))


def test_a_blank_may_be_left_out_unless_its_neighbours_are_equal():
    rows = lattice_rows([3, 1, 1])
    assert [sorted(predecessors(rows, row)) for row in range(7)] == [[0], [0, 1], [1, 2], [1, 2, 3], [3, 4], [4, 5], [5, 6]]
    allowed = transitions(rows)
    assert allowed.exp().nonzero().tolist() == sorted([before, row] for row in range(7) for before in predecessors(rows, row))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("steps", [1, 2, 4, 5])
@pytest.mark.parametrize("blank", [0, 4])
def test_listed_and_counted_paths_are_those_of_the_definition(target, steps, blank):
    listed = list_paths(target, steps, blank)
    assert sorted(listed) == all_paths(target, steps, blank)
    assert count_paths(target, steps) == len(listed)


def test_texts_are_counted_as_their_indices_are():
    assert count_paths("cd5ff", 10) == count_paths([1, 2, 3, 4, 4], 10) == 1001
    assert [count_paths("fffff", steps) for steps in (0, 8, 9, 10)] == [0, 0, 1, 11]
    assert count_paths("", 3) == 1 and list_paths([1], 0) == []


@pytest.mark.parametrize("target, steps, blank", CASES)
def test_the_sum_over_all_paths_the_recursion_and_torch_agree(target, steps, blank):
    logits = random_logits(steps, seed=steps)
    log_probs = logits.log_softmax(1)
    paths = all_paths(target, steps, blank)
    found = log_likelihood(log_probs, target, blank)
    torch.testing.assert_close(-found, torchs_loss(logits, target, blank), rtol=1e-9, atol=1e-9)
    if paths:
        torch.testing.assert_close(found, sum_of_paths(log_probs, paths), rtol=1e-9, atol=1e-9)
    else:
        assert found == -torch.inf


@pytest.mark.parametrize("target, steps, blank", SPELT)
def test_the_gradients_agree_too(target, steps, blank):
    logits = random_logits(steps, seed=steps + 1).requires_grad_()
    (by_torch,) = torch.autograd.grad(torchs_loss(logits, target, blank), logits)
    (by_paths,) = torch.autograd.grad(-sum_of_paths(logits.log_softmax(1), all_paths(target, steps, blank)), logits)
    ours = gradient(logits.detach().log_softmax(1), target, blank)
    torch.testing.assert_close(ours, by_torch, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(ours, by_paths, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_long_random_texts_agree_with_torch(seed):
    generator = torch.Generator().manual_seed(seed)
    length = int(torch.randint(1, 9, (), generator=generator))
    target = torch.randint(1, 4, (length,), generator=generator).tolist()  # few symbols, so that many neighbours are equal
    logits = random_logits(24, seed, classes=7, spread=4).requires_grad_()
    loss = torchs_loss(logits, target)
    (by_torch,) = torch.autograd.grad(loss, logits)
    log_probs = logits.detach().log_softmax(1)
    torch.testing.assert_close(-log_likelihood(log_probs, target), loss.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient(log_probs, target), by_torch, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("target", [(1, 2), (1, 1, 2)])
def test_posterior_and_flow_are_shares_of_the_paths(target):
    log_probs = random_logits(5, seed=3).log_softmax(1)
    paths = all_paths(target, 5)
    weights = torch.stack([sum_of_paths(log_probs, [path]) for path in paths]).softmax(0)
    soft = torch.zeros(5, 5, dtype=torch.float64)
    for path, weight in zip(paths, weights):
        soft[torch.arange(5), list(path)] += weight
    torch.testing.assert_close(soft_alignment(log_probs, target), soft)

    at, moves = posterior(log_probs, target), flow(log_probs, target)
    torch.testing.assert_close(at.sum(1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(moves.sum(2), at[:-1])  # what leaves a row
    torch.testing.assert_close(moves.sum(1), at[1:])  # what comes into one
    assert not moves[:, transitions(lattice_rows(target)) == -torch.inf].any()


def test_forward_and_backward_give_the_same_probability_at_each_step():
    log_probs = random_logits(6, seed=5).log_softmax(1)
    at_each_step = (forward(log_probs, (1, 2, 2)) + backward(log_probs, (1, 2, 2))).logsumexp(1)
    torch.testing.assert_close(at_each_step, log_likelihood(log_probs, (1, 2, 2)).expand(6))


def test_if_only_one_path_is_possible_its_probability_is_1():
    log_probs = random_logits(5, classes=3).log_softmax(1)
    assert soft_alignment(log_probs, (1, 1, 1)).argmax(1).tolist() == [1, 0, 1, 0, 1]
    torch.testing.assert_close(soft_alignment(log_probs, (1, 1, 1)).amax(1), torch.ones(5, dtype=torch.float64))


def test_single_precision_is_kept():
    log_probs = random_logits(6).float().log_softmax(1)
    assert forward(log_probs, (1, 2)).dtype == gradient(log_probs, (1, 2)).dtype == torch.float32
    torch.testing.assert_close(-log_likelihood(log_probs, (1, 2)), torchs_loss(random_logits(6).float(), (1, 2)))


@pytest.mark.parametrize("target, steps, blank", SPELT)
def test_forced_alignment_is_the_most_probable_of_all_paths(target, steps, blank):
    log_probs = random_logits(steps, seed=steps + 2).log_softmax(1)
    found = forced_alignment(log_probs, target, blank)
    best = max(all_paths(target, steps, blank), key=lambda path: sum_of_paths(log_probs, [path]))
    assert tuple(found.path.tolist()) == best and found.path.dtype == torch.int64
    torch.testing.assert_close(found.log_prob, sum_of_paths(log_probs, [best]))


@pytest.mark.parametrize("seed", range(10))
def test_forced_alignment_of_a_long_text_is_a_path_of_it_and_none_beside_it_is_better(seed):
    target = torch.randint(1, 4, (9,), generator=torch.Generator().manual_seed(seed)).tolist()
    log_probs = random_logits(40, seed, classes=7).log_softmax(1)
    path, log_prob = forced_alignment(log_probs, target)
    assert collapse(path.tolist()) == tuple(target) and log_prob <= log_likelihood(log_probs, target)
    beside = [(*path[:t], index, *path[t + 1 :]) for t in range(40) for index in range(7)]
    beside = [[int(index) for index in other] for other in beside]
    assert all(sum_of_paths(log_probs, [other]) <= log_prob + 1e-9 for other in beside if collapse(other) == tuple(target))


def test_of_equally_probable_alignments_each_symbol_comes_as_early_as_it_can():
    even = torch.zeros(6, 4)
    assert forced_alignment(even, [2, 3]).path.tolist() == [2, 3, 0, 0, 0, 0]
    assert forced_alignment(even, [2, 2]).path.tolist() == [2, 0, 2, 0, 0, 0]
    assert forced_alignment(even, []).path.tolist() == [0] * 6


def test_forced_alignment_of_logits_in_training_can_be_learnt_from_and_keeps_their_type():
    log_probs = random_logits(4).float().requires_grad_()
    found = forced_alignment(log_probs, [1, 2])
    found.log_prob.backward()
    assert log_probs.grad.nonzero().tolist() == [[t, index] for t, index in enumerate(found.path.tolist())]
    assert found.log_prob.dtype == torch.float32
    assert forced_alignment(log_probs.detach().half(), [1, 2]).log_prob.dtype == torch.float16


def test_nan_has_no_best_path():
    with pytest.raises(ValueError, match="log_probs hold NaN"):
        forced_alignment(torch.tensor([[0.0, torch.nan], [0.0, 0.0]]), [1])


@pytest.mark.parametrize("function", [posterior, flow, soft_alignment, gradient, forced_alignment])
def test_a_target_that_no_path_spells_has_no_alignment(function):
    with pytest.raises(ValueError, match=r"No path of 3 steps .* \[1, 1, 2\], which needs 4 steps at least"):
        function(random_logits(3).log_softmax(1), [1, 1, 2])


def test_wrong_shapes_and_indices_are_refused():
    with pytest.raises(ValueError, match=r"must be \(T, C\) of one sequence, got \(3, 2, 5\).*log_probs\[:, n\]"):
        forward(torch.zeros(3, 2, 5), [1])
    with pytest.raises(ValueError, match="must be"):
        backward(torch.zeros(0, 5), [1])
    with pytest.raises(ValueError, match=r"\[1, 7\] and the blank 0 must lie in 0\.\.4"):
        forward(torch.zeros(3, 5), [1, 7])
    with pytest.raises(ValueError, match=r"must be \(T, C\) of one sequence, got \(3, 2, 5\)"):
        forced_alignment(torch.zeros(3, 2, 5), [1])
    with pytest.raises(ValueError, match="holds 0, the blank's index"):
        forced_alignment(torch.zeros(3, 5), [1, 0])
    with pytest.raises(ValueError, match="No path of 3 steps with a probability above 0"):
        forced_alignment(torch.tensor([[0.0, -torch.inf]] * 3), [1])
