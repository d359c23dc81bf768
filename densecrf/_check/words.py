"""Values in messages."""

from __future__ import annotations

LONGEST = 120  # characters; a message has to stay one that is read


def shown(value: object) -> str:
    """What a value prints as, or its two ends where that is long."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return f"{type(value).__name__} of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 30]} ... {text[-20:]}"
