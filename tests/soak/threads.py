"""Sixteen threads call at random while the process is forked: every answer the bits it has alone, and nothing hangs.

A child refines in its turn, on two threads, and is killed if it takes a minute; a thread that ends no call in two
minutes hangs, too.

    python tests/soak/threads.py [minutes, 3 by default]
"""

from __future__ import annotations

import functools
import itertools
import os
import random
import sys
import threading
import time
import traceback
from typing import Any

from figures import record

# isort: split
import test_threads
from numpy.testing import assert_array_equal

THREADS = 16
PATIENCE, CHILDS_PATIENCE = 120, 60


class Counts:
    """What the threads have done, and when each of them did it last."""

    def __init__(self) -> None:
        self.calls = [0] * THREADS
        self.last = [time.monotonic()] * THREADS
        self.errors: list[str] = []


@functools.cache
def alone() -> list[Any]:
    """What each kind of call gives when nothing else runs."""
    return test_threads.in_turn(1)


def call(kind: int, threads: int) -> None:
    assert_array_equal(test_threads.KINDS[kind](threads), alone()[kind])


def keep_calling(thread: int, counts: Counts, done: threading.Event) -> None:
    choice = random.Random(thread)
    while not done.is_set():
        try:
            call(choice.randrange(len(test_threads.KINDS)), choice.choice((1, 2, 16)))
        except BaseException:
            counts.errors.append(traceback.format_exc())
        counts.calls[thread] += 1
        counts.last[thread] = time.monotonic()


def fork_once(number: int) -> str:
    """Forks a child that refines; "" or what went wrong with it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call(number % len(test_threads.KINDS), 2)
            status = 0
        finally:
            os._exit(status)
    end = time.monotonic() + CHILDS_PATIENCE
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "" if status == 0 else f"child {number} ends with {status}"
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return f"child {number} hangs"


def main(minutes: float) -> int:
    """Returns the exit status."""
    alone()
    counts, done = Counts(), threading.Event()
    threads = [threading.Thread(target=keep_calling, args=(t, counts, done), daemon=True) for t in range(THREADS)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    forks, wrong, hanging = 0, [], 0
    for forks in itertools.count(1):
        wrong += [problem] if (problem := fork_once(forks)) else []
        hanging = sum(time.monotonic() - last > PATIENCE for last in counts.last)
        if time.monotonic() - start > 60 * minutes or wrong or hanging or counts.errors:
            break
    done.set()
    for thread in threads:
        thread.join(PATIENCE)
    hanging = max(hanging, sum(thread.is_alive() for thread in threads))
    print(f"{sum(counts.calls)} calls of {THREADS} threads and {forks} forks in {time.monotonic() - start:.0f} s")
    if wrong or hanging or counts.errors:
        print(*wrong, f"{hanging} threads hang", *counts.errors[:3], sep="\n")
        return 1
    record(
        "threads",
        threads=THREADS,
        seconds=round(time.monotonic() - start),
        calls=sum(counts.calls),
        fewest_calls_of_a_thread=min(counts.calls),
        forks=forks,
        hangs=0,
        other_answers=0,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
