"""CTC alignments of one text: every path that spells it, their number, their probability, and the loss's gradient.

All that follows works on one sequence. Give log_probs ``(T, C)`` in float64 where digits matter; everything comes back in
their type. A target is a sequence of class indices without the blank. The lattice has a row for each symbol of the target and
one for each blank around them, S = 2 L + 1; a path starts in one of the first two rows, ends in one of the last two, and
never goes back.

Source of the recursions: Graves et al. 2006, "Connectionist temporal classification", section 4.1. Unlike there, `backward`
leaves out the step it stands at, so that `forward` + `backward` needs no division.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import comb

import torch
from torch import Tensor

from ocrlib.texts import ctc_min_steps, equal_neighbours

BLANK = 0


def collapse(path: Sequence[int], blank: int = BLANK) -> tuple[int, ...]:
    """The target that CTC reads from a path: repeats merged, then blanks dropped."""
    return tuple(index for index, _ in groupby(path) if index != blank)


def lattice_rows(target: Sequence[int], blank: int = BLANK) -> list[int]:
    """The class of each of the S = 2 L + 1 rows: a blank before, between and after the target's symbols.

    Raises ``ValueError`` when the target holds the blank.
    """
    if blank in target:
        raise ValueError(f"The target {list(target)} holds {blank}, the blank's index; a target is made of symbols only.")
    return [blank, *(index for symbol in target for index in (symbol, blank))]


def predecessors(rows: Sequence[int], row: int, blank: int = BLANK) -> list[int]:
    """The rows from which one step leads to ``row``.

    Itself, the one above, and the one above that if the blank between may be left out: not between equal neighbours, whose
    peaks would merge, and not from blank to blank, which would leave out a symbol.
    """
    may_skip = row >= 2 and rows[row] != blank and rows[row] != rows[row - 2]
    return list(range(row, max(row - 3 if may_skip else row - 2, -1), -1))


def list_paths(target: Sequence[int], steps: int, blank: int = BLANK) -> Iterator[tuple[int, ...]]:
    """Each path of ``steps`` classes that collapses to the target, once. There are `count_paths` of them: mind the number."""
    rows = lattice_rows(target, blank)

    def ending_at(row: int, length: int) -> Iterator[tuple[int, ...]]:
        if length == 1:
            if row < 2:
                yield (rows[row],)
            return
        for before in predecessors(rows, row, blank):
            for path in ending_at(before, length - 1):
                yield (*path, rows[row])

    if steps >= 1:
        for last in range(max(len(rows) - 2, 0), len(rows)):
            yield from ending_at(last, steps)


def count_paths(target: Sequence[int] | str, steps: int) -> int:
    """How many paths of ``steps`` steps collapse to the target: C(steps + L - r, 2 L) with r equal neighbours, 0 if too few.

    A path is settled by where each symbol's run begins and where it ends: 2 L cuts. Runs may touch except between equal
    neighbours, which leaves steps + L - r places to choose from.
    """
    return comb(steps + len(target) - equal_neighbours(target), 2 * len(target)) if steps >= 1 else 0


def transitions(rows: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(S, S)`` float64, from row by to row: 0 (the logarithm of 1) where a step may go, -inf where not."""
    allowed = torch.full((len(rows), len(rows)), -torch.inf, dtype=torch.float64)
    for row in range(len(rows)):
        allowed[predecessors(rows, row, blank), row] = 0.0
    return allowed


def forward(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """alpha ``(T, S)``: log-probability of all ways to be in each row at each step, this step included."""
    rows = _checked_rows(log_probs, target, blank)
    allowed = transitions(rows, blank).to(log_probs)
    emitted = log_probs[:, rows]  # (T, S)
    alpha = torch.full_like(emitted, -torch.inf)
    alpha[0, :2] = emitted[0, :2]  # a path begins with a blank or with the first symbol
    for t in range(1, len(alpha)):
        alpha[t] = (alpha[t - 1][:, None] + allowed).logsumexp(0) + emitted[t]
    return alpha


def backward(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """beta ``(T, S)``: log-probability of all ways to go on from each row at each step to an end, this step not included."""
    rows = _checked_rows(log_probs, target, blank)
    allowed = transitions(rows, blank).to(log_probs)
    emitted = log_probs[:, rows]  # (T, S)
    beta = torch.full_like(emitted, -torch.inf)
    beta[-1, -2:] = 0.0  # a path ends with the last symbol or with a blank
    for t in range(len(beta) - 2, -1, -1):
        beta[t] = (allowed + emitted[t + 1] + beta[t + 1]).logsumexp(1)
    return beta


def log_likelihood(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """Scalar log P(target): all its paths together; -inf when the steps are too few. CTC's loss is its negative."""
    return forward(log_probs, target, blank)[-1, -2:].logsumexp(0)


def posterior(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T, S)``: probability that a path is in this row at this step, given that it spells the target. Each step sums to 1.

    Raises ``ValueError`` when no path spells the target.
    """
    together = forward(log_probs, target, blank) + backward(log_probs, target, blank)  # (T, S)
    return (together - _spelt(together[-1].logsumexp(0), log_probs, target)).exp()


def flow(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T - 1, S, S)``: probability that a path steps from one row to another, given that it spells the target.

    Raises ``ValueError`` when no path spells the target.
    """
    rows = _checked_rows(log_probs, target, blank)
    alpha, beta = forward(log_probs, target, blank), backward(log_probs, target, blank)
    after = log_probs[1:, rows] + beta[1:]  # (T - 1, S)
    together = alpha[:-1, :, None] + transitions(rows, blank).to(log_probs) + after[:, None, :]
    return (together - _spelt(alpha[-1, -2:].logsumexp(0), log_probs, target)).exp()


def soft_alignment(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T, C)``: probability of each class at each step, given that the path spells the target: rows of one class summed.

    Raises ``ValueError`` when no path spells the target.
    """
    rows = torch.tensor(lattice_rows(target, blank))
    return torch.zeros_like(log_probs).index_add(1, rows, posterior(log_probs, target, blank))


def gradient(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T, C)``: how the loss -log P(target) changes with each logit: softmax minus soft alignment.

    Raises ``ValueError`` when no path spells the target.
    """
    return log_probs.exp() - soft_alignment(log_probs, target, blank)


def _checked_rows(log_probs: Tensor, target: Sequence[int], blank: int) -> list[int]:
    if log_probs.ndim != 2 or not len(log_probs):
        raise ValueError(
            f"log_probs must be (T, C) of one sequence, got {tuple(log_probs.shape)}. Of a batch (T, N, C) take log_probs[:, n]."
        )
    rows = lattice_rows(target, blank)
    if not all(0 <= index < log_probs.shape[1] for index in rows):
        raise ValueError(f"The target {list(target)} and the blank {blank} must lie in 0..{log_probs.shape[1] - 1}, the classes.")
    return rows


def _spelt(total: Tensor, log_probs: Tensor, target: Sequence[int]) -> Tensor:
    """The log-likelihood, if there is anything to share out."""
    if total == -torch.inf:
        raise ValueError(
            f"No path of {len(log_probs)} steps with a probability above 0 spells the target {list(target)}, which needs "
            f"{ctc_min_steps(target)} steps at least. Give it more steps."
        )
    return total
