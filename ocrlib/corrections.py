"""Published labels that are not what their image shows, with the evidence for each; off unless asked for.

``corrections.csv`` has a line for each: the published label, the text shown, and in how many of the recorded
cross-validation's repetitions, and by how many of its networks that had never seen the image, it was read so. Notebook 08
shows every image beside both texts; a line that a reader's eye can't confirm doesn't belong there.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ocrlib.manifest import published


class Correction(NamedTuple):
    """What is ``shown`` under a published ``label``: so read in ``seeds`` of the repetitions, by ``networks`` of the networks."""

    label: str
    shown: str
    seeds: int
    of_seeds: int
    networks: int
    of_networks: int


COUNTS = Correction._fields[2:]


@functools.cache
def corrections() -> dict[str, Correction]:
    """Published label -> its correction, sorted by label."""
    with open(Path(__file__).with_name("corrections.csv"), newline="", encoding="ascii") as file:
        rows = [Correction(row["label"], row["shown"], *(int(row[name]) for name in COUNTS)) for row in csv.DictReader(file)]
    return {row.label: row for row in sorted(rows)}


def correct(texts: Sequence[str], hashes: Sequence[str] | None = None) -> list[str]:
    """The texts with the corrected ones in their places.

    With ``hashes`` (`ocrlib.images.pixel_hash`) only those whose image is the published one of that label: another image of
    the same name may well show what its name says.
    """
    known = corrections()
    if hashes is not None:
        here = set(zip(texts, hashes))
        known = {label: row for label, row in known.items() if (label, published()[label][1]) in here}
    return [known[text].shown if text in known else text for text in texts]
