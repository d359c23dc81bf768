"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from densecrf._text import printable

EXTRAS = ("ray", "torch")  # packages that have an extra of their own name


@contextmanager
def errors_of(command: str) -> Iterator[None]:
    """What goes wrong becomes one sentence on stderr and an exit status.

    2 for arguments, files and packages that are not as they should be, 1 for what failed while working: a full disk, no
    memory, the GPU, workers.
    """
    try:
        yield
    except (ValueError, TypeError, FileNotFoundError, NotADirectoryError, ImportError) as error:
        _say(command, error)
        raise typer.Exit(2) from error
    except (OSError, MemoryError, RuntimeError) as error:
        _say(command, error)
        raise typer.Exit(1) from error


def _say(command: str, error: Exception) -> None:
    words = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename and error.strerror:
        words = f"{error.filename}: {error.strerror}"
    elif isinstance(error, ImportError) and (package := (error.name or "").partition(".")[0]) in EXTRAS:
        words = f'{package} is not installed; pip install "densecrf[{package}]"'
    elif isinstance(error, MemoryError):
        words = f"there is not enough memory: {words or 'none was left'}"
    note(command, words.removeprefix(f"densecrf.{command}: ") or type(error).__name__)


def note(command: str, text: str) -> None:
    """One sentence on stderr."""
    print(f"densecrf {command}: {printable(text)}", file=sys.stderr)


def as_json(result: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(result, indent=1))
