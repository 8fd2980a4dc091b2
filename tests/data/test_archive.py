"""Unpacking: images come out by their bare names; nothing else is written; damaged archives are refused."""

import io
import stat
import tarfile
import zipfile

import pytest

from ocrlib.data import folders
from ocrlib.data.folders import BadArchive, unpack


def tar(*members):
    """A tar.gz of (name or TarInfo, bytes)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for info, content in members:
            info = info if isinstance(info, tarfile.TarInfo) else tarfile.TarInfo(info)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        for info, content in members:
            packed.writestr(info, content)
    return file.getvalue()


def tar_member(name, type):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, "/etc/passwd"
    return info, b""


def zip_link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, "/etc/passwd"


def written(tmp_path, content):
    """Unpacks the archive; returns the names of all files that are now somewhere in the folder of the test."""
    (tmp_path / "archive.bin").write_bytes(content)
    unpack(tmp_path / "archive.bin", tmp_path / "work" / "out")
    return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir())[1:]


@pytest.mark.parametrize("pack", [tar, zipped])
def test_images_come_out_by_their_bare_names(tmp_path, pack):
    members = [("set/226md.png", b"one"), ("set/22d5n.JPG", b"two"), ("set/deep/2356g.jpeg", b"three")]
    strangers = [("set/README.txt", b"no"), ("__MACOSX/set/._226md.png", b"no"), (".hidden.png", b"no"), ("run.exe", b"no")]
    outside = [("../../x1.png", b"4"), ("/etc/x2.png", b"5"), ("..\\x3.png", b"6"), ("C:\\x4.png", b"7"), ("../.bashrc", b"no")]
    names = ["226md.png", "22d5n.JPG", "2356g.jpeg", "x1.png", "x2.png", "x3.png", "x4.png"]
    assert written(tmp_path, pack(*members, *strangers, *outside)) == sorted(f"work/out/{name}" for name in names)
    assert (tmp_path / "work" / "out" / "22d5n.JPG").read_bytes() == b"two"


@pytest.mark.parametrize("type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_not_written(tmp_path, type):
    assert written(tmp_path, tar(tar_member("226md.png", type), ("22d5n.png", b"two"))) == ["work/out/22d5n.png"]


def test_a_link_in_a_zip_file_becomes_a_plain_file(tmp_path):
    assert written(tmp_path, zipped(zip_link("226md.png"), ("folder.png/", b""))) == ["work/out/226md.png"]
    assert not (tmp_path / "work" / "out" / "226md.png").is_symlink()


@pytest.mark.parametrize("pack", [tar, zipped])
def test_doubled_folder_is_read_once_with_a_remark(tmp_path, pack):
    members = [("samples/226md.png", b"one"), ("samples/samples/226md.png", b"one"), ("samples/22d5n.png", b"two")]
    (tmp_path / "kaggle.zip").write_bytes(pack(*members))
    remarks = unpack(tmp_path / "kaggle.zip", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert len(remarks) == 1 and "kaggle.zip holds 1 images twice" in remarks[0]


GOOD = [("226md.png", b"one" * 1_000), ("22d5n.png", bytes(range(256)) * 20)]
PASSWORD = bytearray(zipped(*GOOD))
for start in (6, PASSWORD.index(b"PK\x01\x02") + 8):  # the flag "encrypted" in the member's header and in the directory
    PASSWORD[start] |= 1
REFUSED = {
    "password": (bytes(PASSWORD), "password"),
    "two images of one name": (zipped(("a/226md.png", b"one"), ("b/226md.png", b"two")), "two different images named 226md.png"),
    "web page": (b"<!DOCTYPE html><title>Please log in</title>", "no zip or tar.gz archive"),
    "empty file": (b"", "no zip or tar.gz archive"),
    "tar cut off": (tar(*GOOD)[:-40], "damaged or cut off"),
    "tar cut at its start": (tar(*GOOD)[:30], "damaged or cut off"),
    "zip cut off": (zipped(*GOOD)[:-40], "damaged or cut off"),
    "zip with a flipped byte": (zipped(*GOOD, method=zipfile.ZIP_STORED).replace(b"oneone", b"oneome", 1), "damaged or cut off"),
}


@pytest.mark.parametrize("content, words", REFUSED.values(), ids=REFUSED.keys())
def test_refused(tmp_path, content, words):
    with pytest.raises(BadArchive, match=f"archive.bin .*{words}"):
        written(tmp_path, content)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_images_that_are_too_large_together(tmp_path, pack, monkeypatch):
    monkeypatch.setattr(folders, "MAX_BYTES", 3_000)
    with pytest.raises(BadArchive, match="unpacks to more than 3,000 bytes"):
        written(tmp_path, pack(*[(f"{i}.png", bytes(1_000)) for i in range(4)]))


def test_a_tar_file_with_an_enormous_header(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_BYTES", 100_000)
    info = tarfile.TarInfo("226md.png")
    info.pax_headers = {"comment": "x" * 1_000_000}
    with pytest.raises(BadArchive, match="unpacks to more than 100,000 bytes"):
        written(tmp_path, tar((info, b"")))
