"""Loading: where the images are looked for, in which order, and what is said about them."""

import re
import shutil
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import random_split

from ocrlib.captchas import split
from ocrlib.data import download, loading
from ocrlib.data.loading import load_captchas


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty working folder: the developer's own ``data`` must not be found."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def few_drawn(monkeypatch, generated):
    """The generator makes twelve images in place of 1,070."""
    monkeypatch.setattr(loading, "_drawn", lambda: generated)


# --- the published images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 128, 176, 200])
def test_published_images_have_the_reported_pixels(real_folder, width):
    found = load_captchas(real_folder, width=width)
    files = sorted(real_folder.glob("*.*"), key=lambda file: file.name)
    assert found.names == [file.name for file in files]
    assert found.texts == [file.stem for file in files]
    expected = np.stack([np.array(Image.open(file).resize((width, 32)).convert("L")) for file in files])
    np.testing.assert_array_equal(found.images.numpy(), expected[:, None])
    assert found.contents == "the published set: 1,070 of 1,070 images"


def test_published_images_are_found_by_the_environment_without_a_warning(real_folder, monkeypatch):
    monkeypatch.setenv("OCRLIB_DATA", str(real_folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_captchas()
    assert (found.source, tuple(found.images.shape)) == ("real", (1_070, 1, 32, 200))


def test_the_reported_split(real_folder):
    """Drawn here as the reported experiments did: over a data set that lists the sorted files."""
    found = load_captchas(real_folder, width=80)
    files = sorted(file.stem for file in real_folder.iterdir())
    expected = random_split(files, [820, 250], generator=torch.Generator().manual_seed(42))
    train, test = split(found, (820, 250))
    assert (train.texts, test.texts) == (list(expected[0]), list(expected[1]))


# --- where images come from ------------------------------------------------------------------------------------------------


def put(folder, place):
    """Copies two images of ``folder`` to ``place``; returns their texts."""
    place.mkdir(parents=True)
    files = sorted(folder.glob("*.png"))[:2]
    for file in files:
        shutil.copy(file, place)
    return [file.stem for file in files]


def test_places_in_their_order(captcha_folder, tmp_path, monkeypatch, few_drawn, pretend_published):
    """Each place holds other images; they are taken away from the first to the last."""
    files = sorted(captcha_folder.iterdir())
    places = [tmp_path / "root", tmp_path / "named", Path.cwd() / "data"]
    for place, file in zip(places, files):
        place.mkdir()
        shutil.copy(file, place)
    monkeypatch.setenv("OCRLIB_DATA", str(places[1]))
    assert load_captchas(places[0]).names == [files[0].name]
    assert load_captchas().names == [files[1].name]
    monkeypatch.delenv("OCRLIB_DATA")
    assert load_captchas().names == [files[2].name]
    shutil.rmtree(places[2])
    copy = download.cache_folder() / "captcha_images_v2"
    shutil.copytree(captcha_folder, copy)
    assert len(load_captchas()) == 12 and load_captchas().source == "real"
    shutil.rmtree(copy)
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "1")
    monkeypatch.setattr(download, "_fetch_any", lambda urls, timeout, work: shutil.copytree(captcha_folder, work / "images"))
    assert load_captchas().source == "real"
    shutil.rmtree(copy)
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "0")
    with pytest.warns(UserWarning, match="NO REAL CAPTCHAS"):
        assert load_captchas().source == "synthetic"


def test_data_folder_is_found_from_the_notebooks_folder(captcha_folder, tmp_path, monkeypatch):
    texts = put(captcha_folder, tmp_path / "tree" / "data")
    (tmp_path / "tree" / "pyproject.toml").touch()
    (tmp_path / "tree" / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "tree" / "notebooks")
    assert load_captchas(source="real").texts == texts


def test_data_folder_above_is_not_ours_outside_a_working_tree(captcha_folder, few_drawn, monkeypatch):
    put(captcha_folder, Path.cwd() / "data")
    (Path.cwd() / "below").mkdir()
    monkeypatch.chdir("below")
    with pytest.warns(UserWarning, match="NO REAL CAPTCHAS"):
        assert load_captchas().source == "synthetic"


def test_data_folder_without_images_is_passed_over_and_named(few_drawn):
    (Path.cwd() / "data" / "raw").mkdir(parents=True)
    with pytest.warns(UserWarning, match=r"(?s)NO REAL CAPTCHAS.*data holds no images.*It holds raw/") as caught:
        assert load_captchas().source == "synthetic"
    assert caught[0].filename == __file__  # the warning points at the reader's line


def test_data_folder_with_unusable_images_is_an_error(captcha_folder):
    put(captcha_folder, Path.cwd() / "data")
    (Path.cwd() / "data" / "cat 1.png").write_bytes(b"")
    with pytest.raises(ValueError, match="cat 1.png"):
        load_captchas()


@pytest.mark.parametrize("source", ["auto", "real"])
@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_a_named_place_is_never_passed_over(tmp_path, monkeypatch, source, missing):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=missing):
        load_captchas(tmp_path / missing, source=source)
    monkeypatch.setenv("OCRLIB_DATA", str(tmp_path / missing))
    with pytest.raises(FileNotFoundError, match=f"(?s){missing}.*OCRLIB_DATA names this place: correct it, or remove it"):
        load_captchas(source=source)


def test_empty_variable_counts_as_unset(monkeypatch, few_drawn):
    monkeypatch.setenv("OCRLIB_DATA", "")
    with pytest.warns(UserWarning, match="NO REAL CAPTCHAS"):
        load_captchas()


def test_home_folder_may_be_written_short(captcha_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(captcha_folder.parent))
    monkeypatch.setenv("USERPROFILE", str(captcha_folder.parent))
    assert len(load_captchas("~/captchas")) == 12


def test_source_real_insists(few_drawn):
    with pytest.raises(FileNotFoundError, match="(?s)No real captchas.*no folder .*data.*OCRLIB_DOWNLOAD forbids"):
        load_captchas(source="real")


def test_source_synthetic_insists(captcha_folder, monkeypatch, few_drawn):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_captchas(source="synthetic").source == "synthetic"
    with pytest.raises(ValueError, match="source='synthetic', which reads no files"):
        load_captchas(captcha_folder, source="synthetic")


def test_unknown_source():
    with pytest.raises(ValueError, match="source is 'fake'; 'auto', 'real' or 'synthetic' was expected"):
        load_captchas(source="fake")


@pytest.mark.parametrize("size", [0, -5, 1.5, "200", True, 100_000])
@pytest.mark.parametrize("side", ["width", "height"])
def test_impossible_size(captcha_folder, side, size):
    with pytest.raises(ValueError, match=f"{side}={size!r}; a whole number"):
        load_captchas(captcha_folder, **{side: size})


def test_damaged_cache_is_announced_and_fetched_again(captcha_folder, monkeypatch, pretend_published):
    copy = download.cache_folder() / "captcha_images_v2"
    put(captcha_folder, copy)
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "1")
    monkeypatch.setattr(download, "_fetch_any", lambda urls, timeout, work: shutil.copytree(captcha_folder, work / "images"))
    with pytest.warns(UserWarning, match="copy in the cache .* is damaged and is not used: a subset"):
        assert len(load_captchas()) == 12


@pytest.mark.parametrize("why", ["the disk is full", "no answer"])
def test_failed_download_goes_on_or_raises(monkeypatch, few_drawn, why):
    def fetch(width, height):
        raise download.DownloadError(f"cache: {why}")

    monkeypatch.setenv("OCRLIB_DOWNLOAD", "1")
    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.warns(UserWarning, match=f"(?s)NO REAL CAPTCHAS.*{why}"):
        assert load_captchas().source == "synthetic"
    with pytest.raises(FileNotFoundError, match=why):
        load_captchas(source="real")


def test_no_home_folder(monkeypatch, few_drawn):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.warns(UserWarning, match="home directory"):
        assert load_captchas().source == "synthetic"


def test_archive_in_place_of_a_folder(captcha_folder, tmp_path):
    shutil.copytree(captcha_folder, tmp_path / "samples" / "samples")
    for file in captcha_folder.iterdir():
        shutil.copy(file, tmp_path / "samples")
    kaggle = shutil.make_archive(tmp_path / "kaggle", "zip", tmp_path, "samples")
    with pytest.warns(UserWarning, match="kaggle.zip holds 12 images twice"):
        found = load_captchas(kaggle)
    assert found.fingerprint() == load_captchas(captcha_folder).fingerprint()
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as packed:
        packed.add(captcha_folder, "set")
    assert load_captchas(tmp_path / "set.tar.gz").fingerprint() == found.fingerprint()


def test_archive_that_is_none(tmp_path):
    (tmp_path / "kaggle.zip").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="kaggle.zip was not unpacked: it is no zip"):
        load_captchas(tmp_path / "kaggle.zip")


def test_an_error_names_the_archive_and_no_temporary_folder(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "readme.txt").write_text("nothing")
    empty = shutil.make_archive(tmp_path / "empty", "zip", tmp_path / "set")
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(empty)} holds no images"):
        load_captchas(empty)
    (tmp_path / "set" / "a b.png").write_bytes(b"no picture")
    faulty = shutil.make_archive(tmp_path / "faulty", "zip", tmp_path / "set")
    with pytest.raises(ValueError, match=f"^1 of 1 files in {re.escape(faulty)} cannot be used"):
        load_captchas(faulty)


def test_other_pictures_in_a_folder_data_are_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OCRLIB_DATA", raising=False)
    (tmp_path / "data").mkdir()
    Image.new("L", (9, 9)).save(tmp_path / "data" / "holiday photo.jpg")
    with pytest.raises(ValueError, match=r"holiday photo(.|\n)*tried for its name. Another: root=..., or OCRLIB_DATA"):
        load_captchas()


# --- what is said about them -----------------------------------------------------------------------------------------------


def test_remarks_become_warnings_at_the_callers_line(captcha_folder, monkeypatch):
    (captcha_folder / "Thumbs.db").touch()
    with pytest.warns(UserWarning, match="Left out of .*Thumbs.db") as caught:
        load_captchas(captcha_folder)
    assert caught[0].filename == __file__
    put(captcha_folder, Path.cwd() / "data")
    (Path.cwd() / "data" / "Thumbs.db").touch()
    with pytest.warns(UserWarning, match="Left out of .*Thumbs.db") as caught:
        load_captchas()
    assert caught[0].filename == __file__


def test_set_of_ones_own(captcha_folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_captchas(captcha_folder)
    assert found.contents.startswith("not the published set: ")
    assert repr(found) == f"Captchas(12 real images of 200 x 32 pixels; {found.contents})"


def test_published_labels_with_other_pixels_are_doubted(captcha_folder):
    file = sorted(captcha_folder.glob("*.png"))[0]
    file.rename(captcha_folder / "226md.png")
    with pytest.warns(UserWarning, match="These images are not the published set: .*226md has other pixels"):
        load_captchas(captcha_folder)


def test_texts_of_another_length_and_symbols(captcha_folder):
    for file in captcha_folder.iterdir():
        file.rename(file.with_stem(file.stem + "a"))
    with pytest.warns(UserWarning) as caught:
        found = load_captchas(captcha_folder)
    assert {len(text) for text in found.texts} == {6}
    assert [str(warning.message)[:24] for warning in caught] == ["The texts have 6 symbols", "The texts hold symbols t"]


def test_generated_images(generated, few_drawn):
    found = load_captchas(source="synthetic", width=100)
    assert found.texts == [text for _, text in generated]
    assert found.names[3] == f"synthetic-000003-{generated[3][1]}"
    assert found.names == sorted(found.names)
    expected = np.array(generated[3][0].resize((100, 32)).convert("L"))
    np.testing.assert_array_equal(found.images[3, 0].numpy(), expected)
    assert "generator" in repr(found) and "not the published set" in repr(found)


def test_as_many_generated_images_as_published_ones():
    found = load_captchas(source="synthetic", width=80)
    assert tuple(found.images.shape) == (1_070, 1, 32, 80)
    assert found.fingerprint() == load_captchas(source="synthetic", width=80).fingerprint()
    assert found.contents == "made by the embedded generator, seed 0; not the published set"
