"""Downloading, against a server on this machine: good, wrong and cut-off archives, no network, full disks, two at once."""

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
from PIL import Image

from ocrlib.data import download
from ocrlib.data.download import DownloadError, allowed, cache_folder


def packed_tar(folder):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.add(folder, "captcha_images_v2")
    return file.getvalue()


def packed_zip(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in files:
            archive.write(path, f"samples/{path.name}")
    return file.getvalue()


class Server:
    """Answers each path with a function of the request; keeps the paths that were asked for."""

    def __init__(self):
        self.answers, self.requests, self.over = {}, [], threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
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


def sends(content, cuts=0, then=lambda: None):
    """Sends ``content``; the first ``cuts`` times only 5,000 bytes of it. ``then`` is called before the connection ends."""
    left = [cuts]

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        left[0] -= 1
        request.wfile.write(content[:5_000] if left[0] >= 0 else content)
        request.wfile.flush()
        then()

    return answer


def refuses(code):
    return lambda request: request.send_error(code)


@pytest.fixture(autouse=True)
def target(monkeypatch):
    """Where the images will be; downloading is allowed."""
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "1")
    return cache_folder() / "captcha_images_v2"


@pytest.fixture
def archive(captcha_folder, pretend_published):
    return packed_tar(captcha_folder)


def fetch(*urls, timeout=5.0):
    return download.fetch(80, 32, urls, timeout)


def assert_whole(target, folder):
    """``target`` holds the images, byte for byte, and only the lock lies beside it."""
    assert {f.name: f.read_bytes() for f in target.iterdir()} == {f.name: f.read_bytes() for f in folder.iterdir()}
    assert {path.name for path in target.parent.iterdir()} <= {target.name, "captcha_images_v2.lock"}


def assert_nothing(target):
    assert {path.suffix for path in target.parent.glob("*")} <= {".lock"}


# --- what works ------------------------------------------------------------------------------------------------------------


def test_tar(server, target, archive, captcha_folder):
    found = fetch(server.url("/a.tar.gz", sends(archive)))
    assert (tuple(found.images.shape), found.remarks) == ((12, 1, 32, 80), [])
    assert_whole(target, captcha_folder)
    assert fetch().names == found.names  # from now on no address is needed


def test_zip_of_the_pngs_at_the_second_address(server, target, pretend_published, captcha_folder):
    content = packed_zip(captcha_folder.glob("*.png"))
    found = fetch(server.url("/gone", refuses(404)), server.url("/a.zip", sends(content)))
    assert found.names == sorted(f.name for f in captcha_folder.glob("*.png"))
    assert server.requests == ["/gone", "/a.zip"]


def test_starts_over_after_a_cut(server, target, archive, captcha_folder):
    fetch(server.url("/a", sends(archive, cuts=2)))
    assert_whole(target, captcha_folder)
    assert len(server.requests) == 3


def test_damaged_copy_is_replaced_with_a_remark(server, target, archive, captcha_folder):
    target.mkdir(parents=True)
    (target / "226md.png").write_bytes(b"")
    assert "is damaged and is not used" in fetch(server.url("/a", sends(archive))).remarks[0]
    assert_whole(target, captcha_folder)


def test_damaged_copy_that_cannot_be_replaced_is_named(server, target, archive, monkeypatch):
    target.mkdir(parents=True)
    with pytest.raises(DownloadError, match="(?s)captcha_images_v2. is damaged and is not used: .*the server answers 404"):
        fetch(server.url("/gone", refuses(404)))
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "0")
    with pytest.raises(DownloadError, match="(?s)is damaged and is not used: .*OCRLIB_DOWNLOAD forbids"):
        fetch()


OTHER = """
import json, sys
import ocrlib.data.published
known = {label: tuple(pair) for label, pair in json.loads(sys.argv[1]).items()}
ocrlib.data.published.published = lambda: known
from ocrlib.data.download import fetch
print(len(fetch(80, 32, [sys.argv[2]], 60).names))
"""


def other_process(known, url):
    command = [sys.executable, "-c", OTHER, json.dumps(known), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once(server, target, archive, captcha_folder, pretend_published):
    """This process begins while the other one is in the middle of its download."""
    begun, go_on = threading.Event(), threading.Event()

    def answer(request):
        begun.set()
        go_on.wait(60)
        sends(archive)(request)

    other = other_process(pretend_published, server.url("/a", answer))
    try:
        assert begun.wait(60)
        threading.Timer(0.5, go_on.set).start()
        assert len(fetch(server.url("/b", sends(archive))).names) == 12
        out, errors = other.communicate(timeout=60)
    finally:
        other.kill()
    assert (other.returncode, out) == (0, "12\n"), errors
    assert server.requests == ["/a"]  # the second one found the images of the first
    assert_whole(target, captcha_folder)


def test_killed_in_the_middle(server, target, archive, captcha_folder, pretend_published):
    """The copy in the cache stays, and the next download removes what is left."""
    target.mkdir(parents=True)
    (target / "226md.png").write_bytes(b"old")
    begun = threading.Event()
    other = other_process(pretend_published, server.url("/a", sends(archive, 1, lambda: begun.set() or server.over.wait(60))))
    assert begun.wait(60)
    other.kill()
    other.communicate(timeout=60)
    assert [f.read_bytes() for f in target.iterdir()] == [b"old"]
    assert list(target.parent.glob(".download-*"))
    fetch(server.url("/b", sends(archive)))
    assert_whole(target, captcha_folder)


# --- what does not, and says so --------------------------------------------------------------------------------------------


def wrong_pixels(folder):
    file = sorted(folder.glob("*.png"))[0]
    image = Image.open(file)
    image.putpixel((3, 3), (0, 0, 0, 255))
    image.save(file)
    return packed_tar(folder), f"not the published set: {file.stem} has other pixels"


def damaged_image(folder):
    file = sorted(folder.glob("*.png"))[0]
    file.write_bytes(file.read_bytes()[:2_000])
    return packed_tar(folder), f"not the published images: .*{file.name} is damaged"


WRONG = {
    "wrong pixels": wrong_pixels,
    "a damaged image": damaged_image,
    "no images": lambda folder: (packed_zip([]), "holds no images"),
    "login page": lambda folder: (b"<!DOCTYPE html><title>Please log in</title>", "no zip or tar.gz archive"),
    "stored cut off": lambda folder: (packed_tar(folder)[:5_000], "damaged or cut off"),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_wrong_archive_is_refused_and_the_old_copy_stays(server, target, captcha_folder, pretend_published, spoil):
    target.mkdir(parents=True)
    (target / "226md.png").write_bytes(b"old")
    content, words = spoil(captcha_folder)
    with pytest.raises(DownloadError, match=f"(?s){words}.*OCRLIB_DATA"):  # and the cure
        fetch(server.url("/a", sends(content)))
    assert len(server.requests) == 1  # the same archive would come again
    assert [f.read_bytes() for f in target.iterdir()] == [b"old"]
    assert not list(target.parent.glob(".download-*"))


def test_cut_off_again_and_again(server, target, archive):
    with pytest.raises(DownloadError, match="no answer, or cut off .*5000 bytes read"):
        fetch(server.url("/a", sends(archive, cuts=99)))
    assert len(server.requests) == 3
    assert_nothing(target)


@pytest.mark.parametrize("code", [404, 429, 500])
def test_server_says_no(server, target, code):
    with pytest.raises(DownloadError, match=f"the server answers {code}"):
        fetch(server.url("/a", refuses(code)))
    assert_nothing(target)


def test_nobody_listens(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(DownloadError, match="could not be downloaded:\n  http.*no answer.*refused.*\nCheck"):
            fetch(url + "a", url + "b")
    assert_nothing(target)


def test_names_cannot_be_looked_up(target, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DownloadError, match="no answer.*Name or service not known"):
        download.fetch(80, 32)
    assert_nothing(target)


def test_server_that_never_answers_or_stops_in_the_middle(server, target, archive):
    silent = server.url("/a", lambda request: server.over.wait(60))
    stops = server.url("/b", sends(archive, 9, lambda: server.over.wait(60)))
    start = time.monotonic()
    with pytest.raises(DownloadError, match="(no answer.*timed out.*\n.*){2}"):
        fetch(silent, stops, timeout=0.3)
    assert time.monotonic() - start < 5
    assert_nothing(target)
    assert len(download.URLS) * download.TIMEOUT < 10


@pytest.mark.parametrize("number, words", [
    (errno.ENOSPC, "cache.*: the disk is full. Free about 40 MB there, or"),
    (errno.EACCES, "the cache folder cannot be used .*. Make it writable, or"),
])  # fmt: skip
@pytest.mark.parametrize("what", ["mkdir", "write_bytes"])
def test_cache_cannot_be_written(server, target, archive, monkeypatch, number, words, what):
    def fail(self, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    urls = [server.url("/a", sends(archive)), server.url("/b", sends(archive))]
    monkeypatch.setattr(Path, what, fail)
    with pytest.raises(DownloadError, match=words):
        fetch(*urls)
    assert len(server.requests) <= 1  # the second archive would not fit either
    assert_nothing(target)


def test_cache_is_a_file(server, target, archive):
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    target.parent.write_bytes(b"mine")
    with pytest.raises(DownloadError, match="the cache folder cannot be used"):
        fetch(server.url("/a", sends(archive)))
    assert target.parent.read_bytes() == b"mine"


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


def test_the_network_can_be_forbidden(monkeypatch):
    for value, expected in {"0": False, "off": False, " No ": False, "": True, "1": True, "yes": True}.items():
        monkeypatch.setenv("OCRLIB_DOWNLOAD", value)
        assert allowed() is expected
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "perhaps")
    with pytest.raises(ValueError, match="OCRLIB_DOWNLOAD is 'perhaps'; 0 .* or 1 .* was expected"):
        allowed()
