"""torch's bfloat16 by its bits: NumPy has no such dtype.

torch's own conversions run on OpenMP's threads, and wait for ever in a forked child whose parent has used them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAN = 0x7FC0


def to_float32(bits: NDArray[np.int16]) -> NDArray[np.float32]:
    """The numbers with these bits."""
    return (bits.astype(np.int32) << 16).view(np.float32)


def from_float32(values: NDArray[np.float32]) -> NDArray[np.int16]:
    """The bits of the nearest numbers; of two as near, the even one."""
    bits = values.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16
    nearest: NDArray[np.int16] = np.where(np.isnan(values), np.uint32(_NAN), rounded).astype(np.uint16).view(np.int16)
    return nearest


def bits_of(tensor: Any, torch: Any) -> NDArray[np.int16]:
    """The bits of a tensor on the CPU, in its own memory."""
    bits: NDArray[np.int16] = tensor.detach().view(torch.int16).numpy()
    return bits


def tensor_of(bits: NDArray[np.int16], torch: Any) -> Any:
    """The tensor with these bits, in their memory."""
    return torch.from_numpy(bits).view(torch.bfloat16)
