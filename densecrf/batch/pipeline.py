"""One worker's pictures: read ahead, refined, written behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from densecrf.batch.jobs import Job
from densecrf.batch.records import Record
from densecrf.batch.work import Work

Item = TypeVar("Item")

_END = object()

# Pictures in one worker at once: read, waiting, refined, waiting, written.
DEPTH = 5


def records(jobs: Iterable[Job], work: Work) -> Iterator[Record]:
    """Do these jobs, reading and refining in threads of their own and writing in the caller's; in their order.

    A stage is at most one picture ahead of the next, so memory is bounded by `DEPTH` pictures.
    """
    return map(work.write, _ahead(map(work.refine, _ahead(map(work.read, jobs)))))


def _ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Take items from an iterable in a thread, one ahead of who wants them. What the iterable raises is raised here."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    failures: list[BaseException] = []

    def produce() -> None:
        try:
            for item in items:
                ready.put(item)
                del item  # or it would be kept until there is another
        except BaseException as error:
            failures.append(error)
        ready.put(_END)

    threading.Thread(target=produce, daemon=True).start()
    while (item := ready.get()) is not _END:
        yield item
    if failures:
        raise failures[0]
