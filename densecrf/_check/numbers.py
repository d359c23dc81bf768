"""Numbers and options."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from densecrf._build import MOST_THREADS
from densecrf._check.words import shown

LARGEST_WEIGHT = 1e30  # far beyond what changes an answer, and still a float32 after a sum
MOST_NUMBERS = 1 << 16  # of a list: more than anybody has labels


def sigma(function: str, name: str, value: object) -> float | tuple[float, ...]:
    """A standard deviation: one number, or a sequence of them."""
    several = items(function, name, value)
    if several is None:
        return _positive(function, name, _plain(value))
    if not several:
        raise ValueError(f"{function}: {name} must be one number, or one per axis or channel; got none")
    return tuple(_positive(function, name, one) for one in several)


def items(function: str, name: str, value: object) -> list[Any] | None:
    """What a list or an array holds; None for what is neither. A list's own word for how long it is is not taken."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return None
        first = value[: MOST_NUMBERS + 1]
        found = first.tolist() if value.ndim == 1 else list(first)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        found = list(islice(value, MOST_NUMBERS + 1))
    else:
        return None
    if len(found) > MOST_NUMBERS:
        raise ValueError(f"{function}: {name} must not hold more than {MOST_NUMBERS} numbers, got more")
    return found


def _plain(value: object) -> object:
    """The number in an array of no dimensions."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def spacing(function: str, value: object, axes: int) -> tuple[float, ...]:
    """The size of a voxel along each axis."""
    sizes = items(function, "spacing", value)
    if sizes is None or len(sizes) != axes:
        raise ValueError(f"{function}: spacing must be {axes} numbers, one per axis of the volume, got {shown(value)}")
    found = tuple(finite(function, "spacing", size) for size in sizes)
    if min(found) <= 0:
        raise ValueError(f"{function}: spacing must be positive, got {shown(value)}")
    return found


def weight(function: str, value: object) -> float | tuple[Any, ...]:
    """A compatibility: a number >= 0, numbers for each label, or for each pair of labels."""
    several = items(function, "weight", value)
    if several is None:
        number = finite(function, "weight", _plain(value))
        if not 0 <= number < LARGEST_WEIGHT:
            raise ValueError(
                f"{function}: weight must be >= 0 and finite, got {shown(value)}; "
                f"neighbours that should differ are not a Potts model, but a matrix can say so"
            )
        return number
    rows = [items(function, "weight", row) for row in several]
    if several and all(row is None for row in rows):
        return tuple(_entry(function, _plain(one)) for one in several)
    if not several or any(row is None or len(row) != len(several) for row in rows):
        raise ValueError(f"{function}: weight must be a number, a list of L numbers or an L x L matrix")
    return tuple(tuple(_entry(function, _plain(one)) for one in row) for row in rows if row is not None)


def integer(function: str, name: str, value: object, least: int) -> int:
    """A whole number from ``least`` up."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # the latter: tensors that have no value
        raise TypeError(f"{function}: {name} must be an integer, got {type(value).__name__}") from None
    if not least <= number < 2**31:
        raise ValueError(f"{function}: {name} must be an integer >= {least} and < 2^31, got {shown(number)}")
    return number


def index(function: str, name: str, value: object, size: int) -> int:
    """An index into something of this size."""
    number = integer(function, name, value, -size)
    if number >= size:
        raise ValueError(f"{function}: {name} must be below {size}, got {shown(number)}")
    return number % size


def threads(function: str, value: int | None, default: int) -> int:
    """How many threads to use; more than any machine has cores would only be started in vain."""
    return default if value is None else min(integer(function, "num_threads", value, 1), MOST_THREADS)


def probability(function: str, name: str, value: object, least: float = 0.0, most: float = 1.0) -> float:
    """A number strictly between two others."""
    number = finite(function, name, value)
    if not least < number < most:
        raise ValueError(f"{function}: {name} must lie between {least:g} and {most:g}, got {shown(value)}")
    return number


def share(function: str, name: str, value: object) -> float:
    """A number from 0 to below 1."""
    number = finite(function, name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{function}: {name} must be at least 0 and below 1, got {shown(value)}")
    return number


def choice(function: str, name: str, value: object, options: Sequence[str]) -> None:
    """One of several names."""
    if not isinstance(value, str) or value not in options:
        known = ", ".join(repr(option) for option in options)
        got = type(value).__name__ if isinstance(value, np.ndarray) else shown(value)
        raise ValueError(f"{function}: {name} must be one of {known}, got {got}")


def flag(function: str, name: str, value: object) -> bool:
    """True or False, and nothing that merely looks like it: 0.5 for a flag is an argument in the wrong place."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: {name} must be True or False, got {type(value).__name__}")
    return bool(value)


def text(function: str, name: str, value: object) -> str:
    """Words that can be written to a file."""
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name} must be a text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise ValueError(f"{function}: {name} must be a text that UTF-8 can hold, got {shown(value)}") from None
    return value


def _positive(function: str, name: str, value: object) -> float:
    number = finite(function, name, value)
    if not 1e-30 < number < 1e30:  # what float32 can divide by
        raise ValueError(
            f"{function}: {name} is a standard deviation and must be positive and finite, got {shown(value)}; "
            f"to switch a term off, leave it out or give it weight 0"
        )
    return number


def _entry(function: str, value: object) -> float:
    number = finite(function, "weight", value)
    if abs(number) >= LARGEST_WEIGHT:
        raise ValueError(f"{function}: weight must hold finite numbers, got {shown(value)}")
    return number


def finite(function: str, name: str, value: object) -> float:
    """A number, neither infinite nor NaN."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{function}: {name} must be a number, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{function}: {name} must be finite, got {shown(value)}")
    return number
