"""Made-up serial numbers as photographs of labels might show them: an example of images of one's own, made anywhere."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SYMBOLS = "0123456789ABCDEFHKLMNPRTUXZ"  # no letters that are easily taken for digits or each other
FACE = "DejaVuSansMono.ttf"  # ships with matplotlib
LENGTHS = (4, 5, 6, 7)


def random_serial(rng: np.random.Generator, lengths: Sequence[int] = LENGTHS) -> str:
    """A serial number of one of these lengths."""
    return "".join(SYMBOLS[i] for i in rng.integers(len(SYMBOLS), size=rng.choice(lengths)))


def draw_serial(text: str, rng: np.random.Generator) -> Image.Image:
    """A label with ``text`` on it, an "RGB" image about 170 x 44 pixels: tinted, a little crooked, blurred and noisy."""
    width, height = int(rng.integers(160, 181)), int(rng.integers(40, 49))
    paper = np.array(rng.integers(150, 241, 3))
    ink = tuple(int(level) for level in rng.integers(0, 90, 3))
    size = int(rng.integers(23, 29))
    image = Image.new("RGB", (width, height), tuple(int(level) for level in paper))
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(_face(), size, layout_engine=ImageFont.Layout.BASIC)
    left = rng.uniform(4, max(width - 0.62 * size * len(text) - 4, 5))
    draw.text((left, height / 2 + rng.uniform(-3, 3)), text, fill=ink, font=font, anchor="lm")
    turned = image.rotate(rng.uniform(-3, 3), Image.Resampling.BILINEAR, fillcolor=tuple(int(level) for level in paper))
    soft = turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.0)))
    noise = rng.normal(0, rng.uniform(2, 12), (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8))


def make_serials(
    folder: str | Path, n: int, seed: int, lengths: Sequence[int] = LENGTHS, labels: str | Path | None = None
) -> None:
    """Write ``n`` labels as PNG files into ``folder``, named by their text and a number.

    With ``labels``, a CSV file to write, the files are named by their number alone, and the texts stand there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(seed), []
    for i in range(n):
        text = random_serial(rng, lengths)
        name = f"{text}_{i:05}.png" if labels is None else f"{i:05}.png"
        draw_serial(text, rng).save(folder / name)
        rows.append((name, text))
    if labels is not None:
        with open(labels, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "text"), *rows])


@cache
def _face() -> str:
    import matplotlib  # slow to import, and it only lends its typeface here

    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", FACE))
