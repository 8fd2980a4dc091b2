"""Does the generator give the same pixels with every supported version of Pillow? ``python tools/pillow_versions.py``.

Each version that the package index has for this Python is installed into a folder of its own, and draws the same images. Needs
the index. ``tests/test_synthetic.py`` holds the installed version alone to the same fingerprint.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tasks import ROOT, say

FINGERPRINT = "7df29de2a0aff162"  # of `fingerprint()`, with every version looked at so far
OLDEST = (10, 3)  # as pyproject.toml has it


def fingerprint(images: int = 200, seed: int = 3) -> str:
    """16 hex digits of the SHA-256 of so many generated images."""
    from ocrlib.synthetic.generator import SyntheticCaptchas

    digest = hashlib.sha256()
    for image, _ in SyntheticCaptchas(images, seed):
        digest.update(image.tobytes())
    return digest.hexdigest()[:16]


def supported_versions() -> list[str]:
    """The versions from `OLDEST` on that pip finds, newest first."""
    command = [sys.executable, "-m", "pip", "index", "versions", "pillow"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    versions = re.search(r"Available versions: (.+)", said).group(1).split(", ")
    return [version for version in versions if tuple(map(int, version.split(".")[:2])) >= OLDEST]


def main() -> None:
    """Install, draw, compare; exit with the versions that differ."""
    different = []
    for version in supported_versions():
        with tempfile.TemporaryDirectory() as folder:
            install = ["-m", "pip", "install", "-q", "--no-deps", "--target", folder, f"pillow=={version}"]
            subprocess.run([sys.executable, *install], check=True, stdout=subprocess.DEVNULL)
            command = "import PIL; from pillow_versions import fingerprint; print(PIL.__version__, fingerprint())"
            places = os.pathsep.join([folder, str(Path(__file__).parent), str(ROOT)])
            environment = {**os.environ, "PYTHONPATH": places}
            run = [sys.executable, "-c", command]
            said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
        found, print_ = said.split()
        assert found == version, f"asked for {version}, drawn with {found}"
        say(f"pillow {version:7} {print_} {'same' if print_ == FINGERPRINT else 'DIFFERENT'}")
        if print_ != FINGERPRINT:
            different.append(version)
    if different:
        sys.exit(f"Other pixels with {', '.join(different)}.")


if __name__ == "__main__":
    main()
