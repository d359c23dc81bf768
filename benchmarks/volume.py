"""A volume of 128^3 voxels with 3 labels in one call: its time and its memory.

Run it as `python benchmarks/volume.py`.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

import densecrf
from densecrf import Bilateral, Gaussian

SIDE, LABELS, REPEATS = 128, 3, 5
SPACING = (1.5, 1.0, 1.0)  # z, y, x
TERMS = (Gaussian(3, 3), Bilateral(10, 20, 5))


def main() -> int:
    """Print time, memory and how many of the voxels come out right."""
    volume, truth, probs = noisy_balls()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        refined = densecrf.refine_volume(volume, probs, TERMS, spacing=SPACING)
        seconds.append(time.perf_counter() - start)
    right = [float((one.argmax(axis=0) == truth).mean()) for one in (probs, refined)]
    print(f"{SIDE}^3 voxels, {LABELS} labels, 10 iterations, {densecrf.build_info()['threads']} threads")
    print(f"median {np.median(seconds):.2f} s, {min(seconds):.2f} .. {max(seconds):.2f}")
    print(f"{resident('VmHWM') - before:.0f} MiB more at the peak, the result included")
    print(f"right before {right[0]:.1%}, after {right[1]:.1%}")
    return 0


def noisy_balls() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two balls in a noisy scan [Z, Y, X], the truth, and probabilities [L, Z, Y, X] that are mostly noise."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:SIDE, :SIDE, :SIDE]
    truth = np.zeros((SIDE, SIDE, SIDE), np.intp)
    truth[(z * 1.5 - 80) ** 2 + (y - 50) ** 2 + (x - 50) ** 2 < 35**2] = 1
    truth[(z * 1.5 - 110) ** 2 + (y - 90) ** 2 + (x - 85) ** 2 < 25**2] = 2
    scan = np.array([-600, 40, 200])[truth] + rng.normal(0, 15, truth.shape)
    scores = 1.2 * (np.arange(LABELS)[:, None, None, None] == truth) + rng.normal(0, 1, (LABELS, *truth.shape))
    probs = np.exp(scores)
    return scan.astype(np.int16), truth, (probs / probs.sum(axis=0)).astype(np.float32)


def resident(which: str) -> float:
    """This process's memory in MiB: VmRSS now, VmHWM at the most (Linux)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(which + r":\s*(\d+)", status)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
