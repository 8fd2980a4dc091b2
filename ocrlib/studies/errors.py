"""The single symbols that went wrong in misread texts: what kind of error each is, and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocrlib.texts import align, equal_neighbours

Mistakes = Iterable[Sequence[str]]  # pairs of (text as read, true text)

KINDS_OF_ERROR = ("missed beside its equal", "missed elsewhere", "extra", "n for m, m for n", "another symbol")


class EditOperation(NamedTuple):
    """One symbol that went wrong: ``read`` is "" if it was missed, ``true`` is "" if it is one too many.

    ``position`` counts from 0 in the true text. An extra symbol has the position of the true symbol behind it.
    """

    read: str
    true: str
    position: int
    kind: str  # one of `KINDS_OF_ERROR`


def edit_operations(read: str, true: str) -> list[EditOperation]:
    """The fewest operations that make ``true`` of ``read``, in the order of the texts."""
    found, position = [], 0
    for r, t in align(read, true):
        if r != t:
            found.append(EditOperation(r, t, position, _kind(r, t, true, position)))
        position += bool(t)
    return found


def _kind(read: str, true: str, text: str, position: int) -> str:
    beside, elsewhere, extra, n_and_m, another = KINDS_OF_ERROR
    if not true:
        return extra
    if not read:
        return beside if _beside_equal(text, position) else elsewhere
    return n_and_m if {read, true} == {"n", "m"} else another


def _beside_equal(text: str, position: int) -> bool:
    return text[position] in (text[position - 1 : position], text[position + 1 : position + 2])


def _all_operations(mistakes: Mistakes) -> list[EditOperation]:
    return [edit for read, true in mistakes for edit in edit_operations(read, true)]


def count_kinds(mistakes: Mistakes) -> dict[str, int]:
    """How many errors of each of `KINDS_OF_ERROR` there are in all mistakes together."""
    counts = Counter(edit.kind for edit in _all_operations(mistakes))
    return {kind: counts[kind] for kind in KINDS_OF_ERROR}


def count_positions(mistakes: Mistakes, length: int = 5) -> list[int]:
    """How many symbols went wrong at each position of the true text. Extra symbols are left out."""
    counts = Counter(edit.position for edit in _all_operations(mistakes) if edit.true)
    return [counts[position] for position in range(length)]


def count_confusions(mistakes: Mistakes) -> Counter[tuple[str, str]]:
    """How often each (true symbol, symbol read instead) occurs; "" stands for no symbol."""
    return Counter((edit.true, edit.read) for edit in _all_operations(mistakes))


def misread_shares(mistakes: Mistakes, texts: int, neighbours: int) -> tuple[float, float]:
    """Shares of misread texts, 0 to 1: among those with equal neighbours, and among the others.

    There are ``texts`` texts, ``neighbours`` of which hold equal neighbours. Raises ``ValueError`` if they all do, or none.
    """
    if not 0 < neighbours < texts:
        raise ValueError(f"{neighbours} of {texts} texts hold equal neighbours; there is nothing to compare.")
    hit = Counter(equal_neighbours(true) > 0 for _, true in mistakes)
    return hit[True] / neighbours, hit[False] / (texts - neighbours)


def missed_shares(mistakes: Mistakes, texts: Sequence[str], readings: int = 1) -> tuple[float, float]:
    """Shares of missed symbols, 0 to 1: missed ones a pair of equal neighbours, and among the symbols beside no equal.

    ``texts`` are the true texts, the misread ones among them; ``mistakes`` come from so many ``readings`` of them all. Raises
    ``ValueError`` if the texts hold no such pair, or nothing else.
    """
    pairs = sum(map(equal_neighbours, texts))
    alone = sum(not _beside_equal(text, position) for text in texts for position in range(len(text)))
    if not pairs or not alone:
        raise ValueError(f"{len(texts)} texts hold {pairs} pairs of equal neighbours and {alone} other symbols; none to compare.")
    counts = count_kinds(mistakes)
    beside, elsewhere, *_ = KINDS_OF_ERROR
    return counts[beside] / (pairs * readings), counts[elsewhere] / (alone * readings)
