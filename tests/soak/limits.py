"""Memory that is not there, and more than 2^31 numbers: how long it takes to say no, and the right answers beyond.

1. What there is no memory for: seconds until the MemoryError, and how much was touched.
2. A machine that is too small (Linux, where this user may have namespaces): a program reads a /proc/meminfo that
   leaves a given share of what its call takes. It must refine or raise MemoryError, and take no more than 64 MiB above
   what there is.
3. Arrays of more than 2^31 numbers, with answers that are known at both ends: needs 12 GiB free, or is left out.

    python tests/soak/limits.py [refusals] [machines] [large]
"""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from figures import record

# isort: split
import test_limits
from memory_limits import machine, namespaces, with_files
from watchdog import finished, said

MIB = 1 << 20
SHARES = (0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
NEEDED = 12 << 30
GRAIN = 64  # MiB


def refusals() -> dict[str, dict[str, Any]]:
    """Each in a process of its own that has 2 GiB of addresses left."""
    table = {}
    for name, call in test_limits.TOO_MUCH.items():
        message, seconds, mebibytes = said(test_limits.ASK, json.dumps({name: call}))[name]
        table[name] = {"says": message.split(";")[0], "seconds": round(seconds, 4), "MiB touched": round(mebibytes, 1)}
    return table | {"a file for the command": refused_file()}


COMMAND = """
import resource, runpy, sys, time
sys.argv[0] = "densecrf"
start = time.perf_counter()
try:
    runpy.run_module("densecrf.cli", run_name="__main__")
except SystemExit as end:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.perf_counter() - start, peak)
    sys.exit(end.code)
"""


def refused_file() -> dict[str, Any]:
    """Scores of 6 GiB, nearly all of them a hole in the file, with 4 GiB of addresses."""
    import numpy as np
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        picture, scores = Path(folder, "picture.png"), Path(folder, "scores.npy")
        Image.fromarray(np.zeros((5000, 5000, 3), np.uint8)).save(picture)
        np.lib.format.open_memmap(scores, "w+", np.float32, (64, 5000, 5000))
        arguments = ["refine", str(picture), str(scores), "--out", str(Path(folder, "out.png"))]
        done = finished(COMMAND, *arguments, OPENBLAS_NUM_THREADS="1", limits=f"ulimit -v {4 << 20} && exec")
    assert done.returncode not in (0, -9), done
    seconds, peak = map(float, done.stdout.split()[-2:])
    return {
        "says": done.stderr.strip()[-200:].replace(folder, ""),
        "seconds": round(seconds, 4),
        "MiB in all": round(peak, 1),
    }


# ---- a machine that is too small ----------------------------------------------------------------------------

CALL = """
import json, re, sys, time
import numpy as np
import densecrf
from densecrf import Bilateral, Gaussian

side, labels, terms = int(sys.argv[1]), int(sys.argv[2]), eval(sys.argv[3])
image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
probs = np.full((labels, side, side), 1 / labels, np.float32)
print("ready", flush=True)
input()
start = time.perf_counter()
try:
    densecrf.refine(image, probs, terms=terms, iterations=2, num_threads=2)
    refined = True
except MemoryError:
    refined = False
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) << 10
print(json.dumps([refined, time.perf_counter() - start, peak]), flush=True)
"""
CALLS = {
    "noise, two terms": (900, 9, "[Gaussian(3, 3), Bilateral(80, 13, 10)]"),
    "noise, every pixel alone": (900, 5, "[Bilateral(30, 1, 4)]"),
    "two labels": (900, 2, "[Bilateral(30, 2, 4, 'before')]"),
}


def with_memory(call: tuple[Any, ...], room: int | None) -> tuple[bool, float, int]:
    """Makes a call where there is so much memory: whether it refined, its seconds, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        meminfo = Path(folder, "meminfo")
        machine(meminfo, 1 << 40)
        command = ["nice", *shlex.split(with_files({"/proc/meminfo": meminfo}))]  # so that this program keeps up
        arguments = [sys.executable, "-c", CALL, *map(str, call)]
        with subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
            assert one.stdin is not None
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
            before = resident(one.pid)
            one.stdin.write("\n")
            one.stdin.flush()
            while not select.select([one.stdout], [], [], 0.002)[0]:
                if room is not None:
                    machine(meminfo, max(0, before + room - resident(one.pid)))
            refined, seconds, peak = json.loads(one.stdout.readline())
    return refined, seconds, peak - before


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def small_machines() -> dict[str, Any]:
    table = {}
    for name, call in CALLS.items():
        _, _, needs = with_memory(call, None)
        rows = []
        for share in SHARES:
            refined, seconds, took = with_memory(call, int(share * needs))
            rows.append(
                {"share": share, "refined": refined, "seconds": round(seconds, 2), "took": round(took / needs, 3)}
            )
        table[name] = {"needs MiB": needs // MIB, "with": rows}
        print(name, json.dumps(table[name]), flush=True)
    return table


def most_above(table: dict[str, Any]) -> float:
    """By how many MiB a call took more than there was, at most: the library asks once for every 64 MiB."""
    return max((row["took"] - row["share"]) * one["needs MiB"] for one in table.values() for row in one["with"])


# ---- more than 2^31 numbers ---------------------------------------------------------------------------------

# Pages that were never written take no memory, so that only the results do.
BATCH = """
import json, time
import numpy as np
from inputs import scene
import densecrf
from densecrf import Bilateral, Gaussian

shape = (160, 21, 640, 1000)
image, logits = scene(640, 1000, 21)
scores, images = np.zeros(shape, np.float32), np.zeros((160, 640, 1000, 3), np.uint8)
how = dict(terms=[Gaussian(20, 1), Bilateral(100, 60, 2)], iterations=1, from_logits=True)
expected = densecrf.refine(image, logits, **how)
for at in (0, 159):
    scores[at], images[at] = logits, image
start = time.perf_counter()
found = densecrf.refine(images, scores, **how)
seconds = time.perf_counter() - start
same = all((found[at] == expected).all() for at in (0, 159))
between = float(np.abs(found[1:159:40] - 1 / 21).max())
print(json.dumps([scores.size, same, between, seconds]))
"""
PLANES = """
import json, time
import numpy as np
import densecrf
from densecrf import Gaussian

shape = (65, 6000, 5600)
values = np.zeros(shape, np.float32)
rng = np.random.default_rng(0)
marks = rng.normal(size=(200, 300)).astype(np.float32)
values[0, :200, :300] = values[64, -200:, -300:] = marks
model = densecrf.DenseCRF(shape[1:], 65, [Gaussian(30, 1)])
alone = [model.filter(values[at : at + 1])[0] for at in (0, 64)]
start = time.perf_counter()
found = model.filter(values)
seconds = time.perf_counter() - start
close = max(float(np.abs(found[at] - one).max()) for at, one in zip((0, 64), alone))
reached = min(float(np.abs(one).max()) for one in alone)
print(json.dumps([values.size, close, reached, float(np.abs(found[1:64:21]).max()), seconds]))
"""


def large_arrays() -> dict[str, Any]:
    here = os.pathsep.join([str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])])
    numbers, same, between, seconds = said(BATCH, PYTHONPATH=here)
    assert numbers > 2**31
    assert same
    assert between < 1e-6
    batch = {"numbers": numbers, "seconds": round(seconds, 1)}
    numbers, close, reached, elsewhere, seconds = said(PLANES, PYTHONPATH=here)
    assert numbers > 2**31
    assert close < 1e-6 < reached
    assert elsewhere == 0
    return {"a_batch": batch, "planes_through_one_lattice": {"numbers": numbers, "seconds": round(seconds, 1)}}


def free() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


def check_refusals() -> int:
    table = refusals()
    for name, row in table.items():
        print(f"{name:32} {row}", flush=True)
    if not all(" MiB of memory and " in row["says"] for row in table.values()):
        return 1
    record("limits", refused=table)
    return 0


def check_machines() -> int:
    if not namespaces():
        print("no namespaces for this user: nothing was tried")
        return 0
    table = small_machines()
    above = most_above(table)
    print(f"at most {above:.0f} MiB more than there were")
    if above > GRAIN:
        return 1
    record("small_machines", calls=table, most_above_MiB=round(max(0.0, above)))
    return 0


def check_large() -> int:
    if free() < NEEDED:
        print("less than 12 GiB are free: nothing was tried")
        return 0
    large = large_arrays()
    print(json.dumps(large))
    record("large_arrays", **large)
    return 0


PARTS = {"refusals": check_refusals, "machines": check_machines, "large": check_large}

if __name__ == "__main__":
    sys.exit(max(PARTS[part]() for part in sys.argv[1:] or PARTS))
