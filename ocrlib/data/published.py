"""The published data set's labels and pixel hashes, and what a set of images is, held against them.

``manifest.csv`` has one line for each of the 1,070 images of "CAPTCHA version 2 images" (Wilhelmy and Rosas, 2013): label,
format, and ``ocrlib.data.images.pixel_hash`` of the 200 x 50 grey pixels. It holds no image.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ocrlib.texts import first_few


@dataclass(frozen=True)
class Comparison:
    """``kind`` is "published", "subset" or "other"; ``line`` says it to people, with the first differences.

    ``archive`` is true if the images are all that one of the public archives holds (1,070 images, or the 1,040 PNGs).
    ``doubts`` are sentences worth a warning: images that pass for the published ones, texts the recipes were not made for.
    """

    kind: str
    line: str
    archive: bool = False
    doubts: list[str] = field(default_factory=list)


@functools.cache
def published() -> dict[str, tuple[str, str]]:
    """Label -> (format "png" or "jpeg", pixel hash) of all 1,070 published images, sorted by label."""
    with open(Path(__file__).with_name("manifest.csv"), newline="", encoding="ascii") as file:
        return {row["label"]: (row["format"], row["hash"]) for row in csv.DictReader(file)}


def compare(texts: Sequence[str], hashes: Sequence[str]) -> Comparison:
    """Say whether images with these labels and pixel hashes are the published set, a subset of it, or something else."""
    known = published()
    differences = _differences(texts, hashes)
    missing = sorted(known.keys() - set(texts))
    found = f"{len(known) - len(missing):,} of {len(known):,} images"
    if differences:
        line = f"not the published set: {first_few(differences)}"
        if len(missing) == len(known):
            return Comparison("other", line, doubts=_strange(texts))
        if missing:
            line += f"; {len(missing):,} published images are missing"
        return Comparison("other", line, doubts=[f"These images are {line}.", *_strange(texts)])
    if missing:
        archive = all(known[label][0] == "jpeg" for label in missing)
        which = "all its PNGs, without the JPEGs" if archive else f"missing: {first_few(missing)}"
        return Comparison("subset", f"a subset of the published set: {found} ({which})", archive)
    return Comparison("published", f"the published set: {found}", archive=True)


def _strange(texts: Sequence[str]) -> list[str]:
    known = published()
    lengths, usual = {len(text) for text in texts}, {len(label) for label in known}
    symbols = set("".join(texts)) - set("".join(known))
    doubts = []
    if lengths != usual:
        doubts.append(
            f"The texts have {lengths.pop()} symbols, the published ones {usual.pop()}: the recipes are made for those."
        )
    if symbols:
        doubts.append(f"The texts hold symbols that no published one has: {''.join(sorted(symbols))}.")
    return doubts


def _differences(texts: Sequence[str], hashes: Sequence[str]) -> list[str]:
    known = published()
    by_hash = {pixels: label for label, (_, pixels) in known.items()}
    found = []
    for text, pixels in zip(texts, hashes, strict=True):
        if text in known and known[text][1] == pixels:
            continue
        if pixels in by_hash:
            found.append(f"{text} shows the picture published as {by_hash[pixels]}")
        elif text not in known:
            found.append(f"{text} is not a published label")
        elif known[text][0] == "jpeg":
            found.append(f"{text} has other pixels (a JPEG: perhaps another JPEG decoder)")
        else:
            found.append(f"{text} has other pixels")
    return found


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

    With ``hashes`` (`ocrlib.data.images.pixel_hash`) only those whose image is the published one of that label: another image of
    the same name may well show what its name says.
    """
    known = corrections()
    if hashes is not None:
        here = set(zip(texts, hashes))
        known = {label: row for label, row in known.items() if (label, published()[label][1]) in here}
    return [known[text].shown if text in known else text for text in texts]
