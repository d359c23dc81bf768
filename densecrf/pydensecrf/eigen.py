"""Vectors and matrices of floats, as pydensecrf hands them out and takes them back."""
# ruff: noqa: N802 -- pydensecrf's names

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MatrixXf", "VectorXf", "matrixXf", "vectorXf"]

# What C calls the types of NumPy, by their characters; pydensecrf's messages speak of these.
_C_NAMES = {
    "?": "bool",
    "b": "signed char",
    "B": "unsigned char",
    "h": "short",
    "H": "unsigned short",
    "i": "int",
    "I": "unsigned int",
    "l": "long",
    "L": "unsigned long",
    "q": "long long",
    "Q": "unsigned long long",
    "e": "half",
    "f": "float",
    "d": "double",
    "g": "long double",
}


class _Floats(np.ndarray[Any, np.dtype[np.float32]]):
    """Memory that any reader of buffers can look into and write to; for NumPy's functions a plain array."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*_plain(inputs), **_plain(options))

    def __array_function__(
        self, function: Any, types: Iterable[type], args: Iterable[Any], options: Mapping[str, Any]
    ) -> Any:
        return function(*_plain(args), **_plain(options))


def _plain(value: Any) -> Any:
    """A value, or what it holds, with plain arrays in the place of ours."""
    if isinstance(value, _Floats):
        return value.view(np.ndarray)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value] if isinstance(value, list) else tuple(_plain(one) for one in value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


class VectorXf(_Floats):
    """A vector ``(n,)`` of float32; ``numpy.array(v)`` copies it, ``numpy.asarray(v)`` looks into it."""

    def __new__(cls) -> VectorXf:
        """An empty one."""
        return np.empty(0, np.float32).view(cls)


class MatrixXf(_Floats):
    """A matrix ``(rows, columns)`` of float32, such as marginals ``(L, N)``.

    ``numpy.array(Q)`` copies it, ``numpy.asarray(Q)`` looks into it and sees what later steps of inference write.
    """

    def __new__(cls) -> MatrixXf:
        """An empty one, ``(0, 0)``."""
        return np.empty((0, 0), np.float32).view(cls)


def vectorXf(arr: Any) -> VectorXf:
    """A copy of a contiguous float32 buffer ``(n,)``.

    Raises:
        TypeError, ValueError: it is not of this kind.
    """
    return read_buffer("arr", arr, np.float32, 1).copy().view(VectorXf)


def matrixXf(arr: Any) -> MatrixXf:
    """A copy of a contiguous float32 buffer ``(rows, columns)``.

    Raises:
        TypeError, ValueError: it is not of this kind.
    """
    return read_buffer("arr", arr, np.float32, 2).copy().view(MatrixXf)


def read_buffer(name: str, value: object, dtype: type[np.generic], ndim: int) -> NDArray[Any]:
    """A contiguous buffer of this type and number of dimensions, as a plain array over the same memory.

    Raises:
        TypeError, ValueError: it is not of this kind, in the words of pydensecrf, and then how to mend it.
    """
    array = any_buffer(name, value)
    if not array.flags.c_contiguous:
        raise ValueError(f"ndarray is not C-contiguous; pass numpy.ascontiguousarray({name})")
    if array.ndim != ndim:
        raise ValueError(f"Buffer has wrong number of dimensions (expected {ndim}, got {array.ndim})")
    if array.dtype != dtype:  # also where its bytes are the other way round
        wanted = np.dtype(dtype)
        raise ValueError(
            f"Buffer dtype mismatch, expected '{_c_name(wanted)}' but got '{_c_name(array.dtype)}'; "
            f"pass {name}.astype(numpy.{wanted})"
        )
    return array


def any_buffer(name: str, value: object) -> NDArray[Any]:
    """Any buffer as a plain array over the same memory; TypeError where there is none."""
    if value is None:
        raise TypeError(f"Argument '{name}' must not be None")
    try:
        view = memoryview(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"a bytes-like object is required, not '{kind}'; pass {name} as a NumPy array") from None
    return np.asarray(view)


def _c_name(dtype: np.dtype[Any]) -> str:
    return _C_NAMES.get(dtype.char, str(dtype)) if dtype.isnative else f"{dtype} with its bytes swapped"
