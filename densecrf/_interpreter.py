"""Refuses to be imported in a subinterpreter: NumPy supports none, and the compiled core would wait for ever."""

from __future__ import annotations

import ctypes


def _interpreter(function: str) -> int | None:
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p)((function, ctypes.pythonapi))
    address: int | None = get()
    return address


if _interpreter("PyInterpreterState_Get") != _interpreter("PyInterpreterState_Main"):
    raise ImportError(
        "densecrf cannot be imported in a subinterpreter, because NumPy does not support them; use processes, or "
        "threads, which compute at the same time; under mod_wsgi say WSGIApplicationGroup %{GLOBAL}"
    )
