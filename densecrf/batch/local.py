"""The engine for one machine: worker processes that may die.

`concurrent.futures` gives up all work when one process dies. Here a dead worker is replaced. What it had in hand is
done again, one picture at a time in a worker that has nothing else, so that a picture that kills again is known to be
the one; it is recorded as an error, and its neighbours are done.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType

from densecrf.batch import worker
from densecrf.batch.jobs import Job
from densecrf.batch.pipeline import DEPTH
from densecrf.batch.records import Record, journal_of
from densecrf.batch.work import Task

FAILED_STARTS = 3  # in a row: then it is not the pictures
PATIENCE = 2.0  # seconds that workers get to finish what they hold when a run is stopped

# Processes are started afresh: a copy of a process that has threads, or has used CUDA, need not work.
_PROCESSES = multiprocessing.get_context("spawn")


def records(jobs: Sequence[Job], task: Task, workers: int) -> Iterator[Record]:
    """Do the jobs in so many processes, and give their records as they come, in any order.

    Raises:
        RuntimeError: no worker can be started.
    """
    with _Pool(jobs, task, min(workers, len(jobs))) as pool:
        while not pool.done:
            yield from pool.step()


class _Worker:
    """A process, and the jobs it holds."""

    def __init__(self, task: Task) -> None:
        self.connection, theirs = _PROCESSES.Pipe()
        self.process = _PROCESSES.Process(target=worker.main, args=(theirs, task), daemon=True)
        with _without_interrupts():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.jobs: dict[str, Job] = {}
        self.ready = False
        self.alone = False  # what it holds has been in a worker that died

    def give(self, job: Job, alone: bool) -> None:
        """Send a job; a worker that has died meanwhile is noticed where its answers are read."""
        self.jobs[job.name] = job
        self.alone = alone
        try:
            self.connection.send(job)
        except OSError:
            return

    def heard(self) -> Record | None:
        """What it says, if it is a record.

        Raises:
            EOFError, OSError: it is dead.
        """
        said = self.connection.recv()
        if isinstance(said, Record):
            del self.jobs[said.name]
            return said
        self.ready = True
        return None

    def stop(self, deadline: float) -> None:
        """Wait for it to end, until then; then end it."""
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()


class _Pool:
    """The workers, and the jobs that none of them holds."""

    def __init__(self, jobs: Sequence[Job], task: Task, workers: int) -> None:
        self.task = task
        self.pending = deque(jobs)
        self.suspects: deque[Job] = deque()  # each was held by a worker that died
        self.failed_starts = 0
        self.workers = [_Worker(task) for _ in range(workers)]

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        for each in self.workers:
            try:
                each.connection.send(None)
            except OSError:
                continue
        deadline = time.monotonic() + PATIENCE
        for each in self.workers:
            each.stop(deadline)

    @property
    def done(self) -> bool:
        return not self.pending and not self.suspects and not any(each.jobs for each in self.workers)

    def step(self) -> Iterator[Record]:
        """Hand out jobs, wait for an answer or a death, and give the records that came of it."""
        for each in self.workers:
            self._feed(each)
        by_connection = {each.connection: each for each in self.workers}
        for connection in wait(list(by_connection)):
            assert isinstance(connection, Connection)
            each = by_connection[connection]
            try:
                record = each.heard()
            except (EOFError, OSError):
                record = self._replace(each)
            if each.ready:
                self.failed_starts = 0
            if record is not None:
                yield record

    def _feed(self, each: _Worker) -> None:
        """Suspects go alone to a worker that holds nothing; other jobs to all that hold no suspect."""
        if not each.ready:
            return
        if not each.jobs and self.suspects:
            each.give(self.suspects.popleft(), alone=True)
        while self.pending and len(each.jobs) < DEPTH and not (each.jobs and each.alone):
            each.give(self.pending.popleft(), alone=False)

    def _replace(self, dead: _Worker) -> Record | None:
        """Start another worker; a job that was alone with the dead one is over, others get another chance."""
        dead.stop(time.monotonic() + PATIENCE)
        self._count_start(dead)
        self.workers[self.workers.index(dead)] = _Worker(self.task)
        if not dead.alone:
            self.suspects.extend(dead.jobs.values())
            return None
        return next((self._given_up(job, dead) for job in dead.jobs.values()), None)

    def _count_start(self, dead: _Worker) -> None:
        self.failed_starts += not dead.ready
        if self.failed_starts >= FAILED_STARTS:
            raise RuntimeError(
                f"worker processes end before they start to work (exit status {dead.process.exitcode}); what they "
                f"print says why. A script that calls densecrf.batch.run needs if __name__ == '__main__' around it"
            )

    def _given_up(self, job: Job, dead: _Worker) -> Record:
        record = Record(job.name, f"two worker processes died of it, the last one by {_cause(dead)}", job.picture)
        journal_of(self.task.journals, self.task.run).append(record)
        return record


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start a process that does not see Ctrl+C before it can say that it does not want to."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cause(dead: _Worker) -> str:
    status = dead.process.exitcode or 0
    if status == -9:
        return "signal 9, as when memory runs out"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
