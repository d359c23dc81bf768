"""What ten thousand calls of each kind leave behind: in the process, in the C library's heap, in Python's.

Every kind of call in tests/every_call.py, on small pictures. Caches fill and buffers reach their size in the first
tenth of the calls; what is held after any later tenth may be no more, within the bounds below.

`python tests/soak/leaks.py` takes about ten minutes on an idle machine with two cores. It ends with exit status 1 where
something grows.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys

from figures import record

from every_call import CALLS  # isort: skip  (figures.py says where it lies)
from leftovers import Held, held_after_each_part  # isort: skip

TENTHS = 10
# What may come on top after the first tenth. What leaks does so in every tenth, and the median of them shows it; a
# table that Python enlarges once, by a megabyte for that of its interned strings, is none.
RESIDENT = 4 << 20  # bytes, altogether
HEAP_A_CALL = 1.0  # bytes; the least that malloc gives is 24: one call in twenty that leaves something is seen
BLOCKS_A_CALL = 0.09  # with those of the measurement itself, seven for each tenth


def steps(after: list[Held], what: str) -> list[int]:
    """What every later tenth added."""
    return [getattr(later, what) - getattr(earlier, what) for earlier, later in itertools.pairwise(after)]


def figures(after: list[Held], calls: int) -> dict[str, float]:
    """What there was more of after the first tenth: at most, and per call in the middle one of the later tenths."""
    of_a_tenth = calls / TENTHS
    return {
        "resident_bytes": max(held.resident for held in after[1:]) - after[0].resident,
        "heap_bytes": max(held.heap for held in after[1:]) - after[0].heap,
        "heap_bytes_a_call": statistics.median(steps(after, "heap")) / of_a_tenth,
        "python_blocks_a_call": statistics.median(steps(after, "blocks")) / of_a_tenth,
    }


def is_flat(more: dict[str, float]) -> bool:
    return (
        more["resident_bytes"] <= RESIDENT
        and more["heap_bytes_a_call"] <= HEAP_A_CALL
        and more["python_blocks_a_call"] <= BLOCKS_A_CALL
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help="of each kind")
    parser.add_argument("--only", help="kinds whose name has this in it; nothing is recorded then")
    options = parser.parse_args()
    kinds = {name: call for name, call in CALLS.items() if options.only is None or options.only in name}
    after, grown = {}, {}
    for name, call in kinds.items():
        after[name] = held_after_each_part(call, options.calls, TENTHS)
        grown[name] = figures(after[name], options.calls)
        print(f"{name:26}", *(f"{what} {value:g} " for what, value in grown[name].items()), flush=True)
    leaking = [name for name, more in grown.items() if not is_flat(more)]
    if leaking:
        sys.exit(f"not flat: {', '.join(leaking)}")
    if options.only is None:
        record(
            "leaks",
            calls_of_each=options.calls,
            bounds={
                "resident_bytes": RESIDENT,
                "heap_bytes_a_call": HEAP_A_CALL,
                "python_blocks_a_call": BLOCKS_A_CALL,
            },
            grown_after_the_first_tenth=grown,
            resident_after_each_tenth={name: [held.resident for held in one] for name, one in after.items()},
        )


if __name__ == "__main__":
    main()
