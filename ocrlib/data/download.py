"""Fetches the published images into the user's cache, checked and in one step.

The archives' own hashes are not published, so their contents are checked instead: every image's pixels against
``manifest.csv``. torchvision's ``download_url`` is not used: it has no time limit, cannot go on after a cut, falls back from
https to http, and writes to the final name while it downloads.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ocrlib.data.archive import BadArchive, unpack
from ocrlib.data.folders import read_folder
from ocrlib.data.published import compare

_PLACE = "https://github.com/AakashKumarNain/CaptchaCracker/raw/master/"
URLS = (_PLACE + "captcha_images.tar.gz", _PLACE + "captcha_images_v2.zip")  # 1,070 images; failing that, the 1,040 PNGs

PATIENCE = 8.0  # seconds without a single new byte, over all addresses and attempts
ATTEMPTS = 3  # for each address; each goes on where the one before was cut off
MAX_ARCHIVE = 100_000_000  # bytes; the published archives have about 9 million
_BLOCK = 1 << 16
_DAY = 86_400  # seconds


class DownloadError(RuntimeError):
    """The published images could not be fetched; the message says why, and how to get them by hand."""


class _CutOff(Exception):
    """The connection ended before the archive did: worth another attempt."""


def allowed() -> bool:
    """False if the environment variable ``OCRLIB_DOWNLOAD`` is 0 (or no, off, false): then the network is left alone."""
    value = os.environ.get("OCRLIB_DOWNLOAD", "1").strip().lower()
    if value in ("0", "no", "off", "false"):
        return False
    if value in ("", "1", "yes", "on", "true"):
        return True
    raise ValueError(f"OCRLIB_DOWNLOAD is {value!r}; 0 (stay off the network) or 1 (download if needed) was expected.")


def cache_folder() -> Path:
    """Where the operating system wants programs to keep what they can fetch again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ocrlib"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ocrlib"
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (folder if folder.is_absolute() else Path.home() / ".cache") / "ocrlib"


def fetch(target: Path, urls: Sequence[str] = URLS, patience: float = PATIENCE) -> Path:
    """Download the published images into the folder ``target``; returns it. Whatever is there stays until the new is whole.

    Two processes may do this at once: each works beside ``target`` and renames its folder into place, and the second finds
    the first's. Raises ``DownloadError`` when no address gives the published images or the cache cannot be written. Without
    a network that takes ``patience`` seconds at most.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(target.parent)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent, ignore_cleanup_errors=True) as work:
            return _fetch_any(target, urls, _Patience(patience), Path(work))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why, cure = "the disk is full", "Free about 40 MB there"
        else:
            why, cure = f"the cache folder cannot be used ({error.strerror or error})", "Make it writable"
        raise DownloadError(f"{target.parent}: {why}. {cure}, or put the images in a folder of your own. {_BY_HAND}") from error


_BY_HAND = "Name that folder in load_captchas(root=...) or in the environment variable OCRLIB_DATA."


def holds_published(folder: Path) -> bool:
    """Whether a folder holds just what one of the public archives holds: all 1,070 images, or all 1,040 PNGs."""
    try:
        found = read_folder(folder, width=200, height=50)
    except (OSError, ValueError):
        return False
    return compare(found.texts, found.hashes).archive


def _fetch_any(target: Path, urls: Sequence[str], patience: _Patience, work: Path) -> Path:
    problems = []
    for number, url in enumerate(urls):
        try:
            # Fixed names: an address may end in anything.
            archive, folder = work / f"archive-{number}", work / f"images-{number}"
            _download(url, archive, patience)
            unpack(archive, folder)
            _check(folder)
            return _put_in_place(folder, target, work)
        except (BadArchive, DownloadError) as error:
            problems.append(f"{url}: {error}")
    reasons = "\n  ".join(problems)
    raise DownloadError(
        f"The published images could not be downloaded:\n  {reasons}\n"
        f"Check the connection and try again, or download an archive with a browser and unpack it. {_BY_HAND}"
    )


def _check(folder: Path) -> None:
    try:
        found = read_folder(folder, width=200, height=50)
    except (FileNotFoundError, ValueError) as error:
        raise DownloadError(f"the archive does not hold the published images: {error}") from error
    comparison = compare(found.texts, found.hashes)
    if not comparison.archive:
        raise DownloadError(f"the archive has the wrong content: {comparison.line}")


def _put_in_place(folder: Path, target: Path, work: Path) -> Path:
    for attempt in range(ATTEMPTS):
        try:
            if target.exists() or target.is_symlink():
                if holds_published(target):
                    return target  # another process was quicker
                os.rename(target, work / f"old-{attempt}")
            os.rename(folder, target)
            return target
        except OSError:  # perhaps another process renamed between two of these lines
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _clear_leftovers(cache: Path) -> None:
    """Removes what a killed download left behind; a day is longer than any that still runs."""
    for folder in cache.glob(".download-*"):
        with contextlib.suppress(OSError):  # gone already
            if time.time() - folder.stat().st_mtime > _DAY:
                shutil.rmtree(folder)


class _Patience:
    """Counts the seconds since the last byte came in, over all addresses: a dead network is dead for each of them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.renew()

    def renew(self) -> None:
        self._end = time.monotonic() + self.seconds

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise DownloadError(f"no answer within {self.seconds:g} seconds")
        return left


def _download(url: str, path: Path, patience: _Patience) -> None:
    from tqdm.auto import tqdm  # here, because it pulls in the notebook's widgets

    path.touch()
    with tqdm(desc="Downloading captchas", unit="B", unit_scale=True, leave=False, delay=0.5) as bar:
        for _ in range(ATTEMPTS):
            try:
                return _continue(url, path, patience, bar)
            except _CutOff as error:
                problem = str(error)
    raise DownloadError(f"cut off {ATTEMPTS} times, last {problem}")


def _continue(url: str, path: Path, patience: _Patience, bar) -> None:
    """One attempt: asks for what is missing, and takes it from the start where the server does not know how to go on."""
    have = path.stat().st_size
    headers = {"User-Agent": "ocrlib"} | ({"Range": f"bytes={have}-"} if have else {})
    with _open(urllib.request.Request(url, headers=headers), patience) as response:
        if response.headers.get("Content-Range", "").startswith(f"bytes {have}-") and response.status == 206:
            mode = "ab"
        else:
            mode, have = "wb", 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        bar.reset(total)
        bar.update(have)
        with open(path, mode) as file:
            while block := _next_block(response, patience, have, total):
                have += len(block)
                if have > MAX_ARCHIVE:
                    raise DownloadError(f"more than {MAX_ARCHIVE:,} bytes, about 9 million were expected")
                file.write(block)
                bar.update(len(block))
    if total is not None and have < total:
        raise _CutOff(f"after {have:,} of {total:,} bytes")


def _next_block(response: http.client.HTTPResponse, patience: _Patience, have: int, total: int | None) -> bytes:
    patience.left()
    try:
        block = response.read1(_BLOCK)  # read() would wait for a whole block, and a trickle could hold it for ever
    except (OSError, http.client.HTTPException) as error:
        raise _CutOff(f"after {have:,} of {total or 0:,} bytes ({error})") from error
    patience.renew()
    return block


def _open(request: urllib.request.Request, patience: _Patience) -> http.client.HTTPResponse:
    """The server's answer. Asked for in a thread, because looking up a name cannot be given a time limit."""
    answer: queue.Queue = queue.Queue()
    left = patience.left()

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(request, timeout=min(left, patience.seconds / 2)))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        result = answer.get(timeout=left)
    except queue.Empty:
        raise DownloadError(f"no answer within {patience.seconds:g} seconds") from None
    if isinstance(result, urllib.error.HTTPError):
        raise DownloadError(f"the server answers {result.code} {result.reason}")
    if isinstance(result, Exception):
        reason = getattr(result, "reason", result)  # urllib wraps what went wrong
        if isinstance(reason, ConnectionResetError):
            raise _CutOff("before the first byte")
        raise DownloadError(f"no answer ({reason})") from result
    return result
