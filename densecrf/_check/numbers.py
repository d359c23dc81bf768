"""Numbers and options."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from densecrf._build import MOST_THREADS

LARGEST_WEIGHT = 1e30  # far beyond what changes an answer, and still a float32 after a sum


def sigma(function: str, name: str, value: object) -> float | tuple[float, ...]:
    """A standard deviation: one number, or a sequence of them."""
    if isinstance(value, np.ndarray):
        value = value.tolist()  # of no dimensions: a number
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if not value:
            raise ValueError(f"{function}: {name} must be one number, or one per axis or channel; got none")
        return tuple(_positive(function, name, one) for one in value)
    return _positive(function, name, value)


def spacing(function: str, value: object, axes: int) -> tuple[float, ...]:
    """The size of a voxel along each axis."""
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(sizes, Sequence) or isinstance(sizes, (str, bytes)) or len(sizes) != axes:
        raise ValueError(f"{function}: spacing must be {axes} numbers, one per axis of the volume, got {value!r}")
    found = tuple(finite(function, "spacing", size) for size in sizes)
    if min(found) <= 0:
        raise ValueError(f"{function}: spacing must be positive, got {value!r}")
    return found


def weight(function: str, value: object) -> float | tuple[Any, ...]:
    """A compatibility: a number >= 0, numbers for each label, or for each pair of labels."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        number = finite(function, "weight", value)
        if not 0 <= number < LARGEST_WEIGHT:
            raise ValueError(
                f"{function}: weight must be >= 0 and finite, got {value!r}; "
                f"neighbours that should differ are not a Potts model, but a matrix can say so"
            )
        return number
    rows = [isinstance(row, Sequence) and not isinstance(row, (str, bytes)) for row in value]
    if not any(rows) and value:
        return tuple(_entry(function, one) for one in value)
    if not all(rows) or not value or any(len(row) != len(value) for row in value):
        raise ValueError(f"{function}: weight must be a number, a list of L numbers or an L x L matrix")
    return tuple(tuple(_entry(function, one) for one in row) for row in value)


def integer(function: str, name: str, value: object, least: int) -> int:
    """A whole number from ``least`` up."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{function}: {name} must be an integer, got {type(value).__name__}") from None
    if not least <= number < 2**31:
        raise ValueError(f"{function}: {name} must be an integer >= {least} and < 2^31, got {number}")
    return number


def index(function: str, name: str, value: object, size: int) -> int:
    """An index into something of this size."""
    number = integer(function, name, value, -size)
    if number >= size:
        raise ValueError(f"{function}: {name} must be below {size}, got {number}")
    return number % size


def threads(function: str, value: int | None, default: int) -> int:
    """How many threads to use; more than any machine has cores would only be started in vain."""
    return default if value is None else min(integer(function, "num_threads", value, 1), MOST_THREADS)


def probability(function: str, name: str, value: object, least: float = 0.0, most: float = 1.0) -> float:
    """A number strictly between two others."""
    number = finite(function, name, value)
    if not least < number < most:
        raise ValueError(f"{function}: {name} must lie between {least:g} and {most:g}, got {value!r}")
    return number


def share(function: str, name: str, value: object) -> float:
    """A number from 0 to below 1."""
    number = finite(function, name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{function}: {name} must be at least 0 and below 1, got {value!r}")
    return number


def choice(function: str, name: str, value: object, options: Sequence[str]) -> None:
    """One of several names."""
    if not isinstance(value, str) or value not in options:
        known = ", ".join(repr(option) for option in options)
        got = type(value).__name__ if isinstance(value, np.ndarray) else repr(value)
        raise ValueError(f"{function}: {name} must be one of {known}, got {got}")


def flag(function: str, name: str, value: object) -> bool:
    """True or False, and nothing that merely looks like it: 0.5 for a flag is an argument in the wrong place."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: {name} must be True or False, got {type(value).__name__}")
    return bool(value)


def _positive(function: str, name: str, value: object) -> float:
    number = finite(function, name, value)
    if not 1e-30 < number < 1e30:  # what float32 can divide by
        raise ValueError(
            f"{function}: {name} is a standard deviation and must be positive and finite, got {value!r}; "
            f"to switch a term off, leave it out or give it weight 0"
        )
    return number


def _entry(function: str, value: object) -> float:
    number = finite(function, "weight", value)
    if abs(number) >= LARGEST_WEIGHT:
        raise ValueError(f"{function}: weight must hold finite numbers, got {value!r}")
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
        raise ValueError(f"{function}: {name} must be finite, got {value!r}")
    return number
