"""Many threads at once: the bits that each gets alone, however few threads the system has for them."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inputs import scene, softmax
from numpy.testing import assert_array_equal
from watchdog import at_once, finished, said

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian
from densecrf._side_by_side import side_by_side

SIZES = [(150, 200, 3), (40, 60, 21), (61, 47, 2), (1, 900, 4), (33, 90, 9), (200, 130, 5)]  # some of two partitions
SHARED = (160, 190, 4)  # of the model that several threads use
TERMS = [Gaussian(2, 2), Bilateral(20, 15, 3)]


@functools.cache
def inputs(height: int, width: int, labels: int) -> tuple[Any, Any]:
    image, logits = scene(height, width, labels)
    return image, softmax(logits / 4).astype(np.float32)


def refined(size: tuple[int, int, int], threads: int) -> Any:
    return densecrf.refine(*inputs(*size), terms=TERMS, iterations=3, num_threads=threads)


def refined_into(size: tuple[int, int, int], threads: int) -> Any:
    image, probs = inputs(*size)
    out = np.full_like(probs, -1)
    assert densecrf.refine(image, probs, terms=TERMS, iterations=3, num_threads=threads, out=out) is out
    return out


def batch(size: tuple[int, int, int], threads: int) -> Any:
    image, probs = inputs(*size)
    images, several = np.stack([image, image[::-1], image // 2]), np.stack([probs, probs, probs[:, ::-1]])
    return densecrf.refine(images, several, terms=TERMS, iterations=2, num_threads=threads)


@functools.cache
def model(threads: int) -> DenseCRF:
    return DenseCRF(inputs(*SHARED)[0], SHARED[2], TERMS, num_threads=threads)


def inferred(threads: int) -> Any:
    return model(threads).infer(-np.log(inputs(*SHARED)[1] + 1e-5), 3, damping=0.1)


def stepped(threads: int) -> Any:
    field = model(threads).start(-np.log(inputs(*SHARED)[1] + 1e-5))
    for _ in range(3):
        field.step()
    return field.marginals


def filtered(threads: int) -> Any:
    return model(threads).filter(inputs(*SHARED)[1], 1)


def refused(threads: int) -> Any:
    image, probs = inputs(*SIZES[1])
    with pytest.raises(ValueError, match="sum to 1"):
        densecrf.refine(image, probs * 2, num_threads=threads)
    with pytest.raises(ValueError, match="too small for this image"):
        DenseCRF(image, 21, [Bilateral(1e-7, 1, 1)], num_threads=threads)
    return np.zeros(0)


KINDS: list[Callable[[int], Any]] = [
    *(functools.partial(refined, size) for size in SIZES),
    *(functools.partial(refined_into, size) for size in SIZES[:2]),
    *(functools.partial(batch, size) for size in SIZES[1:3]),
    *(inferred, inferred, stepped, stepped, filtered, refused),
]


def in_turn(threads: int) -> list[Any]:
    return [kind(threads) for kind in KINDS]


@pytest.mark.parametrize("threads", [1, 16])
def test_sixteen_threads_at_once_get_the_bits_that_each_gets_alone(threads: int) -> None:
    assert len(KINDS) == 16
    alone = in_turn(1)

    def check(kind: Callable[[int], Any], expected: Any) -> None:
        for _ in range(2):
            assert_array_equal(kind(threads), expected)

    at_once([functools.partial(check, *one) for one in zip(KINDS, alone, strict=True)])


def test_sixteen_times_sixteen_threads_take_no_absurd_time() -> None:
    """They take about twice as long as one thread after the other: 256 threads meet at barriers on a few cores."""
    in_turn(1)
    start = time.perf_counter()
    in_turn(1)
    serial = time.perf_counter() - start
    start = time.perf_counter()
    at_once([functools.partial(kind, 16) for kind in KINDS])
    assert time.perf_counter() - start < 20 * serial + 5


# ---- fewer threads than were asked for ----------------------------------------------------------------------

# With a stack of a gigabyte each, the address space that is left holds as many threads as it has gigabytes.
FEW_THREADS = """
import json, resource, sys, threading
import numpy as np
import densecrf

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (5, 170, 300, 3)).astype(np.uint8)
probs = np.ascontiguousarray(np.moveaxis(rng.dirichlet([1, 1, 1], (5, 170, 300)), -1, 1), np.float32)

def answers(threads):
    several = densecrf.refine(images, probs, num_threads=threads)
    return [densecrf.refine(images[0], probs[0], num_threads=threads), several]

alone = answers(1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = used + int((float(sys.argv[1]) + 0.5) * 2**30)
resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))
started = 0
try:
    for _ in range(8):
        threading.Thread(target=threading.Event().wait, args=(1,)).start()
        started += 1
except RuntimeError:
    pass
for thread in threading.enumerate()[1:]:
    thread.join()
same = [bool((one == other).all()) for one, other in zip(answers(16), alone)]
print(json.dumps([started, same, threading.active_count()]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
@pytest.mark.parametrize("threads", [0, 1])
def test_where_the_system_gives_fewer_threads_those_have_to_do(threads: int) -> None:
    started, same, left = said(FEW_THREADS, str(threads), limits="ulimit -s 1048576 && exec")
    assert started == threads
    assert same == [True, True]
    assert left == 1


def test_nobody_starts_more_than_1024_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    image, probs = inputs(*SIZES[0])
    assert_array_equal(densecrf.refine(image, probs, num_threads=10**9), densecrf.refine(image, probs, num_threads=1))
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def counted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", counted)
    images, many = np.zeros((1200, 4, 4, 3), np.uint8), np.full((1200, 2, 4, 4), 0.5, np.float32)
    densecrf.refine(images, many, num_threads=10**9)
    assert len(started) == 1023


# ---- side by side -------------------------------------------------------------------------------------------


def test_every_item_is_worked_on_once_and_the_caller_takes_part() -> None:
    seen: list[tuple[int, str]] = []
    side_by_side(lambda item, _: seen.append((item, threading.current_thread().name)), range(200), 4)
    assert sorted(item for item, _ in seen) == list(range(200))
    side_by_side(lambda item, _: seen.append((item, threading.current_thread().name)), [-1], 4)
    assert seen[-1] == (-1, threading.current_thread().name)


def test_nothing_is_begun_after_an_error_and_the_earliest_is_raised() -> None:
    begun: list[int] = []
    both = threading.Barrier(2)

    def work(item: int, _: object) -> None:
        begun.append(item)
        both.wait(60)
        raise ValueError(item)

    with pytest.raises(ValueError, match=r"^0$"):
        side_by_side(work, range(50), 2)
    assert sorted(begun) == [0, 1]


@pytest.mark.parametrize("workers", [2, 5])
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_items_that_have_no_room_beside_others_are_worked_on_later(workers: int, at_once: int) -> None:
    room, done = threading.Semaphore(at_once), []

    def work(item: int, _: object) -> None:
        if not room.acquire(blocking=False):
            raise MemoryError(item)
        time.sleep(0.002)
        done.append(item)
        room.release()

    for _ in range(20):
        done.clear()
        side_by_side(work, range(30), workers)
        assert sorted(done) == list(range(30))


def test_an_item_that_has_no_room_at_all_is_an_error_that_begins_nothing_more() -> None:
    begun: list[int] = []

    def work(item: int, _: object) -> None:
        begun.append(item)
        time.sleep(0.002)
        if item == 3:
            raise MemoryError(item)

    with pytest.raises(MemoryError, match=r"^3$"):
        side_by_side(work, range(1000), 4)
    assert begun.count(3) > 1  # beside others, and alone
    assert len(begun) < 1100
    with pytest.raises(MemoryError, match=r"^3$"):
        side_by_side(work, range(1000), 1)
    assert begun[-4:] == [0, 1, 2, 3]


def test_an_error_keeps_nothing_alive_that_the_caller_has_let_go() -> None:
    class Something:
        pass

    something = Something()
    gone = weakref.ref(something)

    def work(item: int, _: object) -> None:
        raise ValueError(item)

    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            side_by_side(lambda item, stop, held=something: work(item, stop), [0], 2)
        del something
        assert gone() is None
    finally:
        gc.enable()


# ---- when the interpreter ends ------------------------------------------------------------------------------

AT_EXIT = """
import atexit, sys
import numpy as np
import densecrf

def last():
    q = densecrf.refine(np.zeros((4, 8, 9, 3), np.uint8), np.full((4, 2, 8, 9), 0.5, np.float32), num_threads=4)
    print(q.shape)

atexit.register(last)
sys.exit(7)
"""


def test_a_batch_is_refined_while_the_interpreter_ends() -> None:
    done = finished(AT_EXIT)
    assert (done.returncode, done.stdout, done.stderr) == (7, "(4, 2, 8, 9)\n", "")


# Daemon threads that are in the core, or come back from it, while modules are taken down: slowly, so that they do.
DAEMONS = """
import sys, threading, time
import numpy as np
import densecrf

class Slow:
    def __del__(self):
        time.sleep(0.5)

slow = Slow()
model = densecrf.DenseCRF(np.zeros((60, 60, 3), np.uint8), 2, num_threads=int(sys.argv[1]))
unary = np.zeros((2, 60, 60), np.float32)
begun = threading.Barrier(5)

def work():
    begun.wait()
    while True:
        model.infer(unary)

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(0.2)
sys.exit(7)
"""


def test_daemon_threads_inside_a_call_do_not_disturb_the_end_of_the_program() -> None:
    done = finished(DAEMONS, "1")
    assert (done.returncode, done.stderr) == (7, "")
