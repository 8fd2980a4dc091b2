"""The start page: three pictures from the notebooks, and what each notebook says first."""

import base64
import json
import re
from pathlib import Path
from string import Template

PICTURES = {  # the first picture of a notebook, and what is written below it
    "00": '**What a network says.** It reads from left to right in 24 steps. Most steps say "no new symbol"; a few name one.',
    "06": '**How it learns that.** First it says "blank" at every step, then it finds a symbol, and in the end all of them.',
    "07": "**Which loss errs less.** One network, trained with each on ever more images: medians of ten runs, 95 % intervals.",
}
TRY_IT = "[**Read an image in the browser**](try_it.md) · "


def make_start(template: Path, notebooks: Path, source: Path, try_it: bool) -> None:
    """Write the start page, and the pictures it shows, to ``source``. Raises ``ValueError`` for a notebook without a picture."""
    figures, series = [], []
    for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        title, _, claim = "".join(cells[0]["source"]).split("\n\n")[:3]
        series.append(f"[{title.removeprefix('# ')}](notebooks/{path.name})\n: {claim}\n")
        if caption := PICTURES.get(path.name[:2]):
            png, alt = first_picture(path.name, cells)
            (source / f"start_{path.stem}.png").write_bytes(png)
            facts = f":alt: {alt}\n:target: notebooks/{path.stem}.html"
            figures.append(f"```{{figure}} start_{path.stem}.png\n{facts}\n\n{caption}\n```\n")
    text = Template(template.read_text(encoding="utf-8"))
    page = text.substitute(figures="\n".join(figures), series="\n".join(series), try_it=TRY_IT if try_it else "")
    (source / "index.md").write_text(page, encoding="utf-8")


def first_picture(name: str, cells: list[dict]) -> tuple[bytes, str]:
    """The PNG of a notebook's first picture, and its alternative text."""
    for output in (output for cell in cells for output in cell.get("outputs", [])):
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")  # the picture in place of a widget has none
        if alt and (png := output["data"].get("image/png")):
            return base64.b64decode("".join(png)), re.sub(r"\s+", " ", alt)
    raise ValueError(f"{name} has no picture for the start page; execute it.")
