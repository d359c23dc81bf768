"""Checks of what callers pass to the drop-in: pydensecrf's types and messages, and errors where it would crash."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from enum import IntEnum
from itertools import islice
from numbers import Number
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from densecrf import _check, _core
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
    except (TypeError, ValueError, RuntimeError):  # the latter: tensors that have no value
        raise TypeError(f"an integer is required for {name}, got {type(value).__name__}") from None


def size(name: str, value: object, least: int) -> int:
    number = integer(name, value)
    if number < least:
        hint = "; one foreground probability p makes two labels, 1 - p and p" if name == "nlabels" else ""
        raise ValueError(f"{name} must be at least {least}, got {_check.shown(number)}{hint}")
    if number >= 2**31:
        raise ValueError(f"{name} must be below 2^31, got {_check.shown(number)}")
    return number


def array(name: str, value: object) -> NDArray[Any]:
    """What NumPy makes of numbers in lists or of an array; a sequence of another kind might not end."""
    if isinstance(value, Sequence) and not isinstance(value, (list, tuple, range)):
        raise TypeError(f"{name} must be an array, got {type(value).__name__}")
    try:
        return np.asarray(value)
    except RuntimeError as error:  # torch's, for tensors without values
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}: {error}") from error


Enum = TypeVar("Enum", bound=IntEnum)


def member(kind: type[Enum], name: str, value: object) -> Enum:
    """A member of an enum, or its number."""
    number = integer(name, value)
    if number not in list(kind):
        known = ", ".join(f"{member.name} ({member.value})" for member in kind)
        raise ValueError(f"{name} must be one of {known}; got {_check.shown(number)}")
    return kind(number)


def real(value: object) -> float:
    if isinstance(value, (str, bytes)) or _is_complex(value):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    try:
        return float(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, RuntimeError):  # the latter: tensors
        raise TypeError(f"must be real number, not {type(value).__name__}") from None
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def truth(name: str, value: object) -> bool:
    """Whether something is true, if that can be said of it."""
    try:
        if value is not NotImplemented:  # of which Python warns, and will raise
            return bool(value)
    except (ValueError, RuntimeError):  # arrays, tensors
        pass
    raise TypeError(f"{name} must be true or false, got {type(value).__name__}")


def _is_complex(value: object) -> bool:
    """Whether NumPy would make a real number of it by dropping its imaginary part."""
    return getattr(getattr(value, "dtype", None), "kind", "") == "c"


def sigmas(name: str, value: Any, count: int) -> tuple[float, ...]:
    """One standard deviation for all features, or one for each."""
    if isinstance(value, Number):
        return (real(value),) * count
    try:
        sigmas = tuple(real(one) for one in islice(value, _core.max_dims))  # which may never end
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
