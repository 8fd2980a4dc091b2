"""Each symbol of a reading: how sure the network is of it, and where it stands in the original image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ocrlib.ctc.alignments import backward, forward, lattice_rows, posterior
from ocrlib.ctc.automata import from_words
from ocrlib.ctc.constraints import Constrained, best_positions, target_log_probs
from ocrlib.networks import Network
from ocrlib.objectives import CTC, Objective


class Symbol(NamedTuple):
    """A symbol of a reading, its probability 0 to 1, and its left and right edge in pixels of the original image."""

    symbol: str
    probability: float
    left: float
    right: float


@dataclass(frozen=True)
class DetailedText:
    """A reading with its symbols; ``text, confidence = reading`` goes as with `ocrlib.Text`.

    ``share`` is the probability that the network gives to all that was allowed (1 where everything was). Near 0, the image
    probably shows something else, however high the confidence.
    """

    text: str
    confidence: float
    symbols: tuple[Symbol, ...]
    share: float = 1.0

    def __iter__(self) -> Iterator[str | float]:
        return iter((self.text, self.confidence))

    def __str__(self) -> str:
        return f"{self.text} ({self.confidence:.1%})"


def detailed(
    texts: Sequence[tuple[str, float]], logits: Tensor, reader: Objective | Constrained, network: nn.Module, width: int,
    sizes: Sequence[tuple[int, tuple[int, int]]],
) -> list[DetailedText]:  # fmt: skip
    """N texts with confidences, read from logits ``(T, N, C)`` of images ``width`` pixels wide, with their symbols.

    ``sizes`` say of each image how many of these pixels show it, from the left, and width and height of the original.
    """
    steps, shares = len(logits), [1.0] * len(texts)
    if isinstance(reader, Constrained):
        shares, logits, reader = reader.share(logits).tolist(), reader.masked(logits), reader.objective
    even = (torch.arange(steps, dtype=torch.float64) + 0.5) * width / steps
    # Pixel x reaches from x to x + 1. Other networks, and those that take means of their steps, don't say where those are.
    known = isinstance(network, Network) and len(network.step_centres(width)) == steps
    centres = (network.step_centres(width) + 0.5 if known else even).numpy()
    return [
        DetailedText(text, confidence, symbols_of(text, of_one, reader, centres * size[0] / shown, size), share)
        for (text, confidence), of_one, (shown, size), share in zip(texts, logits.unbind(1), sizes, shares)
    ]


def symbols_of(text: str, logits: Tensor, objective: Objective, centres: np.ndarray, size: tuple[int, int]) -> tuple[Symbol, ...]:
    """The symbols of a ``text`` that was read from logits ``(T, C)``.

    ``centres`` ``(T,)`` are the x of each step, and ``size`` width and height, all in pixels of the original image.

    A CTC symbol's probability is that of the text among all texts that differ from it in this symbol alone, by another one in
    its place or by none. Its centre is the mean of the steps, weighted by the probability that the symbol is there, given the
    text. For cross-entropy both are those of its position, which says only roughly where the symbol stands.

    Edges lie midway between two centres, and at both ends as far out as on the inner side: CTC says a symbol in one step or
    two, so its steps alone are narrower than what is seen. A symbol alone is half as wide as the image is high.
    """
    target, blank = objective.alphabet.encode(text), objective.alphabet.blank
    if not target:
        return ()
    log_probs = logits.detach().cpu().double().log_softmax(1)
    if isinstance(objective, CTC):
        probabilities = symbol_probabilities(log_probs, target, blank).tolist()
        at = posterior(log_probs, target, blank)[:, 1::2].numpy()  # (T, L)
        middles = (at * centres[:, None]).sum(0) / at.sum(0)
    else:
        [path] = best_positions(log_probs[:, None].numpy(), from_words([target])[0], blank)
        steps = np.flatnonzero(np.array(path) != blank)
        probabilities, middles = log_probs[steps, target].exp().tolist(), centres[steps]
    (width, height), between = size, (middles[1:] + middles[:-1]) / 2
    outer = abs(middles - between[[0, -1]][:, None])[[0, 1], [0, -1]] if len(between) else np.full(2, height / 4)
    edges = np.clip([middles[0] - outer[0], *between, middles[-1] + outer[1]], 0, width).tolist()
    return tuple(Symbol(*each) for each in zip(text, probabilities, edges, edges[1:]))


def symbol_probabilities(log_probs: Tensor, target: Sequence[int], blank: int = 0) -> Tensor:
    """``(L,)``: P(target) over the sum of P(other) for all targets that differ from it in one symbol: by another, or by none.

    The sum takes a beginning of paths that spells what stands before the symbol, any symbol over some steps, and an end of
    paths that spells what comes after it. log_probs are ``(T, C)``; raises as `ocrlib.ctc.alignments.forward` does.
    """
    steps, count = len(log_probs), len(target)
    none, emitted = torch.full((1, count), -torch.inf, dtype=log_probs.dtype), log_probs[:, lattice_rows(target, blank)]
    alpha, ends = forward(log_probs, target, blank), emitted + backward(log_probs, target, blank)  # (T, S)
    # At each step, what comes before the symbol: paths that end in a blank, or in the symbol before it, which can't be its own.
    after_blank, after_symbol = torch.cat([none, alpha[:-1, :-1:2]]), torch.cat([none, alpha[:-1, 1::2]]).roll(1, 1)
    after_blank[0, 0], after_symbol[:, 0] = 0, -torch.inf
    to_blank, to_symbol = torch.cat([ends[1:, 2::2], none]), torch.cat([ends[1:, 1::2], none]).roll(-1, 1)
    to_blank[-1, -1], to_symbol[:, -1] = 0, -torch.inf
    index = torch.arange(count)
    here, every = torch.full((count, log_probs.shape[1]), -torch.inf, dtype=log_probs.dtype), []
    for t, row in enumerate(log_probs):  # (C,)
        before = torch.logaddexp(after_blank[t], after_symbol[t])[:, None].repeat(1, len(row))  # (L, C)
        before[index[1:], target[:-1]] = after_blank[t, 1:]
        here = row + torch.logaddexp(here, before)
        after = torch.logaddexp(to_blank[t], to_symbol[t])[:, None].repeat(1, len(row))
        after[index[:-1], target[1:]] = to_blank[t, :-1]
        every.append(here + after)
    with_symbol = torch.stack(every).logsumexp(0)  # (L, C): the target with each class in the place of each symbol
    shorter = [(*target[:i], *target[i + 1 :]) for i in range(count)]
    without = target_log_probs(log_probs[:, None].expand(steps, count, -1), shorter, blank)
    with_symbol[:, blank] = without
    return with_symbol.softmax(1)[index, target]
