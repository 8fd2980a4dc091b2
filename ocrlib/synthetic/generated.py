"""Generated captchas without end, in chunks: the same ones for a seed, however many processes draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ocrlib.captchas import Captchas, shrink, to_tensor
from ocrlib.synthetic import generator
from ocrlib.synthetic.generator import random_text, render_captcha
from ocrlib.texts import equal_neighbours


class EndlessCaptchas(IterableDataset):
    """Chunks of ``size`` generated captchas of ``width`` x ``height`` pixels, each a `Captchas`, without end.

    Chunk k depends on ``seed`` and k alone. ``faces`` and ``change`` are `render_captcha`'s. Texts are drawn as kaptcha draws
    them, so now and then one comes again. Iterating draws in this process; `stream` draws ahead in others.
    """

    def __init__(
        self,
        seed: int,
        size: int,
        width: int,
        height: int = 32,
        faces: Sequence[int] | None = None,
        change: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size={size}: a chunk needs at least one image.")
        self.seed, self.size, self.width, self.height = seed, size, width, height
        self.faces, self.change = faces, change

    def chunk(self, number: int) -> Captchas:
        """Chunk ``number``, counted from 0."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(2, number)))
        texts = [random_text(rng) for _ in range(self.size)]
        drawn = [render_captcha(text, rng, faces=self.faces, change=self.change) for text in texts]
        images = to_tensor([shrink(image, self.width, self.height) for image in drawn])
        names = [f"endless-{self.seed}-{number}-{i:05}-{text}" for i, text in enumerate(texts)]
        return Captchas(images, texts, names, "synthetic", f"chunk {number} of the embedded generator, seed {self.seed}")

    def __iter__(self) -> Iterator[Captchas]:
        worker = get_worker_info()
        number, step = (worker.id, worker.num_workers) if worker else (0, 1)
        while True:
            yield self.chunk(number)
            number += step

    def stream(self, workers: int = 0) -> Iterator[Captchas]:
        """The chunks in order; ``workers`` processes draw them while the caller is at work with the ones before."""
        ahead = {"prefetch_factor": 2} if workers else {}
        return iter(DataLoader(self, batch_size=None, num_workers=workers, collate_fn=_as_it_is, **ahead))


def _as_it_is(chunk: Captchas) -> Captchas:
    return chunk


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
    return Captchas(to_tensor(drawn), texts, names, "synthetic", contents)


def hidden_ink(texts: Sequence[str], seed: int) -> list[list[float]]:
    """How much of each symbol's ink the noise curves cross in the images of `draw_captchas`: shares, 0 to 1, for each text."""
    return [_hidden(text, _rng(seed, i)) for i, text in enumerate(texts)]


def _hidden(text: str, rng: np.random.Generator) -> list[float]:
    faces = rng.integers(len(generator.FACES), size=len(text))  # drawn in the order of `render_captcha`
    clear = np.ones((generator.HEIGHT, generator.WIDTH), np.float32)
    for fractions in generator.CURVES:
        generator.add_noise_curve(clear, fractions, rng.random(4))
    return [float((ink * (1 - clear)).sum() / ink.sum()) for ink in map(generator.distort, _symbols(text, faces))]


def _symbols(text: str, faces: np.ndarray) -> list[np.ndarray]:
    """The ink of each symbol alone, in its place: what it adds to the symbols before it."""
    drawn = [generator.draw_glyphs(text[:end], faces[:end]) for end in range(1, len(text) + 1)]
    if any((after < before).any() for before, after in zip(drawn, drawn[1:])):  # too wide: all of it in the narrow typeface
        return _symbols(text, np.full_like(faces, len(generator.FACES) - 1))
    return [drawn[0], *(after - before for before, after in zip(drawn, drawn[1:]))]


def _rng(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, index)))
