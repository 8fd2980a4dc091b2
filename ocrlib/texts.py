"""Texts: an alphabet (symbols to class indices and back), counts over texts, and where two texts differ."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from unicodedata import normalize

import torch
from torch import Tensor


def nfc(text: str) -> str:
    """The text with each letter and its accents as one symbol where Unicode has one (NFC): macOS writes names otherwise."""
    return normalize("NFC", text)


class Alphabet:
    """The symbols a network can read, numbered from 1; index 0 is CTC's blank.

    The default has 36 symbols (digits, then lower-case letters), so a network has 37 classes. ``symbols`` is a string, which is
    brought into Unicode's NFC, or a list of single characters.

    Raises ``ValueError`` for an empty alphabet, a symbol that stands twice, or anything but characters in a fixed order.
    """

    blank: int = 0

    def __init__(self, symbols: str | Sequence[str] = string.digits + string.ascii_lowercase) -> None:
        symbols = nfc(symbols) if isinstance(symbols, str) else symbols
        if isinstance(symbols, (set, frozenset)) or not all(isinstance(s, str) and len(s) == 1 for s in symbols):
            raise ValueError(f"An alphabet is a string, or a list of single characters in a fixed order; got {symbols!r}.")
        symbols = "".join(symbols)
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
        """Class indices of ``text``, each in 1..len(symbols). Raises ``ValueError`` for a symbol outside the alphabet."""
        try:
            return [self._index[symbol] for symbol in text]
        except KeyError as error:
            raise ValueError(
                f"{text!r} holds {error.args[0]!r}, which is not in the alphabet {self.symbols!r}. "
                "Correct the text, or make an Alphabet that has this symbol."
            ) from None

    def decode(self, indices: Iterable[int]) -> str:
        """Text of class indices, blanks dropped. Repeats are kept: merging them is CTC's business.

        Raises ``ValueError`` for an index outside 0..len(symbols).
        """
        indices = list(indices)
        if indices and not 0 <= min(indices) <= max(indices) < len(self):
            raise ValueError(f"Indices of this alphabet run from 0 to {len(self) - 1}, got {min(indices)} to {max(indices)}.")
        return "".join(self.symbols[i - 1] for i in indices if i != self.blank)

    def encode_batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Targets ``(N, L)``, padded with the blank to the longest text, and target_lengths ``(N,)``; both int64."""
        lengths = [len(text) for text in texts]
        longest = max(lengths, default=0)
        rows = [self.encode(text) + [self.blank] * (longest - len(text)) for text in texts]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(texts), longest), torch.tensor(lengths, dtype=torch.int64)


def symbol_frequencies(texts: Iterable[str]) -> dict[str, int]:
    """How often each symbol occurs in all texts together, in the order of the symbols."""
    return dict(sorted(Counter("".join(texts)).items()))


def equal_neighbours(text: str) -> int:
    """How many symbols equal the one before them: 1 in `cd5ff`, 4 in `fffff`, 0 in `cd5fc`."""
    return sum(left == right for left, right in zip(text, text[1:]))


def count_equal_neighbours(texts: Iterable[str]) -> int:
    """How many of the texts hold at least two equal neighbours."""
    return sum(equal_neighbours(text) > 0 for text in texts)


def ctc_min_steps(text: str) -> int:
    """The fewest time steps with which CTC can write `text`.

    One step a symbol, and one blank between equal neighbours: without it decoding would merge the two
    (Graves et al. 2006, "Connectionist temporal classification", section 3).
    """
    return len(text) + equal_neighbours(text)


def align(predicted: str, true: str) -> list[tuple[str, str]]:
    """Pair the symbols of two texts with as few edits as possible; "" stands for a missing symbol.

    `align("cd5f", "cd5ff")` is `[("c", "c"), ("d", "d"), ("5", "5"), ("", "f"), ("f", "f")]`: the number of
    unequal pairs is the edit distance. Source: Wagner and Fischer 1974, "The string-to-string correction problem".
    """
    # distance[i][j]: edits between the first i predicted and the first j true symbols.
    distance = [[i + j if i * j == 0 else 0 for j in range(len(true) + 1)] for i in range(len(predicted) + 1)]
    for i, p in enumerate(predicted, start=1):
        for j, t in enumerate(true, start=1):
            swap = distance[i - 1][j - 1] + (p != t)
            distance[i][j] = min(swap, distance[i - 1][j] + 1, distance[i][j - 1] + 1)
    pairs: list[tuple[str, str]] = []
    i, j = len(predicted), len(true)
    while i or j:
        here = distance[i][j]
        if i and j and here == distance[i - 1][j - 1] + (predicted[i - 1] != true[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((predicted[i], true[j]))
        elif i and here == distance[i - 1][j] + 1:
            i -= 1
            pairs.append((predicted[i], ""))
        else:
            j -= 1
            pairs.append(("", true[j]))
    return pairs[::-1]


def first_few(things: list[str]) -> str:
    """The first three of them, and how many more there are: spelled out, they would bury a message."""
    more = len(things) - 3
    return ", ".join(things[:3]) + (f" and {more:,} more" if more > 0 else "")
