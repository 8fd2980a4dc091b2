"""What a person sees while training goes: a bar over epochs, and a file for `make notebooks` to read."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tqdm import tqdm

from ocrlib.live import in_ipython


class Progress:
    """A bar over epochs in IPython (elsewhere the live plot prints a line an epoch), and the file ``OCRLIB_PROGRESS``.

    That file, when the environment variable names one, holds one JSON object: title, epoch, epochs, seconds_left.
    """

    def __init__(self, title: str, done: int, total: int, visible: bool) -> None:
        self.title, self.total, self.first = title, total, done
        self.began = time.perf_counter()
        show = visible and in_ipython()
        self.bar = tqdm(total=total, initial=done, desc=title, unit="epoch", disable=not show, ncols=90, mininterval=1.0)
        path = os.environ.get("OCRLIB_PROGRESS")
        self.file = Path(path) if path else None
        self._tell(done)

    def epoch_done(self, epoch: int, test_loss: float) -> None:
        self.bar.set_postfix_str(f"test loss {test_loss:.4f}", refresh=False)
        self.bar.update(epoch - self.bar.n)
        self._tell(epoch)

    def close(self) -> None:
        self.bar.close()

    def _tell(self, epoch: int) -> None:
        if self.file is None:
            return
        trained = epoch - self.first
        left = (time.perf_counter() - self.began) / trained * (self.total - epoch) if trained else None
        state = {"title": self.title, "epoch": epoch, "epochs": self.total, "seconds_left": left}
        try:
            temporary = self.file.with_suffix(".new")
            temporary.write_text(json.dumps(state))
            temporary.replace(self.file)
        except OSError:
            self.file = None  # a progress display must never stop a training run
