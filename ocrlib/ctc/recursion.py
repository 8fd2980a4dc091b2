"""The CTC loss of a batch, and its gradient, in plain tensor operations: for devices and CUDA graphs without torch's loss.

T is the number of steps, N of texts, C of classes, L the longest text, S = 2 L + 1 the rows of its lattice. Names are those of
`ocrlib.ctc.alignments`, which works on one text and explains them. All texts, and both directions, are computed together.

No operation waits for the device, and none has a shape that depends on the data. So a step can be captured in a CUDA graph.
Nothing is added up in an order that is left to chance, so the same input gives the same bits on every run. On a CPU torch's own
loss is several times faster.

Source: Graves et al. 2006, "Connectionist temporal classification", section 4.1, and equation 16 for the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NEVER = -torch.inf  # the logarithm of 0


def ctc_losses(logits: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int = 0) -> Tensor:
    """``(N,)``: minus log P(target) in nats of each text, summed over all paths. Differentiable once, by the logits.

    logits ``(T, N, C)`` in float32 or float64, before the softmax; targets ``(N, L)`` int64; input_lengths and target_lengths
    ``(N,)`` int64; all on one device. What lies behind a text's length, or behind its steps, counts for nothing. A text
    that needs more steps than it has gets the loss 0 and the gradient 0, as with torch's ``zero_infinity=True``. Values are not
    checked, since that would wait for the device.
    """
    return _CTCLosses.apply(logits, targets, input_lengths, target_lengths, blank)


class _CTCLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int
    ) -> Tensor:  # fmt: skip
        log_probs = logits.log_softmax(2)
        rows = lattice_rows(targets, target_lengths, blank)  # (N, S)
        emitted = log_probs.gather(2, rows.expand(len(logits), -1, -1))  # (T, N, S)

        # Backward in time and text is forward in the mirrored lattice: step t of n is step T_n - 1 - t, row s is row 2 L_n - s.
        step = input_lengths - 1 - torch.arange(len(logits), device=logits.device)[:, None]  # (T, N)
        row = 2 * target_lengths[:, None] - torch.arange(rows.shape[1], device=logits.device)  # (N, S)
        inside = (step >= 0)[:, :, None] & (row >= 0)  # (T, N, S)
        step, row = step.clamp(min=0)[:, :, None].expand_as(inside), row.clamp(min=0)

        def mirror(values: Tensor) -> Tensor:
            return values.gather(0, step).gather(2, row.expand_as(step))

        both_rows = torch.cat([rows, rows.gather(1, row)])  # (2 N, S)
        arrived = arrivals(torch.cat([emitted, mirror(emitted)], 1), both_rows, blank)  # (T, 2 N, S)
        alpha, beta = arrived[:, : len(rows)] + emitted, mirror(arrived[:, len(rows) :]).masked_fill(~inside, NEVER)
        together = alpha + beta  # of whole paths that are in row s at step t
        total = together[0].logsumexp(1)  # (N,): log P(target)
        impossible = total == NEVER
        if ctx.needs_input_grad[0]:
            posterior = together.softmax(2)  # divided by P(target) as step t sums it: `total` would bring more rounding
            gradient = log_probs.exp() - soft_alignment(posterior, rows, log_probs.shape[2])
            ctx.save_for_backward(gradient.masked_fill(impossible[:, None] | ~inside[:, :, :1], 0))
        return (-total).masked_fill(impossible, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * weights[:, None], None, None, None, None


def lattice_rows(targets: Tensor, target_lengths: Tensor, blank: int) -> Tensor:
    """``(N, S)``: the class of each lattice row, a blank before, between and after the symbols of targets ``(N, L)``."""
    behind = torch.arange(targets.shape[1], device=targets.device) >= target_lengths[:, None]
    rows = targets.new_full((len(targets), 2 * targets.shape[1] + 1), blank)
    rows[:, 1::2] = targets.masked_fill(behind, blank)
    return rows


def arrivals(emitted: Tensor, rows: Tensor, blank: int) -> Tensor:
    """``(T, N, S)``: log-probability of all beginnings of paths that are in row s at step t, step t not included.

    emitted ``(T, N, S)`` is the log-probability of each row's class at each step.
    """
    may_skip = torch.zeros_like(rows, dtype=torch.bool)
    may_skip[:, 2:] = (rows[:, 2:] != blank) & (rows[:, 2:] != rows[:, :-2])  # `alignments.predecessors` says why
    skipping = torch.zeros_like(emitted[0]).masked_fill(~may_skip, NEVER)
    arrived = torch.full_like(emitted, NEVER)
    arrived[0, :, :2].zero_()  # a path begins with a blank or with the first symbol
    before = emitted.new_full((emitted.shape[1], emitted.shape[2] + 2), NEVER)  # two rows above the first, where no path is
    for t in range(1, len(emitted)):
        torch.add(arrived[t - 1], emitted[t - 1], out=before[:, 2:])
        moved = torch.logaddexp(before[:, 2:], before[:, 1:-1])  # from the row itself, and from the one above
        torch.logaddexp(moved, before[:, :-2] + skipping, out=arrived[t])
    return arrived


def soft_alignment(posterior: Tensor, rows: Tensor, classes: int) -> Tensor:
    """``(T, N, C)``: the posterior ``(T, N, S)``, added up over the rows of each class.

    Without ``index_add``, which on a GPU adds in any order, and without a matrix product, which may round to TF32.
    """
    equal = rows[:, :, None] == rows[:, None, :]  # (N, S, S)
    summed = (posterior[:, :, None, :] * equal).sum(3)  # (T, N, S): each row has the sum of its class
    found = rows[:, :, None] == torch.arange(classes, device=rows.device)  # (N, S, C)
    row = found.to(posterior.dtype).argmax(1)  # (N, C): a row of this class
    return summed.gather(2, row.expand(len(posterior), -1, -1)) * found.any(1)
