"""How much memory this process holds: all of it, the C library's part that is in use, and Python's blocks."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """Memory at one moment.

    Attributes:
        resident: bytes of the process that lie in memory (RSS).
        heap: bytes that were allocated by malloc, in C++ and in Python, and not freed.
        blocks: small objects of Python.
    """

    resident: int
    heap: int
    blocks: int


class _Mallinfo2(ctypes.Structure):
    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names.split())


def can_be_measured() -> bool:
    """Whether this is Linux with glibc 2.33 or later."""
    return Path("/proc/self/statm").exists() and hasattr(ctypes.CDLL(None), "mallinfo2")


def held() -> Held:
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    info = mallinfo2()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return Held(resident, info.uordblks + info.hblkhd, sys.getallocatedblocks())


def held_after_each_part(call: Callable[[int], object], calls: int, parts: int) -> list[Held]:
    """Makes so many calls, numbered from 0, and looks after every part of them."""
    found = []
    for part in range(parts):
        for i in range(part * calls // parts, (part + 1) * calls // parts):
            call(i)
        found.append(held())
    return found
