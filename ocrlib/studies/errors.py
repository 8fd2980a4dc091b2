"""Slips: the single symbols that went wrong in misread texts, what kind of error each is, and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocrlib.texts import align, equal_neighbours

Mistakes = Iterable[Sequence[str]]  # pairs of (text as read, true text)

KINDS_OF_SLIP = ("missed beside its equal", "missed elsewhere", "extra", "n for m, m for n", "another symbol")


class Slip(NamedTuple):
    """One symbol that went wrong: ``read`` is "" if it was missed, ``true`` is "" if it is one too many.

    ``position`` counts from 0 in the true text; an extra symbol has that of the one it stands before.
    """

    read: str
    true: str
    position: int
    kind: str


def slips(read: str, true: str) -> list[Slip]:
    """Where two texts differ, laid beside each other with as few edits as possible; as many slips as that takes edits."""
    found, position = [], 0
    for r, t in align(read, true):
        if r != t:
            found.append(Slip(r, t, position, _kind(r, true, position if t else None)))
        position += bool(t)
    return found


def _kind(read: str, text: str, position: int | None) -> str:
    beside, elsewhere, extra, n_and_m, another = KINDS_OF_SLIP
    if position is None:
        return extra
    true = text[position]
    if not read:
        return beside if _beside_equal(text, position) else elsewhere
    return n_and_m if {read, true} == {"n", "m"} else another


def _beside_equal(text: str, position: int) -> bool:
    return text[position] in (text[position - 1 : position], text[position + 1 : position + 2])


def count_kinds(mistakes: Mistakes) -> dict[str, int]:
    """How many slips of each of `KINDS_OF_SLIP` there are in all mistakes together."""
    counts = Counter(slip.kind for read, true in mistakes for slip in slips(read, true))
    return {kind: counts[kind] for kind in KINDS_OF_SLIP}


def count_positions(mistakes: Mistakes, length: int = 5) -> list[int]:
    """How many symbols went wrong at each position of the true text, extra ones aside."""
    counts = Counter(slip.position for read, true in mistakes for slip in slips(read, true) if slip.true)
    return [counts[position] for position in range(length)]


def count_confusions(mistakes: Mistakes) -> Counter[tuple[str, str]]:
    """How often each true symbol (first) was taken for each other one; "" for none."""
    return Counter((slip.true, slip.read) for read, true in mistakes for slip in slips(read, true))


def misread_shares(mistakes: Mistakes, texts: int, neighbours: int) -> tuple[float, float]:
    """Shares of misread texts, 0 to 1: among those with equal neighbours, and among the others.

    There are ``texts`` texts, ``neighbours`` of which hold equal neighbours. Raises ``ValueError`` if they all do, or none.
    """
    if not 0 < neighbours < texts:
        raise ValueError(f"{neighbours} of {texts} texts hold equal neighbours; there is nothing to compare.")
    hit = Counter(equal_neighbours(true) > 0 for _, true in mistakes)
    return hit[True] / neighbours, hit[False] / (texts - neighbours)


def missed_shares(mistakes: Mistakes, texts: Sequence[str], readings: int = 1) -> tuple[float, float]:
    """Of how many pairs of equal neighbours one was missed, and how many of the symbols beside no equal; shares, 0 to 1.

    ``texts`` are the true texts, the misread ones among them; ``mistakes`` are of as many ``readings`` of them all. Raises
    ``ValueError`` if the texts hold no such pair, or nothing else.
    """
    pairs = sum(map(equal_neighbours, texts))
    alone = sum(not _beside_equal(text, position) for text in texts for position in range(len(text)))
    if not pairs or not alone:
        raise ValueError(f"{len(texts)} texts hold {pairs} pairs of equal neighbours and {alone} other symbols; none to compare.")
    counts = count_kinds(mistakes)
    beside, elsewhere, *_ = KINDS_OF_SLIP
    return counts[beside] / (pairs * readings), counts[elsewhere] / (alone * readings)
