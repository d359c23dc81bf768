"""What this build is and what it finds on this machine."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType

from densecrf import _core
from densecrf._version import __version__

MOST_THREADS = 1024  # more than this is a mistake in the environment


def build_info() -> dict[str, str | int]:
    """What runs when `densecrf.refine` is called, for bug reports and benchmarks.

    Returns:
        ``version``; ``isa``, the instruction set in use ("avx512", "avx2" or "baseline"); ``cuda``, how
        many devices there are, or why there are none; ``threads``, how many are used unless the caller says.
    """
    return {
        "version": __version__,
        "isa": _core.isa(),
        "cuda": _describe_cuda(),
        "threads": default_threads(),
    }


def cuda_module() -> ModuleType | None:
    """The compiled CUDA back end, loaded when it is first asked for; None if this build has none."""
    if importlib.util.find_spec("densecrf._cuda") is None:
        return None
    return importlib.import_module("densecrf._cuda")


def _describe_cuda() -> str:
    module = cuda_module()
    if module is None:
        return "not built: no CUDA compiler was at hand, or DENSECRF_CUDA=OFF"
    count, reason = module.devices()
    return f"{count} device{'s' if count > 1 else ''}" if count else f"no device: {reason}"


def default_threads() -> int:
    """Threads to use: DENSECRF_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use."""
    for variable in ("DENSECRF_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "").split(",")[0].strip()  # OpenMP allows a list, one per nesting level
        if value.isdecimal() and int(value) > 0:
            return min(int(value), MOST_THREADS)
    return max(1, min(_cores_by_affinity(), _cores_by_quota()))


def _cores_by_affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cores_by_quota() -> int:
    """Cores' worth of time the control group allows, rounded up: what containers are limited by."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no control groups, or "max": no limit
        return 1 << 20
