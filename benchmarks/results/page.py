"""A page of Markdown, with pictures in a folder beside it, that says where its figures come from."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine

WIDTH = 120


class Page:
    """A page under way: NAME.md in a folder, and the pictures of it in NAME/.

    Args:
        folder: where it is written.
        name: of the file.
        title: its heading.
    """

    def __init__(self, folder: Path, name: str, title: str) -> None:
        self.file = folder / f"{name}.md"
        self.pictures = folder / name
        self._blocks = [f"# {title}"]

    def provenance(self, command: str) -> None:
        """Says what was run, where and when."""
        about = machine.about()
        lines = [f"- command: `{command}`", *(f"- {what}: {value}" for what, value in about.items())]
        self._blocks.append("\n".join(lines))

    def heading(self, words: str) -> None:
        """Begins a section."""
        self._blocks.append(f"## {words}")

    def text(self, words: str) -> None:
        """Adds a paragraph, whose lines are broken anew."""
        self._blocks.append(
            textwrap.fill(" ".join(words.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
        )

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Adds a table; the cells are Markdown."""
        lines = [head, ["---"] * len(head), *rows]
        self._blocks.append("\n".join("| " + " | ".join(line) + " |" for line in lines))

    def picture(self, name: str, about: str) -> Path:
        """Adds a picture, and gives the file it is to be drawn to."""
        path = self.pictures / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._blocks.append(f"![{about}]({path.relative_to(self.file.parent).as_posix()})")
        return path

    def write(self) -> None:
        """Writes the page."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text("\n\n".join(self._blocks) + "\n", encoding="utf-8")


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f}"


def change(before: float, after: float) -> str:
    """What is gained, in points."""
    return f"{100 * (after - before):+.1f}"
