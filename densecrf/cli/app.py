"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from densecrf import __version__
from densecrf.cli import batch, compare, demo, info, page, refine
from densecrf.cli.options import flattened

ABOUT = """\
Make a network's coarse segmentation follow the edges of the picture.

This is the fully connected CRF of Krähenbühl & Koltun (2011), DeepLab's post-processing. Try it:

\b
  densecrf demo                                two photographs, refined
  densecrf refine cat.jpg cat.npz -o cat.png   a picture of yours, refined
  densecrf COMMAND --help                      what a command takes, examples
"""

STATUS = "Exit status: 0; 1 where something failed while working; 2 for wrong arguments or files."

app = typer.Typer(
    help=ABOUT,
    epilog=STATUS,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # an exception that nobody foresaw is a bug, and wants its plain traceback
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _bare(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """What happens before any command, and where there is none."""
    if version:
        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


COMMANDS = {"refine": refine, "batch": batch, "compare": compare, "demo": demo, "info": info, "app": page}

for name, module in COMMANDS.items():
    app.command(name, help=module.HELP, epilog=getattr(module, "EXAMPLES", None))(flattened(module.command))
