"""SIGTERM, by which Slurm, containers and `kill` announce the end; by default nothing is tidied up before it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def raised(error: type[BaseException]) -> Iterator[None]:
    """Within, SIGTERM is an exception; in threads other than the main one, which gets no signals, nothing changes.

    What was done at SIGTERM before is done again afterwards: a forked child that inherits a handler may not end when
    its pool tells it to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise error

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
