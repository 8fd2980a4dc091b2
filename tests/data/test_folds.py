"""The published folds: those of the recorded cross-validation, with both labels of each image in one file."""

import csv
from collections import Counter

from ocrlib import load_captchas
from ocrlib.data import folds as module
from ocrlib.data.folds import folds
from ocrlib.data.published import corrections, published
from ocrlib.studies.cross_validation import jobs


def test_folds_are_a_partition_of_the_images():
    parts = folds(1070, seed=1)
    assert sorted(sum(parts, [])) == list(range(1070)) and {len(part) for part in parts} == {214}
    assert [len(part) for part in folds(12, seed=1)] == [3, 3, 2, 2, 2]
    assert parts == folds(1070, seed=1) != folds(1070, seed=2)


def rows():
    """The rows of folds.csv, each a dictionary."""
    with open(module.__file__.replace("folds.py", "folds.csv"), newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def test_the_published_folds_are_those_of_seed_1_on_the_sorted_file_names():
    images = rows()
    suffixes = {"png": "png", "jpeg": "jpg"}
    assert [image["name"] for image in images] == sorted(f"{label}.{suffixes[kind]}" for label, (kind, _) in published().items())
    for number, part in enumerate(folds(1070, seed=1)):
        assert {i for i, image in enumerate(images) if int(image["fold"]) == number} == set(part)
    assert jobs()[0] == {"seed": 1, "fold": 0}
    assert Counter(int(image["fold"]) for image in images) == dict.fromkeys(range(5), 214)


def test_both_labels_stand_beside_the_fold():
    images = rows()
    assert all(image["name"].partition(".")[0] == image["label"] for image in images)
    shown = {label: row.shown for label, row in corrections().items()}
    assert {image["label"]: image["corrected"] for image in images if image["label"] != image["corrected"]} == shown
    assert len(shown) == 4


def test_the_file_says_what_its_columns_are():
    assert rows()[0] | {"fold": "0"} == {"name": "226md.png", "fold": "0", "label": "226md", "corrected": "226md"}
    assert {row["fold"] for row in rows()} == set("01234")


def test_the_images_come_in_the_order_of_the_file(real_folder):
    captchas = load_captchas(real_folder)
    assert [(image["name"], image["label"]) for image in rows()] == list(zip(captchas.names, captchas.texts))
    assert [image["corrected"] for image in rows()] == load_captchas(real_folder, corrected=True).texts
