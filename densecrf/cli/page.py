"""``densecrf app``."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from densecrf import app
from densecrf.cli import say

HELP = """\
Find parameters by eye: a page in the browser on which the refinement follows the sliders.

Opens pictures with a network's probabilities, labels or masks, or takes labels that you paint; exports the parameters \
as TOML, for --preset, and as Python. Needs no network, and is reached from this machine only, unless --host says \
otherwise.
"""


def command(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to bind to.")] = app.LOOPBACK,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="The port; 0 for any. The first free one from 7860 otherwise.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Runs the page where its packages are installed, until it is interrupted."""
    missing = app.missing_packages()
    if missing:
        say.note("app", f'{" and ".join(missing)} not installed; pip install "densecrf[app]"')
        raise typer.Exit(1)
    with say.errors_of("app"), suppress(KeyboardInterrupt):
        app.launch(host, port, open_browser=browser)
