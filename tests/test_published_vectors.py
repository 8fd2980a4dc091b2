"""What other projects publish, this library gives too: each test holds a number or a text from tests/published_vectors."""

from functools import cache, lru_cache

import pytest
import torch
from published_vectors import SOURCES
from published_vectors.decoding import BEAMS, COLLAPSED, GREEDY, PROBABILITIES
from published_vectors.edits import CHARACTER_RATES, DISTANCES, KINDS, WORD_RATES
from published_vectors.intervals import INTERVALS
from published_vectors.losses import FORCED, LOSSES, PATHS, SHORTEST, SUMS, TABLES, UNNORMALISED
from torch.nn import functional as F

from ocrlib import Alphabet, Captchas
from ocrlib.ctc.alignments import (
    backward,
    collapse,
    count_paths,
    forced_alignment,
    forward,
    gradient,
    list_paths,
    log_likelihood,
)
from ocrlib.ctc.decoding import best_path, exhaustive_search, prefix_beam_search
from ocrlib.evaluation import binomial_interval, score
from ocrlib.objectives import CTC
from ocrlib.texts import align


def published(cases, name=lambda case: ""):
    """A parameter for each case, named after its source."""
    assert all(case[0] in SOURCES for case in cases)
    return pytest.mark.parametrize("case", [pytest.param(case, id=f"{case[0]} {name(case)}".strip()) for case in cases])


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


# -- losses and gradients


def objectives_loss(logits, target, blank):
    """The loss of `CTC`, not divided by the number of symbols. Its blank is class 0; the other classes keep their order."""
    order = [blank, *(index for index in range(logits.shape[1]) if index != blank)]
    moved = torch.tensor([[order.index(index) for index in target]], dtype=torch.int64)
    alphabet = Alphabet("".join(chr(0x4E00 + index) for index in range(logits.shape[1] - 1)))
    return CTC(alphabet).loss(logits[:, None, order], moved, torch.tensor([len(target)])) * max(len(target), 1)


@published(LOSSES, lambda case: case.name)
def test_loss(case):
    logits = tensor(case.logits)
    log_probs = logits.log_softmax(1)
    found = -log_likelihood(log_probs, case.target, case.blank)
    assert float(found) == pytest.approx(case.loss, abs=case.within)
    backwards = log_probs[0, [case.blank, *case.target[:1]]] + backward(log_probs, case.target, case.blank)[0, :2]
    assert -float(backwards.logsumexp(0)) == pytest.approx(case.loss, abs=case.within)
    # In single precision.
    assert float(objectives_loss(logits, case.target, case.blank)) == pytest.approx(case.loss, rel=1e-6, abs=case.within + 1e-6)
    if count_paths(case.target, len(logits)) < 1000:
        paths = torch.tensor(list_paths(case.target, len(logits), case.blank))  # (paths, T)
        one_by_one = log_probs.gather(1, paths.T).sum(0).logsumexp(0)
        assert -float(one_by_one) == pytest.approx(case.loss, abs=case.within)


@published(SUMS, lambda case: case[1])
def test_loss_of_several_sequences(case):
    _, _, sequences, loss, within = case
    found = -sum(log_likelihood(tensor(logits).log_softmax(1), target) for logits, target in sequences)
    assert float(found) == pytest.approx(loss, abs=within)
    by_objective = sum(objectives_loss(tensor(logits), target, 0) for logits, target in sequences)
    assert float(by_objective) == pytest.approx(loss, abs=within + 1e-6)


def test_loss_with_6000_classes_of_mxnet():
    rows = torch.stack([torch.arange(6000.0).double().roll(i) / 13 for i in range(16)], 1)  # (C, T * N), reshaped as it stands
    logits = rows.reshape(8, 2, 6000)
    for sequence, (target, loss) in enumerate([((100, 200, 300, 400, 500), 688.02826), ((1000, 2000, 3000, 4000), 145.34462)]):
        found = -log_likelihood(logits[:, sequence].log_softmax(1), target)
        assert float(found) == pytest.approx(loss, rel=1e-5)  # MXNet's own tolerance


@cache
def gradients(number):
    """Of loss ``number``, by `gradient` and by torch through the objective."""
    case = LOSSES[number]
    logits = tensor(case.logits)
    (by_torch,) = torch.autograd.grad(objectives_loss(logits.requires_grad_(), case.target, case.blank), logits)
    return gradient(logits.detach().log_softmax(1), case.target, case.blank), by_torch


CELLS = [
    (case.source, case.name, number, t, index, value)
    for number, case in enumerate(LOSSES)
    for t, row in enumerate(case.gradient or [])
    for index, value in enumerate(row)
]


@published(CELLS, lambda case: f"{case[1]} step {case[3]} class {case[4]}")
def test_gradient(case):
    *_, number, t, index, value = case
    ours, by_torch = gradients(number)
    assert float(ours[t, index]) == pytest.approx(value, abs=2e-6)
    assert float(by_torch[t, index]) == pytest.approx(value, abs=4e-6)


UNNORMALISED_CELLS = [
    ("warp-ctc", number, t, index, value)
    for number, (*_, rows) in enumerate(UNNORMALISED)
    for t, row in enumerate(rows)
    for index, value in enumerate(row)
]


@pytest.mark.parametrize("log_probs, target, loss", [case[:3] for case in UNNORMALISED], ids=["first", "second"])
def test_loss_of_what_is_not_normalised_in_warp_ctc(log_probs, target, loss):
    assert -float(log_likelihood(tensor(log_probs), target)) == pytest.approx(loss, abs=1e-6)


@published(UNNORMALISED_CELLS, lambda case: f"{case[1]} step {case[2]} class {case[3]}")
def test_gradient_of_what_is_not_normalised(case):
    _, number, t, index, value = case
    log_probs, target, *_ = UNNORMALISED[number]
    assert float(gradient(tensor(log_probs), target)[t, index]) == pytest.approx(value, abs=2e-6)


ENTRIES = [
    ("tensorflow", table, sequence, t, first + i, value)
    for table, sequence, steps in TABLES
    for t, (first, *values) in enumerate(steps)
    for i, value in enumerate(values)
]


@published(ENTRIES, lambda case: f"{case[1]} {case[2]} step {case[3]} row {case[4]}")
def test_forward_and_backward_variables(case):
    _, table, sequence, t, row, value = case
    loss = LOSSES[sequence]
    function = {"alpha": forward, "beta": backward}[table]
    assert float(function(tensor(loss.logits), loss.target, loss.blank)[t, row]) == pytest.approx(value, abs=1e-5)


# -- closed forms of optax, with numbers of our own


def random_log_probs(steps, classes, seed):
    return torch.randn(steps, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log_softmax(1)


def different_neighbours(steps, classes, seed):
    steps_apart = torch.randint(1, classes - 1, (steps,), generator=torch.Generator().manual_seed(seed))
    return (steps_apart.cumsum(0) % (classes - 1) + 1).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_as_many_symbols_as_steps_have_one_path_in_optax(seed):
    log_probs, target = random_log_probs(50, 40, seed), different_neighbours(50, 40, seed)
    one_path = log_probs[torch.arange(50), target].sum()
    alpha = forward(log_probs, target)
    assert torch.allclose(log_likelihood(log_probs, target), one_path)
    assert torch.allclose(alpha[-1, 0], log_probs[:, 0].sum())  # only blanks so far
    assert torch.allclose(alpha[-1, -2], one_path)  # the last symbol is the last step
    assert torch.allclose(gradient(log_probs, target), log_probs.exp() - F.one_hot(torch.tensor(target), 40))
    assert forced_alignment(log_probs, target).path.tolist() == target


@pytest.mark.parametrize("target, path", SHORTEST, ids=str)
def test_equal_neighbours_in_as_few_steps_as_they_need_in_optax(target, path):
    log_probs = random_log_probs(len(path), 5, len(path))
    one_path = log_probs[torch.arange(len(path)), list(path)].sum()
    assert torch.allclose(log_likelihood(log_probs, target), one_path)
    found = forced_alignment(log_probs, target)
    assert tuple(found.path.tolist()) == path
    assert torch.allclose(found.log_prob, one_path)


# -- paths


@pytest.mark.parametrize("text", PATHS)
def test_paths_in_the_tutorial_of_warp_ctc(text):
    target, steps = ["abcd".index(symbol) + 1 for symbol in text], len(PATHS[text][0])
    assert sorted(list_paths(target, steps)) == sorted(PATHS[text])
    assert count_paths(target, steps) == len(PATHS[text])


@published(FORCED, lambda case: case[1])
def test_forced_alignment(case):
    *_, log_probs, target, blank, path = case
    found = forced_alignment(tensor(log_probs), target, blank)
    assert tuple(found.path.tolist()) == path
    assert float(found.log_prob) == pytest.approx(sum(row[index] for row, index in zip(log_probs, path)))


@pytest.mark.parametrize(
    "target, message",
    [([0, 1, 2, 3, 4, 4], "No path of 5 steps"), ([5, 3, 3], "holds 5, the blank's index"), ([7, 8, 9], "must lie in 0")],
)
def test_what_torchaudio_cannot_align_is_refused_here_too(target, message):
    with pytest.raises(ValueError, match=message):
        forced_alignment(random_log_probs(5, 6, 0), target, 5)


@pytest.mark.parametrize("name, labels, collapsed", COLLAPSED)
def test_collapse_of_tensorflow(name, labels, collapsed):
    assert collapse(labels, blank=-1) == collapsed


# -- decoding


@published(GREEDY, lambda case: case.name)
def test_greedy_decoding(case):
    assert best_path(tensor(case.log_probs), case.blank).target == case.target


@published([case for case in GREEDY if case.log_prob is not None], lambda case: case.name)
def test_log_probability_of_greedy_decoding(case):
    assert best_path(tensor(case.log_probs), case.blank).log_prob == pytest.approx(case.log_prob, abs=1e-7)


READINGS = [(case.source, case, rank) for case in BEAMS for rank in range(len(case.targets))]


@published(READINGS, lambda case: f"{case[1].name} {case[2]}")
def test_beam_search(case):
    _, case, rank = case
    log_probs = tensor(case.log_probs).log_softmax(1)
    found = prefix_beam_search(log_probs, case.beam, case.blank)[rank]
    assert found.target == case.targets[rank]
    assert found.log_prob <= float(log_likelihood(log_probs, found.target, case.blank)) + 1e-9
    if case.log_probs_of_targets:
        assert found.log_prob == pytest.approx(case.log_probs_of_targets[rank], abs=1e-5)
    if case.exact:
        exact = exhaustive_search(log_probs, case.blank)[rank]
        assert exact.target == case.targets[rank] and exact.log_prob == pytest.approx(found.log_prob)


@published(PROBABILITIES, lambda case: str(case[3]))
def test_probability_of_a_text(case):
    _, rows, blank, target, probability = case
    assert float(log_likelihood(tensor(rows).log(), target, blank).exp()) == pytest.approx(probability)


# -- edits


def captchas(texts):
    return Captchas(torch.zeros(len(texts), 1, 8, 8, dtype=torch.uint8), texts, ["a.png"] * len(texts), "real", "texts")


def edits(pairs):
    return sum(predicted != true for predicted, true in pairs)


BOTH_WAYS = [
    (source, *texts, distance)
    for source, left, right, distance in DISTANCES
    for texts in dict.fromkeys([(left, right), (right, left)])
]


@published(BOTH_WAYS, lambda case: f"{case[1][:10]!r} {case[2][:10]!r}")
def test_edit_distance(case):
    _, predicted, true, distance = case
    assert edits(align(predicted, true)) == distance
    if true:
        assert score([predicted], captchas([true])).edits == distance


@published(KINDS, lambda case: f"{case[1]!r} {case[2]!r}")
def test_kinds_of_edits(case):
    _, true, predicted, inserted, deleted, substituted = case
    pairs = align(predicted, true)
    assert sum(right == "" for _, right in pairs) == inserted
    assert sum(left == "" for left, _ in pairs) == deleted
    assert edits(pairs) - inserted - deleted == substituted


@published(CHARACTER_RATES, lambda case: case[1])
def test_character_error_rate(case):
    _, _, true, predicted, rate = case
    assert score(predicted, captchas(true)).cer == pytest.approx(rate, rel=1e-6)


@published(WORD_RATES, lambda case: case[1])
def test_word_error_rate_with_a_symbol_for_each_word(case):
    _, _, true, predicted, rate = case
    symbols = lru_cache(None)(lambda word: chr(0x4E00 + symbols.cache_info().currsize))
    true, predicted = (["".join(map(symbols, text.split())) for text in texts] for texts in (true, predicted))
    assert score(predicted, captchas(true)).cer == pytest.approx(rate, rel=1e-6)


# -- intervals


BOUNDS = [(*case[:4], side, case[4 + side], case[6]) for case in INTERVALS for side in (0, 1) if case[4 + side] is not None]


@published(BOUNDS, lambda case: f"{case[1]} of {case[2]} at {case[3]}, {['low', 'high'][case[4]]}")
def test_exact_binomial_interval(case):
    _, successes, trials, confidence, side, bound, within = case
    assert binomial_interval(successes, trials, confidence)[side] == pytest.approx(bound, abs=within)


# -- sources


def test_every_source_is_used_and_names_its_file():
    tables = [LOSSES, SUMS, FORCED, GREEDY, BEAMS, PROBABILITIES, DISTANCES, KINDS, CHARACTER_RATES, WORD_RATES, INTERVALS]
    used = {case[0] for cases in tables for case in cases} | {"tensorflow-collapse", "optax"}
    assert used == set(SOURCES)
    assert all("." in where for where in SOURCES.values())
