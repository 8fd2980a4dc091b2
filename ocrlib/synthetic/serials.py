"""Invented serial numbers on pictures of labels: an example of your own images, which have other symbols and lengths."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ocrlib.synthetic.generator import typeface

SYMBOLS = "0123456789ABCDEFHKLMNPRTUXZ"  # without letters that look like a digit or like another letter
FACE = "DejaVuSansMono.ttf"
LENGTHS = (4, 5, 6, 7)


def random_serial(rng: np.random.Generator, lengths: Sequence[int] = LENGTHS) -> str:
    """A serial number of one of these lengths."""
    return "".join(SYMBOLS[i] for i in rng.integers(len(SYMBOLS), size=rng.choice(lengths)))


def draw_serial(text: str, rng: np.random.Generator, tight: bool = False) -> Image.Image:
    """A label with ``text``: an "RGB" image, about 170 x 44 pixels, in random colours, a little rotated, blurred and noisy.

    With ``tight`` it is as wide as its text, whatever the length; without, about ten symbols have room.
    """
    width, height = int(rng.integers(160, 181)), int(rng.integers(40, 49))
    paper = tuple(rng.integers(150, 241, 3).tolist())
    ink = tuple(rng.integers(0, 90, 3).tolist())
    size = int(rng.integers(23, 29))
    width = round(0.62 * size * len(text)) + 16 if tight else width
    image = Image.new("RGB", (width, height), paper)
    font = ImageFont.truetype(typeface(FACE), size, layout_engine=ImageFont.Layout.BASIC)
    left = rng.uniform(4, max(width - 0.62 * size * len(text) - 4, 5))
    ImageDraw.Draw(image).text((left, height / 2 + rng.uniform(-3, 3)), text, fill=ink, font=font, anchor="lm")
    rotated = image.rotate(rng.uniform(-3, 3), Image.Resampling.BILINEAR, fillcolor=paper)
    blurred = rotated.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.0)))
    noise = rng.normal(0, rng.uniform(2, 12), (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(blurred) + noise, 0, 255).astype(np.uint8))


def make_serials(
    folder: str | Path, n: int, seed: int, lengths: Sequence[int] = LENGTHS, labels: str | Path | None = None, tight: bool = False
) -> None:
    """Write ``n`` labels as PNG files into ``folder``. A file's name is its text and a number.

    ``tight`` is explained at `draw_serial`. With ``labels``, the path of a CSV file to write, a file's name is only a number, and
    the CSV file holds the texts.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(seed), [("file", "text")]
    for i in range(n):
        text = random_serial(rng, lengths)
        name = f"{text}_{i:05}.png" if labels is None else f"{i:05}.png"
        draw_serial(text, rng, tight).save(folder / name)
        rows.append((name, text))
    if labels is not None:
        with open(labels, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
