"""One's own images: names or a CSV file say the texts, every fault is named at once, and a check-up says what to mend."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from ocrlib import CECRNN, Alphabet, Captchas, ColumnCNN, ModifiedCRNN
from ocrlib.data.own_images import alphabet_of, check_up, load_folder
from ocrlib.synthetic.serials import SYMBOLS, make_serials


@pytest.fixture
def folder(tmp_path):
    make_serials(tmp_path / "labels", 12, seed=1)
    return tmp_path / "labels"


def test_texts_from_names_and_from_a_csv_file_are_the_same(tmp_path, folder):
    by_name = load_folder(folder, width=128)
    make_serials(tmp_path / "numbered", 12, seed=1, labels=tmp_path / "texts.csv")
    by_line = load_folder(tmp_path / "numbered", width=128, labels=tmp_path / "texts.csv")
    assert sorted(by_name.texts) == sorted(by_line.texts)
    assert tuple(by_name.images.shape) == (12, 1, 32, 128) and by_line.names[0] == "00000.png"
    images = dict(zip(by_name.texts, by_name.images))
    assert all(images[text].equal(image) for text, image in zip(by_line.texts, by_line.images))
    assert {len(text) for text in by_name.texts} <= {4, 5, 6, 7} and set(alphabet_of(by_name.texts).symbols) <= set(SYMBOLS)


def test_two_images_of_one_text(tmp_path):
    for name in ("A17_1.png", "A17_2.png", "B2.png"):
        Image.new("L", (60, 20), 200).save(tmp_path / name)
    assert load_folder(tmp_path, width=64, height=16).texts == ["A17", "A17", "B2"]


def test_a_csv_file_that_lies_among_the_images_is_not_said_to_be_left_out(tmp_path, recwarn):
    make_serials(tmp_path, 4, seed=1, labels=tmp_path / "texts.csv")
    assert len(load_folder(tmp_path, width=64, labels=tmp_path / "texts.csv").texts) == 4
    assert not recwarn.list


def test_what_else_lies_in_the_folder_is_said(folder):
    (folder / "notes.txt").write_text("not an image")
    with pytest.warns(UserWarning, match="Left out of .*notes.txt"):
        assert len(load_folder(folder, width=128)) == 12


def test_all_faults_are_named_at_once(tmp_path, folder):
    first, second, *_ = sorted(file.name for file in folder.iterdir())
    (folder / first).write_bytes(b"")
    rows = [(file.name, "AB12") for file in folder.iterdir() if file.name != second]
    with open(tmp_path / "texts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "text"), *rows, ("gone.png", "AB12")])
    with pytest.raises(ValueError) as raised:
        load_folder(folder, width=128, labels=tmp_path / "texts.csv")
    said = str(raised.value)
    assert f"{second} has no line" in said and "gone.png stands in" in said and "empty" in said and "3 of 13 files" in said


def test_symbols_outside_the_alphabet_and_empty_texts(tmp_path):
    for name in ("AB.png", "_1.png"):
        Image.new("L", (60, 20), 200).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"(?s)text 'AB' has 'B'.*|_1.png: its text is empty"):
        load_folder(tmp_path, width=64, alphabet=Alphabet("A"))


@pytest.mark.parametrize(
    "lines, words",
    [
        ("picture;reading\n", "has the columns picture, reading; its first line should be: file,text"),
        ("file,text\na.png,A\na.png,B\n", "Line 3 of .* says 'B' for a.png, line 2 before it 'A'"),
        ("", "has the columns nothing"),
    ],
)
def test_a_csv_file_that_is_not_as_expected(tmp_path, lines, words):
    Image.new("L", (60, 20), 200).save(tmp_path / "a.png")
    (tmp_path / "texts.csv").write_text(lines, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        load_folder(tmp_path, width=64, labels=tmp_path / "texts.csv")
    with pytest.raises(FileNotFoundError, match="no file .*none.csv"):
        load_folder(tmp_path, width=64, labels=tmp_path / "none.csv")


def noise(n, width=128):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 1, 32, width), dtype=np.uint8))


def captchas(texts, images=None):
    images = noise(len(texts)) if images is None else images
    return Captchas(images, texts, [f"{i}.png" for i in range(len(texts))], "real", "some")


def test_a_check_up_finds_nothing_wrong_with_good_images():
    assert check_up(captchas(["abcd", "dcbab"] * 60), ColumnCNN) == []


def test_a_check_up_says_what_to_mend():
    few = check_up(captchas(["abcd", "dcbab", "e"]), CECRNN)
    assert any("reads exactly 5 symbols, the texts have 1 to 5" in line for line in few)
    assert any("fewer than 10 times: a (" in line for line in few) and any("3 images are few" in line for line in few)
    images = noise(120)
    images[3], images[5] = images[4], 200
    strange = check_up(captchas([f"a{i}" for i in range(120)], images), ColumnCNN)
    assert any("same picture under several texts: a3 = a4" in line for line in strange)
    assert any("1 pictures come more than once" in line for line in strange) and any("5.png" in line for line in strange)
    long = check_up(captchas(["aabbccddee"] * 120), ModifiedCRNN)
    assert any("'aabbccddee' needs 15 steps, ModifiedCRNN has 7 at width 128" in line for line in long)
