"""The manifest against the published images, and what ``compare`` says about sets that differ from it."""

import hashlib
import re
from collections import Counter

import pytest
from PIL import Image

from ocrlib.data.published import compare, published
from ocrlib.texts import first_few


def pairs(labels):
    return [(label, published()[label][1]) for label in labels]


def said(pairs):
    return compare([label for label, _ in pairs], [pixels for _, pixels in pairs])


PNGS = [label for label, (format, _) in published().items() if format == "png"]


def test_holds_what_is_known_of_the_published_set():
    known = published()
    assert len(known) == 1_070
    assert list(known) == sorted(known)
    assert Counter(format for format, _ in known.values()) == {"png": 1_040, "jpeg": 30}
    assert len({pixels for _, pixels in known.values()}) == 1_070
    assert all(re.fullmatch("[0-9a-f]{16}", pixels) for _, pixels in known.values())
    symbols = Counter("".join(known))
    assert "".join(sorted(symbols)) == "2345678bcdefgmnpwxy"
    assert round(100 * symbols["n"] / symbols.total(), 2) == 10.09
    assert sum(any(a == b for a, b in zip(label, label[1:])) for label in known) == 221


def test_agrees_with_the_published_images(real_folder):
    for file in sorted(real_folder.iterdir()):
        image = Image.open(file)
        pixels = hashlib.sha256(image.convert("L").tobytes()).hexdigest()[:16]
        assert published()[file.stem] == (image.format.lower(), pixels)


def test_published_set():
    found = said(pairs(published()))
    assert (found.archive, found.doubts) == (True, [])
    assert found.line == "the published set: 1,070 of 1,070 images"


def test_the_pngs_alone():
    found = said(pairs(PNGS))
    assert (found.archive, found.doubts) == (True, [])
    assert found.line == "a subset of the published set: 1,040 of 1,070 images (all its PNGs, without the JPEGs)"


def test_another_subset_names_what_is_missing():
    labels = list(published())
    found = said(pairs(labels[2:]))
    assert (found.archive, found.doubts) == (False, [])
    assert found.line == f"a subset of the published set: 1,068 of 1,070 images (missing: {labels[0]}, {labels[1]})"


def changed_pixels(known):
    return [(PNGS[0], "0" * 16), *known[1:]], f"{PNGS[0]} has other pixels"


def changed_jpeg(known):
    label = next(label for label in published() if label not in PNGS)
    return [(a, b if a != label else "0" * 16) for a, b in known], f"{label} has other pixels (a JPEG: perhaps another"


def corrected_label(known):
    return [("zzzzz", known[0][1]), *known[1:]], f"zzzzz shows the picture published as {known[0][0]}"


def one_more(known):
    return [*known, ("zzzzz", "0" * 16)], "zzzzz is not a published label"


def shuffled_labels(known):
    labels, pixels = zip(*known)
    line = f"{labels[0]} shows the picture published as {labels[1]}, {labels[1]} shows .* and 1,067 more"
    return list(zip(labels, pixels[1:] + pixels[:1])), line


@pytest.mark.parametrize("change", [changed_pixels, changed_jpeg, corrected_label, one_more, shuffled_labels])
def test_something_else_names_the_first_differences(change):
    changed, words = change(pairs(published()))
    found = said(changed)
    assert not found.archive
    assert re.match("not the published set: " + words.replace("(", r"\("), found.line)
    assert found.doubts[0] == f"These images are {found.line}."


def test_a_set_of_ones_own_is_no_reason_for_doubt():
    found = compare(["bbbbb", "ccccc"], ["0" * 16, "1" * 16])
    assert (found.archive, found.doubts) == (False, [])
    assert found.line == "not the published set: bbbbb is not a published label, ccccc is not a published label"


def test_texts_the_recipes_are_not_made_for():
    assert compare(["abcdef"], ["0" * 16]).doubts == [
        "The texts have 6 symbols, the published ones 5: the recipes are made for those.",
        "The texts hold symbols that no published one has: a.",
    ]


def test_first_few():
    assert first_few(["a", "b"]) == "a, b"
    assert first_few(list("abcde")) == "a, b, c and 2 more"
