from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

max_dims: int
max_elevated: float

class Term:
    def __init__(
        self,
        position_sigma: Sequence[float],
        channel_sigma: Sequence[float],
        channels: NDArray[Any] | None,
        normalization: str,
        compatibility: float | NDArray[np.float32],
    ) -> None: ...

class Profile:
    def seconds(self) -> dict[str, float]: ...

class StoppedError(RuntimeError): ...

class Stop:
    def set(self) -> None: ...

class Model:
    vertices: int
    def __init__(
        self,
        shape: Sequence[int],
        terms: Sequence[Term],
        threads: int,
        profile: Profile | None = None,
        stop: Stop | None = None,
    ) -> None: ...
    def infer(
        self,
        scores: NDArray[np.float32],
        kind: str,
        clip: float,
        iterations: int,
        start: NDArray[np.float32] | None,
        damping: float,
        tolerance: float,
        label_tolerance: float,
        threads: int,
        out: NDArray[np.float32],
        profile: Profile | None = None,
        stop: Stop | None = None,
    ) -> int: ...
    def message(self, values: NDArray[np.float32], threads: int, out: NDArray[np.float32]) -> None: ...

class Promise:
    def __init__(self, bytes: int) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

def max_abs(shape: Sequence[int], term: Term) -> list[float]: ...
def require_memory(bytes: int) -> None: ...
def isa() -> str: ...
def elevated_bound(max_abs: Sequence[float]) -> float: ...
def survey(scores: NDArray[np.float32], threads: int) -> dict[str, float]: ...
