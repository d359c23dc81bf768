"""Strategies of the fuzz tests: the same values, laid out oddly, as arrays and as tensors."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from inputs import LAYOUTS


class Subclass(np.ndarray):
    """An array of somebody's own class."""


def plain(array: np.ndarray) -> np.ndarray:
    """A plain copy."""
    return np.array(array, order="C")


def swapped(array: np.ndarray) -> np.ndarray:
    """Bytes the other way round."""
    return array.astype(array.dtype.newbyteorder())


def repeated(array: np.ndarray) -> np.ndarray:
    """One place for all values along the last axis but one, if there is one: other values, a stride of 0."""
    return np.broadcast_to(array[..., :1, :], array.shape) if array.ndim > 1 else array


def subclassed(array: np.ndarray) -> np.ndarray:
    return array.view(Subclass)


def memory_mapped(array: np.ndarray) -> np.ndarray:
    return array.view(np.memmap)


layouts = st.sampled_from([plain, swapped, repeated, subclassed, memory_mapped, *LAYOUTS])
float_dtypes = st.sampled_from([np.float16, np.float32, np.float32, np.float64, np.longdouble])


@st.composite
def laid_out(draw, array: np.ndarray):
    """The array in up to two odd layouts on top of each other."""
    for layout in draw(st.lists(layouts, min_size=1, max_size=2)):
        array = layout(array)
    return array


def _transposed(tensor):
    return tensor.transpose(0, -1).contiguous().transpose(0, -1)


def _negative_bit(tensor):
    return (-tensor)._neg_view() if tensor.is_floating_point() else tensor


def _expanded(tensor):
    return tensor[..., :1].expand(tensor.shape)


def _with_gradient(tensor):
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _sliced(tensor):
    room = tensor.new_zeros([2 * size + 1 for size in tensor.shape])
    view = room[tuple(slice(1, None, 2) for _ in tensor.shape)]
    view.copy_(tensor)
    return view


@st.composite
def tensors(draw, array: np.ndarray, dtypes: Sequence[str] = ()):
    """The same values as a tensor, of one of these dtypes, laid out oddly."""
    torch = sys.modules["torch"]
    tensor = torch.from_numpy(plain(array))
    if dtypes:
        tensor = tensor.to(getattr(torch, draw(st.sampled_from(dtypes))))
    form = draw(st.sampled_from([torch.clone, _transposed, _expanded, _with_gradient, _sliced, _negative_bit]))
    return form(tensor)


TORCH_FLOATS = ("float16", "bfloat16", "float32", "float64")
