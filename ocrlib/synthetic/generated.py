"""Generated data sets: chunks without end, and sets of chosen texts."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from ocrlib.captchas import Captchas, shrink, to_tensor
from ocrlib.synthetic import generator
from ocrlib.synthetic.generator import image_rng, random_text, render_captcha
from ocrlib.texts import equal_neighbours


class EndlessCaptchas(Dataset):
    """Chunks of ``size`` generated captchas of ``width`` x ``height`` pixels, without end: ``[k]`` is chunk k, a `Captchas`.

    Chunk k, counted from 0, depends on ``seed`` and k alone. ``style`` is given to `render_captcha`: ``faces``, ``change``.
    Texts are drawn as kaptcha draws them, so a text can come more than once. Raises ``ValueError`` for a ``size`` below 1.
    """

    def __init__(self, seed: int, size: int, width: int, height: int = 32, **style: Any) -> None:
        if size < 1:
            raise ValueError(f"size={size}: a chunk needs at least one image.")
        self.seed, self.size, self.width, self.height, self.style = seed, size, width, height, style

    def __getitem__(self, number: int) -> Captchas:
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(2, number)))
        texts = [random_text(rng) for _ in range(self.size)]
        pixels = [shrink(render_captcha(text, rng, **self.style), self.width, self.height) for text in texts]
        names = [f"endless-{self.seed}-{number}-{i:05}-{text}" for i, text in enumerate(texts)]
        contents = f"chunk {number} of the embedded generator, seed {self.seed}"
        return Captchas(to_tensor(pixels), texts, names, "synthetic", contents)

    def stream(self, workers: int = 0) -> Iterator[Captchas]:
        """The chunks in order, drawn in ``workers`` other processes while the caller uses the chunks before; 0: in this one."""
        return iter(DataLoader(self, batch_size=None, sampler=count(), num_workers=workers))


def draw_texts(n: int, seed: int, lengths: Sequence[int] = (5,), neighbours: bool = False) -> list[str]:
    """``n`` distinct random texts, each length equally often; with ``neighbours`` only texts with equal neighbours.

    Raises ``ValueError`` when too few such texts are found.
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


def draw_captchas(texts: Sequence[str], seed: int, width: int, height: int = 32, curves: bool = True, **style: Any) -> Captchas:
    """Captchas of chosen texts, ``width`` x ``height`` pixels. ``curves`` and ``style`` are options of `render_captcha`.

    Image i depends on its text, ``seed``, i and these options alone. Raises ``ValueError`` as `render_captcha` does.
    """
    pixels = [shrink(render_captcha(text, image_rng(seed, i), curves, **style), width, height) for i, text in enumerate(texts)]
    names = [f"drawn-{seed}-{i:06}-{text}" for i, text in enumerate(texts)]
    contents = f"drawn to order by the embedded generator, seed {seed}"
    return Captchas(to_tensor(pixels), texts, names, "synthetic", contents)


def hidden_ink(texts: Sequence[str], seed: int) -> list[list[float]]:
    """For each text and each of its symbols: the share of its ink, 0 to 1, that the noise curves cover in `draw_captchas`."""
    shares = []
    for i, text in enumerate(texts):
        rng = image_rng(seed, i)
        faces = rng.integers(len(generator.FACES), size=len(text))  # the same random numbers as in `render_captcha`
        clear = np.ones((generator.HEIGHT, generator.WIDTH), np.float32)
        for fractions in generator.CURVES:
            generator.add_noise_curve(clear, fractions, rng.random(4))
        # A symbol's ink is what it adds to the ink of the symbols before it.
        so_far = np.maximum.accumulate(generator.draw_symbols(text, faces))
        inks = map(generator.distort, np.diff(so_far, axis=0, prepend=np.float32(0)))
        shares.append([float((ink * (1 - clear)).sum() / ink.sum()) for ink in inks])
    return shares
