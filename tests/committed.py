"""The notebooks as committed. A reader who runs them anew has others in the working tree, and that is no fault."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import nbformat

ROOT = Path(__file__).resolve().parents[1]


def read_committed(name: str) -> nbformat.NotebookNode:
    """``notebooks/<name>`` as staged or committed; as it lies there where git does not have it. Needs nbformat."""
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install nbformat")
    shown = subprocess.run(["git", "show", f":notebooks/{name}"], cwd=ROOT, capture_output=True, check=False)
    text = shown.stdout if shown.returncode == 0 else (ROOT / "notebooks" / name).read_bytes()
    return nbformat.reads(text.decode("utf-8"), as_version=4)
