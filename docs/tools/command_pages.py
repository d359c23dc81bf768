"""What the commands say of themselves, for the page of the command line; mkdocs calls `on_page_markdown`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[2]
PAGE = "cli.md"
MARK = "<!-- the commands -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the help of every command where the mark is; other pages stay as they are."""
    if page.file.src_uri != PAGE:
        return markdown
    if markdown.count(MARK) != 1:
        raise PluginError(f"{PAGE}: one line must be {MARK}")
    return markdown.replace(MARK, sections())


def sections() -> str:
    """A heading and the help for every command that the bare help names."""
    overview = help_of()
    names = commands(overview)
    if not names:
        raise PluginError(f"{PAGE}: the help of the command names no commands:\n{overview}")
    return "\n\n".join(f"## densecrf {name}\n\n```text\n{help_of(name)}\n```" for name in names)


def help_of(*command: str) -> str:
    """What ``densecrf COMMAND --help`` prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    call = [sys.executable, "-m", "densecrf.cli", *command, "--help"]
    done = subprocess.run(call, env=environment, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise PluginError(f"{PAGE}: {' '.join(call)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip("\n")


def commands(overview: str) -> list[str]:
    """The commands that a help of typer's names in their box."""
    start = re.search(r"^╭─ Commands ─", overview, re.MULTILINE)
    if start is None:
        return []
    rows = []
    for line in overview[start.end() :].split("\n")[1:]:
        if line.startswith("╰"):
            break
        rows.append(re.match(r"│ ([a-z][a-z0-9-]*)(?: {2,}| *│$)", line))
    return [row.group(1) for row in rows if row]
