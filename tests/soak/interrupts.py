"""Signals at random moments of long calls: how soon each call ends, and what it leaves behind.

A handler raises as Ctrl-C's does. To be run while little else runs: what is measured is time. After every kind of call
the same small picture is refined again, to the bit.
"""

from __future__ import annotations

import argparse
import random
import signal
import time
from collections.abc import Callable

import figures  # first: it says where densecrf and the tests lie
import numpy as np
from inputs import scene, softmax

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

PROMISE = 1.0  # seconds
FOR_EVER = 10**6  # iterations
LONGEST_WAIT = 1.5  # seconds before the signal
MOST_LEFT = 300 << 20  # bytes: what is kept for the next call on purpose


class EndedError(Exception):
    """What the handler raises."""


def stop(*_: object) -> None:
    raise EndedError


def long_calls() -> dict[str, Callable[[], object]]:
    """Calls that take longer than anybody waits here."""
    image, logits = scene(400, 500, 21)
    probs = softmax(logits).astype(np.float32)
    pair = softmax(logits[:2]).astype(np.float32)
    small = scene(60, 80, 300)
    many = softmax(small[1]).astype(np.float32)
    noise = np.random.default_rng(0).integers(0, 256, (3500, 3500, 3), np.uint8)
    compatibility = np.eye(21, dtype=np.float32)
    images, batch = np.stack([image] * 4), np.stack([probs] * 4)
    return {
        "refine": lambda: densecrf.refine(image, probs, iterations=FOR_EVER),
        "refine, one thread": lambda: densecrf.refine(image, probs, iterations=FOR_EVER, num_threads=1),
        "refine, two labels": lambda: densecrf.refine(image, pair, iterations=FOR_EVER),
        "refine, 300 labels": lambda: densecrf.refine(small[0], many, iterations=FOR_EVER),
        "a batch": lambda: densecrf.refine(images, batch, iterations=FOR_EVER),
        "lattices": lambda: DenseCRF(noise, 2, [Bilateral(20, 5, 3)]),
        "damped, matrices": lambda: DenseCRF(image, 21, [Gaussian(3, compatibility)]).infer(
            -logits, iterations=FOR_EVER, damping=0.5
        ),
    }


def seconds_until_ended(call: Callable[[], object], after: float) -> float:
    """How long a call runs on when the signal has been sent."""
    begin = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        call()
    except EndedError:
        return time.perf_counter() - begin - after
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    raise SystemExit(f"a call ended by itself within {after:.1f} s; it is meant to be longer")


def resident() -> int:
    """Bytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=40, help="of each kind")
    wanted = parser.parse_args().calls
    signal.signal(signal.SIGALRM, stop)
    chance = random.Random(0)
    image, logits = scene(50, 60, 5)
    canary = densecrf.refine(image, logits, from_logits=True)
    slowest, changed, before = {}, 0, 0
    for name, call in long_calls().items():
        waits = [chance.uniform(0.01, LONGEST_WAIT) for _ in range(wanted)]
        slowest[name] = max(seconds_until_ended(call, wait) for wait in waits)
        changed += not np.array_equal(densecrf.refine(image, logits, from_logits=True), canary)
        before = before or resident()  # once something is kept for the next call
        print(f"{name}: {wanted} signals, at most {slowest[name]:.2f} s")
    left = resident() - before
    good = max(slowest.values()) < PROMISE and not changed and left < MOST_LEFT
    if good:
        figures.record("interrupts", signals=wanted * len(slowest), slowest_s=slowest, left_bytes=left)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
