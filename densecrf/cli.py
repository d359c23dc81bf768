"""The command ``densecrf``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the process's own by default); gives the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return 0
    return _run_demo(options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="densecrf", description="Make a network's coarse segmentation crisp.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="refine a real network's labels of two photographs, and draw them",
        description="Refine a real network's labels of two photographs and write for each one PNG: "
        "photograph, the network's labels, refined labels.",
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="where to write (default: demo)")
    return parser


def _run_demo(out: Path) -> int:
    from densecrf import _demo  # the library's other commands and its users need none of this

    missing = _demo.missing_packages()
    if missing:
        needs = " and ".join(missing)
        print(f'densecrf demo: {needs} not installed; pip install "densecrf[demo]"', file=sys.stderr)
        return 1
    try:
        _demo.run(out)
    except OSError as error:  # a folder that cannot be written to, a full disk
        print(f"densecrf demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
