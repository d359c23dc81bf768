"""What is wrong with a file."""

from __future__ import annotations

import os
from pathlib import Path


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


def printable(text: str) -> str:
    """A text that can be shown and stored: names in files may hold codes that terminals obey, and lone surrogates."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def reason_of(error: Exception) -> str:
    """What an exception of a library says, on one line and without the name of the file."""
    if isinstance(error, FileError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
