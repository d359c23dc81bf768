"""TOML files, from whoever."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

MOST_BYTES = 16384  # a recipe has two thousand; a hundred thousand hostile ones can take the parser a minute


def read(path: Path) -> dict[str, Any]:
    """What a file says.

    Raises:
        ValueError: it is not TOML, or is too large or nested too deeply for what is read here.
        OSError: it cannot be read.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # comes with the extras that read such files
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes, which no recipe needs")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
