"""Unpacking: images come out by their bare names; hostile and damaged archives are refused, and write nothing outside."""

import io
import stat
import tarfile
import zipfile

import pytest

from ocrlib.data import archive
from ocrlib.data.archive import BadArchive, unpack


def tar(*members):
    """A tar.gz of (name or TarInfo, bytes)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for info, content in members:
            info = info if isinstance(info, tarfile.TarInfo) else tarfile.TarInfo(info)
            info.size = info.size or len(content)
            packed.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        for info, content in members:
            packed.writestr(info, content)
    return file.getvalue()


def tar_member(name, type, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, target
    return info, b""


def zip_link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


@pytest.mark.parametrize("pack", [tar, zipped])
def test_images_come_out_by_their_bare_names(tmp_path, pack):
    members = [("set/226md.png", b"one"), ("set/22d5n.JPG", b"two"), ("set/deep/2356g.jpeg", b"three")]
    strangers = [("set/README.txt", b"no"), ("__MACOSX/set/._226md.png", b"no"), (".hidden.png", b"no"), ("run.exe", b"no")]
    (tmp_path / "a").write_bytes(pack(*members, *strangers))
    assert unpack(tmp_path / "a", tmp_path / "out") == []
    contents = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert contents == {"226md.png": b"one", "22d5n.JPG": b"two", "2356g.jpeg": b"three"}


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
    "tar: ../ path": (tar(("../../226md.png", b"x")), "leads out of the folder"),
    "tar: absolute path": (tar(("/etc/226md.png", b"x")), "leads out of the folder"),
    "tar: ../ path of no image": (tar(("../.bashrc", b"x")), "leads out of the folder"),
    "tar: symbolic link": (tar(tar_member("226md.png", tarfile.SYMTYPE, "/etc/passwd")), "link or a device"),
    "tar: hard link": (tar(tar_member("226md.png", tarfile.LNKTYPE, "/etc/passwd")), "link or a device"),
    "tar: device": (tar(tar_member("226md.png", tarfile.CHRTYPE)), "link or a device"),
    "tar: pipe": (tar(tar_member("226md.png", tarfile.FIFOTYPE)), "link or a device"),
    "tar: one large image": (tar(("226md.png", bytes(archive.MAX_FILE + 1))), "too large"),
    "tar: large file of another kind": (tar(("fill.bin", bytes(archive.MAX_FILE + 1))), "too large"),
    "zip: ../ path": (zipped(("../226md.png", b"x")), "leads out of the folder"),
    "zip: ..\\ path": (zipped(("..\\226md.png", b"x")), "leads out of the folder"),
    "zip: absolute path": (zipped(("/226md.png", b"x")), "leads out of the folder"),
    "zip: drive letter": (zipped(("C:\\226md.png", b"x")), "leads out of the folder"),
    "zip: control symbol": (zipped(("226\x1bmd.png", b"x")), "leads out of the folder"),
    "zip: symbolic link": (zipped(zip_link("226md.png", "/etc/passwd")), "link or a device"),
    "zip: one large image": (zipped(("226md.png", bytes(archive.MAX_FILE + 1))), "too large"),
    "zip: password": (bytes(PASSWORD), "password"),
    "zip: unusual packing": (zipped(*GOOD, method=zipfile.ZIP_LZMA), "unusual way"),
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
    (tmp_path / "archive.bin").write_bytes(content)
    with pytest.raises(BadArchive, match=words) as error:
        unpack(tmp_path / "archive.bin", tmp_path / "work" / "out")
    assert "archive.bin" in str(error.value)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != tmp_path / "work" / "out"]
    assert outside == [tmp_path / "archive.bin"]
    assert (tmp_path / "archive.bin").read_bytes() == content


@pytest.mark.parametrize("pack", [tar, zipped])
def test_too_many_members(tmp_path, pack, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    (tmp_path / "a").write_bytes(pack(*[(f"{i}.txt", b"") for i in range(4)]))
    with pytest.raises(BadArchive, match="more than 3 members"):
        unpack(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("pack", [tar, zipped])
def test_many_images_that_are_large_together(tmp_path, pack, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 3_000)
    (tmp_path / "a").write_bytes(pack(*[(f"{i}.png", bytes(1_000)) for i in range(4)]))
    with pytest.raises(BadArchive, match="too large: 1,000 bytes after 3,000"):
        unpack(tmp_path / "a", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_bomb_in_a_tar_header(tmp_path, monkeypatch):
    """An extended header is unpacked before any member can be looked at."""
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    info = tarfile.TarInfo("226md.png")
    info.pax_headers = {"comment": "x" * 1_000_000}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(info)
    (tmp_path / "a").write_bytes(file.getvalue())
    with pytest.raises(BadArchive, match="unpacks to more than 100,000 bytes"):
        unpack(tmp_path / "a", tmp_path / "out")
