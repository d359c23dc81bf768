"""Programs in control groups with too little memory for them, again and again: none may ever be killed.

    python tests/soak/groups.py [--runs 25]

Needs a user who may make control groups, or tries nothing. One thread with pictures that grow, eight threads, and a
batch: those of tests/test_little_memory.py, each in a group of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter

from figures import record

# isort: split
import test_little_memory
from memory_limits import real_group
from watchdog import finished

MIB = 1 << 20
PROGRAMS = {  # with the MiB of the group
    "pictures that grow": (test_little_memory.GROW, 200),
    "eight threads": (test_little_memory.CROWD, 300),
    "eight threads, still less": (test_little_memory.CROWD, 200),
    "a batch of six": (test_little_memory.BATCH, 280),
}


def run(program: str, mebibytes: int) -> Counter[str] | None:
    """Runs it once: how its calls ended; None where there can be no group."""
    with real_group(mebibytes * MIB) as made:
        if made is None:
            return None
        done = finished(program, limits=made[0])
    if done.returncode == -9:
        return Counter(killed=1)
    if done.returncode != 0:
        print(done.stderr)
        return Counter(failed=1)
    answers = json.loads(done.stdout.splitlines()[-1])
    if isinstance(answers, bool):  # of a batch: whether it is the same as alone
        return Counter(refined=1) if answers else Counter(failed=1)
    return Counter("refined" if answer == "refined" else "refused" for answer in answers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25, help="of each program")
    runs = parser.parse_args().runs
    table = {}
    for name, (program, mebibytes) in PROGRAMS.items():
        calls: Counter[str] = Counter()
        for _ in range(runs):
            found = run(program, mebibytes)
            if found is None:
                print("no control groups for this user: nothing was tried")
                return 0
            calls += found
        table[name] = {"MiB": mebibytes, **{kind: calls[kind] for kind in ("refined", "refused", "killed", "failed")}}
        print(name, table[name], flush=True)
    if any(row["killed"] or row["failed"] for row in table.values()):
        return 1
    record("groups", runs_of_each=runs, programs=table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
