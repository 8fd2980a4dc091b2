"""Counts over texts: how often each symbol occurs, equal neighbours, and where two texts differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


def symbol_frequencies(texts: Iterable[str]) -> dict[str, int]:
    """How often each symbol occurs in all texts together, in the order of the symbols."""
    counts = Counter("".join(texts))
    return {symbol: counts[symbol] for symbol in sorted(counts)}


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


class ChiSquared(NamedTuple):
    """The result of `chi_squared_symbols`: the statistic, its degrees of freedom and the p-value."""

    statistic: float
    degrees: int
    p: float


def expected_shares(slots: str) -> dict[str, float]:
    """The share of each symbol, from 0 to 1, when every character of `slots` is drawn equally often."""
    if not slots:
        raise ValueError("slots is empty; expected the characters that texts are drawn from, such as 'abcc'.")
    return {symbol: count / len(slots) for symbol, count in symbol_frequencies([slots]).items()}


def chi_squared_symbols(texts: Iterable[str], slots: str) -> ChiSquared:
    """Pearson's chi-squared test: were the symbols of `texts` drawn from `slots`, each slot equally often?

    A symbol that stands twice in `slots` is expected twice as often. A small p-value speaks against it.
    Raises ValueError when a text holds a symbol that no slot can give, or when there is nothing to test.
    """
    from scipy.stats import chisquare  # only here: importing scipy.stats takes about a second

    shares = expected_shares(slots)
    counts = symbol_frequencies(texts)
    total = sum(counts.values())
    strange = sorted(set(counts) - set(shares))
    if strange:
        raise ValueError(f"The texts hold {strange}, which slots={slots!r} can never give; add them to slots.")
    if total == 0 or len(shares) < 2:
        raise ValueError(f"The test needs at least one text and two different slots; got {total} symbols and slots={slots!r}.")
    result = chisquare([counts.get(symbol, 0) for symbol in shares], [share * total for share in shares.values()])
    return ChiSquared(float(result.statistic), len(shares) - 1, float(result.pvalue))


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
