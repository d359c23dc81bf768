"""Pickles in torch's files, looked at before torch reads them: nothing in them is run there, but time has no bound.

A tuple of two of the same tuple, and so on, is a few bytes for each doubling of the time that Python takes to hash it:
as the key of a dict, 500 bytes can take longer than anybody lives.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any, cast

from densecrf._files.errors import FileError

MOST_NESTED = 16  # tuples within tuples; torch's own files have three or four
PICKLES = 5  # in a file from before PyTorch 1.6: two about the format, one about the machine, the content, the keys

_MARK = -1  # on the stack, where a list of values begins


def require_shallow(path: Path) -> None:
    """Raises a `FileError` where tuples are nested too deeply in a file of torch's; other errors are torch's to tell.

    Raises:
        Exception: there is no end to what damaged files raise.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(PICKLES):
                if file.peek(1):
                    _look(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".pkl"):  # torch's reader does not look at capitals either
                with archive.open(name) as member:
                    _look(path, member)


class _NoMore:
    """A stream that is asked for no more than a file has: whatever length a pickle claims would be allocated first."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most

    def read(self, count: int) -> bytes:
        return self._stream.read(min(count, self._most))

    def readline(self) -> bytes:
        return self._stream.readline(self._most)


def _look(path: Path, stream: IO[bytes]) -> None:
    """At one pickle: how deep the tuples on the unpickler's stack are, and in its memory."""
    stack: list[int] = []
    memory: dict[Any, int] = {}
    bounded = cast(IO[bytes], _NoMore(stream, path.stat().st_size))
    for opcode, argument, _ in pickletools.genops(bounded):
        taken = _taken(stack, opcode)
        depth = 0  # of whatever is no tuple: it is hashed by its place, or not at all
        if opcode.name.startswith("TUPLE"):
            depth = 1 + max(taken, default=0)
        elif opcode.name == "DUP":
            depth = taken[0]
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            depth = memory[argument]
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memory[len(memory) if argument is None else argument] = stack[-1]
        if depth > MOST_NESTED:
            raise FileError(path, "its tuples are nested too deeply, which could take for ever to read")
        stack += [_MARK if opcode.name == "MARK" else depth] * len(opcode.stack_after)


def _taken(stack: list[int], opcode: pickletools.OpcodeInfo) -> list[int]:
    """What an opcode takes from the stack: so many values, or all from the last mark on and some before it."""
    taken, before = [], list(opcode.stack_before)
    if pickletools.markobject in before:
        before = before[: before.index(pickletools.markobject)]
        while (value := stack.pop()) != _MARK:
            taken.append(value)
    return taken + [stack.pop() for _ in before]
