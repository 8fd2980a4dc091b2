"""Stopping between two steps instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class DeferredInterrupt:
    """Turns the first Ctrl-C (or Jupyter's stop button) into a request; a second one stops at once.

    ``with DeferredInterrupt() as interrupt:`` then look at ``interrupt.requested`` between steps. An optimizer's step
    that is cut in half leaves weights that belong to no step and can't be repeated. Outside the main thread signals
    can't be caught, and nothing changes.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous = None

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
