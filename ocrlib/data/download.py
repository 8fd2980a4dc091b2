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
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from ocrlib.data.folders import LabelledImages, read_folder, unpack
from ocrlib.data.published import compare
from ocrlib.runtime import progress

_PLACE = "https://github.com/AakashKumarNain/CaptchaCracker/raw/master/"
URLS = (_PLACE + "captcha_images.tar.gz", _PLACE + "captcha_images_v2.zip")  # 1,070 images; failing that, the 1,040 PNGs

TIMEOUT = 4.5  # seconds to connect, and seconds without a new byte, for each address
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


def fetch(width: int, height: int, urls: Sequence[str] = URLS, timeout: float = TIMEOUT) -> LabelledImages:
    """The published images from the cache, downloaded first if they are missing or damaged.

    Of two processes that download at once the second waits for the first. Raises ``DownloadError`` when downloading is not
    allowed, when no address gives the published images, and when the cache cannot be written.
    """
    target, remarks = cache_folder() / "captcha_images_v2", []
    try:
        return _read_published(target, width, height)
    except (OSError, ValueError) as error:
        if target.exists():
            remarks.append(f"The copy in the cache ({target}) is damaged and is not used: {error}")
    try:
        if not allowed():
            raise DownloadError("OCRLIB_DOWNLOAD forbids to download them.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            for leftover in target.parent.glob(".download-*"):  # of a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with contextlib.suppress(OSError, ValueError):  # unless another process has downloaded them since
                return _read_published(target, width, height)
            with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent, ignore_cleanup_errors=True) as work:
                images = _fetch_any(urls, timeout, Path(work))
                if target.exists():
                    os.rename(target, Path(work, "old"))
                os.rename(images, target)
        return _read_published(target, width, height)._replace(remarks=remarks)
    except DownloadError as error:
        raise DownloadError("\n".join([*remarks, str(error)])) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else f"the cache folder cannot be used ({error.strerror or error})"
        cure = "Free about 40 MB there" if full else "Make it writable"
        raise DownloadError(f"{target.parent}: {why}. {cure}, or put the images in a folder of your own. {_BY_HAND}") from error


def _read_published(folder: Path, width: int = 200, height: int = 50) -> LabelledImages:
    """Raises as `read_folder` does, and ``ValueError`` if the folder does not hold just what a public archive holds."""
    found = read_folder(folder, width, height)
    comparison = compare(found.texts, found.hashes)
    if not comparison.archive:
        raise ValueError(comparison.line)
    return found


def _fetch_any(urls: Sequence[str], timeout: float, work: Path) -> Path:
    """A folder of the published images in ``work``, from the first address that gives them."""
    import requests  # here and below, because importing them takes long

    problems = []
    for number, url in enumerate(urls):
        archive, images = work / f"archive-{number}", work / f"images-{number}"
        try:
            _download(url, archive, timeout)
            unpack(archive, images)
            _read_published(images)
            return images
        except requests.HTTPError as error:
            problems.append(f"{url}: the server answers {error.response.status_code} {error.response.reason}")
        except requests.RequestException as error:
            cause: BaseException = error
            while cause.__context__:  # requests and urllib3 wrap what the network said
                cause = cause.__context__
            problems.append(f"{url}: no answer, or cut off ({cause})")
            if isinstance(error, requests.ConnectionError):
                break  # the other address is on the same host: without a network, that would take as long again
        except (FileNotFoundError, ValueError) as error:
            problems.append(f"{url}: not the published images: {error}")
    reasons = "\n  ".join(problems)
    raise DownloadError(
        f"The published images could not be downloaded:\n  {reasons}\n"
        f"Check the connection and try again, or download an archive with a browser and unpack it. {_BY_HAND}"
    )


def _download(url: str, path: Path, timeout: float) -> None:
    """Downloads to a file, again from the start if the connection is cut off. Raises ``requests.RequestException``."""
    import pooch
    import requests

    for attempt in range(1, ATTEMPTS + 1):
        # The size is a guess: pooch sets the real one when the server has told it.
        with progress(total=9e6, desc="Downloading captchas", unit="B", unit_scale=True, leave=False) as bar:
            try:
                return pooch.HTTPDownloader(bar, timeout=timeout, headers={"Accept-Encoding": "identity"})(url, str(path), None)
            except requests.RequestException:
                if attempt == ATTEMPTS or not path.stat().st_size:  # without a single byte, there is no connection
                    raise
