"""CTC and cross-entropy: their losses, decoding and confidence. This is the only place in the core where the two differ."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ocrlib.ctc.recursion import ctc_losses
from ocrlib.networks import Network, input_lengths
from ocrlib.runtime import Remark
from ocrlib.texts import Alphabet, ctc_min_steps

CUDNN_LONGEST = 255  # symbols of a text in cuDNN's CTC loss


class Objective:
    """What a network is trained towards: `loss`, `decode`, and where the targets have to lie (`prepare`)."""

    name: str  # as a plot's title says it

    def __init__(self, alphabet: Alphabet | str) -> None:
        self.alphabet = alphabet if isinstance(alphabet, Alphabet) else Alphabet(alphabet)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.alphabet!r})"

    def prepare(self, texts: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
        """Targets ``(N, L)`` and target_lengths ``(N,)`` of ``texts``, each on the device where `loss` wants it."""
        raise NotImplementedError

    def loss(self, logits: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Scalar loss of logits ``(T, N, C)`` against targets ``(N, L)`` with target_lengths ``(N,)``."""
        raise NotImplementedError

    def decode(self, logits: Tensor) -> list[str]:
        """N texts read from logits ``(T, N, C)``. Raises ``ValueError`` where C is not ``len(alphabet)``."""
        raise NotImplementedError

    def confidence(self, logits: Tensor, texts: Sequence[str]) -> Tensor:
        """``(N,)`` float64 in 0..1: the probability that the logits ``(T, N, C)`` give to ``texts``, which `decode` has read."""
        raise NotImplementedError

    def without_padding(self, logits: Tensor, model: torch.nn.Module, widths: Tensor, width: int) -> Tensor:
        """Logits ``(T, N, C)`` of images ``width`` wide that show something in their first ``widths`` ``(N,)`` columns only.

        For CTC the steps behind them say the blank and nothing else, in loss, decoding and confidence alike: as if they were not
        there. The positions of cross-entropy are spread over the whole width, so they stay as they are.
        """
        return logits

    def misfit(self, model: Network, width: int, texts: Sequence[str], widths: Tensor | None = None) -> str | None:
        """A sentence if the network can't learn one of these texts at this image ``width`` (or its own of the ``widths``)."""
        raise NotImplementedError

    def check(self, model: torch.nn.Module, width: int, texts: Sequence[str], widths: Tensor | None = None) -> None:
        """Refuse, before training, texts that the network's steps at this image ``width`` can't spell. Raises ``ValueError``."""
        if "" in texts:
            raise ValueError(f"Text number {list(texts).index('')} is empty; an image needs at least one symbol to learn from.")
        if isinstance(model, Network):
            if isinstance(head := getattr(model, "head", None), torch.nn.Linear):
                self.check_classes(head.out_features, type(model).__name__)
            fits = isinstance(self, OBJECTIVES.get(model.objective, Objective))
            meant = "" if fits else f" {type(model).__name__} was made for {model.objective}, not for {type(self).__name__}."
            if misfit := self.misfit(model, width, texts, widths):
                raise ValueError(misfit + meant)
            if meant and isinstance(self, CTC):  # cross-entropy needs nothing else of a network than its number of steps
                warnings.warn(f"Training with CTC.{meant}", Remark, stacklevel=3)

    def check_classes(self, classes: int, whose: str) -> None:
        """Raises ``ValueError`` unless there are as many classes as the alphabet has, the blank included."""
        if classes != len(self.alphabet):
            raise ValueError(
                f"{whose} has {classes} classes, but this alphabet of {len(self.alphabet.symbols)} symbols and the blank needs "
                f"{len(self.alphabet)}. Build the network with classes=len(alphabet), or take the alphabet it was trained with."
            )

    def check_logits(self, logits: Tensor) -> None:
        """Raises ``ValueError`` unless the logits are ``(T, N, C)`` with as many classes C as the alphabet has."""
        wanted = f"logits must be (T, N, {len(self.alphabet)}), got {tuple(logits.shape)}"
        if logits.ndim != 3:
            raise ValueError(f"{wanted}.")
        self.check_classes(logits.shape[2], f"{wanted}: their network")

    def _check_batch(self, logits: Tensor, targets: Tensor, target_lengths: Tensor) -> None:
        self.check_logits(logits)
        if targets.ndim != 2 or targets.shape[0] != logits.shape[1]:
            raise ValueError(
                f"targets must be (N, L) with N = {logits.shape[1]} as in the logits (T, N, C), got {tuple(targets.shape)}."
            )
        if target_lengths.shape != targets.shape[:1]:
            raise ValueError(f"target_lengths must be ({len(targets)},), one for each target, got {tuple(target_lengths.shape)}.")
        if targets.device.type == "cpu":  # elsewhere, looking at them would make every step wait for the device
            lengths = target_lengths.cpu()
            outside = (targets < 1) | (targets >= len(self.alphabet))  # index 0, the blank, too
            outside &= torch.arange(targets.shape[1]) < lengths[:, None]  # (N, L): what lies behind a text's end is padding
            if bool(outside.any()):
                row, place = outside.nonzero()[0].tolist()
                raise ValueError(
                    f"Target {row} holds index {int(targets[row, place])}, which is not one of the {len(self.alphabet.symbols)} "
                    f"symbols, 1 to {len(self.alphabet) - 1} (0 is CTC's blank, which no text can contain)."
                )
            if len(lengths) and not 0 <= int(lengths.min()) <= int(lengths.max()) <= targets.shape[1]:
                raise ValueError(f"target_lengths must lie in 0..{targets.shape[1]}, targets' width, got {lengths.tolist()}.")


class Route(NamedTuple):
    """How the CTC loss is computed: ``name`` is native, cudnn or recursion."""

    name: str
    why: str


def ctc_route(device: torch.device | str, cudnn_serves: bool = True) -> Route:
    """Which implementation of the CTC loss serves logits on ``device``, and why.

    ``cudnn_serves`` says whether cuDNN can take the batch: targets on the CPU, the blank 0, and no text longer than the steps or
    than 255 symbols. `CTC.loss` finds out.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        return Route("native", "torch's own CPU kernel, deterministic")
    if kind == "cuda" and not torch.are_deterministic_algorithms_enabled():
        return Route("native", "torch's own CUDA kernel: its backward adds atomically, so the bits may differ between runs")
    if kind == "cuda" and cudnn_serves and torch.backends.cudnn.is_available() and torch.backends.cudnn.enabled:
        return Route("cudnn", "cuDNN's deterministic algorithm, reached by int32 targets on the CPU, concatenated")
    if kind == "cuda":
        return Route("recursion", "cuDNN can't serve and torch's CUDA kernel is not deterministic: plain tensor operations are")
    return Route("recursion", f"{kind} has no CTC loss: it is computed there by plain tensor operations, deterministic")


class CTC(Objective):
    """Connectionist temporal classification (Graves et al., 2006): sums over every alignment of text and steps."""

    name = "CTC loss"

    def prepare(self, texts: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
        targets, target_lengths = self.alphabet.encode_batch(texts)
        if ctc_route(device).name != "recursion":  # cuDNN wants them on the CPU, and no other route needs to fetch them
            return targets, target_lengths
        return targets.to(device), target_lengths.to(device)

    def loss(self, logits: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Mean over the batch of each text's negative log-likelihood a symbol, as torch's ``CTCLoss(zero_infinity=True)``.

        Where targets and target_lengths lie on the GPU with the logits, nothing here waits for it, and a CUDA graph can hold it.

        Raises ``ValueError`` when shapes don't fit or a target holds the blank, or an index beyond the alphabet.
        """
        route = ctc_route(logits.device, self._cudnn_serves(len(logits), targets, target_lengths))
        if route.name != "recursion":
            targets, target_lengths = targets.cpu(), target_lengths.cpu()
        self._check_batch(logits, targets, target_lengths)
        if route.name == "recursion":
            targets, target_lengths = targets.to(logits.device), target_lengths.to(logits.device)
            steps = torch.full_like(target_lengths, len(logits))
            losses = ctc_losses(logits.float(), targets, steps, target_lengths, self.alphabet.blank)  # (N,)
            return (losses / target_lengths.clamp(min=1)).mean()
        if route.name == "cudnn":
            targets = targets[torch.arange(targets.shape[1]) < target_lengths[:, None]].int()  # (sum of lengths,)
        else:
            targets = targets.to(logits.device)
        log_probs = logits.float().log_softmax(2)  # (T, N, C)
        steps, batch, _ = log_probs.shape
        # Lengths as numbers: given as int32 tensors on the CPU, they send cuDNN's route to a kernel that wants them on the GPU,
        # which fails in torch 2.5 to 2.7 (pytorch/pytorch#152421).
        input_lengths, lengths = [steps] * batch, target_lengths.tolist()
        return F.ctc_loss(log_probs, targets, input_lengths, lengths, blank=self.alphabet.blank, zero_infinity=True)

    def _cudnn_serves(self, steps: int, targets: Tensor, target_lengths: Tensor) -> bool:
        """The conditions of torch's ``_use_cudnn_ctc_loss``. Targets on the GPU aren't looked at: that would wait for it."""
        if targets.device.type != "cpu" or self.alphabet.blank != 0:
            return False
        return not len(target_lengths) or int(target_lengths.max()) <= min(steps, CUDNN_LONGEST)

    def decode(self, logits: Tensor) -> list[str]:
        """Greedy decoding: the best class of each step, repeats merged, blanks dropped."""
        self.check_logits(logits)
        paths = logits.argmax(2).T.tolist()  # N of length T
        return [self.alphabet.decode(index for index, _ in groupby(path)) for path in paths]

    def confidence(self, logits: Tensor, texts: Sequence[str]) -> Tensor:
        """``(N,)`` float64: the probability of each text, summed over all its paths. ``texts`` may be any."""
        self.check_logits(logits)
        log_probs = logits.detach().cpu().double().log_softmax(2)
        targets, target_lengths = self.alphabet.encode_batch(texts)
        steps, lengths = [len(logits)] * len(texts), target_lengths.tolist()
        losses = F.ctc_loss(log_probs, targets, steps, lengths, blank=self.alphabet.blank, reduction="none")
        return (-losses).exp()

    def without_padding(self, logits: Tensor, model: torch.nn.Module, widths: Tensor, width: int) -> Tensor:
        if bool((widths >= width).all()):
            return logits
        padding = torch.arange(len(logits))[:, None] >= input_lengths(model, widths.cpu(), width, len(logits))  # (T, N)
        blank_alone = torch.full(logits.shape[2:], -1e4).index_fill(0, torch.tensor(self.alphabet.blank), 0)  # exp(-1e4) is 0
        return torch.where(padding[:, :, None].to(logits.device), blank_alone.to(logits), logits)

    def misfit(self, model: Network, width: int, texts: Sequence[str], widths: Tensor | None = None) -> str | None:
        steps = [model.steps(width)] * len(texts)
        if widths is not None:
            steps = input_lengths(model, widths, width, steps[0]).tolist()
        worst = max(range(len(texts)), key=lambda i: ctc_min_steps(texts[i]) - steps[i])
        if (needed := ctc_min_steps(texts[worst])) <= steps[worst]:
            return None
        return (
            f"CTC needs length + equal neighbours = {needed} steps for {texts[worst]!r}, but {type(model).__name__} has "
            f"{steps[worst]} at width {width if widths is None else int(widths[worst])}. "
            "Take wider images, or a network that shrinks them less."
        )


class CrossEntropy(Objective):
    """Cross-entropy at each position: step t is symbol t, so the number of steps is the length of every text."""

    name = "Cross-entropy loss"

    def prepare(self, texts: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
        targets, target_lengths = self.alphabet.encode_batch(texts)
        return targets.to(device), target_lengths.to(device)

    def loss(self, logits: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Mean over all N * T positions of the negative log-likelihood of the symbol there.

        Equal to ``CrossEntropyLoss`` over (N, C, T), but on (N * T, C): for that shape torch has a deterministic CUDA kernel.

        Raises ``ValueError`` when shapes don't fit or T is not the texts' length.
        """
        self._check_batch(logits, targets, target_lengths)
        steps, _, classes = logits.shape
        if targets.shape[1] != steps:
            raise ValueError(f"Cross-entropy needs one step a symbol: {steps} steps, but targets of length {targets.shape[1]}.")
        return F.cross_entropy(logits.float().transpose(0, 1).reshape(-1, classes), targets.to(logits.device).reshape(-1))

    def decode(self, logits: Tensor) -> list[str]:
        """The best class at each position; a predicted blank reads as nothing."""
        self.check_logits(logits)
        return [self.alphabet.decode(row) for row in logits.argmax(2).T.tolist()]

    def confidence(self, logits: Tensor, texts: Sequence[str]) -> Tensor:
        """``(N,)`` float64: the product over the positions of the best class's probability."""
        self.check_logits(logits)
        return logits.double().softmax(2).amax(2).prod(0)

    def misfit(self, model: Network, width: int, texts: Sequence[str], widths: Tensor | None = None) -> str | None:
        steps = model.steps(width)
        other = next((text for text in texts if len(text) != steps), None)
        if other is None:
            return None
        return (
            f"Cross-entropy needs one step a symbol: {type(model).__name__} has {steps} steps at width {width}, "
            f"but {other!r} has {len(other)} symbols. Take CTC for texts of varying length, or another width."
        )


OBJECTIVES: dict[str, type[Objective]] = {"CTC": CTC, "CrossEntropy": CrossEntropy}  # by `Network.objective`


def objective_of(network: Network, alphabet: Alphabet) -> Objective:
    """The objective that a network was made for."""
    return OBJECTIVES[network.objective](alphabet)
