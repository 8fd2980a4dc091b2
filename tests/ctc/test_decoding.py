"""Decoding: greedy and beam search against exhaustive search; confidences; reliability counted by hand."""

import math
import time
from collections import defaultdict

import numpy as np
import pytest
import torch

from ocrlib import CTC, Alphabet
from ocrlib.ctc.alignments import collapse, log_likelihood
from ocrlib.ctc.decoding import best_path, exhaustive_search, prefix_beam_search, prefix_beam_search_batch, reliability

ABC = Alphabet("abc")


def random_log_probs(steps, classes, seed, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(steps, classes, generator=generator, dtype=torch.float64)).log_softmax(1)


def probabilities(readings):
    return {reading.target: math.exp(reading.log_prob) for reading in readings}


def test_the_best_path_is_what_the_objective_decodes():
    logits = torch.randn(9, 6, 4, generator=torch.Generator().manual_seed(1))
    for n, text in enumerate(CTC(ABC).decode(logits)):
        log_probs = logits[:, n].log_softmax(1)
        reading = best_path(log_probs)
        assert ABC.decode(reading.target) == text
        assert reading.log_prob == pytest.approx(float(log_probs.amax(1).sum()))


def test_the_likeliest_path_need_not_spell_the_likeliest_text():
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]], dtype=torch.float64).log()
    assert best_path(log_probs).target == ()
    assert probabilities(prefix_beam_search(log_probs, beam=2)) == pytest.approx({(1,): 0.64, (): 0.36})
    assert prefix_beam_search(log_probs, beam=2)[0].target == (1,)


@pytest.mark.parametrize("steps, classes", [(1, 4), (3, 4), (5, 3), (6, 2)])
def test_exhaustive_search_finds_each_text_with_its_whole_probability(steps, classes):
    log_probs = random_log_probs(steps, classes, seed=steps)
    readings = exhaustive_search(log_probs)
    assert sum(probabilities(readings).values()) == pytest.approx(1)
    assert [reading.log_prob for reading in readings] == sorted((reading.log_prob for reading in readings), reverse=True)
    for target, log_prob in readings:
        assert log_prob == pytest.approx(float(log_likelihood(log_probs, target)))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("blank", [0, 2])
def test_a_wide_beam_is_exhaustive(seed, blank):
    log_probs = random_log_probs(1 + seed % 6, 3 + seed % 2, seed, spread=1 + seed % 3)
    every = exhaustive_search(log_probs, blank)
    found = prefix_beam_search(log_probs, beam=len(every) * 4, blank=blank)
    assert probabilities(found) == pytest.approx(probabilities(every))
    assert found[0].target == every[0].target


def test_a_narrow_beam_gives_lower_bounds():
    for seed in range(10):
        log_probs = random_log_probs(6, 4, seed, spread=1)
        true = probabilities(exhaustive_search(log_probs))
        found = probabilities(prefix_beam_search(log_probs, beam=3))
        assert len(found) == 3
        assert all(0 < found[target] <= true[target] * (1 + 1e-9) for target in found)


def plain_beam_search(log_probs, beam, blank):
    """Prefix beam search as in the paper: a dictionary, one prefix and one class at a time."""
    entries = {(): [0.0, -math.inf]}
    for row in log_probs.tolist():
        grown = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (in_blank, in_symbol) in entries.items():
            either = np.logaddexp(in_blank, in_symbol)
            for index, log_prob in enumerate(row):
                if index == blank:
                    ways = [(prefix, 0, either)]
                elif prefix[-1:] == (index,):
                    ways = [(prefix, 1, in_symbol), ((*prefix, index), 1, in_blank)]
                else:
                    ways = [((*prefix, index), 1, either)]
                for longer, ending, before in ways:
                    grown[longer][ending] = np.logaddexp(grown[longer][ending], before + log_prob)
        kept = sorted(grown.items(), key=lambda entry: -np.logaddexp(*entry[1]))[:beam]
        entries = {prefix: ends for prefix, ends in kept if max(ends) > -math.inf}
    found = {prefix: float(np.logaddexp(*ends)) for prefix, ends in entries.items()}
    return sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))


def targets(readings):
    return [target for target, _ in readings]


def drawn_log_probs(kind, shape, generator):
    """Log-probabilities ``(T, N, C)``: of a network at its beginning or later, with equal ones, with impossible classes."""
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    if kind == "peaks":
        drawn = 6 * drawn
    elif kind == "ties":
        return -torch.randint(0, 3, shape, generator=generator).double()
    elif kind == "single precision":
        return drawn.float().log_softmax(2)
    log_probs = drawn.log_softmax(2)
    if kind == "impossible classes":
        log_probs[torch.rand(shape, generator=generator) < 0.5] = -math.inf
    return log_probs


@pytest.mark.parametrize("kind", ["random", "peaks", "ties", "impossible classes", "single precision"])
@pytest.mark.parametrize("beam", [1, 2, 3, 16])
@pytest.mark.parametrize("steps, classes, blank", [(1, 5, 0), (4, 2, 1), (6, 4, 0), (6, 5, 3), (5, 30, 7), (4, 1, 0), (0, 3, 0)])
def test_a_batch_gives_the_readings_of_the_plain_algorithm(kind, beam, steps, classes, blank):
    log_probs = drawn_log_probs(kind, (steps, 6, classes), torch.Generator().manual_seed(beam))
    found = prefix_beam_search_batch(log_probs, beam, blank)
    assert len(found) == 6
    for n, readings in enumerate(found):
        expected = plain_beam_search(log_probs[:, n], beam, blank)
        assert targets(readings) == targets(expected)
        assert [reading.log_prob for reading in readings] == pytest.approx([log_prob for _, log_prob in expected], abs=1e-12)
        assert prefix_beam_search(log_probs[:, n], beam, blank) == readings


def test_a_prefix_that_was_dropped_and_found_again_is_the_same_prefix():
    """A narrow beam often drops "a" while "ab" stays. When "a" comes back and grows by b, that is the entry "ab"."""
    log_probs = drawn_log_probs("random", (24, 64, 4), torch.Generator().manual_seed(0))
    for beam in (2, 4):
        for n, readings in enumerate(prefix_beam_search_batch(log_probs, beam)):
            assert targets(readings) == targets(plain_beam_search(log_probs[:, n], beam, 0))


def test_of_many_classes_the_less_likely_count_where_rounding_makes_them_equal():
    """A hair between two classes is lost in a sum of some size. Then the first one is kept, and it may be the less likely."""
    log_probs = torch.full((2, 40), -math.inf, dtype=torch.float64)
    log_probs[0, 30] = -1000.0
    log_probs[1, 1:] = torch.arange(39) * 1e-16
    for beam in (1, 3, 16):
        assert targets(prefix_beam_search(log_probs, beam)) == targets(plain_beam_search(log_probs, beam, 0))


def test_of_thousands_of_classes_few_are_looked_at_and_nothing_changes():
    log_probs = drawn_log_probs("random", (3, 1, 6764), torch.Generator().manual_seed(0))
    for n, readings in enumerate(prefix_beam_search_batch(log_probs, 3)):
        expected = plain_beam_search(log_probs[:, n], 3, 0)
        assert targets(readings) == targets(expected)
        assert [log_prob for _, log_prob in readings] == pytest.approx([log_prob for _, log_prob in expected])
    began = time.perf_counter()
    prefix_beam_search(log_probs[:, 0].repeat(8, 1))  # 24 steps, in about 10 ms; step by step and class by class it took 83 s
    assert time.perf_counter() - began < 5


def test_a_batch_may_be_empty_and_may_need_a_gradient():
    assert prefix_beam_search_batch(torch.zeros(3, 0, 4)) == []
    logits = torch.zeros(3, 2, 4, requires_grad=True)
    assert len(prefix_beam_search_batch(logits.log_softmax(2), beam=5)[1]) == 5


def test_exhaustive_search_sums_path_by_path():
    log_probs = random_log_probs(5, 4, seed=5)
    found = defaultdict(lambda: -math.inf)
    for path in np.ndindex(*[4] * 5):
        target = collapse(path)
        found[target] = np.logaddexp(found[target], sum(float(row[index]) for row, index in zip(log_probs, path)))
    assert dict(exhaustive_search(log_probs)) == found  # bit for bit


def test_classes_of_probability_zero():
    log_probs = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64).log()
    assert probabilities(exhaustive_search(log_probs)) == pytest.approx({(1, 1): 0.5, (1,): 0.5})
    assert probabilities(prefix_beam_search(log_probs)) == pytest.approx({(1, 1): 0.5, (1,): 0.5})
    assert [reading.target for reading in prefix_beam_search(log_probs)] == [(1,), (1, 1)]  # a tie: by index


def test_an_empty_beam_and_too_many_paths_are_refused():
    with pytest.raises(ValueError, match="beam=0: at least one"):
        prefix_beam_search(random_log_probs(3, 3, 0), beam=0)
    with pytest.raises(ValueError, match=r"37\^32 paths are too many .* prefix_beam_search"):
        exhaustive_search(random_log_probs(32, 37, 0))


def test_a_confidence_is_the_probability_of_the_whole_text():
    logits = torch.randn(5, 4, 4, generator=torch.Generator().manual_seed(2), requires_grad=True)
    texts = ["ab", "", "aab", "aaaaa"]  # the last one needs nine steps
    found = CTC(ABC).confidence(logits, texts)
    assert found.dtype == torch.float64 and not found.requires_grad
    for n, text in enumerate(texts):
        log_probs = logits[:, n].detach().double().log_softmax(1)
        assert float(found[n]) == pytest.approx(float(log_likelihood(log_probs, ABC.encode(text)).exp()))
    assert found[3] == 0


def test_an_empty_text_has_a_confidence_too():
    logits = torch.zeros(2, 3, 4)
    torch.testing.assert_close(CTC(ABC).confidence(logits, ["", "", ""]), torch.full((3,), 1 / 16, dtype=torch.float64))


def test_reliability_by_hand():
    confidence = [0.9, 0.2, 0.8, 0.4, 0.6]
    right = [True, False, True, False, True]
    low, high = reliability(confidence, right, bins=2)
    assert (low.count, high.count) == (3, 2)
    assert low.confidence == pytest.approx(0.4) and low.right == pytest.approx(1 / 3)
    assert high.confidence == pytest.approx(0.85) and high.right == 1
    assert high.interval[0] == pytest.approx(0.025**0.5) and high.interval[1] == 1  # Clopper-Pearson, 2 of 2
    assert low.interval[0] < low.right < low.interval[1]


def test_reliability_takes_tensors_and_any_order():
    confidence, right = torch.rand(40, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3 == 0
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert reliability(confidence, right, 4) == reliability(confidence[shuffled], right[shuffled], 4)


def test_reliability_needs_a_verdict_for_each_reading_and_a_reading_for_each_group():
    with pytest.raises(ValueError, match="a confidence and a verdict, got 2 and 1"):
        reliability([0.5, 0.6], [True])
    with pytest.raises(ValueError, match="bins=5: it must be between 1 and the 2 readings"):
        reliability([0.5, 0.6], [True, False])
