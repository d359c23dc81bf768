"""``densecrf demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from densecrf import _demo
from densecrf.cli import say

HELP = """\
Refine a real network's labels of two photographs, and draw them.

Writes one PNG for each: photograph, the network's labels, refined labels.
"""


def command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")] = Path("demo"),
) -> None:
    """Runs the demo where its packages are installed."""
    missing = _demo.missing_packages()
    if missing:
        say.note("demo", f'{" and ".join(missing)} not installed; pip install "densecrf[demo]"')
        raise typer.Exit(1)
    with say.errors_of("demo"):
        _demo.run(out)
