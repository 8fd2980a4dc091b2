"""Other projects' readers beside ours, with a made-up reader in a made-up environment: no network is used."""

import os
import venv

import pytest

from ocrlib import read_records
from ocrlib.data.loading import load_captchas
from ocrlib.studies import __main__ as command
from ocrlib.studies import peers
from ocrlib.studies.peer_readers import READERS, SYMBOLS, read_files
from ocrlib.synthetic import generator

PIP = """
import pathlib, sys
wanted = sys.argv[-1]
with open(pathlib.Path(__file__).with_name("log"), "a") as log:
    log.write(wanted + "\\n")
if wanted not in {installable}:
    sys.exit("ERROR: No matching distribution found for " + wanted)
"""
READER = """
class CaptchaRecognizer:
    def __init__(self, threads):
        assert threads == 1
    def recognize_bytes(self, data):
        assert data.startswith(b"\\x89PNG")
        print("a word of the reader's own")
        return {{"text": {text!r}}}
"""


@pytest.fixture(autouse=True)
def small(monkeypatch, captcha_folder, tmp_path):
    monkeypatch.setenv("OCRLIB_DATA", str(captcha_folder))
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OCRLIB_BUDGET", "full")
    monkeypatch.setattr(command, "FOLDER", tmp_path)


@pytest.fixture
def environment(tmp_path):
    """Makes the readers' environment, with a pip that has only the ``installable``; returns pip's log of what was asked for."""

    def make(*installable, text=""):
        folder = tmp_path / "runs" / "full-peers"
        venv.create(folder)
        packages = folder / "Lib" / "site-packages" if os.name == "nt" else next(folder.glob("lib/*/site-packages"))
        (packages / "pip").mkdir()
        (packages / "pip" / "__main__.py").write_text(PIP.format(installable=installable))
        (packages / "captcha_whisperer.py").write_text(READER.format(text=text))
        (packages / "captcha_whisperer-0.1.0.dist-info").mkdir()
        (packages / "captcha_whisperer-0.1.0.dist-info" / "METADATA").write_text("Name: captcha-whisperer\nVersion: 0.1.0\n")
        return packages / "pip" / "log"

    return make


def test_the_symbols_are_those_of_the_data_set():
    assert SYMBOLS == generator.SYMBOLS
    assert {package for package, _ in READERS.values()} == set(peers.PACKAGES)


def test_files_are_read_one_by_one_in_their_order(tmp_path):
    files = [tmp_path / name for name in ("b", "a")]
    for file in files:
        file.write_text(f"text of {file.name}")
    found = read_files(bytes.decode, files)
    assert found["texts"] == ["text of b", "text of a"] and found["cpu_seconds"] >= 0 and found["wall_seconds"] > 0


def test_the_figures_of_a_reader_that_always_says_the_same(environment):
    captchas = load_captchas()
    text = captchas.texts[0]
    environment("captcha-whisperer==0.1.0", text=f"{text.upper()}\u00e9!")
    figures = peers.read_with("captcha-whisperer")
    assert figures["lower"]["exact"] == 0 and len(figures["mistakes"]) == 12
    assert figures["mistakes"][0] == [f"{text}\u00e9!", text]
    assert figures["symbols"]["exact"] == pytest.approx(1 / 12)
    assert (figures["lower"]["edits"], figures["symbols"]["edits"], figures["lower"]["characters"]) == (71, 50, 60)
    assert figures["packages"] == {"captcha-whisperer": "0.1.0"}


def test_our_own_reader_is_the_network_that_comes_with_the_package():
    figures = peers.read_with(peers.OURS)
    assert figures["lower"]["images"] == 12 and figures["lower"]["exact"] >= 11 / 12
    assert figures["lower"] == figures["symbols"] and "packages" not in figures


def test_the_newest_version_is_taken_where_the_pinned_one_is_not_there(environment, capsys):
    log = environment("ddddocr")
    assert peers.python_with("ddddocr").exists()
    assert log.read_text().split() == ["ddddocr==1.6.1", "ddddocr"]
    assert capsys.readouterr().out == "ddddocr==1.6.1 can't be installed here; the newest version is tried.\n"


def test_the_command_goes_on_without_the_packages_that_cannot_be_had(environment, tmp_path, capsys):
    environment("captcha-whisperer==0.1.0", text="22222")
    command.main(["peers", "--workers", "1"])
    records = read_records(tmp_path / "peers.jsonl")
    assert [record.arguments for record in records] == [{"reader": "ocrlib"}, {"reader": "captcha-whisperer"}]
    assert {record.function for record in records} == {"peers"}
    said = capsys.readouterr().out
    assert "ddddocr can't be installed here (ERROR: No matching distribution found for ddddocr). Its runs are left out" in said
    command.main(["peers", "--list"])
    assert "peers.jsonl: 2 of 6 runs recorded" in capsys.readouterr().out


def test_a_reader_that_fails_says_why(environment):
    environment("ddddocr==1.6.1")
    with pytest.raises(RuntimeError, match="(?s)ddddocr can't read:.*No module named 'ddddocr'"):
        peers.read_with("ddddocr")
