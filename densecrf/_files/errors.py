"""What is wrong with a file."""

from __future__ import annotations

import os
from pathlib import Path


class FileError(ValueError):
    """A file cannot be read, or is not what it should be. The message names it and says why.

    Args:
        path: of the file.
        reason: a clause that makes sense behind the name and a colon.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)  # what a pickle is made of
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def reason_of(error: Exception) -> str:
    """What an exception of a library says, on one line and without the name of the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
