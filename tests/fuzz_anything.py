"""Strategies of the fuzz tests: arguments that are anything at all, or nearly right."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from fuzz_liars import liars
from hypothesis import strategies as st

from densecrf import Gaussian


def has_torch() -> bool:
    """Whether there is torch, which is imported."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


# ---- anything -----------------------------------------------------------------------------------------------

ABSURD = 2**34  # a size that nobody's memory has room for, twice as much least of all

whole = st.sampled_from([-1, 0, 1, 2, 3, 7, 255, -(2**31), 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**400, 10**5000])
broken = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 2.5, 1e-45, 5e-324, 1e-31, 1e31, 3.5e38, 1.7e308, 1 + 1e-12])
not_finite = st.sampled_from([float("nan"), float("inf"), -float("inf")])
odd_numbers = st.sampled_from(
    [True, False, np.True_, Fraction(1, 3), Decimal("0.3"), Decimal("nan"), 1j, np.float16(0.5), np.longdouble(1.5)]
) | st.sampled_from([np.int8(3), np.uint64(2**64 - 1), np.datetime64("2020"), np.complex64(1), np.str_("3")])
words = st.sampled_from(["", "x", "usual", "irn", "symmetric", "cpu", "cuda", "\0", "ä\ud800", "x" * 3000])
odd_objects = st.sampled_from([None, ..., NotImplemented, object(), int, Gaussian, len, b"bytes", range(3)])

odd_dtypes = st.sampled_from(
    ["?", "u1", "i1", "<i8", ">i4", "u8", "f2", "f4", ">f8", "g", "c8", "O", "U3", "S2", "M8[s]", "m8[s]", "u1,f4"]
)
odd_shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)


@st.composite
def odd_arrays(draw):
    """An array of any shape and dtype, masked or a matrix every so often."""
    shape, dtype = draw(odd_shapes), draw(odd_dtypes)
    array = np.zeros(shape, dtype)
    form = draw(st.sampled_from(["plain", "plain", "masked", "matrix", "not finite", "huge"]))
    if form == "masked":
        return np.ma.masked_array(array)
    if form == "matrix" and array.ndim == 2 and array.dtype.kind in "fiu":
        return array.view(np.matrix)
    if array.dtype.kind == "f" and form in ("not finite", "huge"):
        array[...] = draw(not_finite) if form == "not finite" else np.finfo(array.dtype).max
    return array


def _odd_tensor(kind: str, shape: tuple[int, ...]):
    torch = sys.modules["torch"]
    dense = torch.full(shape, 0.5)
    if kind == "sparse":
        return dense.to_sparse()
    if kind == "quantised":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch means to give these up
            return torch.quantize_per_tensor(dense, 0.1, 0, torch.quint8)
    if kind == "meta":
        return dense.to("meta")
    if kind == "zero":
        return torch._efficientzerotensor(shape)
    if kind == "uninitialised":
        return torch.nn.parameter.UninitializedParameter()
    return dense.to(getattr(torch, kind))


tensor_kinds = st.sampled_from(
    ["sparse", "quantised", "meta", "zero", "uninitialised", "complex64", "float8_e5m2", "bool", "uint16", "bfloat16"]
)
odd_tensors = st.builds(_odd_tensor, tensor_kinds, odd_shapes) if has_torch() else st.none()

containers = st.sampled_from(
    [(), [], {}, set(), [1, 2], (1.0, 2.0), [[1], [1, 2]], [[0.1, 0.9]], ["a"], [None], {"a": 1}, [10**400], [[[]]]]
) | st.sampled_from(
    [(2**31 - 1,) * 3, (2**16,) * 4, (2**62, 2**62), (1,) * 70, (0, 3), [float("nan")], [1e300], [True], [-1]]
)

numbers = whole | broken | not_finite | odd_numbers
anything = st.one_of(numbers, words, odd_objects, containers, liars, odd_arrays(), odd_arrays(), odd_tensors)


# ---- nearly right -------------------------------------------------------------------------------------------


def _put(array: np.ndarray, value: float) -> np.ndarray:
    changed = np.array(array)
    if changed.dtype.kind == "f" and changed.size:
        changed.flat[-1] = value
    return changed


NEARLY: list[Callable[[np.ndarray], Any]] = [
    lambda array: _put(array, np.nan),
    lambda array: _put(array, np.inf),
    lambda array: _put(array, -1.0),
    lambda array: _put(array, 3e38),
    lambda array: array.T,
    lambda array: array[np.newaxis],
    lambda array: array[0] if array.ndim and len(array) else array,
    lambda array: array[:0],
    lambda array: array[..., :0],
    lambda array: array[..., 1:],
    lambda array: array * 2,
    lambda array: -array.astype(np.float32),
    lambda array: array.astype(np.int64),
    lambda array: array.astype(np.float16),
    lambda array: array.astype(complex),
    lambda array: array.astype(object),
    lambda array: array.astype(str),
    lambda array: array.tolist(),
    lambda array: np.ma.masked_array(array),
    lambda array: memoryview(np.ascontiguousarray(array)),
    lambda array: iter(array.reshape(-1)),
]


@st.composite
def spoiled(draw, arguments: dict[str, Any], spare: Sequence[str] = (), absurd: Sequence[str] = ()):
    """Arguments of which one or two are not what they should be.

    Args:
        draw: hypothesis's.
        arguments: that are right.
        spare: those that stay as they are.
        absurd: those that may ask for absurd amounts of memory.
    """
    names = sorted(set(arguments) - set(spare))
    changed = dict(arguments)
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)):
        value = arguments[name]
        choices = [anything]
        if isinstance(value, np.ndarray):
            choices += [st.sampled_from(NEARLY).map(lambda spoil, value=value: spoil(value))]
        if name in absurd:
            choices += [st.sampled_from([ABSURD, 2**31 - 1])]
        changed[name] = draw(st.one_of(choices))
    return changed
