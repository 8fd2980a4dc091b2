"""Downloads the published images into the user's cache.

No hashes of the public archives are published, so their contents are checked: the pixels of every image against
``manifest.csv``. An old copy stays until the new one is complete and checked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from filelock import FileLock

from ocrlib.data.archive import unpack
from ocrlib.data.folders import LabelledImages, read_folder
from ocrlib.data.published import compare

_PLACE = "https://github.com/AakashKumarNain/CaptchaCracker/raw/master/"
URLS = (_PLACE + "captcha_images.tar.gz", _PLACE + "captcha_images_v2.zip")  # 1,070 images; failing that, the 1,040 PNGs

PATIENCE = 4.5  # seconds without a new byte, for each address
ATTEMPTS = 3  # for an address whose download is cut off
_BY_HAND = "Name that folder in load_captchas(root=...) or in the environment variable OCRLIB_DATA."


class DownloadError(RuntimeError):
    """The published images could not be downloaded; the message says why, and how to get them by hand."""


def allowed() -> bool:
    """False if the environment variable ``OCRLIB_DOWNLOAD`` is 0 (or no, off, false). Raises ``ValueError`` if it is unclear."""
    value = os.environ.get("OCRLIB_DOWNLOAD", "1").strip().lower()
    if value not in ("", "0", "1", "no", "yes", "off", "on", "false", "true"):
        raise ValueError(f"OCRLIB_DOWNLOAD is {value!r}; 0 (stay off the network) or 1 (download if needed) was expected.")
    return value not in ("0", "no", "off", "false")


def cache_folder() -> Path:
    """The folder ``ocrlib`` where the operating system wants programs to keep what they can download again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ocrlib"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ocrlib"
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (folder if folder.is_absolute() else Path.home() / ".cache") / "ocrlib"


def fetch(
    width: int, height: int, target: Path | None = None, urls: Sequence[str] = URLS, patience: float = PATIENCE
) -> LabelledImages:
    """The published images from their folder ``target`` in the cache, downloaded first if it is missing or damaged.

    Of two processes that download at once the second waits for the first. Raises ``DownloadError`` when downloading is not
    allowed, when no address gives the published images (without a network after at most ``patience`` seconds for each address)
    and when the cache cannot be written.
    """
    target = target or cache_folder() / "captcha_images_v2"
    remarks = []
    try:
        return _read_published(target, width, height)
    except (OSError, ValueError) as error:
        if target.exists():
            remarks.append(f"The copy in the cache ({target}) is damaged and is not used: {error}")
    if not allowed():
        raise DownloadError("\n- ".join([*remarks, "OCRLIB_DOWNLOAD forbids to download them."]))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            for leftover in target.parent.glob(".download-*"):  # of a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with contextlib.suppress(OSError, ValueError):  # unless another process has downloaded them since
                return _read_published(target, width, height)
            with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent, ignore_cleanup_errors=True) as work:
                images = _fetch_any(urls, patience, Path(work))
                if target.exists():
                    os.rename(target, Path(work, "old"))
                os.rename(images, target)
        return _read_published(target, width, height)._replace(remarks=remarks)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why, cure = "the disk is full", "Free about 40 MB there"
        else:
            why, cure = f"the cache folder cannot be used ({error.strerror or error})", "Make it writable"
        raise DownloadError(f"{target.parent}: {why}. {cure}, or put the images in a folder of your own. {_BY_HAND}") from error


def _read_published(folder: Path, width: int = 200, height: int = 50) -> LabelledImages:
    """Raises as `read_folder` does, and ``ValueError`` if the folder does not hold just what a public archive holds."""
    found = read_folder(folder, width, height)
    comparison = compare(found.texts, found.hashes)
    if not comparison.archive:
        raise ValueError(comparison.line)
    return found


def _fetch_any(urls: Sequence[str], patience: float, work: Path) -> Path:
    """A folder of the published images in ``work``, from the first address that gives them."""
    problems = []
    for number, url in enumerate(urls):
        archive, images = work / f"archive-{number}", work / f"images-{number}"
        try:
            _download(url, archive, patience)
            unpack(archive, images)
            _read_published(images)
            return images
        except (DownloadError, FileNotFoundError, ValueError) as error:
            problems.append(f"{url}: {error}")
    reasons = "\n  ".join(problems)
    raise DownloadError(
        f"The published images could not be downloaded:\n  {reasons}\n"
        f"Check the connection and try again, or download an archive with a browser and unpack it. {_BY_HAND}"
    )


def _download(url: str, path: Path, patience: float) -> None:
    """Downloads to a file, again from the start if the connection is cut off. Raises ``DownloadError``."""
    import pooch  # here and below, because importing them takes long
    import requests
    from tqdm.auto import tqdm

    for _ in range(ATTEMPTS):
        # The size is a guess: pooch sets the real one when the server has told it.
        with tqdm(total=9e6, desc="Downloading captchas", unit="B", unit_scale=True, leave=False, delay=0.5) as bar:
            download = pooch.HTTPDownloader(bar, timeout=2 * patience, headers={"Accept-Encoding": "identity"})
            try:
                return _wait_for(download, url, path, patience)
            except requests.HTTPError as error:
                raise DownloadError(f"the server answers {error.response.status_code} {error.response.reason}") from error
            except requests.RequestException as error:
                size, cause = path.stat().st_size, error
                while cause.__context__:  # requests and urllib3 wrap what the network said
                    cause = cause.__context__
                if not size:
                    raise DownloadError(f"no answer ({cause})") from error
    raise DownloadError(f"cut off {ATTEMPTS} times, last after {size:,} bytes")


def _wait_for(download: Callable, url: str, path: Path, patience: float) -> None:
    """Downloads in a thread, because looking up a name on the network has no time limit of its own."""
    with open(path, "wb") as file:  # closing the file ends a download that was given up
        done = ThreadPoolExecutor(1).submit(download, url, file, None)
        size, end = 0, time.monotonic() + patience
        while not done.done():
            wait([done], 0.1)
            if file.tell() > size:
                size, end = file.tell(), time.monotonic() + patience
            if time.monotonic() > end:
                raise DownloadError(f"no answer within {patience:g} seconds")
        done.result()
