"""Fixtures for all tests: no network, no cache of the user's, and images to work with."""

import os
import sys
from pathlib import Path

import pytest

# Set before torch is imported: threads of processes side by side wait for each other, and the last bits depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
_REAL = os.environ.get("OCRLIB_DATA")  # before `isolated` takes it away


# Not on every machine that can train. `import` in a test, or in what it calls, then skips it; a whole file says importorskip.
OPTIONAL = {"anywidget", "hypothesis", "IPython", "ipywidgets", "nbclient", "nbformat", "onnx", "onnxruntime", "onnxscript"}
OPTIONAL |= {"pandas", "pooch", "psutil", "rapidfuzz", "requests", "torchinfo", "tqdm", "yaml"}


def _skip_without_package(outcome):
    error = outcome.excinfo[1] if outcome.excinfo else None
    if isinstance(error, ModuleNotFoundError) and error.name.partition(".")[0] in OPTIONAL:
        outcome.force_exception(pytest.skip.Exception(f"needs {error.name}: pip install {error.name}"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup():
    _skip_without_package((yield))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call():
    _skip_without_package((yield))


# A file's tests run in one process. The longest ones go first: left to the end, one of them would keep a process busy alone.
LONGEST = ["test_kills", "test_processor", "test_docs", "test_bench", "test_recording", "test_gpu_check", "test_without_extras"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONGEST)  # keeps the order within each


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path_factory):
    """Each test starts with an empty cache, the full budget, no OCRLIB_DATA and no network; it sets what it needs itself."""
    for name in ["OCRLIB_DATA", "OCRLIB_BUDGET"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OCRLIB_DOWNLOAD", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LOCALAPPDATA", str(cache))
    if sys.platform == "darwin":
        monkeypatch.setenv("HOME", str(cache))


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder of the published images, or a skip that says how to run the test."""
    if not _REAL:
        pytest.skip("needs the published images: set OCRLIB_DATA to their folder")
    return Path(_REAL)


@pytest.fixture(scope="session")
def generated():
    """Twelve generated captchas as (PIL image, text)."""
    from ocrlib import SyntheticCaptchas

    return list(SyntheticCaptchas(12, seed=7))


@pytest.fixture
def captcha_folder(tmp_path, generated) -> Path:
    """A folder of twelve good images, ten PNG and two JPEG, each stored as the published ones are."""
    folder = tmp_path / "captchas"
    folder.mkdir()
    for i, (image, text) in enumerate(generated):
        if i < 10:
            image.convert("RGBA").save(folder / f"{text}.png")
        else:
            image.convert("RGB").save(folder / f"{text}.jpg", quality=95)
    return folder


@pytest.fixture
def pretend_published(monkeypatch, captcha_folder) -> dict[str, tuple[str, str]]:
    """Makes ``captcha_folder`` pass for the published set, so that its checks can be tested without the real images."""
    from ocrlib.data import published as manifest
    from ocrlib.data.images import read_image

    known = {}
    for file in sorted(captcha_folder.iterdir()):
        known[file.stem] = ("png" if file.suffix == ".png" else "jpeg", read_image(file, 200, 50).hash)
    monkeypatch.setattr(manifest, "published", lambda: known)
    return known
