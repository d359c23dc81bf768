"""What the numbers of a benchmark belong to: the machine, the build, the day; and how fast it copies memory."""

from __future__ import annotations

import datetime
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import densecrf

COPIED = 256 << 20  # bytes; beyond any cache
REPEATS = 7


def about() -> dict[str, str]:
    """Describe the machine and the build."""
    return {
        "machine": f"{_cpu()}, {cores()} cores usable, {platform.machine()}",
        "densecrf": f"{densecrf.__version__} ({_build()})",
        "python": f"{platform.python_version()}, NumPy {np.__version__}, {platform.system()}",
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
    }


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bandwidth(threads: int) -> float:
    """Bytes read and written in a second by NumPy copying from memory to memory; the best of several copies."""
    source, target = (np.ones(COPIED, np.uint8) for _ in range(2))
    shares = np.array_split(target, threads), np.array_split(source, threads)
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(REPEATS):
            begin = time.perf_counter()
            list(pool.map(np.copyto, *shares))  # lets go of the interpreter's lock
            best = min(best, time.perf_counter() - begin)
    return 2 * COPIED / best


def _build() -> str:
    return ", ".join(f"{what} {value}" for what, value in densecrf.build_info().items())


def _cpu() -> str:
    """Give the processor's name as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
