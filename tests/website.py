"""The website, made for tests as `make html` makes it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def make_site(folder: Path) -> Path:
    """The whole site in a folder; half a minute. A warning, such as that of a link that leads nowhere, would end it."""
    (folder / "pages").mkdir()
    folders = ["-d", folder / "doctrees", "-c", ROOT / "docs", folder / "pages", folder / "html"]
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", *folders]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, encoding="utf-8", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"
