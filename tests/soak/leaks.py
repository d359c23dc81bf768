"""What ten thousand calls of each kind leave behind: in the process, in the C library's heap, in Python's.

Every kind of call in tests/every_call.py, on small pictures. Caches fill and buffers reach their size in the first
tenth of the calls; what is held after any later tenth may be no more, within the bounds below.

`python tests/soak/leaks.py` takes about ten minutes on an idle machine with two cores. It ends with exit status 1 where
something grows.
"""

from __future__ import annotations

import argparse
import sys

from figures import record

from every_call import CALLS  # isort: skip  (figures.py says where it lies)
from leftovers import Held, held_after_each_part  # isort: skip

TENTHS = 10
# What may come on top after the first tenth. The least that malloc gives is 24 bytes, and Python one block: one call in
# twenty that leaves something is seen.
RESIDENT = 4 << 20  # bytes, whatever the number of calls: how the system and malloc keep their pages is not ours
HEAP_A_CALL = 1.0  # bytes
BLOCKS_A_CALL = 0.02


def grown(after: list[Held]) -> Held:
    """The most of each that any later tenth held more than the first."""
    return Held(
        *(
            max(getattr(one, what) - getattr(after[0], what) for one in after[1:])
            for what in ("resident", "heap", "blocks")
        )
    )


def is_flat(more: Held, calls: int) -> bool:
    return (
        more.resident <= RESIDENT
        and more.heap <= HEAP_A_CALL * calls
        and more.blocks <= max(100, BLOCKS_A_CALL * calls)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help="of each kind")
    parser.add_argument("--only", help="kinds whose name has this in it; nothing is recorded then")
    options = parser.parse_args()
    kinds = {name: call for name, call in CALLS.items() if options.only is None or options.only in name}
    after = {}
    for name, call in kinds.items():
        after[name] = held_after_each_part(call, options.calls, TENTHS)
        more = grown(after[name])
        print(
            f"{name:26} {more.resident / 2**10:8.0f} KiB resident {more.heap:8} bytes {more.blocks:6} blocks",
            flush=True,
        )
    leaking = [name for name, one in after.items() if not is_flat(grown(one), options.calls)]
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
            grown={name: vars(grown(one)) for name, one in after.items()},
            resident_after_each_tenth={name: [held.resident for held in one] for name, one in after.items()},
        )


if __name__ == "__main__":
    main()
