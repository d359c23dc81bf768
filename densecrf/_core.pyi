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
        weight: float,
        normalization: str,
    ) -> None: ...

def require_memory(bytes: int) -> None: ...
def isa() -> str: ...
def elevated_bound(max_abs: Sequence[float]) -> float: ...
def infer(
    scores: NDArray[np.float32],
    shape: Sequence[int],
    picture: NDArray[Any] | None,
    terms: Sequence[Term],
    iterations: int,
    from_logits: bool,
    clip: float,
    threads: int,
    out: NDArray[np.float32],
) -> None: ...
def survey(scores: NDArray[np.float32], threads: int) -> dict[str, float]: ...
