"""Strategies of the fuzz tests: problems that are valid but odd, and arguments that are anything at all.

Values come from seeds, because drawing them one by one takes longer than refining them.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from fuzz_judge import MischiefError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from inputs import LAYOUTS, NORMALIZATIONS

from densecrf import Bilateral, Features, Gaussian

MANY = int(os.environ.get("DENSECRF_FUZZ_EXAMPLES", "0"))


def cases(few: int):
    """So many cases in the default suite; in a long run, as many times more as DENSECRF_FUZZ_EXAMPLES says."""
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=few * max(MANY, 1), suppress_health_check=unhurried)


def has_torch() -> bool:
    """Whether there is torch, which is imported."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


# ---- numbers ------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 7)
label_counts = st.integers(1, 5) | st.integers(6, 40) | st.sampled_from([64, 65, 255, 256, 257, 1000])
powers = st.integers(-29, 29).map(lambda power: 10.0**power)
sigmas = st.floats(0.3, 40) | st.floats(0.3, 40) | powers
weights = st.floats(0, 20) | st.sampled_from([0.0, 1e-30, 1e-3, 1e3, 1e20, 9e29])
normalizations = st.sampled_from(NORMALIZATIONS)
iteration_counts = st.integers(0, 5)


# ---- terms --------------------------------------------------------------------------------------------------


@st.composite
def full_weights(draw, labels: int):
    """A number; or one for each label or pair of labels, of any sign."""
    kind = draw(st.sampled_from(["number", "number", "labels", "pairs"]))
    if kind == "number" or labels > 40:
        return draw(weights)
    values = np.random.default_rng(draw(seeds)).normal(size=labels if kind == "labels" else (labels, labels))
    return (values * draw(st.sampled_from([0, 1, 10]))).tolist()


@st.composite
def terms(draw, labels: int, axes: int, channels: int | None, points: int):
    """A term that fits, if its sigmas are not too small for the picture."""
    kinds = ["gaussian", "features"] + (["bilateral"] * 2 if channels else [])
    kind, weight, how = draw(st.sampled_from(kinds)), draw(full_weights(labels)), draw(normalizations)
    if kind == "features":
        dims = draw(st.integers(1, 16))
        values = np.random.default_rng(draw(seeds)).normal(size=(dims, points)) * draw(powers)
        return Features(np.clip(values, -3e38, 3e38), weight, how)
    positions = draw(sigmas | st.tuples(*[sigmas] * axes))
    if kind == "gaussian":
        return Gaussian(positions, weight, how)
    return Bilateral(positions, draw(sigmas | st.tuples(*[sigmas] * channels)), weight, how)


# ---- plain values -------------------------------------------------------------------------------------------


def some_probs(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Probabilities (L, ...), float64, from a network of some kind."""
    scores = rng.normal(size=shape) * {"soft": 1, "sure": 30, "off": 1}.get(kind, 0)
    if kind == "certain":
        scores[rng.integers(shape[0])] = 1e3
    probs = np.exp(scores - scores.max(axis=0))
    probs /= probs.sum(axis=0)
    if kind == "denormal" and shape[0] > 1:
        probs[:] = 1e-40
        probs[0] = 1
    return probs * (0.996 if kind == "off" else 1)


probs_kinds = st.sampled_from(["soft", "soft", "sure", "even", "certain", "denormal", "off"])
logits_scales = st.sampled_from([0, 1, 10, 1e4, 1e30, 3e37, 1e-40])


def some_image(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """A picture of some kind, of a dtype that says what its values mean."""
    values = rng.integers(0, 256, shape)
    if kind == "flat":
        return np.full(shape, 77, np.uint8)
    if kind == "booleans":
        return values > 128
    if kind == "unit floats":
        return values / np.float32(255)
    if kind == "denormal floats":
        return np.full(shape, 1e-40, np.float32)
    if kind == "large integers":
        return values * 4_000_000
    return values.astype(kind)


image_kinds = st.one_of(
    st.just("uint8"),
    st.sampled_from(["flat", "booleans", "unit floats", "denormal floats", "large integers"]),
    st.sampled_from(["int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]),
)


# ---- the same values, laid out oddly ------------------------------------------------------------------------


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


# ---- anything -----------------------------------------------------------------------------------------------

ABSURD = 2**30  # a size that nobody's memory has room for

whole = st.sampled_from([-1, 0, 1, 2, 3, 7, 255, -(2**31), 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**400, 10**5000])
broken = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 2.5, 1e-45, 5e-324, 1e-31, 1e31, 3.5e38, 1.7e308, 1 + 1e-12])
not_finite = st.sampled_from([float("nan"), float("inf"), -float("inf")])
odd_numbers = st.sampled_from(
    [True, False, np.True_, Fraction(1, 3), Decimal("0.3"), Decimal("nan"), 1j, np.float16(0.5), np.longdouble(1.5)]
) | st.sampled_from([np.int8(3), np.uint64(2**64 - 1), np.datetime64("2020"), np.complex64(1), np.str_("3")])
words = st.sampled_from(["", "x", "usual", "irn", "symmetric", "cpu", "cuda", "\0", "ä\ud800", "x" * 3000])
odd_objects = st.sampled_from([None, ..., NotImplemented, object(), int, Gaussian, len, b"bytes", range(3)])


class Raises:
    """Refuses to be a number or an array, in its own words."""

    def _raise(self, *arguments: Any, **options: Any) -> Any:
        raise MischiefError("no")

    __float__ = __index__ = __int__ = __array__ = __len__ = __iter__ = __getitem__ = __bool__ = __dlpack__ = _raise


class SaysItIsAnArray:
    """Has NumPy's interface, and another shape whenever it is asked; never leads out of its memory."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: str) -> None:
        self._shapes, self._asked = shapes, 0
        self._memory = np.zeros(4096, dtype)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        self._asked += 1
        shape = self._shapes[self._asked % len(self._shapes)]
        return {**self._memory.__array_interface__, "shape": shape, "strides": None}


class ChangesItsMind:
    """An integer that is small at first, and huge or no integer at all when it is asked again."""

    def __init__(self, *answers: Any) -> None:
        self._answers, self._asked = answers, 0

    def __index__(self) -> Any:
        self._asked += 1
        return self._answers[min(self._asked, len(self._answers)) - 1]


class FloatThatRaises(float):
    """A float that cannot be made a float."""

    def __float__(self) -> float:
        raise MischiefError("no")


class FloatThatLies(float):
    """A float that becomes another one."""

    def __float__(self) -> float:
        return float("nan")


class Endless(Sequence):
    """A sequence that says some length, and never ends."""

    def __init__(self, length: int, value: Any) -> None:
        self._length, self._value = length, value

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        return self._value


def forever(value: Any):
    """A generator that never ends."""
    while True:
        yield value


def _of_itself() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


liars = st.one_of(
    st.builds(Raises),
    st.builds(SaysItIsAnArray, st.lists(st.tuples(sizes, sizes, sizes) | st.just(()), min_size=1, max_size=3),
              st.sampled_from(["f4", "u1", "i8", "f8"])),
    st.builds(ChangesItsMind, st.just(2), st.sampled_from([10**9, -1, "x"])),
    st.builds(FloatThatRaises, st.just(1.0)),
    st.builds(FloatThatLies, st.just(1.0)),
    st.builds(Endless, st.sampled_from([0, 1, 2, 3, 2**40]), st.sampled_from([1.0, 3, None, Gaussian(1, 1)])),
    st.builds(forever, st.sampled_from([1, 1.0, "x"])),
    st.builds(_of_itself),
)  # fmt: skip

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
    lambda array: array[0] if array.ndim else array,
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
