"""Symbols to class indices and back."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


class Alphabet:
    """The symbols a network can read, numbered from 1; index 0 is CTC's blank.

    The default has 36 symbols (digits, then lower-case letters), so a network has 37 classes.

    Raises ``ValueError`` for an empty alphabet or a symbol that stands twice.
    """

    blank: int = 0

    def __init__(self, symbols: str = string.digits + string.ascii_lowercase) -> None:
        if not symbols:
            raise ValueError("An alphabet needs at least one symbol, got an empty string.")
        twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
        if twice:
            raise ValueError(f"Each symbol must stand once in the alphabet {symbols!r}; these stand more often: {twice}.")
        self.symbols = symbols
        self._index = {symbol: i for i, symbol in enumerate(symbols, start=1)}

    def __len__(self) -> int:
        """Number of classes, the blank included."""
        return len(self.symbols) + 1

    def __repr__(self) -> str:
        return f"Alphabet({self.symbols!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def encode(self, text: str) -> list[int]:
        """Class indices of ``text``, one a symbol, each in 1..len(symbols).

        Raises ``ValueError`` that names the symbol and the text when a symbol is not in the alphabet.
        """
        try:
            return [self._index[symbol] for symbol in text]
        except KeyError as error:
            raise ValueError(
                f"{text!r} holds {error.args[0]!r}, which is not in the alphabet {self.symbols!r}. "
                "Correct the text, or make an Alphabet that has this symbol."
            ) from None

    def decode(self, indices: Iterable[int]) -> str:
        """Text of class indices, blanks dropped. Repeats are kept: merging them is CTC's business."""
        return "".join(self.symbols[i - 1] for i in indices if i != self.blank)

    def encode_batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Targets ``(N, L)``, padded with the blank to the longest text, and target_lengths ``(N,)``; both int64."""
        lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
        targets = torch.full((len(texts), int(lengths.max()) if texts else 0), self.blank, dtype=torch.int64)
        for row, text in zip(targets, texts):
            row[: len(text)] = torch.tensor(self.encode(text), dtype=torch.int64)
        return targets, lengths
