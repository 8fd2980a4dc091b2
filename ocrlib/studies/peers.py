"""Readers that other people would take, beside ours: each reads all images as it comes, without training on any of them."""

from __future__ import annotations

import datetime
import io
import json
import os
import platform
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock
from PIL import Image

from ocrlib.captchas import Captchas
from ocrlib.checkpoints import load_pretrained
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import read, score
from ocrlib.processor import cpuinfo
from ocrlib.runtime import pick_budget, runs_folder
from ocrlib.studies import peer_readers
from ocrlib.studies.peer_readers import READERS, SYMBOLS, read_files
from ocrlib.studies.records import Figures

OURS = "ocrlib"
PACKAGES = {"captcha-whisperer": "0.1.0", "ddddocr": "1.6.1", "rapidocr-onnxruntime": "1.4.4"}
JOBS = [{"reader": name} for name in (OURS, *READERS)]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


class NoPackage(RuntimeError):
    """A reader's package that can't be installed here."""


def read_with(reader: str) -> Figures:
    """All images read by one reader, in one thread, one image at a time, as figures for `record_runs`.

    ``lower`` are the figures of the lower-cased texts, ``symbols`` of those with only the data set's symbols kept.
    ``mistakes`` has [lower-cased text, label] of each misread image. The seconds are medians of an image, from the file's
    bytes to the text. Raises `NoPackage`.
    """
    captchas = load_captchas(width=200, height=50)
    captchas = captchas.subset(range(pick_budget().images(len(captchas))))
    python = None if reader == OURS else python_with(READERS[reader][0])
    with TemporaryDirectory() as folder:
        files = _save(captchas, Path(folder))
        found = read_files(_our_reader(), files) if python is None else _read_in(python, reader, folder)
    lower = [text.lower() for text in found.pop("texts")]
    kept = ["".join(symbol for symbol in text if symbol in SYMBOLS) for text in lower]
    report = score(lower, captchas)
    return {
        "lower": report.figures,
        "symbols": score(kept, captchas).figures,
        "mistakes": report.misread,
        **found,
        "date": datetime.date.today().isoformat(),
        "processor": cpuinfo("model name") or platform.processor(),
    }


def _save(captchas: Captchas, folder: Path) -> list[Path]:
    """Each image as a PNG file with three channels. (rapidocr turns pictures with an alpha channel into their negative.)"""
    files = [folder / f"{number:05}.png" for number in range(len(captchas))]
    for image, file in zip(captchas.images, files):
        Image.fromarray(image[0].numpy()).convert("RGB").save(file)
    return files


def _our_reader() -> peer_readers.Read:
    model = load_pretrained()
    return lambda data: read(Image.open(io.BytesIO(data)), model)[0].text


def _read_in(python: Path, reader: str, folder: str) -> dict[str, Any]:
    """What `read_files` finds in an environment of other packages, whose versions it adds."""
    command = [python, "-I", peer_readers.__file__, reader, folder]  # -I: nothing of this environment is seen there
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{reader} can't read:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])  # a reader may print something before


def python_with(package: str) -> Path:
    """The Python of the readers' environment, which is made and gets the ``package`` where that is missing.

    It lies in the folder of the runs. Where the version of `PACKAGES` can't be had, the newest is taken, and a line says so.
    Raises `NoPackage`.
    """
    folder = runs_folder(pick_budget(), "peers").resolve()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not python.exists():
            venv.create(folder, with_pip=True)
        for wanted in (f"{package}=={PACKAGES[package]}", package):
            command = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                return python
            if wanted != package:
                print(f"{wanted} can't be installed here; the newest version is tried.", flush=True)
    why = (done.stderr.strip() or "pip says no more").splitlines()[-1]
    raise NoPackage(f"{package} can't be installed here ({why}).")


def available(jobs: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The jobs whose reader can be had. A line is printed on each package that can't be."""
    missing = set()
    for package in dict.fromkeys(READERS[job["reader"]][0] for job in jobs if job["reader"] != OURS):
        try:
            python_with(package)
        except NoPackage as error:
            print(f"{error} Its runs are left out; the same command tries again.", flush=True)
            missing.add(package)
    return [job for job in jobs if job["reader"] == OURS or READERS[job["reader"]][0] not in missing]
