"""The command ``densecrf``. What it is made of needs typer and rich, and is imported when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the process's own by default).

    Returns:
        The exit status: 0; 1, something failed while working; 2, wrong arguments or files, or typer and rich are
        not installed.
    """
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        print(f'densecrf: this command needs {" and ".join(missing)}; pip install "densecrf[cli]"', file=sys.stderr)
        return 2
    from densecrf.cli.app import app

    try:
        app(None if argv is None else list(argv), prog_name="densecrf")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0
