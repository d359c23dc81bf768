"""The fenced blocks of a page, and the programs among them run from top to bottom."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    language: str
    text: str
    line: int  # of the page, where the text begins
    below: bool  # whether nothing stands between this one and the one before


def fenced(page: Path) -> list[Block]:
    """All blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found, end = [], -1
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(match[1], match[2], line, end >= 0 and not text[end : match.start()].strip()))
        end = match.end()
    return found


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of one language; plain ones for the empty string."""
    return [block.text for block in fenced(page) if block.language == language]


def programs(page: Path) -> list[tuple[Block, str | None]]:
    """The Python blocks of a page, each with what the page says it prints: the plain block right below, if any."""
    found = fenced(page)
    following = [block.text if block.below and not block.language else None for block in found[1:]]
    return [pair for pair in zip(found, [*following, None], strict=False) if pair[0].language == "python"]


def run(page: Path, names: dict[str, Any], instead: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a page's Python blocks in one namespace, and hold what they print against what the page says.

    Args:
        page: the file.
        names: what the reader is supposed to have; gets what the page defines.
        instead: parts of the text, and what is run in their place.
    """
    for block, promised in programs(page):
        text = block.text
        for part, other in (instead or {}).items():
            text = text.replace(part, other)
        printed = run_block(text, names, f"{page.name}, from line {block.line}")
        assert promised is None or printed == promised, f"{page.name}, line {block.line} prints\n{printed}"
    return names


def run_block(text: str, names: dict[str, Any], where: str = "block") -> str:
    """Run one block; gives what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, where, "exec"), names)
    return printed.getvalue()
