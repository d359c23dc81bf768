"""Arrays on a GPU: what PyTorch and CuPy call the same things. The only file that tells the two apart there.

Neither is imported from here: an array of theirs can only come from a program that has imported them.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # of the library at hand, on the device at hand


class Gpu(ABC):
    """A device and the library whose arrays lie on it.

    Attributes:
        index: of the device.
        name: of the library, "torch" or "cupy".
    """

    name: str

    def __init__(self, index: int) -> None:
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gpu) and (self.name, self.index) == (other.name, other.index)

    def __hash__(self) -> int:
        return hash((self.name, self.index))

    def __str__(self) -> str:
        return f"cuda:{self.index}"

    # ---- where work goes

    @contextmanager
    def work(self) -> Iterator[None]:
        """Makes the device the current one; where the library's pool runs out of memory, that is a MemoryError."""
        with self.current():
            try:
                yield
            except Exception as error:
                if not self.is_out_of_memory(error):
                    raise
                raise MemoryError(
                    f"densecrf: {self} has no memory left; refine fewer pictures at once, or tiles: {error}"
                ) from error

    @abstractmethod
    def current(self) -> AbstractContextManager[Any]:
        """Makes the device the library's current one, so that arrays come from it."""

    @abstractmethod
    def stream(self) -> int:
        """The handle of the library's current stream on this device."""

    @abstractmethod
    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether the library's pool says that there is no memory."""

    # ---- arrays

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: str = "float32") -> Array:
        """An array in memory of the library's pool."""

    @abstractmethod
    def on_device(self, values: NDArray[Any]) -> Array:
        """A copy of an array of the host."""

    @abstractmethod
    def on_host(self, array: Array) -> NDArray[Any]:
        """A copy on the host; waits."""

    @abstractmethod
    def numpy_dtype(self, array: Array) -> np.dtype[Any]:
        """NumPy's name for the dtype; float32 for bfloat16, which NumPy does not have."""

    @abstractmethod
    def convert(self, array: Array, dtype: str) -> Array:
        """The same values, without a copy where they have the dtype."""

    @abstractmethod
    def channels_last(self, array: Array, axis: int) -> Array:
        """A view with an axis moved to the end."""

    @abstractmethod
    def contiguous(self, array: Array) -> Array:
        """The same values in row-major order, without a copy where they are."""

    @abstractmethod
    def address(self, array: Array) -> int:
        """Of the first element."""

    @abstractmethod
    def strides(self, array: Array) -> tuple[int, ...]:
        """In elements."""

    @abstractmethod
    def copy(self, array: Array) -> Array:
        """A copy that shares nothing."""

    def detached(self, array: Array) -> Array:
        """The same memory, without a part in any gradient."""
        return array

    @abstractmethod
    def where_not(self, mask: NDArray[np.bool_], array: Array) -> Array:
        """The values, and 0 where the mask of the host is true."""

    @abstractmethod
    def write(self, values: Array, out: Array) -> None:
        """Values into an array of any dtype."""


class TorchGpu(Gpu):
    """PyTorch's CUDA tensors."""

    name = "torch"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._torch = sys.modules["torch"]
        self._device = self._torch.device(_TORCH_DEVICE, index)

    def current(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self._torch.cuda.device(self.index)
        return context

    def stream(self) -> int:
        return int(self._torch.cuda.current_stream(self.index).cuda_stream)

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, self._torch.OutOfMemoryError)

    def empty(self, shape: tuple[int, ...], dtype: str = "float32") -> Array:
        return self._torch.empty(shape, dtype=getattr(self._torch, dtype), device=self._device)

    def on_device(self, values: NDArray[Any]) -> Array:
        return self._torch.tensor(values, device=self._device)

    def on_host(self, array: Array) -> NDArray[Any]:
        values: NDArray[Any] = array.detach().cpu().numpy()
        return values

    def numpy_dtype(self, array: Array) -> np.dtype[Any]:
        if array.dtype == self._torch.bfloat16:
            return np.dtype(np.float32)
        return np.dtype(str(array.dtype).removeprefix("torch."))

    def convert(self, array: Array, dtype: str) -> Array:
        return array.detach().to(getattr(self._torch, dtype))

    def channels_last(self, array: Array, axis: int) -> Array:
        return array.detach().movedim(axis, -1)

    def contiguous(self, array: Array) -> Array:
        return array.contiguous()

    def address(self, array: Array) -> int:
        return int(array.data_ptr())

    def strides(self, array: Array) -> tuple[int, ...]:
        return tuple(array.stride())

    def copy(self, array: Array) -> Array:
        return array.detach().clone()

    def detached(self, array: Array) -> Array:
        return array.detach()

    def where_not(self, mask: NDArray[np.bool_], array: Array) -> Array:
        return array.detach().masked_fill(self.on_device(mask), 0)

    def write(self, values: Array, out: Array) -> None:
        out.detach().copy_(values)


class CupyGpu(Gpu):
    """CuPy's arrays."""

    name = "cupy"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._cupy = sys.modules["cupy"]

    def current(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self._cupy.cuda.Device(self.index)
        return context

    def stream(self) -> int:
        return int(self._cupy.cuda.get_current_stream(self.index).ptr)

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, self._cupy.cuda.memory.OutOfMemoryError)

    def empty(self, shape: tuple[int, ...], dtype: str = "float32") -> Array:
        return self._cupy.empty(shape, dtype)

    def on_device(self, values: NDArray[Any]) -> Array:
        return self._cupy.asarray(values)

    def on_host(self, array: Array) -> NDArray[Any]:
        values: NDArray[Any] = self._cupy.asnumpy(array)
        return values

    def numpy_dtype(self, array: Array) -> np.dtype[Any]:
        return np.dtype(str(array.dtype))

    def convert(self, array: Array, dtype: str) -> Array:
        return array.astype(dtype, copy=False)

    def channels_last(self, array: Array, axis: int) -> Array:
        return self._cupy.moveaxis(array, axis, -1)

    def contiguous(self, array: Array) -> Array:
        return self._cupy.ascontiguousarray(array)

    def address(self, array: Array) -> int:
        return int(array.data.ptr)

    def strides(self, array: Array) -> tuple[int, ...]:
        return tuple(stride // array.itemsize for stride in array.strides)

    def copy(self, array: Array) -> Array:
        return array.copy()

    def where_not(self, mask: NDArray[np.bool_], array: Array) -> Array:
        return self._cupy.where(self.on_device(mask), np.float32(0), array)

    def write(self, values: Array, out: Array) -> None:
        out[...] = values


_TORCH_DEVICE = "cuda"  # the type of device whose tensors are meant


def gpu_of(array: object) -> Gpu | None:
    """Where an array lies, if that is a GPU and the library one of those above."""
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(array, getattr(torch, "Tensor", ())):  # none while torch is being imported
        device = array.device  # type: ignore[attr-defined]
        return TorchGpu(device.index or 0) if device.type == _TORCH_DEVICE else None
    if cupy is not None and isinstance(array, getattr(cupy, "ndarray", ())):
        return CupyGpu(array.device.id)  # type: ignore[attr-defined]
    return None


class Memory:
    """What the compiled core asks for memory: blocks of the library's pool, in the order of its current stream."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._blocks: dict[int, Array] = {}

    def allocate(self, size: int) -> int:
        """The address of a new block; the library's own error if its pool has none."""
        block = self._gpu.empty((size,), "uint8")
        address = self._gpu.address(block)
        self._blocks[address] = block
        return address

    def release(self, address: int) -> None:
        """Gives a block back."""
        del self._blocks[address]
