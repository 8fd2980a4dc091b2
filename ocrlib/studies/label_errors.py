"""Which published labels are doubtful: what networks that never saw an image read in it, again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ocrlib.studies.records import Record

LEAST_SEEDS = 2  # one repetition alone is no evidence


class Suspect(NamedTuple):
    """A ``label`` whose image was ``read`` as another text, by so many repetitions and so many of all their networks.

    ``least`` is the least probability that a repetition which read it so gave to its reading.
    """

    label: str
    read: str
    seeds: int
    of_seeds: int
    networks: int
    of_networks: int
    least: float


def suspects(folds: Iterable[Record]) -> list[Suspect]:
    """The images that at least `LEAST_SEEDS` repetitions of `ocrlib.studies.cross_validation` read as the same other text.

    Those with the most repetitions and networks come first.
    """
    folds = list(folds)
    seeds = {record.arguments["seed"] for record in folds}
    sure: dict[tuple[str, str], list[float]] = {}
    votes: Counter[tuple[str, str]] = Counter()
    members = max((len(record.figures["members_mistakes"]) for record in folds), default=0)
    for record in folds:
        for read, label, probability, _ in record.figures["mistakes"]:
            sure.setdefault((label, read), []).append(probability)
        votes.update((label, read) for member in record.figures["members_mistakes"] for read, label in member)
    found = [
        Suspect(label, read, len(given), len(seeds), votes[label, read], members * len(seeds), min(given))
        for (label, read), given in sure.items()
        if len(given) >= LEAST_SEEDS
    ]
    return sorted(found, key=lambda suspect: (-suspect.seeds, -suspect.networks, -suspect.least, suspect.label))
