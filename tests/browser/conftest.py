"""A Chromium of the system for the tests in a browser, which are skipped where there is none."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
FLAGS = "--no-sandbox --disable-gpu --disable-quic --disable-sync --no-first-run --disable-background-networking"


def pytest_collection_modifyitems(items):
    if CHROMIUM is None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="neither Chromium nor Chrome is here: sudo apt install chromium"))


@pytest.fixture(scope="session")
def browser_type_launch_args():
    return {"executable_path": CHROMIUM, "args": [*FLAGS.split(), "--disable-component-update"]}
