"""Text for a terminal."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""One line of text, with whatever commands a terminal, or cannot be printed at all, as Python writes it: ``\x1b``.

    Names of files come from strangers: an escape sequence in one could repaint the screen, and a letter that turns the
    direction of writing could hide what a name ends in.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in str(text)
    )


def printable_lines(text: object) -> str:
    """The same of text of several lines, which stay lines."""
    return "\n".join(map(printable, str(text).split("\n")))
