"""Objects that are not what they say, for the fuzz tests; what some of them raise is a `MischiefError`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fuzz_judge import MischiefError
from hypothesis import strategies as st

from densecrf import Gaussian


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
    st.builds(SaysItIsAnArray, st.lists(st.tuples(*[st.integers(1, 7)] * 3) | st.just(()), min_size=1, max_size=3),
              st.sampled_from(["f4", "u1", "i8", "f8"])),
    st.builds(ChangesItsMind, st.just(2), st.sampled_from([10**9, -1, "x"])),
    st.builds(FloatThatRaises, st.just(1.0)),
    st.builds(FloatThatLies, st.just(1.0)),
    st.builds(Endless, st.sampled_from([0, 1, 2, 3, 2**40]), st.sampled_from([1.0, 3, None, Gaussian(1, 1)])),
    st.builds(forever, st.sampled_from([1, 1.0, "x"])),
    st.builds(_of_itself),
)  # fmt: skip
