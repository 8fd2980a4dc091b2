"""Labels and pixel hashes of the published data set, how a set of images differs from it, and its wrong labels.

``manifest.csv`` has one line for each of the 1,070 images of "CAPTCHA version 2 images" (Wilhelmy and Rosas, 2013): label,
format, and `ocrlib.data.images.pixel_hash` of the 200 x 50 grey pixels. It holds no image.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ocrlib.texts import first_few


class Comparison(NamedTuple):
    """What a set of images is: ``line`` says it to people, with the first differences from the published set.

    ``archive`` is true if the images are all that one of the public archives holds (1,070 images, or the 1,040 PNGs).
    ``doubts`` are sentences worth a warning: images that differ from the published ones of their label, unusual texts.
    """

    line: str
    archive: bool
    doubts: list[str]


@functools.cache
def published() -> dict[str, tuple[str, str]]:
    """Label -> (format "png" or "jpeg", pixel hash) of all 1,070 published images, sorted by label."""
    with open(Path(__file__).with_name("manifest.csv"), newline="", encoding="ascii") as file:
        return {row["label"]: (row["format"], row["hash"]) for row in csv.DictReader(file)}


def compare(texts: Sequence[str], hashes: Sequence[str]) -> Comparison:
    """Tells whether images with these labels and pixel hashes are the published set, a subset of it, or another set."""
    known = published()
    by_hash = {pixels: label for label, (_, pixels) in known.items()}
    differences = []
    for text, pixels in zip(texts, hashes, strict=True):
        if by_hash.get(pixels, text) != text:
            differences.append(f"{text} shows the picture published as {by_hash[pixels]}")
        elif text not in known:
            differences.append(f"{text} is not a published label")
        elif known[text][1] != pixels:
            jpeg = " (a JPEG: perhaps another JPEG decoder)" if known[text][0] == "jpeg" else ""
            differences.append(f"{text} has other pixels{jpeg}")
    missing = sorted(known.keys() - set(texts))
    if differences:
        line = f"not the published set: {first_few(differences)}"
        if len(missing) == len(known):
            return Comparison(line, False, _unusual(texts))
        line += f"; {len(missing):,} published images are missing" if missing else ""
        return Comparison(line, False, [f"These images are {line}.", *_unusual(texts)])
    found = f"the published set: {len(known) - len(missing):,} of {len(known):,} images"
    if not missing:
        return Comparison(found, True, [])
    only_pngs = all(known[label][0] == "jpeg" for label in missing)
    which = "all its PNGs, without the JPEGs" if only_pngs else f"missing: {first_few(missing)}"
    return Comparison(f"a subset of {found} ({which})", only_pngs, [])


def _unusual(texts: Sequence[str]) -> list[str]:
    """Sentences on lengths and symbols that no published text has."""
    lengths, usual = {len(text) for text in texts}, {len(label) for label in published()}
    found = []
    if lengths != usual:
        have = f"The texts have {lengths.pop()} symbols, the published ones {usual.pop()}"
        found.append(f"{have}: the recipes are made for those.")
    if symbols := set("".join(texts)) - set("".join(published())):
        found.append(f"The texts hold symbols that no published one has: {''.join(sorted(symbols))}.")
    return found


class Correction(NamedTuple):
    """The image published as ``label`` shows ``shown``: in ``seeds`` of the repetitions, by ``networks`` of the networks."""

    label: str
    shown: str
    seeds: int
    of_seeds: int
    networks: int
    of_networks: int


@functools.cache
def corrections() -> dict[str, Correction]:
    """Published label -> its correction, sorted by label."""
    with open(Path(__file__).with_name("corrections.csv"), newline="", encoding="ascii") as file:
        _, *rows = csv.reader(file)
    found = [Correction(label, shown, *map(int, counts)) for label, shown, *counts in rows]
    return {row.label: row for row in sorted(found)}


def correct(texts: Sequence[str], hashes: Sequence[str] | None = None) -> list[str]:
    """The texts, with the corrected ones in place of the wrong ones.

    With ``hashes`` (`ocrlib.data.images.pixel_hash`) only where the image is the published one of that label, because another
    image of the same name may show what its name says.
    """
    shown = {label: row.shown for label, row in corrections().items()}
    if hashes is None:
        return [shown.get(text, text) for text in texts]
    return [shown[text] if text in shown and published()[text][1] == pixels else text for text, pixels in zip(texts, hashes)]
