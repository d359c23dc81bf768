"""Where the programs beside this file keep what they found: docs/reliability.md is written from it.

A program is run as a script from the repository's root, e.g. `python tests/soak/drift.py`; `make soak` runs them all.
It ends with exit status 1 where a promise was broken, and then records nothing.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "figures"
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests")) if path not in sys.path]

from benchmarks import machine  # noqa: E402


def record(name: str, **figures: Any) -> None:
    """Write figures/NAME.json: figures that were just measured, the command, the machine and the day."""
    program = Path(sys.argv[0]).resolve()
    command = [
        "python",
        str(program.relative_to(ROOT) if program.is_relative_to(ROOT) else program.name),
        *sys.argv[1:],
    ]
    about = {"command": shlex.join(command), **machine.about()}
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps({"about": about, **figures}, indent=2) + "\n")


def recorded(name: str) -> dict[str, Any]:
    """What `record` wrote last under this name."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found
