"""``python -m ocrlib image.png``: what it prints, where, and with which exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ocrlib import Alphabet, ModifiedCRNN, save_model
from ocrlib.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
USAGE = "usage: python -m ocrlib [-h] [--model FILE] [image ...]"


@pytest.fixture
def images(tmp_path, generated, monkeypatch) -> Path:
    """The folder to work in: three generated images, each named by its text, a blank one, and a file that is no image."""
    for image, text in generated[:3]:
        image.save(tmp_path / f"{text}.png")
    Image.new("L", (200, 50), 255).save(tmp_path / "blank.png")
    (tmp_path / "notes.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_m_ocrlib_prints_the_text_of_one_image(images) -> None:
    command, environment = [sys.executable, "-m", "ocrlib", "4m2cn.png"], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr, done.returncode) == ("4m2cn (100.0%)\n", "", 0)


def test_several_images_come_with_their_names(images, capsys) -> None:
    assert main(["4m2cn.png", str(images / "gfpwn.png")]) == 0
    assert capsys.readouterr() == (f"4m2cn.png: 4m2cn (100.0%)\n{images / 'gfpwn.png'}: gfpwn (100.0%)\n", "")


def test_an_image_without_text_is_said_to_have_none(images, capsys) -> None:
    assert main(["blank.png"]) == 0
    assert capsys.readouterr() == ("no text (100.0%)\n", "note: Hardly anything in it can be seen: blank.png.\n")


def test_files_that_cannot_be_read_are_named_and_the_others_read(images, capsys) -> None:
    assert main(["none.png", "4m2cn.png", "notes.png", "."]) == 1
    out, err = capsys.readouterr()
    assert out == "4m2cn.png: 4m2cn (100.0%)\n"
    assert err.splitlines() == [
        "There is no file none.png. Check the spelling and the folder.",
        "notes.png is no image that can be read here (it begins with b'no i'); a PNG, JPEG, TIFF, WebP, GIF or BMP image was "
        "expected. Copy or download it again, or move it out of the folder.",
        ". is a folder; one image file was expected. Name a file inside it.",
    ]


@pytest.mark.parametrize("arguments", [[], ["-"], ["4m2cn.png", "-"]])
def test_without_a_file_it_prints_its_help(arguments, images, capsys) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == (USAGE, "")


def test_help_names_what_is_read_and_the_exit_status(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert help_text.startswith(USAGE)
    assert "a PNG, JPEG, TIFF, WebP, GIF or BMP file of one text" in help_text
    assert help_text.endswith("0 if every image was read, 1 if one could not be read, 2 if the command was wrong.")


def test_it_reads_with_a_network_of_ones_own(images, capsys) -> None:
    network = ModifiedCRNN(classes=3)
    network.head.weight.data.zero_()
    network.head.bias.data = network.head.bias.data.new_tensor([0, 99, 0])  # "A" at every step, so "A" once
    save_model("mine.pt", network, Alphabet("AB"), width=200)
    assert main(["--model", "mine.pt", "4m2cn.png"]) == 0
    assert capsys.readouterr() == ("A (100.0%)\n", "")


@pytest.mark.parametrize(
    "file, words", [("none.pt", "There is no file none.pt"), ("notes.png", "notes.png can't be read as a checkpoint")]
)
def test_a_wrong_model_ends_the_command(file, words, images, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--model", file, "4m2cn.png"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.splitlines()[0]) == (2, "", USAGE)
    assert words in err
