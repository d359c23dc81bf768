"""Work on several things at once, on threads that live as long as the call."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from densecrf._core import Stop, StoppedError

T = TypeVar("T")


def side_by_side(work: Callable[[T, Stop], None], items: Sequence[T], workers: int) -> None:
    """Calls ``work`` once for every item, on up to so many threads, of which the caller's is one.

    Where the system gives fewer threads than asked for, those have to do; where there is no memory for an item beside
    the others, fewer go on, and it is begun anew when one of them has time. After any other error, Ctrl-C for one, or
    one for want of memory while nothing else was going on, nothing more is begun, and what had begun is told to stop;
    then the error is raised, of several that of the earliest item.
    """
    crew = _Crew(work, items)
    helpers: list[threading.Thread] = []
    try:
        _start(helpers, min(workers, len(items)) - 1, crew.take_part)
        crew.take_part()
        for helper in helpers:
            helper.join()
    finally:
        crew.end()  # should something have interrupted the caller itself
        for helper in helpers:
            helper.join()
    try:
        if crew.errors:
            raise crew.errors[min(crew.errors)]
    finally:
        crew.errors.clear()  # an error knows this frame, and together they would keep arrays alive


class _Crew(Generic[T]):
    """What the threads of a call share.

    Attributes:
        errors: of items, by their numbers.
    """

    def __init__(self, work: Callable[[T, Stop], None], items: Sequence[T]) -> None:
        self.errors: dict[int, BaseException] = {}
        self._work, self._items = work, items
        self._stop = Stop()
        self._lock = threading.Lock()  # around all that follows
        self._ended = False
        self._waiting = deque(range(len(items)))
        self._at_work: set[int] = set()
        self._accompanied: set[int] = set()  # of those at work, that were ever beside others

    def take_part(self) -> None:
        """Works until there is nothing to begin, or no room for one more at work."""
        goes_on = True
        while goes_on and (at := self._begin()) is not None:
            try:
                self._work(self._items[at], self._stop)
                self._leave(at)
            except StoppedError:  # for the sake of another's error
                self._leave(at)
            except MemoryError as error:
                goes_on = self._put_back(at, error)
            except BaseException as error:
                self._fail(at, error)

    def end(self) -> None:
        """Begins nothing more, and tells what had begun to stop."""
        with self._lock:
            self._ended = True
        self._stop.set()

    def _begin(self) -> int | None:
        with self._lock:
            if self._ended or not self._waiting:
                return None
            at = self._waiting.popleft()
            self._at_work.add(at)
            if len(self._at_work) > 1:
                self._accompanied |= self._at_work
            return at

    def _leave(self, at: int) -> bool:
        """Whether it was beside others, and is not to stop."""
        with self._lock:
            again = at in self._accompanied and not self._ended
            self._at_work.discard(at)
            self._accompanied.discard(at)
            return again

    def _put_back(self, at: int, error: MemoryError) -> bool:
        """Whether this thread goes on; others that are at work will come to the item, too."""
        if not self._leave(at):
            self._fail(at, error)
            return False
        with self._lock:
            self._waiting.appendleft(at)
            return not self._at_work

    def _fail(self, at: int, error: BaseException) -> None:
        self._leave(at)
        self.errors[at] = error
        self.end()


def _start(helpers: list[threading.Thread], count: int, work: Callable[[], None]) -> None:
    """Starts so many threads, or as many as the system gives."""
    try:
        for _ in range(count):
            helper = threading.Thread(target=work, name="densecrf")
            helper.start()
            helpers.append(helper)
    except (RuntimeError, MemoryError):
        pass
