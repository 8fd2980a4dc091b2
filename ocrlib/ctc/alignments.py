"""CTC alignments of one text: all paths that spell it, their number, their probabilities, the best, and the loss's gradient.

Every function works on one sequence. ``log_probs`` is ``(T, C)``; results have its type, so give float64 where precision
matters. A target is a sequence of class indices without the blank. The lattice has S = 2 L + 1 rows: one for each symbol of
the target, and one for the blank before, between and after them. A path starts in one of the first two rows, ends in one of
the last two, and never moves up.

Functions that take ``log_probs`` raise ``ValueError`` for another shape, and for a target with the blank or an index that is
no class. `posterior`, `flow`, `soft_alignment`, `gradient` and `forced_alignment` also raise it when no path spells the target.

Source of the recursions: Graves et al. 2006, "Connectionist temporal classification", section 4.1. Unlike there, `backward`
does not include the emission of its own step, so `forward` + `backward` needs no division.
"""

from collections.abc import Sequence
from itertools import groupby
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor

from ocrlib.texts import ctc_min_steps, equal_neighbours

BLANK = 0


def collapse(path: Sequence[int], blank: int = BLANK) -> tuple[int, ...]:
    """The target that a path spells: repeats are merged, then blanks are removed."""
    return tuple(index for index, _ in groupby(path) if index != blank)


def lattice_rows(target: Sequence[int], blank: int = BLANK) -> list[int]:
    """The class of each lattice row: the target's symbols, and a blank before, between and after them.

    Raises ``ValueError`` when the target holds the blank.
    """
    if blank in target:
        raise ValueError(f"The target {list(target)} holds {blank}, the blank's index; a target is made of symbols only.")
    return [blank, *(index for symbol in target for index in (symbol, blank))]


def path_rows(path: Sequence[int], blank: int = BLANK) -> list[int]:
    """The lattice row of each step of a path, in the lattice of the target that it spells."""
    begun, rows = 0, []  # symbols so far
    for before, index in zip((blank, *path), path):
        begun += index not in (before, blank)
        rows.append(2 * begun - (index != blank))
    return rows


def predecessors(rows: Sequence[int], row: int, blank: int = BLANK) -> list[int]:
    """The rows from which a path can come to ``row`` in one step: the row itself, the one above, and sometimes the next above.

    A path that comes from two rows above skips a row. It may skip only the blank between two different symbols: equal symbols
    without a blank between them would be merged, and no symbol may be left out.
    """
    may_skip = row >= 2 and rows[row] not in (blank, rows[row - 2])
    return list(range(row, max(row - 3 if may_skip else row - 2, -1), -1))


def list_paths(target: Sequence[int], steps: int, blank: int = BLANK) -> list[tuple[int, ...]]:
    """All paths of ``steps`` classes that collapse to the target. Their number grows fast: see `count_paths`."""
    rows = lattice_rows(target, blank)
    sources = [predecessors(rows, row, blank) for row in range(len(rows))]
    paths = [[(index,)] if row < 2 and steps >= 1 else [] for row, index in enumerate(rows)]  # by the row of their last step
    for _ in range(steps - 1):
        paths = [[(*path, index) for row in before for path in paths[row]] for index, before in zip(rows, sources)]
    return [path for ending in paths[-2:] for path in ending]


def count_paths(target: Sequence[int] | str, steps: int) -> int:
    """The number of paths of ``steps`` classes that collapse to the target; 0 if ``steps`` are too few.

    It is the binomial coefficient C(steps + L - r, 2 L), with r equal neighbours. A path is determined by the first and the
    last step of each symbol: 2 L numbers in increasing order. First and last may be equal (+ L), and between equal
    neighbours there is a blank (- r).
    """
    return comb(steps + len(target) - equal_neighbours(target), 2 * len(target)) if steps >= 1 else 0


def transitions(rows: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(S, S)`` float64: 0, the logarithm of 1, if a path can move from row i to row j in one step, otherwise -inf."""
    allowed = torch.full((len(rows), len(rows)), -torch.inf, dtype=torch.float64)
    for row in range(len(rows)):
        allowed[predecessors(rows, row, blank), row] = 0.0
    return allowed


def forward(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """alpha ``(T, S)``: log-probability of all beginnings of paths that are in row s at step t, step t included."""
    emitted, allowed = _lattice(log_probs, target, blank)
    alpha = torch.full_like(emitted, -torch.inf)
    alpha[0, :2] = emitted[0, :2]  # a path begins with a blank or with the first symbol
    for t in range(1, len(alpha)):
        alpha[t] = (alpha[t - 1][:, None] + allowed).logsumexp(0) + emitted[t]
    return alpha


def backward(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """beta ``(T, S)``: log-probability of all ends of paths that are in row s at step t, step t not included."""
    emitted, allowed = _lattice(log_probs, target, blank)
    beta = torch.full_like(emitted, -torch.inf)
    beta[-1, -2:] = 0.0  # a path ends with the last symbol or with a blank
    for t in range(len(beta) - 2, -1, -1):
        beta[t] = (allowed + emitted[t + 1] + beta[t + 1]).logsumexp(1)
    return beta


def log_likelihood(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """Scalar log P(target), summed over all its paths; -inf when the steps are too few. The CTC loss is its negative."""
    return forward(log_probs, target, blank)[-1, -2:].logsumexp(0)


def posterior(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T, S)``: probability that a path is in row s at step t, given that it spells the target. Each step sums to 1."""
    alpha, beta = forward(log_probs, target, blank), backward(log_probs, target, blank)
    return (alpha + beta - _checked_total(alpha, target)).exp()


def flow(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T - 1, S, S)``: probability that a path moves from row i to row j after step t, given that it spells the target."""
    alpha, beta = forward(log_probs, target, blank), backward(log_probs, target, blank)
    emitted, allowed = _lattice(log_probs, target, blank)
    together = alpha[:-1, :, None] + allowed + (emitted[1:] + beta[1:])[:, None, :]
    return (together - _checked_total(alpha, target)).exp()


def soft_alignment(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T, C)``: probability of each class at each step, given that the path spells the target: `posterior` summed by class."""
    rows = torch.tensor(lattice_rows(target, blank))
    return torch.zeros_like(log_probs).index_add(1, rows, posterior(log_probs, target, blank))


def gradient(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> Tensor:
    """``(T, C)``: gradient of the loss -log P(target) with respect to the logits: softmax minus soft alignment."""
    return log_probs.exp() - soft_alignment(log_probs, target, blank)


class ForcedAlignment(NamedTuple):
    """The most probable path that spells a target: class indices ``(T,)``, int64, and the log-probability of this path alone."""

    path: Tensor
    log_prob: Tensor


def forced_alignment(log_probs: Tensor, target: Sequence[int], blank: int = BLANK) -> ForcedAlignment:
    """Where each symbol of the target stands, at best: the most probable of all paths that spell it.

    `path_rows` of ``path.tolist()`` says which symbol each step belongs to. Of equally probable paths it takes the one that is
    furthest at every step. Raises ``ValueError`` as the others do, and when a log-probability is not a number.

    Source: the recursion of `forward` with the greatest in place of the sum (A. J. Viterbi, IEEE Trans. Inf. Theory 13, 1967).
    """
    emitted, allowed = _lattice(log_probs.detach(), target, blank)
    if emitted.isnan().any():
        raise ValueError("log_probs hold NaN: there is no best path. A network whose weights have diverged gives such values.")
    best, sources = torch.full_like(emitted, -torch.inf), []  # best beginning of a path to each row; the row before it
    best[0, :2] = emitted[0, :2]
    for t in range(1, len(best)):
        greatest, source = _last_max(best[t - 1][:, None] + allowed)
        best[t] = greatest + emitted[t]
        sources.append(source.tolist())
    _checked_total(best, target)
    ends = best[-1, -2:]
    rows = [best.shape[1] - len(ends) + int(_last_max(ends)[1])]
    for source in reversed(sources):
        rows.append(source[rows[-1]])
    path = torch.tensor(lattice_rows(target, blank), device=log_probs.device)[rows[::-1]]
    return ForcedAlignment(path, log_probs.gather(1, path[:, None]).sum())


def _last_max(values: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest along the first dimension, and its index: of equal ones the last."""
    greatest, index = values.flip(0).max(0)  # of equal ones the first
    return greatest, len(values) - 1 - index


def _lattice(log_probs: Tensor, target: Sequence[int], blank: int) -> tuple[Tensor, Tensor]:
    """Log-probability of each row's class at each step ``(T, S)``, and the `transitions` in the same type."""
    shape = tuple(log_probs.shape)
    if len(shape) != 2 or not shape[0]:
        raise ValueError(f"log_probs must be (T, C) of one sequence, got {shape}. Of a batch (T, N, C) take log_probs[:, n].")
    rows = lattice_rows(target, blank)
    if not all(0 <= index < shape[1] for index in rows):
        raise ValueError(f"The target {list(target)} and the blank {blank} must lie in 0..{shape[1] - 1}, the classes.")
    return log_probs[:, rows], transitions(rows, blank).to(log_probs)


def _checked_total(alpha: Tensor, target: Sequence[int]) -> Tensor:
    """log P(target), from the alpha of `forward`. Raises ``ValueError`` when it is -inf."""
    total = alpha[-1, -2:].logsumexp(0)
    if total == -torch.inf:
        needed = f"which needs {ctc_min_steps(target)} steps at least. Give it more steps."
        raise ValueError(f"No path of {len(alpha)} steps with a probability above 0 spells the target {list(target)}, {needed}")
    return total
