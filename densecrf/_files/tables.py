"""TOML files, from whoever: what a hostile one says takes no more time and memory than a useful one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from densecrf._files.errors import FileError, reason_of, refuse_pipe

MOST_BYTES = 2**16  # parameters and recipes have one or two thousand
MOST_DOTS = 200  # on a line: tomllib keeps every prefix of a key a.b.c..., the square of its length


def read_toml(path: Path) -> dict[str, Any]:
    """The tables in a file.

    Raises:
        FileError: it is a pipe, not TOML, or too long or deep to be a file of settings.
        OSError: it cannot be read.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # comes with the extras that read such files
    refuse_pipe(path)
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FileError(path, f"more than {MOST_BYTES // 2**10} KiB, which no file of settings needs")
    if any(line.count(b".") > MOST_DOTS for line in content.splitlines()):
        raise FileError(path, f"a line has more than {MOST_DOTS} dots, which no file of settings needs")
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
        raise FileError(path, reason_of(error)) from error
    except RecursionError:
        raise FileError(path, "its values are nested too deeply") from None
