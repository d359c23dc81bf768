"""All kinds of calls under valgrind's memcheck: values that were never set, accesses out of bounds, lost memory.

Ten calls of each kind in tests/every_call.py but for PyTorch's, in a Python that allocates with malloc, and with AVX2
(valgrind has no AVX-512). Python and NumPy have findings of their own; what counts are those with one of our modules
among the callers.

`python tests/soak/valgrind.py` takes some minutes, and needs valgrind. It ends with exit status 1 where something of
ours is found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from figures import ROOT, record

ISA = "avx2"
CALLS_OF_EACH = 10
LEFT_OUT = ("refine, torch", "out of memory")  # PyTorch takes too long; valgrind needs address space itself
PROGRAM = f"""
import sys
sys.path[:0] = {[str(ROOT), str(ROOT / "tests")]}
import densecrf, every_call
assert densecrf.build_info()["isa"] == "{ISA}"
for name, call in every_call.CALLS.items():
    if name not in {LEFT_OUT}:
        for i in range({CALLS_OF_EACH}):
            call(i)
print(len(every_call.CALLS) - {len(LEFT_OUT)})
"""
# What malloc gave and nothing points to any more; what only Python's end leaves lying is reachable still.
COUNTED_LEAKS = ("Leak_DefinitelyLost", "Leak_IndirectlyLost")
OURS = ("/densecrf/_core.", "/densecrf/_cuda_twin.")


def run(report: Path) -> int:
    """Makes the calls under memcheck, which writes what it finds; how many kinds of call there were."""
    environment = {"DENSECRF_ISA": ISA, "PYTHONMALLOC": "malloc", "OPENBLAS_NUM_THREADS": "1"}
    memcheck = ["valgrind", "--tool=memcheck", "--leak-check=full", "--num-callers=60", "--xml=yes"]
    done = subprocess.run(
        [*memcheck, f"--xml-file={report}", sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"the program failed with {done.returncode}")
    return int(done.stdout)


def found(report: Path) -> tuple[list[str], int]:
    """Findings with our modules among the callers, as text, and how many others there are."""
    ours, others = [], 0
    for error in ElementTree.parse(report).getroot().iter("error"):
        kind = error.findtext("kind", "")
        if kind.startswith("Leak_") and kind not in COUNTED_LEAKS:
            continue
        frames = [(frame.findtext("fn", "?"), frame.findtext("obj", "?")) for frame in error.iter("frame")]
        if any(module in obj for _, obj in frames for module in OURS):
            ours.append("\n    ".join([kind, *(f"{function} ({obj})" for function, obj in frames)]))
        else:
            others += 1
    return ours, others


def main() -> None:
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "memcheck.xml"
        kinds = run(report)
        ours, others = found(report)
    print(*ours, sep="\n\n")
    print(f"{len(ours)} findings of ours, {others} of others")
    if ours:
        sys.exit(1)
    record(
        "valgrind",
        tool="memcheck",
        isa=ISA,
        kinds_of_calls=kinds,
        calls_of_each=CALLS_OF_EACH,
        found_of_ours=0,
        found_of_others=others,
    )


if __name__ == "__main__":
    main()
