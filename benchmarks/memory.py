"""How much memory a call takes beside what it is given: the peak in a process of its own.

A peak belongs to the life of a process, and this library keeps memory between calls, so every contestant gets a
fresh process. The inputs are read there from files rather than made: making them would take more than some calls do,
and leave that behind as the peak. Linux only: `ru_maxrss` is of no use, as a process inherits it from its parent.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

from benchmarks import contest, peer, workloads

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
_IMAGE, _PROBS, _REST = "image.npy", "probs.npy", "rest.pickle"


@dataclass(frozen=True)
class Peak:
    """What one call took.

    Attributes:
        mib: memory at the peak, less what there was before the call: the result included, the inputs not.
        why: why there is no number, where there is none.
    """

    mib: float | None
    why: str = ""


def peaks(work: workloads.Workload, whos: Sequence[contest.Contestant]) -> dict[contest.Contestant, Peak]:
    """Run every contestant once, each in a process of its own."""
    if not STATUS.exists():
        return {who: Peak(None, f"peaks are read from {STATUS}, which only Linux has") for who in whos}
    with tempfile.TemporaryDirectory(prefix="densecrf-") as folder:
        np.save(Path(folder, _IMAGE), work.image)
        np.save(Path(folder, _PROBS), work.probs)
        return {who: _in_a_process(Path(folder), work, who) for who in whos}


def _in_a_process(folder: Path, work: workloads.Workload, who: contest.Contestant) -> Peak:
    rest = (work.name, work.about, work.terms, work.iterations, who)
    (folder / _REST).write_bytes(pickle.dumps(rest))
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()[-1]
        return Peak(None, f"{who}: {last}")
    return Peak(float(done.stdout))


def main(arguments: Sequence[str]) -> int:
    """Print the MiB that the call described in a folder takes."""
    (folder,) = map(Path, arguments)
    name, about, terms, iterations, who = pickle.loads((folder / _REST).read_bytes())
    work = workloads.Workload(
        name, about, np.load(folder / _IMAGE), np.load(folder / _PROBS), terms, iterations=iterations
    )
    call = who.call(work, peer.find() if who == contest.PEER else None)
    print(_peak_of(call))
    return 0


def _peak_of(call: Callable[[], object]) -> float:
    """MiB at the peak of a call, less those before it."""
    with contextlib.suppress(OSError):  # not allowed everywhere; nothing before was larger by much
        RESET.write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    kept = call()
    after = resident("VmHWM")
    del kept
    return after - before


def resident(which: str) -> float:
    """This process's memory in MiB: VmRSS now, VmHWM at the most."""
    found = re.search(which + r":\s*(\d+)", STATUS.read_text())
    if found is None:
        raise OSError(f"{STATUS} says nothing of {which}")
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
