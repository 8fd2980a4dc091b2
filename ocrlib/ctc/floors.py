"""The least losses that can be reached without looking at an image: what a training has to fall below to have read anything."""

from collections import Counter
from collections.abc import Sequence
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F

from ocrlib.texts import Alphabet


def blind_floor(texts: Sequence[str], steps: int, alphabet: Alphabet | None = None) -> tuple[float, Tensor]:
    """The least CTC loss of a network that says the same at each of its T = ``steps`` steps, and what it says.

    Such a network has one distribution ``(C,)`` over the classes for every step of every image. The loss is the mean over the
    texts of the nats a symbol, as `ocrlib.CTC` has it; it is minimised over the distribution, in float64. The result is
    the loss and the probabilities ``(C,)``. Raises ``ValueError`` for a text that doesn't fit into the steps.
    """
    alphabet = alphabet or Alphabet()
    targets, lengths = alphabet.encode_batch(texts)
    logits = torch.zeros(len(alphabet), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        log_probs = logits.log_softmax(0).expand(steps, len(texts), -1)  # (T, N, C)
        return F.ctc_loss(log_probs, targets, [steps] * len(texts), lengths.tolist(), blank=alphabet.blank)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    if not loss().isfinite():
        raise ValueError(f"A text needs more than {steps} steps, and no path spells it: its loss has no least value.")
    optimizer.step(closure)
    return float(loss().detach()), logits.detach().softmax(0)


def entropy_floor(texts: Sequence[str]) -> float:
    """The entropy of the symbols in nats a symbol: the least loss of a network that knows where each symbol is, but not which.

    It holds for cross-entropy and for CTC, as long as all symbols of a text are equally likely at each place.
    """
    counts = Counter("".join(texts))
    total = sum(counts.values())
    return -sum(count / total * log(count / total) for count in counts.values())
