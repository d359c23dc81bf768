"""A worker process: jobs come through a pipe, records go back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection

from densecrf.batch import pipeline
from densecrf.batch.jobs import Job
from densecrf.batch.work import Task, Work

READY = "ready"


def main(connection: Connection, task: Task) -> None:
    """Do the jobs that come until None does, or until nobody is left to send any; what has come is still done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is meant for the run, which stops its workers
    work = Work(task)
    connection.send(READY)
    for record in pipeline.records(_received(connection), work):
        with contextlib.suppress(BrokenPipeError):  # the run was killed
            connection.send(record)


def _received(connection: Connection) -> Iterator[Job]:
    with contextlib.suppress(EOFError, ConnectionResetError):
        while (job := connection.recv()) is not None:
            yield job
