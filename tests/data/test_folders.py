"""A folder of images: what is read, what is left out with a remark, what is an error, and that nothing is changed."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ocrlib.data.folders import read_folder


def listing(folder):
    return {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def any_image(folder):
    return sorted(folder.glob("*.png"))[0]


def test_good_folder(captcha_folder, generated):
    found = read_folder(str(captcha_folder), 100, 32)
    assert found.names == sorted(file.name for file in captcha_folder.iterdir())
    assert found.texts == [name[:5] for name in found.names]
    assert sorted(found.texts) == sorted(text for _, text in generated)
    assert (tuple(found.images.shape), found.images.dtype) == ((12, 1, 32, 100), torch.uint8)
    for name, pixels in zip(found.names, found.images[:, 0].numpy()):
        expected = np.array(Image.open(captcha_folder / name).resize((100, 32)).convert("L"))
        np.testing.assert_array_equal(pixels, expected)
    assert found.remarks == []


def test_order_does_not_depend_on_the_file_system(captcha_folder, monkeypatch):
    sorted_names = read_folder(captcha_folder, 80, 32).names
    original = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(original(self), key=lambda p: p.name[::-1], reverse=True))
    assert read_folder(captcha_folder, 80, 32).names == sorted_names


# --- left out or changed, with a remark ------------------------------------------------------------------------------------


def hidden_file(folder):
    shutil.copy(any_image(folder), folder / "._226md.png")


def thumbs(folder):
    (folder / "Thumbs.db").write_bytes(b"windows")


def notebook_checkpoints(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    shutil.copy(any_image(folder), folder / ".ipynb_checkpoints" / "2356g.png")


def sub_folder(folder):
    (folder / "more").mkdir()
    shutil.copy(any_image(folder), folder / "more" / "zzzzz.png")


def folder_named_like_an_image(folder):
    (folder / "2356g.png").mkdir()


def notes(folder):
    (folder / "README.txt").write_text("about the data")


def doubled(folder):
    shutil.copytree(folder, folder.parent / "copy")
    (folder.parent / "copy").rename(folder / "samples")


def two_labels_for_one_picture(folder):
    first, second = sorted(folder.glob("*.png"))[:2]
    shutil.copy(first, second)


def palette_images(folder):
    for file in sorted(folder.glob("*.png"))[:7]:
        Image.open(file).convert("RGB").quantize(16).save(file)


REMARKED = {
    "hidden file": (hidden_file, r"Left out of .*: \._226md\.png"),
    "Thumbs.db": (thumbs, "Left out of .*: Thumbs.db"),
    ".ipynb_checkpoints": (notebook_checkpoints, r"Left out of .*: \.ipynb_checkpoints/"),
    "sub-folder": (sub_folder, "Left out of .*: more/"),
    "folder named like an image": (folder_named_like_an_image, "Left out of .*: 2356g.png/"),
    "other file": (notes, "Left out of .*: README.txt"),
    "doubled folder": (doubled, "samples in .* holds 12 of the same names again"),
    "one picture under two labels": (two_labels_for_one_picture, r"\w{5}\.png = \w{5}\.png: the same picture"),
    "seven palette images": (palette_images, r"Stored as a palette image.*: (\w{5}\.png, ){2}\w{5}\.png and 4 more"),
}


@pytest.mark.parametrize("spoil, words", REMARKED.values(), ids=REMARKED.keys())
def test_remarked(captcha_folder, spoil, words):
    names = sorted(file.name for file in captcha_folder.iterdir())
    spoil(captcha_folder)
    before = listing(captcha_folder)
    found = read_folder(captcha_folder, 80, 32)
    assert found.names == names
    assert len(found.remarks) == 1
    assert re.search(words, found.remarks[0])
    assert listing(captcha_folder) == before


def test_images_in_the_only_folder_inside_are_read(captcha_folder):
    """As unpacking the public archives leaves them."""
    found = read_folder(captcha_folder.parent, 80, 32)
    assert len(found.names) == 12
    assert "those of captchas/ inside it were read" in found.remarks[0]


# --- errors ----------------------------------------------------------------------------------------------------------------


def rename(new_name):
    def spoil(folder):
        any_image(folder).rename(folder / new_name)

    return spoil


def dangling_link(folder):
    any_image(folder).unlink()
    (folder / "2356g.png").symlink_to(folder / "gone.png")


def same_stem(folder):
    file = any_image(folder)
    Image.open(file).convert("RGB").save(file.with_suffix(".jpg"))


def truncated(folder):
    file = any_image(folder)
    file.write_bytes(file.read_bytes()[:2_000])


REFUSED = {
    "label too short": (rename("2356.png"), "2356.png has a text of 4 symbols, the other names have 5"),
    "label too long": (rename("2356gg.png"), "2356gg.png has a text of 6 symbols, the other names have 5"),
    "upper case": (rename("2356G.png"), "2356G.png .* it has 'G', .*Rename it to 2356g.png"),
    "space": (rename("2356g (1).png"), r"2356g \(1\).png .* it has ' \(\)'"),
    "underscore": (rename("2356_.png"), "2356_.png .* it has '_'"),
    "two suffixes": (rename("2356g.png.png"), r"2356g.png.png .* it has '\.'"),
    "not ASCII": (rename("2356\u00e9.png"), r"it has '\\xe9'"),
    "digits of another script": (rename("2356\u0663.png"), r"it has '\\u0663'"),
    "dangling link": (dangling_link, "2356g.png is a link to a file that is not there"),
    "two files of one stem": (same_stem, "is one of 2 files with the stem"),
    "damaged image": (truncated, "damaged, cut off"),
}


@pytest.mark.parametrize("spoil, words", REFUSED.values(), ids=REFUSED.keys())
def test_refused(captcha_folder, spoil, words):
    spoil(captcha_folder)
    before = listing(captcha_folder)
    with pytest.raises(ValueError, match=words) as error:
        read_folder(captcha_folder, 80, 32)
    assert str(captcha_folder) in str(error.value)
    assert " files in " in str(error.value)
    assert listing(captcha_folder) == before


def test_all_bad_files_are_counted_and_the_first_are_named(captcha_folder):
    for file in sorted(captcha_folder.iterdir())[:8]:
        file.write_bytes(b"")
    names = sorted(file.name for file in captcha_folder.iterdir())
    with pytest.raises(ValueError) as error:
        read_folder(captcha_folder, 80, 32)
    message = str(error.value)
    assert message.startswith("8 of 12 files")
    assert [name in message for name in names[:9]] == [True] * 5 + [False] * 4
    assert "and 3 more" in message


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere.*check the spelling"):
        read_folder(tmp_path / "nowhere", 80, 32)


def test_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no images; .* were expected. It is empty"):
        read_folder(tmp_path, 80, 32)


def test_not_a_folder(captcha_folder):
    with pytest.raises(NotADirectoryError, match="is a file; a folder of captcha images"):
        read_folder(any_image(captcha_folder), 80, 32)


def test_unreadable_folder(captcha_folder, monkeypatch):
    def refuse(self):  # taking the right away would not stop the system's administrator
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PermissionError, match="captchas may not be read. Ask its owner"):
        read_folder(captcha_folder, 80, 32)


def test_folder_of_other_files(tmp_path):
    (tmp_path / "226md.gif").touch()
    (tmp_path / "archive.zip").touch()
    with pytest.raises(FileNotFoundError, match="Unpack archive.zip, or name the archive itself: root="):
        read_folder(tmp_path, 80, 32)
    (tmp_path / "archive.zip").unlink()
    with pytest.raises(FileNotFoundError, match="It holds 226md.gif"):
        read_folder(tmp_path, 80, 32)


def test_several_folders_inside(captcha_folder):
    shutil.copytree(captcha_folder, captcha_folder.parent / "others")
    with pytest.raises(FileNotFoundError, match="Name one of the folders in it that do: captchas, others"):
        read_folder(captcha_folder.parent, 80, 32)
