"""Memory, before it is asked for."""

from __future__ import annotations

from densecrf import _core

_MOST = 2**63  # nobody has as much; sizes of arrays that are one number seen often multiply to more


def promise(wanted: int) -> _core.Promise:
    """As `room`, for a ``with`` block that allocates it: until its end other threads are told of as much less."""
    return _core.Promise(min(wanted, _MOST))


def room(wanted: int) -> None:
    """Raises MemoryError where this process may not have so many bytes more; nothing is allocated."""
    _core.require_memory(min(wanted, _MOST))
