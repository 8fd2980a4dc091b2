"""Committees: the choice among proposals, against means worked out by hand."""

import pytest
import torch

from ocrlib import Alphabet
from ocrlib.objectives import confidences
from ocrlib.studies.ensemble import Committee

ABC = Alphabet("abc")


class Says(torch.nn.Module):
    """A network that gives the same logits (T, N, C) whatever it is shown."""

    def __init__(self, logits):
        super().__init__()
        self.said = torch.nn.Parameter(logits)

    def forward(self, images):
        return self.said[:, : len(images)]


def choose(committee, images):
    return committee.choose(committee.logits(images))


def peaks(probabilities: list[list[float]]) -> torch.Tensor:
    """Logits (T, 1, 4) with these probabilities of blank, a, b, c at each step."""
    return torch.tensor(probabilities).log()[:, None]


def test_the_text_that_all_find_likely_wins_over_what_one_is_sure_of():
    sure_of_a = peaks([[0.01, 0.60, 0.38, 0.01]])
    sure_of_b = peaks([[0.01, 0.01, 0.97, 0.01]])
    texts, mean = choose(Committee([Says(sure_of_a), Says(sure_of_b)], ABC), torch.zeros(1, 1, 32, 8, dtype=torch.uint8))
    assert texts == ["b"]
    assert mean.item() == pytest.approx((0.38 * 0.97) ** 0.5, rel=1e-5)


def test_members_need_not_agree_where_a_symbol_stands():
    early = peaks([[0.04, 0.94, 0.01, 0.01], [0.94, 0.04, 0.01, 0.01], [0.97, 0.01, 0.01, 0.01]])
    late = early.flip(0)
    committee = Committee([Says(early), Says(late)], ABC)
    texts, mean = choose(committee, torch.zeros(1, 1, 32, 8, dtype=torch.uint8))
    assert texts == ["a"] and mean.item() == pytest.approx(confidences(early, ["a"], ABC).item(), rel=1e-5)
    averaged = (early + late) / 2
    assert confidences(averaged, ["a"], ABC).item() < mean.item()


def test_one_member_reads_as_it_would_alone():
    logits = torch.randn(6, 4, 4, generator=torch.Generator().manual_seed(0))
    committee = Committee([Says(logits)], ABC)
    texts, mean = choose(committee, torch.zeros(4, 1, 32, 8, dtype=torch.uint8))
    assert [texts] == committee.proposals([logits])
    assert torch.allclose(mean, confidences(logits, texts, ABC))


def test_a_text_that_a_member_cannot_spell_has_no_chance():
    short, long = peaks([[0.1, 0.3, 0.3, 0.3]]), torch.zeros(3, 1, 4)
    assert Committee([Says(short), Says(long)], ABC).mean([short, long], ["ab"]).tolist() == [0.0]


def test_nobody_is_no_committee():
    with pytest.raises(ValueError, match="at least one network"):
        Committee([], ABC)
