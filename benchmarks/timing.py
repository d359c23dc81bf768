"""The one place that times: warm-up, interleaved rounds, medians.

Contestants take turns (A B C, A B C, ...), so a machine that slows down for a while slows all of them
down, and ratios are taken round by round, so that such a while falls out of them.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Times:
    """What one contestant took, round by round.

    Attributes:
        seconds: one number per round; never empty.
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        """The fastest round, in seconds."""
        return min(self.seconds)

    @property
    def high(self) -> float:
        """The slowest round, in seconds."""
        return max(self.seconds)

    def ratios_to(self, other: Times) -> tuple[float, ...]:
        """How many times longer ``other`` takes, round by round."""
        return tuple(b / a for a, b in zip(self.seconds, other.seconds, strict=True))

    def ratio_to(self, other: Times) -> float:
        """How many times longer ``other`` takes: the median over the rounds of other / self."""
        return statistics.median(self.ratios_to(other))


def interleaved(
    calls: Mapping[str, Callable[[], Any]],
    *,
    rounds: int,
    at_least: int = 3,
    budget: float = float("inf"),
    progress: Callable[[str], None] = lambda what: None,
    answer: Callable[[str, Any], None] = lambda name, result: None,
) -> dict[str, Times]:
    """Time contestants in turns, after one untimed call of each.

    Args:
        calls: name -> what to time.
        rounds: how often each is timed.
        at_least: the rounds that are run even if they take longer than ``budget``.
        budget: no further round starts once the timed rounds took this many seconds.
        progress: told in a few words what runs next.
        answer: given the name and the result of each untimed call.

    Returns:
        Name -> times, all with the same number of rounds.
    """
    for name, call in calls.items():
        progress(f"warm-up, {name}")
        answer(name, call())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    spent = 0.0
    for done in range(rounds):
        if done >= at_least and spent >= budget:
            break
        for name, call in calls.items():
            progress(f"round {done + 1}/{rounds}, {name}")
            took = _timed(call)
            seconds[name].append(took)
            spent += took
    return {name: Times(tuple(taken)) for name, taken in seconds.items()}


def _timed(call: Callable[[], Any]) -> float:
    """Seconds of one call, freeing what it returns not included, with the garbage collector off."""
    collects = gc.isenabled()
    gc.disable()
    try:
        begin = time.perf_counter()
        kept = call()
        took = time.perf_counter() - begin
    finally:
        if collects:
            gc.enable()
    del kept
    return took
