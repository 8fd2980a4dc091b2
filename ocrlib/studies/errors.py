"""The single symbols that went wrong in misread texts: what kind of error each is, and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocrlib.data.published import correct
from ocrlib.texts import align, equal_neighbours

Mistakes = Iterable[Sequence[str]]  # pairs of (text as read, true text)
KINDS_OF_ERROR = ("missed beside its equal", "missed elsewhere", "extra", "n for m, m for n", "another symbol")
BESIDE, ELSEWHERE, EXTRA, N_AND_M, ANOTHER = KINDS_OF_ERROR


class EditOperation(NamedTuple):
    """One symbol that went wrong."""

    read: str  # "" if it was missed
    true: str  # "" if it is one too many
    position: int  # in the true text, from 0; of an extra symbol that of the true symbol behind it
    kind: str  # one of `KINDS_OF_ERROR`


def edit_operations(read: str, true: str) -> list[EditOperation]:
    """The fewest operations that make ``true`` of ``read``, in the order of the texts."""
    found, position = [], 0
    for r, t in align(read, true):
        if not t:
            found.append(EditOperation(r, t, position, EXTRA))
        elif not r:
            found.append(EditOperation(r, t, position, BESIDE if _beside_equal(true, position) else ELSEWHERE))
        elif r != t:
            found.append(EditOperation(r, t, position, N_AND_M if {r, t} == {"n", "m"} else ANOTHER))
        position += bool(t)
    return found


def _beside_equal(text: str, position: int) -> bool:
    return text[position] in (text[position - 1 : position], text[position + 1 : position + 2])


def count_kinds(mistakes: Mistakes) -> dict[str, int]:
    """How many errors of each of `KINDS_OF_ERROR` there are in all mistakes together."""
    counts = Counter(edit.kind for read, true in mistakes for edit in edit_operations(read, true))
    return {kind: counts[kind] for kind in KINDS_OF_ERROR}


def count_positions(mistakes: Mistakes) -> list[int]:
    """How many symbols went wrong at each of the five positions of the true text. Extra symbols are left out."""
    counts = Counter(edit.position for read, true in mistakes for edit in edit_operations(read, true) if edit.true)
    return [counts[position] for position in range(5)]


def count_confusions(mistakes: Mistakes) -> Counter[tuple[str, str]]:
    """How often each (true symbol, symbol read instead) occurs; "" stands for no symbol."""
    return Counter((edit.true, edit.read) for read, true in mistakes for edit in edit_operations(read, true))


def edits_by_text(mistakes: Mistakes, tested: Sequence[str], corrected: bool = False) -> list[int]:
    """The edits of a run in each of ``tested``, its N published labels. ``mistakes`` are those misread.

    Edits are counted against the labels as published, or as ``corrected``.
    """
    read = {label: label for label in tested} | {label: text for text, label in mistakes}
    shown = correct(list(read)) if corrected else read
    return [sum(a != b for a, b in align(text, label)) for text, label in zip(read.values(), shown)]


def misread_shares(mistakes: Mistakes, texts: int, neighbours: int) -> tuple[float, float]:
    """Shares of misread texts, 0 to 1: among the ``neighbours`` that hold equal neighbours, and among the other ``texts``.

    Raises ``ValueError`` if one of the two groups is empty.
    """
    if not 0 < neighbours < texts:
        raise ValueError(f"{neighbours} of {texts} texts hold equal neighbours; there is nothing to compare.")
    hit = Counter(equal_neighbours(true) > 0 for _, true in mistakes)
    return hit[True] / neighbours, hit[False] / (texts - neighbours)


def missed_shares(mistakes: Mistakes, texts: Sequence[str], readings: int = 1) -> tuple[float, float]:
    """Shares of missed symbols, 0 to 1, in ``readings`` of ``texts``: of the pairs of equal neighbours, and of other symbols.

    Raises ``ValueError`` if the texts hold no such pair, or nothing else.
    """
    pairs = sum(map(equal_neighbours, texts))
    alone = sum(not _beside_equal(text, position) for text in texts for position in range(len(text)))
    if not pairs or not alone:
        raise ValueError(f"{len(texts)} texts hold {pairs} pairs of equal neighbours and {alone} other symbols; none to compare.")
    counts = count_kinds(mistakes)
    return counts[BESIDE] / (pairs * readings), counts[ELSEWHERE] / (alone * readings)
