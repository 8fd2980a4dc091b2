"""One's own images: names or a CSV file say the texts, every fault is named at once, and a check-up says what to mend."""

import csv
import time

import numpy as np
import pytest
import torch
from PIL import Image

from ocrlib import CECRNN, Alphabet, Captchas, ColumnCNN, ModifiedCRNN, load_captchas, read, split
from ocrlib.checkpoints import TrainedModel
from ocrlib.data.own_images import alphabet_of, check_up, load_folder
from ocrlib.data.pixels import ink_side
from ocrlib.evaluation import as_tensor
from ocrlib.synthetic.serials import SYMBOLS, draw_serial, make_serials


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
    with pytest.raises(FileNotFoundError, match="no label file .*none.csv"):
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
    assert any("CECRNN has 5 steps at width 128, but 'abcd' has 4 symbols. Take CTC for texts of varying" in line for line in few)
    assert any("fewer than 10 times: a (" in line for line in few) and any("3 images are few" in line for line in few)
    images = noise(120)
    images[3], images[5] = images[4], 200
    strange = check_up(captchas([f"a{i}" for i in range(120)], images), ColumnCNN)
    assert any("same picture under several texts: a3 = a4" in line for line in strange)
    assert any("1 pictures come more than once" in line for line in strange) and any("5.png" in line for line in strange)
    long = check_up(captchas(["aabbccddee"] * 120), ModifiedCRNN)
    assert any("= 15 steps for 'aabbccddee', but ModifiedCRNN has 7 at width 128. Take wider images" in line for line in long)


def test_a_check_up_takes_a_network_too_and_says_what_else_is_none():
    good = captchas(["abcd", "dcbab"] * 60)
    assert check_up(good, ColumnCNN(classes=5)) == []
    with pytest.raises(ValueError, match="A network of ocrlib.networks .* was expected, got 'ColumnCNN'"):
        check_up(good, "ColumnCNN")
    with pytest.raises(ValueError, match="No alphabet can be made: the 0 texts hold no symbol"):
        check_up(captchas([], torch.empty(0, 1, 32, 128, dtype=torch.uint8)), ColumnCNN)


# --- what people run into elsewhere ----------------------------------------------------------------------------------------


def serial(path, text="AB12", seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = draw_serial(text, np.random.default_rng(seed))
    image.save(path, **options)
    return image


COPIES = ["abcde (1)", "abcde(2)", "abcde - Copy", "abcde - Copy (2)", "abcde copy", "abcde copy 3", "abcde (copy)",
          "abcde (another copy)", "abcde (3rd copy)", "Copy of abcde",
          "abcde \u2014 \u043a\u043e\u043f\u0438\u044f (2)"]  # fmt: skip


@pytest.mark.parametrize("stem", COPIES)
@pytest.mark.parametrize("load", [load_captchas, load_folder], ids=["load_captchas", "load_folder"])
def test_names_of_copies_have_one_rule(tmp_path, stem, load):
    serial(tmp_path / f"{stem}.png")
    with pytest.raises(ValueError, match="looks like the name of a copy of 'abcde'"):
        load(tmp_path, width=128)


def test_names_of_copies_may_be_texts_on_request(tmp_path):
    serial(tmp_path / "im" / "A (1).png")
    assert load_folder(tmp_path / "im", width=128, alphabet=Alphabet("A (1)")).texts == ["A (1)"]
    (tmp_path / "labels.csv").write_text("file,text\nA (1).png,A\n")
    assert load_folder(tmp_path / "im", width=128, labels=tmp_path / "labels.csv").texts == ["A"]
    (tmp_path / "im" / "A (1).png").rename(tmp_path / "im" / "photocopy.png")
    assert load_folder(tmp_path / "im", width=128).texts == ["photocopy"]
    (tmp_path / "im" / "photocopy.png").rename(tmp_path / "im" / "A.png.png")
    with pytest.raises(ValueError, match="A.png.png has two suffixes"):
        load_folder(tmp_path / "im", width=128)


def test_symbols_nobody_can_see_are_named_at_load_and_in_the_check_up(tmp_path):
    serial(tmp_path / "im" / "a.png")
    serial(tmp_path / "im" / "b.png", seed=1)
    (tmp_path / "labels.csv").write_text("file,text\na.png,AB\u200b\nb.png,A\u00a0B\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"U\+00A0 \(NO-BREAK SPACE\) in b.png, U\+200B \(ZERO WIDTH SPACE\) in a.png") as caught:
        found = load_folder(tmp_path / "im", width=128, labels=tmp_path / "labels.csv")
    assert caught[0].filename == __file__
    remarks = check_up(found, ColumnCNN)
    assert any(line.startswith("Symbols that nobody can see: U+00A0") for line in remarks)
    assert any("fewer than 10 times: A (2), B (2), U+00A0 (NO-BREAK SPACE) (1)" in line for line in remarks)
    with pytest.raises(ValueError, match=r"has 'U\+200B \(ZERO WIDTH SPACE\)', which is not in the alphabet 'AB'"):
        load_folder(tmp_path / "im", width=128, labels=tmp_path / "labels.csv", alphabet=Alphabet("AB"))


def test_spaces_at_the_ends_of_names_are_no_symbols(tmp_path):
    serial(tmp_path / " A 17 _1.png")
    serial(tmp_path / "A 17 .png")
    assert load_folder(tmp_path, width=128).texts == ["A 17", "A 17"]


def test_full_width_digits_are_mentioned(tmp_path):
    serial(tmp_path / "A\uff11.png")
    with pytest.warns(UserWarning, match=r"U\+FF11 \(FULLWIDTH DIGIT ONE\) in A\uff11.png"):
        assert load_folder(tmp_path, width=128).texts == ["A\uff11"]


def test_two_spellings_of_one_letter_are_one_class_everywhere():
    found = captchas(["caf\u00e9", "cafe\u0301"])
    assert found.texts == ["caf\u00e9"] * 2 and alphabet_of(["cafe\u0301"]).symbols == "acf\u00e9"


def model():
    torch.manual_seed(0)
    return TrainedModel(ColumnCNN(classes=5).eval(), Alphabet("ABCD"), 128)


@pytest.mark.filterwarnings("default")
def test_remarks_are_passed_on_by_every_door(tmp_path):
    image = Image.new("LA", (160, 40), (255, 0))
    image.paste((255, 255), (20, 5, 40, 35))
    image.save(tmp_path / "abcde.png")
    words = "Transparent parts; laid on black.*: .*abcde.png"
    doors = [load_folder, load_captchas, lambda folder, width: read(folder / "abcde.png", model())]
    for load in doors:
        with pytest.warns(UserWarning, match=words) as caught:
            load(tmp_path, 128)
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"Transparent parts; laid on black.*: images\[1\]"):
        read([np.full((40, 160), 99, np.uint8), image], model())
    with pytest.warns(UserWarning, match=words):
        assert np.ptp(load_folder(tmp_path, 128).images.numpy()) > 200


def test_other_formats_are_read_from_a_folder(tmp_path, recwarn):
    expected = serial(tmp_path / "A_1.bmp")
    for name in ("A_2.webp", "A_3.gif", "A_4.tif", "A_5.TIFF", "A_6.jfif"):
        options = {"lossless": True} if "webp" in name else {"format": "JPEG", "quality": 100} if "jfif" in name else {}
        serial(tmp_path / name, **options)
    found = load_folder(tmp_path, width=128)
    assert found.names == ["A_1.bmp", "A_2.webp", "A_3.gif", "A_4.tif", "A_5.TIFF", "A_6.jfif"] and set(found.texts) == {"A"}
    grey = as_tensor(expected, 128).int()
    assert (found.images.int() - grey).abs().float().mean(dim=(1, 2, 3)).max() < 4
    assert [str(warning.message)[:26] for warning in recwarn] == ["Stored as a palette image;"]


def test_a_frame_of_an_animation_in_a_folder(tmp_path):
    frames = [draw_serial(text, np.random.default_rng(0)).resize((170, 44)) for text in ("AB12", "CD34")]
    frames[0].save(tmp_path / "CD34.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="CD34.gif is an animation of 2 frames"):
        load_folder(tmp_path, width=128)
    found = [load_folder(tmp_path, 128, frame=i).images.int() for i in range(2)]
    for i in range(2):
        assert (found[i] - as_tensor(frames[i], 128).int()).abs().float().mean() < 4


def test_ten_thousand_names_are_sorted_out_in_no_time(tmp_path):
    """Their number once went in as a square: comparing paths of 10,000 files took minutes."""
    for i in range(10_000):
        (tmp_path / f"A_{i}.png").touch()
    began = time.perf_counter()
    with pytest.raises(ValueError, match="10,000 of 10,000 files"):
        load_folder(tmp_path, width=128)
    assert time.perf_counter() - began < 60


def test_folders_by_label(tmp_path):
    for place in ("A17/1.png", "A17/2.png", "B2/1.png"):
        serial(tmp_path / place, seed=len(place))
    with pytest.raises(FileNotFoundError, match=r"that do: A17, B2\..*subfolders=True; if their names .*: text_from=.folder"):
        load_folder(tmp_path, width=128)
    found = load_folder(tmp_path, width=128, text_from="folder")
    assert (found.names, found.texts) == (["A17/1.png", "A17/2.png", "B2/1.png"], ["A17", "A17", "B2"])
    assert [len(part) for part in split(found, (2, 1))] == [2, 1]  # 1.png of two folders are two images
    assert load_folder(tmp_path, width=128, subfolders=True).texts == ["1", "2", "1"]
    serial(tmp_path / "C3.png")
    with pytest.raises(ValueError, match="C3.png lies in no sub-folder"):
        load_folder(tmp_path, width=128, text_from="folder")
    with pytest.raises(ValueError, match="text_from='folders': .name. or"):
        load_folder(tmp_path, width=128, text_from="folders")
    with pytest.raises(FileNotFoundError, match="and the folders below it hold no images"):
        (tmp_path / "none").mkdir()
        load_folder(tmp_path / "none", width=128, subfolders=True)


def test_mixed_polarity_is_noticed_and_set_right_on_request(tmp_path):
    texts = ["AB12", "CD34", "EF56", "HK78"]
    for i, text in enumerate(texts):
        image = draw_serial(text, np.random.default_rng(i))
        Image.fromarray(255 - np.asarray(image) if i % 2 else np.asarray(image)).save(tmp_path / f"{text}.png")
    mixed, right = load_folder(tmp_path, 128), load_folder(tmp_path, 128, polarity="auto")
    assert [ink_side(image[0].numpy()) for image in mixed.images] == [-1, 1, -1, 1]
    assert [ink_side(image[0].numpy()) for image in right.images] == [-1] * 4
    assert right.images[1].equal(255 - mixed.images[1]) and right.images[0].equal(mixed.images[0])
    said = [line for line in check_up(mixed, ColumnCNN) if "light on dark" in line]
    assert len(said) == 1 and "2 pictures are light on dark (of 4, the others not): CD34.png, HK78.png" in said[0]
    assert not any("light on dark" in line for line in check_up(right, ColumnCNN))
    files = sorted(tmp_path.iterdir())
    assert as_tensor(files, 128, polarity="auto").equal(right.images)
    assert as_tensor(mixed, 128, polarity="auto").equal(right.images)


def test_images_of_several_widths_are_padded_on_request(tmp_path):
    for name, width in (("AB.png", 70), ("ABCD.png", 140), ("ABCDEFG.png", 400)):
        serial(tmp_path / name).resize((width, 40)).save(tmp_path / name)
    with pytest.warns(UserWarning, match="Too wide for 200 x 32 pixels, .*load wider images, or crop them: ABCDEFG.png"):
        found = load_folder(tmp_path, width=200, fit="pad")
    assert found.widths.tolist() == [56, 112, 200] and found.true_widths().dtype == torch.int64
    assert found.images[0, 0, :, :56].equal(as_tensor(tmp_path / "AB.png", 56)[0, 0])
    assert found.images[0, 0, :, 56:].unique().numel() == 1
    assert load_folder(tmp_path, width=200).widths is None


@pytest.mark.parametrize("wrong", [{"fit": "crop"}, {"polarity": "dark"}, {"frame": -1}, {"width": 0}, {"width": "128"}], ids=str)
def test_wrong_arguments_are_no_fault_of_the_files(tmp_path, wrong):
    serial(tmp_path / "A.png")
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name}=|polarity=") as raised:
        load_folder(tmp_path, **{"width": 128, **wrong})
    assert "files in" not in str(raised.value)


def test_widths_go_along_with_their_images():
    found = Captchas(noise(4), list("abcd"), list("abcd"), "real", "some", torch.tensor([10, 20, 30, 128]))
    assert found.subset([3, 1]).widths.tolist() == [128, 20] and found.cycle(1, 3).widths.tolist() == [128, 10, 20]
    order = [part.widths.tolist() for part in split(found, (2, 2))]
    assert sorted(sum(order, [])) == [10, 20, 30, 128]
    plain = captchas(list("ef"))
    assert found.joined(plain).widths.tolist() == [10, 20, 30, 128, 128, 128] and plain.joined(plain).widths is None
    assert found.fingerprint() != Captchas(noise(4), list("abcd"), list("abcd"), "real", "some").fingerprint()
    with pytest.raises(ValueError, match="got 4 images, 4 texts, 4 names, 3 widths"):
        Captchas(noise(4), list("abcd"), list("abcd"), "real", "some", torch.tensor([1, 2, 3]))


def test_a_padded_square_is_noticed_by_the_check_up_and_by_read(tmp_path):
    for i in range(2):
        image = draw_serial("AB12", np.random.default_rng(i))
        square = Image.new("RGB", (image.width, image.width), image.getpixel((0, 0)))
        square.paste(image, (0, 60))
        square.save(tmp_path / f"AB12_{i}.png")
    with pytest.warns(UserWarning, match="padded to a square"):
        found = load_folder(tmp_path, width=128)
    words = "2 pictures have wide margins, so their text is small: AB12_0.png, AB12_1.png"
    assert any(words in line for line in check_up(found, ColumnCNN))
    with pytest.warns(UserWarning, match="padded to a square"):
        read(tmp_path / "AB12_0.png", model())
