"""Readers of other projects, each as a function from a file's bytes to the text in it; and how a reader is timed.

`ocrlib.studies.peers` runs this file by itself, in an environment that has those readers and nothing of this project.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Read = Callable[[bytes], str]


def captcha_whisperer() -> Read:
    """Its texts are in capitals."""
    from captcha_whisperer import CaptchaRecognizer

    recognizer = CaptchaRecognizer(threads=1)
    return lambda data: recognizer.recognize_bytes(data)["text"]


def ddddocr(symbols: str | None = None, **options: Any) -> Read:
    """With ``symbols`` the reader is told that no others occur."""
    import ddddocr
    import onnxruntime

    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = 1  # ddddocr has no option for it
    onnxruntime.InferenceSession = functools.partial(onnxruntime.InferenceSession, sess_options=session_options)
    reader = ddddocr.DdddOcr(show_ad=False, **options)
    if symbols:
        reader.set_ranges(symbols)
    return reader.classification


def rapidocr() -> Read:
    """Recognition only: its detector looks for lines of text on a page."""
    from rapidocr_onnxruntime import RapidOCR

    reader = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def read(data: bytes) -> str:
        found, _ = reader(data, use_det=False, use_cls=False, use_rec=True)
        return found[0][0] if found else ""

    return read


SYMBOLS = "2345678bcdefgmnpwxy"  # of the data set
# Name of a reader -> the package that it comes from, and a function that makes it.
READERS: dict[str, tuple[str, Callable[[], Read]]] = {
    "captcha-whisperer": ("captcha-whisperer", captcha_whisperer),
    "ddddocr": ("ddddocr", ddddocr),
    "ddddocr, beta model": ("ddddocr", functools.partial(ddddocr, beta=True)),
    "ddddocr, told the symbols": ("ddddocr", functools.partial(ddddocr, SYMBOLS)),
    "rapidocr, recognition only": ("rapidocr-onnxruntime", rapidocr),
}


def read_files(read: Read, files: Sequence[Path]) -> dict[str, Any]:
    """The text of each file, one file at a time; and the median seconds of a file, of the process and by the clock."""
    texts, cpu, wall = [], [], []
    for file in files:
        data, began, began_cpu = file.read_bytes(), time.perf_counter(), time.process_time()
        texts.append(read(data))
        cpu.append(time.process_time() - began_cpu)
        wall.append(time.perf_counter() - began)
    return {"texts": texts, "cpu_seconds": round(statistics.median(cpu), 6), "wall_seconds": round(statistics.median(wall), 6)}


if __name__ == "__main__":
    name, folder = sys.argv[1:]
    found = read_files(READERS[name][1](), sorted(Path(folder).iterdir()))
    packages = {package.metadata["Name"]: package.version for package in importlib.metadata.distributions()}
    print(json.dumps({**found, "packages": packages}))
