"""Give recorded runs the names of `ocrlib.studies.records.RUNS`, and their files those of the studies. Done once, then deleted.

Only the field ``function`` of each line changes; tests/studies/test_recorded_figures.py holds that nothing else did.
"""

import json
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "notebooks" / "records"
FILES = {
    "00_pretrained": "pretrained",
    "06_ctc_vs_ce": "ctc_vs_ce",
    "06_ctc_vs_ce_smoke": "ctc_vs_ce_smoke",
    "07_cross_validation": "cross_validation",
    "07_reproduction": "reproduction",
    "07_reproduction_smoke": "reproduction_smoke",
    "08_looking": "receptive_fields",
    "08_remedies": "remedies",
    "08_variants": "variants",
    "08_variants_smoke": "variants_smoke",
    "10_synthetic_to_real": "synthetic_to_real",
    "10_synthetic_to_real_smoke": "synthetic_to_real_smoke",
}
NAMES = {
    "ocrlib.records:run_recipe": "recipe",
    "ocrlib.comparison:compare": "ctc_vs_ce",
    "ocrlib.cross_validation:cross_validate": "cross_validation",
    "ocrlib.questions:train_variant": "variants",
    "ocrlib.questions:train_to_look": "receptive_fields",
    "ocrlib.questions:try_remedy": "remedies",
    "ocrlib.transfer:transfer": "synthetic_to_real",
    "ocrlib.pretrained:pretrain": "pretrained",
}


def renamed(line: str) -> str:
    """The line with the new name; its other fields stay, to the byte."""
    old = json.loads(line)["function"]
    before, after = (f'"function": "{name}"' for name in (old, NAMES[old]))
    assert line.count(before) == 1
    return line.replace(before, after)


if __name__ == "__main__":
    for old, new in FILES.items():
        subprocess.run(["git", "mv", f"{old}.jsonl", f"{new}.jsonl"], cwd=FOLDER, check=True)
        path = FOLDER / f"{new}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(map(renamed, lines)), encoding="utf-8", newline="\n")
