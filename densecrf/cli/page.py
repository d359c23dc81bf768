"""``densecrf app``."""

from __future__ import annotations

from typing import Annotated

import typer

from densecrf import app

HELP = """\
Find parameters by eye: a page in the browser on which the refinement follows the sliders.

Opens pictures with a network's probabilities, labels or masks, or a mask that you paint; exports the parameters as TOML
and as Python. Needs no network, and is reached from this machine only, unless --host says otherwise.
"""


def command(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to bind to.")] = app.LOOPBACK,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="The port; 0 for any. The first free one from 7860 otherwise.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Runs the page where its packages are installed."""
    raise typer.Exit(app.main(host, port, open_browser=browser))
