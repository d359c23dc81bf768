"""Numbers in sentences."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A share, 0 to 1."""
    if math.isnan(share):
        return "none"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def count(number: float, what: str) -> str:
    """So many of something: ``1 label``, ``2 labels``, ``1,200 pixels``."""
    digits = f"{number:,.1f}".removesuffix(".0") if number < 10 else f"{number:,.0f}"
    return f"{digits} {what}{'' if digits == '1' else 's'}"
