"""Decoding: greedy and beam search against exhaustive search; confidences; reliability counted by hand."""

import math

import pytest
import torch

from ocrlib import CTC, Alphabet
from ocrlib.ctc.alignments import log_likelihood
from ocrlib.ctc.decoding import best_path, exhaustive_search, prefix_beam_search, reliability

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
