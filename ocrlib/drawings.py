"""Captchas drawn to order: of chosen lengths, with equal neighbours, without noise curves; and how much ink those hide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ocrlib import synthetic
from ocrlib.captchas import Captchas
from ocrlib.images import shrink
from ocrlib.statistics import equal_neighbours
from ocrlib.synthetic import random_text, render_captcha


def draw_texts(n: int, seed: int, lengths: Sequence[int] = (5,), neighbours: bool = False) -> list[str]:
    """``n`` distinct texts, drawn as kaptcha draws them, of each length equally often; on request with equal neighbours only.

    Raises ``ValueError`` when there are too few such texts to find them by drawing.
    """
    rng = np.random.default_rng(seed)
    texts: dict[str, None] = {}  # a dictionary keeps the order
    for _ in range(1000 + 100 * n):
        if len(texts) == n:
            return list(texts)
        text = random_text(rng, lengths[len(texts) % len(lengths)])
        if not neighbours or equal_neighbours(text):
            texts.setdefault(text)
    raise ValueError(f"Only {len(texts):,} of {n:,} distinct texts of lengths {tuple(lengths)} were found. Ask for fewer.")


def draw_captchas(texts: Sequence[str], seed: int, width: int, height: int = 32, curves: bool = True) -> Captchas:
    """The texts as captchas of ``width`` x ``height`` pixels; with another ``curves``, the same but for the noise curves."""
    drawn = [shrink(render_captcha(text, _rng(seed, i), curves), width, height) for i, text in enumerate(texts)]
    names = [f"drawn-{seed}-{i:06}-{text}" for i, text in enumerate(texts)]
    contents = f"drawn to order by the embedded generator, seed {seed}"
    return Captchas(torch.from_numpy(np.stack(drawn)).unsqueeze(1), texts, names, "synthetic", contents)


def hidden_ink(texts: Sequence[str], seed: int) -> list[list[float]]:
    """How much of each symbol's ink the noise curves cross in the images of `draw_captchas`: shares, 0 to 1, for each text."""
    return [_hidden(text, _rng(seed, i)) for i, text in enumerate(texts)]


def _hidden(text: str, rng: np.random.Generator) -> list[float]:
    faces = rng.integers(len(synthetic.FACES), size=len(text))  # drawn in the order of `render_captcha`
    clear = np.ones((synthetic.HEIGHT, synthetic.WIDTH), np.float32)
    for fractions in synthetic.CURVES:
        synthetic.add_noise_curve(clear, fractions, rng.random(4))
    return [float((ink * (1 - clear)).sum() / ink.sum()) for ink in map(synthetic.distort, _symbols(text, faces))]


def _symbols(text: str, faces: np.ndarray) -> list[np.ndarray]:
    """The ink of each symbol alone, in its place: what it adds to the symbols before it."""
    drawn = [synthetic.draw_glyphs(text[:end], faces[:end]) for end in range(1, len(text) + 1)]
    if any((after < before).any() for before, after in zip(drawn, drawn[1:])):  # too wide: all of it in the narrow typeface
        return _symbols(text, np.full_like(faces, len(synthetic.FACES) - 1))
    return [drawn[0], *(after - before for before, after in zip(drawn, drawn[1:]))]


def _rng(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, index)))
