"""Checks of what callers pass to the drop-in: pydensecrf's types and messages, and errors where it would crash."""

from __future__ import annotations

import operator
from enum import IntEnum
from numbers import Number
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from densecrf.pydensecrf import eigen

Floats = NDArray[np.float32]


def integer(name: str, value: object) -> int:
    """A whole number, also as a float such as 4.0."""
    if isinstance(value, (float, np.floating)):
        if not float(value).is_integer():
            raise ValueError(f"{name} must be a whole number, got {value}")
        return int(value)
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise TypeError(f"an integer is required for {name}, got {type(value).__name__}") from None


def size(name: str, value: object, least: int) -> int:
    number = integer(name, value)
    if number < least:
        hint = "; one foreground probability p makes two labels, 1 - p and p" if name == "nlabels" else ""
        raise ValueError(f"{name} must be at least {least}, got {number}{hint}")
    return number


Enum = TypeVar("Enum", bound=IntEnum)


def member(kind: type[Enum], name: str, value: object) -> Enum:
    """A member of an enum, or its number."""
    number = integer(name, value)
    if number not in list(kind):
        known = ", ".join(f"{member.name} ({member.value})" for member in kind)
        raise ValueError(f"{name} must be one of {known}; got {number}")
    return kind(number)


def real(value: object) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    try:
        return float(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise TypeError(f"must be real number, not {type(value).__name__}") from None


def sigmas(name: str, value: Any, count: int) -> tuple[float, ...]:
    """One standard deviation for all features, or one for each."""
    if isinstance(value, Number):
        return (real(value),) * count
    try:
        sigmas = tuple(real(one) for one in value)
    except TypeError as error:
        raise TypeError(f"{name} must be a number or {count} of them: {error}") from None
    if len(sigmas) != count:
        raise ValueError(f"{name} must be a number or {count} of them, got {len(sigmas)}")
    return sigmas


def need_matrix(name: str, value: object) -> eigen.MatrixXf:
    if not isinstance(value, eigen.MatrixXf):
        raise wrong_type(name, eigen.MatrixXf, value)
    return value


def wrong_type(name: str, expected: type, value: object) -> TypeError:
    wanted, came = full_name(expected), full_name(type(value))
    return TypeError(f"Argument '{name}' has incorrect type (expected {wanted}, got {came})")


def full_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def as_matrix(values: Floats) -> eigen.MatrixXf:
    return values.view(eigen.MatrixXf)
