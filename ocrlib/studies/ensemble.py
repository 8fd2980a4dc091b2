"""Several networks that read the same images: each proposes a text, together they choose the one they all find likeliest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ocrlib.evaluation import predict
from ocrlib.networks import Network
from ocrlib.objectives import CTC, confidences
from ocrlib.texts import Alphabet


class Committee:
    """Networks trained with CTC on one ``alphabet`` that read together. Raises ``ValueError`` if there is none."""

    def __init__(self, networks: Sequence[Network], alphabet: Alphabet) -> None:
        if not networks:
            raise ValueError("A committee needs at least one network.")
        self.networks, self.alphabet = list(networks), alphabet

    def logits(self, images: Tensor) -> list[Tensor]:
        """Each member's logits ``(T, N, C)`` for images ``(N, 1, H, W)`` uint8."""
        return [predict(network, images) for network in self.networks]

    def proposals(self, logits: Sequence[Tensor]) -> list[list[str]]:
        """What each member reads by itself, greedily: N texts for each."""
        return [CTC(self.alphabet).decode(of_one) for of_one in logits]

    def mean(self, logits: Sequence[Tensor], texts: Sequence[str]) -> Tensor:
        """``(N,)`` float64: the geometric mean of the probabilities that the members give to each of N texts, over all paths."""
        each = torch.stack([confidences(of_one, texts, self.alphabet) for of_one in logits])  # (members, N)
        return each.log().mean(0).exp()  # one member's 0 makes it 0

    def choose(self, logits: Sequence[Tensor]) -> tuple[list[str], Tensor]:
        """The proposal with the greatest `mean` for each image, and that mean ``(N,)``.

        Members need not agree on the step at which a symbol stands, so averaging their logits step by step would not do.
        """
        proposals = self.proposals(logits)
        best = torch.stack([self.mean(logits, texts) for texts in proposals]).max(0)
        return [proposals[member][i] for i, member in enumerate(best.indices.tolist())], best.values
