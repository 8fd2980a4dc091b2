"""Generated captchas without end, in chunks: the same ones for a seed, however many processes draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ocrlib.captchas import Captchas
from ocrlib.images import shrink
from ocrlib.synthetic import random_text, render_captcha


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
        images = torch.from_numpy(np.stack([shrink(image, self.width, self.height) for image in drawn])).unsqueeze(1)
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
