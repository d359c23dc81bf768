"""What is wrong with a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from densecrf._text import printable


class FileError(ValueError):
    """A file cannot be read, or is not what it should be. The message names it and says why.

    Args:
        path: of the file.
        fact: a clause that makes sense behind the name and a colon.
        flag: a clause about the flag that would help, for those who have flags.
    """

    def __init__(self, path: str | os.PathLike[str], fact: str, flag: str = "") -> None:
        fact = printable(" ".join(fact.split()))
        super().__init__(path, fact, flag)  # what a pickle is made of
        self.path = Path(path)
        self.fact = fact
        self.flag = flag

    @property
    def reason(self) -> str:
        """The fact, and the flag that would help."""
        return f"{self.fact}; {self.flag}" if self.flag else self.fact

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def refuse_pipe(path: Path) -> None:
    """Raises a `FileError` about a pipe or a device, whose end may never come; who opens it tells what is missing."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise FileError(path, "not a file, but a pipe or a device")


def reason_of(error: Exception) -> str:
    """What an exception of a library says, on one line and without the name of the file."""
    if isinstance(error, FileError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
