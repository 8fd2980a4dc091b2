"""Downloading, against a server on this machine: cuts, hostile and wrong archives, dead networks, full disks, two at once."""

import errno
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ocrlib.data import download
from ocrlib.data.download import DownloadError, allowed, cache_folder, fetch

PATIENCE = 5.0  # seconds; only tests of impatience wait, and they say for how long


def packed_tar(folder, inside="captcha_images_v2"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.add(folder, inside)
    return file.getvalue()


def packed_zip(files, folders=("samples",)):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for folder in folders:
            for path in files:
                archive.write(path, f"{folder}/{path.name}")
    return file.getvalue()


class Server:
    """Answers each path with a function of the request; counts the requests."""

    def __init__(self):
        self.answers, self.requests, self.over = {}, [], threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                outer.answers[self.path](self)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path, answer):
        self.answers[path] = answer
        return f"http://127.0.0.1:{self._http.server_port}{path}"

    def close(self):
        self.over.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def sends(content, cut_at=None, cuts=0, ranges=True):
    """Sends ``content``; the first ``cuts`` times it breaks off after ``cut_at`` bytes."""
    cuts_left = [cuts]

    def answer(request):
        start = 0
        if ranges and (asked := request.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        end = len(content)
        if cuts_left[0]:
            cuts_left[0] -= 1
            end = start + cut_at
        request.wfile.write(content[start:end])

    return answer


def refuses(code):
    return lambda request: request.send_error(code)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "captcha_images_v2"


@pytest.fixture
def archive(captcha_folder, pretend_published):
    return packed_tar(captcha_folder)


def assert_whole(target, folder):
    """``target`` holds the images, byte for byte, and nothing else lies beside it."""
    assert {f.name: f.read_bytes() for f in target.iterdir()} == {f.name: f.read_bytes() for f in folder.iterdir()}
    assert list(target.parent.iterdir()) == [target]


def assert_nothing(target):
    assert not target.exists()
    assert list(target.parent.iterdir()) == []


# --- what works ------------------------------------------------------------------------------------------------------------


def test_tar(server, target, archive, captcha_folder):
    assert fetch(target, [server.url("/a.tar.gz", sends(archive))], PATIENCE) == target
    assert_whole(target, captcha_folder)


def test_zip_of_the_pngs(server, target, pretend_published, captcha_folder):
    content = packed_zip(captcha_folder.glob("*.png"))
    fetch(target, [server.url("/a.zip", sends(content))], PATIENCE)
    assert sorted(target.iterdir()) == sorted(target / f.name for f in captcha_folder.glob("*.png"))


def test_doubled_folder_is_read_once(server, target, pretend_published, captcha_folder):
    content = packed_zip(list(captcha_folder.iterdir()), ("samples", "samples/samples"))
    fetch(target, [server.url("/kaggle", sends(content))], PATIENCE)
    assert_whole(target, captcha_folder)


@pytest.mark.parametrize("cuts", [1, 2])
def test_goes_on_after_a_cut(server, target, archive, captcha_folder, cuts):
    fetch(target, [server.url("/a", sends(archive, cut_at=5_000, cuts=cuts))], PATIENCE)
    assert_whole(target, captcha_folder)
    assert [asked for _, asked in server.requests] == [None, "bytes=5000-", "bytes=10000-"][: cuts + 1]


def test_starts_over_where_the_server_cannot_go_on(server, target, archive, captcha_folder):
    fetch(target, [server.url("/a", sends(archive, cut_at=5_000, cuts=1, ranges=False))], PATIENCE)
    assert_whole(target, captcha_folder)
    assert len(server.requests) == 2


def test_connection_closed_without_an_answer_is_tried_again(server, target, archive, captcha_folder):
    good, calls = sends(archive), []

    def answer(request):
        calls.append(request)
        if len(calls) > 1:
            good(request)
        else:
            request.close_connection = True

    fetch(target, [server.url("/a", answer)], PATIENCE)
    assert_whole(target, captcha_folder)


def test_second_address_where_the_first_fails(server, target, archive, captcha_folder):
    urls = [server.url("/gone", refuses(404)), server.url("/a", sends(archive))]
    fetch(target, urls, PATIENCE)
    assert_whole(target, captcha_folder)
    assert [path for path, _ in server.requests] == ["/gone", "/a"]


def test_damaged_copy_is_replaced(server, target, archive, captcha_folder):
    target.mkdir(parents=True)
    (target / "226md.png").write_bytes(b"")
    fetch(target, [server.url("/a", sends(archive))], PATIENCE)
    assert_whole(target, captcha_folder)


def test_leftovers_of_killed_downloads_are_removed_after_a_day(server, target, archive, captcha_folder):
    old, running = target.parent / ".download-old", target.parent / ".download-running"
    for folder in (old, running):
        folder.mkdir(parents=True)
    yesterday = time.time() - 100_000
    os.utime(old, (yesterday, yesterday))
    fetch(target, [server.url("/a", sends(archive))], PATIENCE)
    assert not old.exists() and running.exists()


OTHER = """
import json, sys
from pathlib import Path
import ocrlib.data.published
known = {label: tuple(pair) for label, pair in json.loads(sys.argv[1]).items()}
ocrlib.data.published.published = lambda: known
from ocrlib.data.download import fetch
print("ready", flush=True)
print(fetch(Path(sys.argv[2]), [sys.argv[3]], 60))
"""


def test_two_processes_at_once(server, target, archive, captcha_folder, pretend_published):
    """This process and another. The server answers when both have asked, so that they meet at the last step."""
    both, good = threading.Barrier(2), sends(archive)

    def answer(request):
        both.wait(timeout=60)
        good(request)

    url = server.url("/a", answer)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, json.dumps(pretend_published), str(target), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "ready\n"
        assert fetch(target, [url], patience=60) == target
        out, errors = other.communicate(timeout=60)
    finally:
        other.kill()
    assert (other.returncode, out) == (0, f"{target}\n"), errors
    assert len(server.requests) == 2
    assert_whole(target, captcha_folder)


def test_the_second_of_two_finds_the_copy_of_the_first(server, target, archive, captcha_folder):
    fetch(target, [server.url("/a", sends(archive))], PATIENCE)
    before = {f: f.stat().st_ino for f in target.iterdir()}
    fetch(target, [server.url("/a", sends(archive))], PATIENCE)
    assert {f: f.stat().st_ino for f in target.iterdir()} == before


# --- what does not, and says so --------------------------------------------------------------------------------------------


def hostile_tar(name="226md.png", type=tarfile.REGTYPE, size=1):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = type, size, "/etc/passwd"
        archive.addfile(info, io.BytesIO(bytes(size)))
    return file.getvalue()


def wrong_pixels(folder):
    from PIL import Image

    file = sorted(folder.glob("*.png"))[0]
    image = Image.open(file)
    image.putpixel((3, 3), (0, 0, 0, 255))
    image.save(file)
    return packed_tar(folder), f"wrong content: not the published set: {file.stem} has other pixels"


def wrong_label(folder):
    file = sorted(folder.glob("*.png"))[0]
    file.rename(folder / "zzzzz.png")
    return packed_tar(folder), f"zzzzz shows the picture published as {file.stem}"


def one_missing(folder):
    file = sorted(folder.glob("*.png"))[0]
    file.unlink()
    return packed_tar(folder), f"wrong content: a subset .*missing: {file.stem}"


def one_too_many(folder):
    file = sorted(folder.glob("*.png"))[0]
    (folder / "zzzzz.png").write_bytes(file.read_bytes()[:-12])
    return packed_tar(folder), "zzzzz"


def damaged_image(folder):
    file = sorted(folder.glob("*.png"))[0]
    file.write_bytes(file.read_bytes()[:2_000])
    return packed_tar(folder), f"does not hold the published images: .*{file.name} is damaged"


def no_images(folder):
    return packed_zip([]), "holds no images"


def login_page(folder):
    return b"<!DOCTYPE html><title>Please log in</title>", "no zip or tar.gz archive"


def archive_cut_when_it_was_stored(folder):
    return packed_tar(folder)[:5_000], "damaged or cut off"


WRONG = {
    "wrong pixels": wrong_pixels,
    "wrong label": wrong_label,
    "an image missing": one_missing,
    "an image too many": one_too_many,
    "a damaged image": damaged_image,
    "no images": no_images,
    "login page": login_page,
    "stored cut off": archive_cut_when_it_was_stored,
    "../ path": lambda folder: (hostile_tar("../../226md.png"), "leads out of the folder"),
    "link": lambda folder: (hostile_tar(type=tarfile.SYMTYPE, size=0), "link or a device"),
    "bomb": lambda folder: (hostile_tar(size=50_000_000), "too large"),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_wrong_archive_is_refused(server, target, captcha_folder, pretend_published, spoil):
    content, words = spoil(captcha_folder)
    with pytest.raises(DownloadError, match=f"(?s){words}") as error:
        fetch(target, [server.url("/a", sends(content))], PATIENCE)
    assert "OCRLIB_DATA" in str(error.value)  # the cure
    assert len(server.requests) == 1  # the same archive would come again
    assert_nothing(target)


def test_wrong_archive_leaves_the_old_copy(server, target, pretend_published):
    target.mkdir(parents=True)
    (target / "226md.png").write_bytes(b"old")
    with pytest.raises(DownloadError):
        fetch(target, [server.url("/a", sends(b"wrong"))], PATIENCE)
    assert (target / "226md.png").read_bytes() == b"old"


def test_cut_off_again_and_again(server, target, archive):
    with pytest.raises(DownloadError, match=r"cut off 3 times, last after 3,000 of [\d,]+ bytes"):
        fetch(target, [server.url("/a", sends(archive, cut_at=1_000, cuts=99))], PATIENCE)
    assert len(server.requests) == 3
    assert_nothing(target)


@pytest.mark.parametrize("announced", [True, False])
def test_endless_archive(server, target, monkeypatch, announced):
    monkeypatch.setattr(download, "MAX_ARCHIVE", 100_000)

    def answer(request):
        request.send_response(200)
        if announced:
            request.send_header("Content-Length", "10000000000")
        request.end_headers()
        try:
            while not server.over.is_set():
                request.wfile.write(bytes(10_000))
        except OSError:
            pass  # the client hung up: that is what is tested

    with pytest.raises(DownloadError, match="more than 100,000 bytes"):
        fetch(target, [server.url("/a", answer)], PATIENCE)
    assert_nothing(target)


@pytest.mark.parametrize("code", [403, 404, 429, 500])
def test_server_says_no(server, target, code):
    with pytest.raises(DownloadError, match=f"the server answers {code}"):
        fetch(target, [server.url("/a", refuses(code))], PATIENCE)
    assert_nothing(target)


def test_nobody_listens(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(DownloadError, match="could not be downloaded:(\n  http.*no answer.*refused.*){2}"):
            fetch(target, [url + "a", url + "b"], PATIENCE)
    assert_nothing(target)


def test_server_that_never_answers(server, target):
    """Both addresses together get the patience of one: a dead network is dead for both."""
    urls = [server.url(path, lambda request: server.over.wait(60)) for path in ("/a", "/b", "/c")]
    with pytest.raises(DownloadError, match="(no answer.*\n.*){2}no answer within 0.4 seconds"):
        fetch(target, urls, patience=0.4)
    assert "/c" not in [path for path, _ in server.requests]
    assert_nothing(target)


def test_server_that_stops_in_the_middle(server, target, archive):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(archive)))
        request.end_headers()
        request.wfile.write(archive[:1_000])
        request.wfile.flush()
        server.over.wait(60)

    with pytest.raises(DownloadError, match="no answer within 0.4 seconds|cut off 3 times"):
        fetch(target, [server.url("/a", answer)], patience=0.4)
    assert_nothing(target)


def test_name_look_up_that_hangs(target, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: over.wait(60) and [])
    try:
        with pytest.raises(DownloadError, match="no answer within 0.3 seconds"):
            fetch(target, ["http://example.invalid/a"], patience=0.3)
    finally:
        over.set()
    assert_nothing(target)


def test_each_byte_renews_the_patience(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    patience = download._Patience(5)
    for _ in range(4):  # 12 seconds in all
        now[0] += 3
        assert download._next_block(io.BytesIO(b"byte"), patience, 0, None) == b"byte"
    now[0] += 6
    with pytest.raises(DownloadError, match="no answer within 5 seconds"):
        download._next_block(io.BytesIO(b"byte"), patience, 0, None)


def test_gives_up_within_ten_seconds():
    assert download.PATIENCE < 10  # that fetch keeps to its patience is tested above


def fails_to_write(monkeypatch, number):
    original = Path.write_bytes

    def write_bytes(self, content):
        if ".download-" in str(self):
            raise OSError(number, os.strerror(number))
        return original(self, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full(server, target, archive, monkeypatch, number):
    fails_to_write(monkeypatch, number)
    urls = [server.url("/a", sends(archive)), server.url("/b", sends(archive))]
    with pytest.raises(DownloadError, match="cache: the disk is full. Free about 40 MB there, or"):
        fetch(target, urls, PATIENCE)
    assert len(server.requests) == 1  # the second archive would not fit either
    assert_nothing(target)


def test_disk_full_in_the_download(server, target, archive, monkeypatch):
    original = Path.touch

    def touch(self, *args, **kwargs):  # /dev/full takes no byte
        self.symlink_to("/dev/full") if self.name == "archive-0" else original(self, *args, **kwargs)

    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(DownloadError, match="the disk is full"):
        fetch(target, [server.url("/a", sends(archive))], PATIENCE)
    assert_nothing(target)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_cache_not_writable(server, target, archive, monkeypatch, number):
    def mkdir(self, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(DownloadError, match="the cache folder cannot be used .*. Make it writable, or"):
        fetch(target, [server.url("/a", sends(archive))], PATIENCE)
    assert server.requests == []


def test_cache_is_a_file(server, tmp_path, archive):
    (tmp_path / "cache").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="the cache folder cannot be used"):
        fetch(tmp_path / "cache" / "captcha_images_v2", [server.url("/a", sends(archive))], PATIENCE)
    assert (tmp_path / "cache").read_bytes() == b"mine"


# --- where, and whether ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "platform, variables, expected",
    [
        ("linux", {"XDG_CACHE_HOME": "/x/cache"}, "/x/cache/ocrlib"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/ocrlib"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/home/me/.cache/ocrlib"),
        ("darwin", {"XDG_CACHE_HOME": "/x/cache"}, "/home/me/Library/Caches/ocrlib"),
        ("win32", {"LOCALAPPDATA": "/x/local"}, "/x/local/ocrlib"),
        ("win32", {"LOCALAPPDATA": ""}, "/home/me/AppData/Local/ocrlib"),
    ],
)
def test_cache_folder(monkeypatch, platform, variables, expected):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


@pytest.mark.parametrize(
    "value, expected", [("0", False), ("off", False), (" No ", False), ("", True), ("1", True), ("yes", True)]
)
def test_the_network_can_be_forbidden(monkeypatch, value, expected):
    monkeypatch.setenv("OCRLIB_DOWNLOAD", value)
    assert allowed() is expected


def test_unclear_wish_about_the_network(monkeypatch):
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "perhaps")
    with pytest.raises(ValueError, match="OCRLIB_DOWNLOAD is 'perhaps'; 0 .* or 1 .* was expected"):
        allowed()
