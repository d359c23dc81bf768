"""The command line: ``python -m deeplab train|evaluate|predict|search``."""

from __future__ import annotations

import importlib
import sys

USAGE = """\
usage: python -m deeplab COMMAND ...

  train      train a network as a paper did, from a TOML file
  evaluate   measure a network on a data set, before and after the CRF
  predict    label pictures
  search     find the CRF's parameters on held-out pictures

python -m deeplab COMMAND --help says more. Networks: python -c "import deeplab; print(*deeplab.names())"
"""

# Loaded when they are asked for: what one needs the others need not have.
COMMANDS = {
    "train": ("deeplab.train", "main"),
    "evaluate": ("deeplab.evaluate", "main"),
    "predict": ("deeplab.predict", "main"),
    "search": ("deeplab.search", "main"),
}


def main(argv: list[str]) -> int:
    """Runs a command; 2 where there is no such one."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(f"python -m deeplab: no command {argv[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module, function = COMMANDS[argv[0]]
    status: int = getattr(importlib.import_module(module), function)(argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
