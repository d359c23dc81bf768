"""Work on several things at once, on threads that live as long as the call."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from densecrf._core import Stop, StoppedError

T = TypeVar("T")


def side_by_side(work: Callable[[T, Stop], None], items: Sequence[T], workers: int) -> None:
    """Calls ``work`` once for every item, on up to so many threads, of which the caller's is one.

    Where the system gives fewer threads than asked for, those have to do. After an error, Ctrl-C for one, nothing more
    is begun, and what had begun is told to stop; then the error is raised, of several that of the earliest item.
    """
    stop = Stop()
    waiting = deque(range(len(items)))
    errors: dict[int, BaseException] = {}

    def take_part() -> None:
        while waiting:
            try:
                at = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                work(items[at], stop)
            except StoppedError:  # for the sake of another's error
                return
            except BaseException as error:
                errors[at] = error
                waiting.clear()
                stop.set()

    helpers: list[threading.Thread] = []
    try:
        _start(helpers, min(workers, len(items)) - 1, take_part)
        take_part()
        for helper in helpers:
            helper.join()
    finally:
        waiting.clear()  # should something have interrupted the caller itself
        stop.set()
        for helper in helpers:
            helper.join()
    try:
        if errors:
            raise errors[min(errors)]
    finally:
        errors.clear()  # an error knows this frame, and together they would keep arrays alive


def _start(helpers: list[threading.Thread], count: int, work: Callable[[], None]) -> None:
    """Starts so many threads, or as many as the system gives."""
    try:
        for _ in range(count):
            helper = threading.Thread(target=work, name="densecrf")
            helper.start()
            helpers.append(helper)
    except (RuntimeError, MemoryError):
        pass
