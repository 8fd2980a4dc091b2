"""Training on a machine that has torch and little else: nothing that only notebooks need is imported, and tests are skipped."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import OPTIONAL

ROOT = Path(__file__).resolve().parents[1]
HIDE = f"""
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
hidden = {OPTIONAL | {"joblib"}}
PathFinder.find_spec = classmethod(lambda cls, name, *where: None if name.partition(".")[0] in hidden else find(name, *where))
"""


def run_without_them(code, tmp_path):
    variables = {"OCRLIB_BUDGET": "smoke", "OCRLIB_DOWNLOAD": "0", "OCRLIB_RUNS": str(tmp_path)}
    variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nbval's plugin needs nbformat
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HIDE + code],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **variables},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    return found.stdout


def test_recipes_train_and_are_scored(tmp_path):
    code = """
import ocrlib
captchas = ocrlib.load_captchas(width=96)
print(ocrlib.run("fast", captchas=captchas, live=True).images)
print(ocrlib.run_recipe("fast")["edits"] >= 0, ocrlib.describe_runtime().count("torch"))
"""
    *_, images, recorded = run_without_them(code, tmp_path).splitlines()
    assert (images, recorded) == ("15", "True 3")


def test_all_tests_are_collected_or_skipped_with_a_word(tmp_path):
    counted = run_without_them("import pytest; sys.exit(pytest.main(['--collect-only', '-q']))", tmp_path)
    assert " error" not in counted.splitlines()[-1] and "needs nbformat: pip install nbformat" in counted
